"""What an adapting network has besides its layers: tables in flash, state in RAM, and the proof that no refold leaves its range.

Knows programs and arrays; the C text is in `adapting.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.pack import accumulator_bound, pack_epilogue, sum_bound
from codegen.stepcode import CArray
from edgebn.adaptation import AdaptedLayer, SourceTable
from edgebn.errors import ModelError
from edgebn.program import (
    Affine,
    Convolution,
    IntEpilogue,
    Program,
    Step,
    TransposedConvolution,
    adapted_dtype,
    epilogue_shape,
    observed_rows,
)
from edgebn.reference.refold import DRIFT_BITS, LARGEST_CENTER, LARGEST_MOVE, LARGEST_SOURCE_OUTPUT, MAX_SHIFT_LOSS

DEFAULT_POLICY = "compensated-tracking"
CODES = {"compensated": 1, DEFAULT_POLICY: 2}  # in saved states: docs/state-format.md
PLANES = {"compensated": 2, DEFAULT_POLICY: 4}
DRIFT_BOUND = 6.0  # in source standard deviations, as in Python
_TABLE = "compensated"  # both policies read it
_HEADER, _CHECKSUM = 32, 4  # bytes of a saved state around its numbers
_MIN_SIGMA = 1e-6  # in units of e: with more, and scales as small as these, no float32 of the rule overflows
_MAX_SCALE = 1e6
_LARGEST_SHIFT = 61
_WORD_BYTES, _CHANNEL_BYTES = 4, 20  # a number; a channel's epilogue
_SUM_BYTES = 12
_CODE_REACH = 128  # the largest magnitude of a code


@dataclass(frozen=True)
class Plan:
    """Everything about adaptation that the C text is made from.

    Attributes
    ----------
    policy : str
    layers : tuple of AdaptedLayer
    steps : tuple of Step
        The layers' steps.
    names : tuple of str
        What their arrays' C names begin with.
    starts : tuple of int
        Each layer's first channel among all.
    positions : tuple of int
        Output positions that each observes.
    table : SourceTable
    arrays : tuple of CArray
        In flash, epilogues not included.
    program : Program
    """

    policy: str
    layers: tuple[AdaptedLayer, ...]
    steps: tuple[Step, ...]
    names: tuple[str, ...]
    starts: tuple[int, ...]
    positions: tuple[int, ...]
    table: SourceTable
    arrays: tuple[CArray, ...]
    program: Program

    @property
    def channels(self) -> int:
        """Of all layers."""
        return self.starts[-1] + self.layers[-1].channels

    @property
    def numbers(self) -> int:
        """How many float32 numbers the state has."""
        return PLANES[self.policy] * self.channels + 1

    @property
    def state_bytes(self) -> int:
        """Bytes of a saved state."""
        return _HEADER + _WORD_BYTES * self.numbers + _CHECKSUM

    @property
    def ram_bytes(self) -> int:
        """Bytes of RAM: numbers, class shares, sums of an inference, and the epilogues that are rewritten."""
        assert self.program.adaptation is not None
        return _WORD_BYTES * (1 + self.program.adaptation.classes) + sum(self.layer_ram(layer) for layer in self.layers)

    def layer_ram(self, layer: AdaptedLayer) -> int:
        """Return the bytes of RAM that one layer adds."""
        return (_WORD_BYTES * PLANES[self.policy] + _SUM_BYTES + _CHANNEL_BYTES) * layer.channels

    def layer_flash(self, layer: AdaptedLayer) -> int:
        """Return the bytes of flash that one layer adds: tables, means, widths and shifts of its channels, mask of its rows."""
        shared, rows = self.arrays[: -len(self.layers)], self.arrays[-len(self.layers) :]
        observed_mask = rows[[one is layer for one in self.layers].index(True)].nbytes
        return sum(array.nbytes for array in shared) // self.channels * layer.channels + observed_mask


def plan(program: Program, policy: str, name: str, step_names: dict[str, str]) -> Plan:
    """Decide what adaptation needs in C.

    Parameters
    ----------
    program : Program
    policy : {'compensated-tracking', 'compensated'}
    name : str
        The model's in C.
    step_names : dict of str to str
        Step name to what its arrays' names begin with.

    Raises
    ------
    ModelError
        The program cannot adapt in C, or there is no such policy there.
    """
    adaptation = program.adaptation
    if adaptation is None:
        raise ModelError(f"{program.source}: the model has no source tables; measure them with edgebn.adaptable(model, images)")
    if adapted_dtype(program) != "int8":
        raise ModelError(f"{program.source}: firmware adapts int8 networks; quantise the model, then measure its source tables")
    if adaptation.classes and program.buffers[adaptation.logits].dtype != "int8":
        raise ModelError(
            f"{program.source}: firmware learns from int8 predictions, and those of '{adaptation.logits}' are float32; adapt in "
            "Python, or quantise the float32 model with edgebn.quantize, which makes all of it int8"
        )
    if policy not in CODES:
        raise ModelError(f"there is no adaptation policy '{policy}' in firmware; choose one of {', '.join(sorted(CODES))}")
    table = next((one for one in adaptation.tables if one.policy == _TABLE), None)
    if not adaptation.classes or table is None:
        raise ModelError(f"{program.source}: the policy '{policy}' needs a network that classifies, with its source tables")
    steps = {step.name: step for step in program.steps}
    adapted = tuple(steps[layer.observation.step] for layer in adaptation.layers)
    for step, layer in zip(adapted, adaptation.layers, strict=True):
        _check_refold(program, step, layer)
    _check_scales(program, table)
    ends = np.cumsum([layer.channels for layer in adaptation.layers])
    names = tuple(step_names[step.name] for step in adapted)
    rows = tuple(_rows(step, layer, program) for step, layer in zip(adapted, adaptation.layers, strict=True))
    widths = [epilogue_shape(step, program)[1] for step in adapted]
    return Plan(
        policy,
        adaptation.layers,
        adapted,
        names,
        tuple(int(end - layer.channels) for end, layer in zip(ends, adaptation.layers, strict=True)),
        tuple(int(chosen.sum()) * width for chosen, width in zip(rows, widths, strict=True)),
        table,
        _arrays(adaptation.layers, name, names, rows, table),
        program,
    )


def _rows(step: Step, layer: AdaptedLayer, program: Program) -> np.ndarray:
    """Return 1 for every observed row of what the epilogue receives, uint8."""
    chosen = np.zeros(epilogue_shape(step, program)[0], np.uint8)
    chosen[observed_rows(step, layer.observation, len(chosen))] = 1
    return chosen


def _arrays(
    layers: tuple[AdaptedLayer, ...], name: str, names: tuple[str, ...], rows: tuple[np.ndarray, ...], table: SourceTable
) -> tuple[CArray, ...]:
    channels = table.first.shape[1]
    shape = f"({len(table.first)}, {channels}): predicted classes, the last row the source itself"
    shifts = [layer.observation.shift for layer in layers if layer.observation.shift is not None]
    return (
        CArray(f"{name}_adapt_centers", "int32_t", _joined([layer.observation.center for layer in layers]), f"({channels}): means"),
        CArray(f"{name}_adapt_shifts", "uint8_t", _joined(shifts), f"({channels}): sigma is 64 to 128 behind this shift"),
        CArray(f"{name}_adapt_sigmas", "float", _joined([layer.sigma for layer in layers]), f"({channels}): behind the shift"),
        CArray(f"{name}_adapt_sources", "float", _joined([layer.home for layer in layers]), f"({channels}): variance / sigma^2"),
        CArray(f"{name}_adapt_first", "int8_t", table.first, f"{shape}; of means, in sigmas"),
        CArray(f"{name}_adapt_second", "int8_t", table.second, f"{shape}; of variances"),
        *(
            CArray(f"{step}_rows", "uint8_t", chosen, f"({len(chosen)}): which rows of output are observed")
            for step, chosen in zip(names, rows, strict=True)
        ),
    )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])


def adapted_epilogue(step: Step) -> IntEpilogue:
    """Return the epilogue of a step that adapts: one of the kinds that have one, in an int8 program."""
    assert isinstance(step, Convolution | TransposedConvolution | Affine)
    assert isinstance(step.epilogue, IntEpilogue)
    return step.epilogue


def is_wide(step: Step) -> bool:
    """Whether the kernels shift all 64 bits of a step's sums (see `pack_epilogue`)."""
    products = sum_bound(step.weight) if isinstance(step, Convolution | TransposedConvolution) else _CODE_REACH
    epilogue = adapted_epilogue(step)
    return pack_epilogue(epilogue, accumulator_bound(epilogue, products), adapts=True).wide


def rounds_twice(step: Step) -> bool:
    """Whether negative sums of a step round twice, in every channel alike."""
    epilogue = adapted_epilogue(step)
    return bool(epilogue.neg and (epilogue.lo < 0).all())


def _check_refold(program: Program, step: Step, layer: AdaptedLayer) -> None:
    """Refuse a step whose refold might leave its range: the C then needs no test of it.

    Ratios are held within 0.01..100, so that gains stay below 10 and a multiplier loses at most four bits.
    """
    epilogue = adapted_epilogue(step)
    assert layer.observation.shift is not None
    lives = layer.sigma > 0
    center = layer.observation.center.astype(object)
    at_center = epilogue.m.astype(object) * center + epilogue.r.astype(object)
    unit = np.ldexp(layer.sigma.astype(np.float64), layer.observation.shift.astype(np.int32) + DRIFT_BITS)
    fits = (
        (np.abs(at_center) <= LARGEST_SOURCE_OUTPUT)
        & (np.abs(center) <= LARGEST_CENTER)
        & (epilogue.s > MAX_SHIFT_LOSS)
        & (epilogue.s <= _LARGEST_SHIFT)
        & (DRIFT_BOUND * unit < float(LARGEST_MOVE))
        & (layer.sigma >= _MIN_SIGMA)
    ).astype(bool)
    mixed = epilogue.neg and not rounds_twice(step) and bool((epilogue.lo < 0).any())
    if not (fits | ~lives).all() or mixed:
        raise ModelError(
            f"{program.source}: step '{step.name}': adapted multipliers might leave their range in firmware; leave the step out: "
            f"edgebn.adaptable(..., rows={{'{step.name}': 0}})"
        )


def _check_scales(program: Program, table: SourceTable) -> None:
    if max(float(table.first_scale.max()), float(table.second_scale.max())) > _MAX_SCALE:
        raise ModelError(f"{program.source}: the source tables hold numbers that no network gives; measure them again")

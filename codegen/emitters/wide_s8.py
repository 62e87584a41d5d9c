"""int8 convolutions of int16 weights (uint8 files): the int8 kernel for all channels, then those that int8 does not hold again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.emitters.shapes import conv_shape
from codegen.emitters.text import call, epilogue_s8
from codegen.pack import accumulator_bound, pack_epilogue, sum_bound
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Convolution, IntEpilogue, Program, unpooled_shape


class _WideNames:
    """The names of a step with arrays of their own for its wide channels."""

    def __init__(self, names: Names) -> None:
        self._names = names

    @property
    def scratch(self) -> str:
        return self._names.scratch

    def buffer(self, name: str) -> str:
        return self._names.buffer(name)

    def array(self, suffix: str) -> str:
        return self._names.array({"weights": "wide", "channels": "which", "scale": "wscale", "limits": "wlimits"}[suffix])


def narrowed(step: Convolution) -> Convolution:
    """Return the step with int8 weights, which are right for most channels."""
    return replace(step, weight=np.clip(step.weight, -128, 127).astype(np.int8))


def with_wide_channels(step: Convolution, program: Program, names: Names, narrow: StepCode) -> StepCode:
    """Return `narrow`, the code of the narrowed step, with the call behind it that computes the other channels."""
    assert isinstance(step.epilogue, IntEpilogue)
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    is_wide = (narrowed(step).weight != step.weight).reshape(len(step.weight), -1).any(axis=1)
    chosen = np.flatnonzero(is_wide)
    if not len(chosen):
        return narrow
    weight = step.weight[chosen]
    chosen_epilogue = replace(
        step.epilogue, **{name: getattr(step.epilogue, name)[chosen] for name in ("acc_bias", "lo", "hi", "m", "r", "s")}
    )
    own = _WideNames(names)
    epilogue, arrays = epilogue_s8(pack_epilogue(chosen_epilogue, accumulator_bound(chosen_epilogue, sum_bound(weight))), own)
    count, kh, kw, per_group = weight.shape
    channels = CArray(own.array("channels"), "int16_t", chosen.astype(np.int16), f"({count}): channels whose weights need 16 bits")
    weights = CArray(
        own.array("weights"),
        "int16_t",
        weight,
        f"({count}, {kh}, {kw}, {per_group}): their weights; kernel rows, columns, channels",
    )
    geometry = conv_shape(step, source.shape, unpooled_shape(step, source.shape), source.zero_point)
    text = call(
        "edgebn_wide_s8",
        names.buffer(source.name),
        names.buffer(target.name),
        geometry,
        count,
        channels.name,
        weights.name,
        epilogue,
    )
    return StepCode(
        f"{narrow.call}\n{{\n{text}\n}}",  # in a block, so that such calls share the stack that their structs by value take
        (*narrow.arrays, channels, weights, *arrays),
        (*narrow.headers, "edgebn_wide_s8.h"),
        narrow.scratch,
    )

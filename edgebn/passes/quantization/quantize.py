"""A float32 program and the ranges of its values become an int8 or int16 program. One small function a step class.

Weights are quantised unfolded; batch norms go into the epilogues (docs/integer-contract.md) and stay there as data, so that they
can be folded again. Knows ranges, not where they come from; runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.errors import QuantizationError
from edgebn.functions import FUNCTIONS
from edgebn.passes.integer import multipliers
from edgebn.passes.quantization.calibration import Range
from edgebn.passes.quantization.conversions import Values, joined
from edgebn.passes.quantization.int16_steps import wide_step
from edgebn.passes.quantization.keep import with_movement
from edgebn.passes.quantization.pad_ranges import held_numbers
from edgebn.passes.quantization.patch_moments import PatchMoments
from edgebn.passes.quantization.plan import (
    Plan,
    output_codes,
    padding,
    resampling,
    rounded_weights,
    unchanged,
    unfolded_epilogue,
)
from edgebn.passes.quantization.quantize_buffers import buffer_scales, is_global_average


@dataclass(frozen=True)
class IntegerForm:
    """Every step of a float32 program in integers, to be joined with float32 ones.

    Attributes
    ----------
    program : Program
        float32.
    plans : mapping of str to Plan
        By type, of the types that there are.
    steps : dict of (str, str) to Step
        By name and type, as they are asked for.
    """

    program: p.Program
    plans: Mapping[str, Plan]
    steps: dict[tuple[str, str], p.Step | None]

    def step(self, step: p.Step, dtype: str) -> p.Step | None:
        """Return the form that a step has in a type, None where int16 has none."""
        key = (step.name, dtype)
        if dtype == "float32":
            return step
        if key not in self.steps:
            self.steps[key] = (_int8_step if dtype == "int8" else wide_step)(step, self.plans[dtype])
        return self.steps[key]

    def prepare(self, kept: Mapping[str, str], usual: str, progress: Callable[[], None]) -> None:
        """Quantise the steps that `joined` will ask for, and say so step by step."""
        for step in self.program.steps:
            self.step(step, kept.get(step.name, usual))
            progress()

    def types(self, kept: Mapping[str, str], usual: str = "int8") -> dict[str, str]:
        """Return the type of each step: as `kept` says by name, else `usual`, else float32 where int16 has no form of it."""
        wanted = self._wanted(kept, usual)
        lacking = {step.name: "float32" for step in self.program.steps if self.step(step, wanted[step.name]) is None}
        return self._wanted({**kept, **lacking}, usual)

    def _wanted(self, kept: Mapping[str, str], usual: str) -> dict[str, str]:
        moved = with_movement(self.program, kept)
        return {step.name: moved.get(step.name, usual) for step in self.program.steps}

    def joined(self, kept: Mapping[str, str], usual: str = "int8") -> p.Program:
        """Return the program whose steps are of these types, by name, and else of the usual one, with conversions between."""
        types = self.types(kept, usual)
        values = {dtype: Values(plan.buffers, _codes(self.program, plan.buffers)) for dtype, plan in self.plans.items()}
        values["float32"] = Values(self.program.buffers, self.program.constants)
        steps = [form for step in self.program.steps if (form := self.step(step, types[step.name])) is not None]
        found = joined(self.program, values, types, steps)
        return replace(found, states=tuple(_state(state, found.buffers[state.reads]) for state in found.states))


def _codes(program: p.Program, buffers: Mapping[str, p.Buffer]) -> dict[str, np.ndarray]:
    return {name: multipliers.nearest_codes(array, buffers[name]) for name, array in program.constants.items()}


def quantize_program(
    program: p.Program,
    ranges: Mapping[str, Range],
    means: Mapping[str, np.ndarray] | None = None,
    moments: Mapping[str, PatchMoments] | None = None,
) -> p.Program:
    """Return the int8 program: `integer_form`, whole."""
    return integer_form(program, {"int8": ranges}, means, moments).joined({})


def integer_form(
    program: p.Program,
    ranges: Mapping[str, Mapping[str, Range]],
    means: Mapping[str, np.ndarray] | None = None,
    moments: Mapping[str, PatchMoments] | None = None,
    scales: dict[str, np.ndarray] | None = None,
) -> IntegerForm:
    """Return the integer form of a program's steps, which are quantised as they are asked for.

    Parameters
    ----------
    program : Program
        float32, of steps that int8 has (`apart.steps_apart`).
    ranges : mapping of str to mapping of str to (low, high)
        By type, for every computed buffer and input; zero is added.
    means : mapping of str to ndarray (channels,), optional
        Channel means of the buffers, for correcting biases by what weight rounding shifts.
    moments : mapping of str to PatchMoments, optional
        Of what convolutions read, by step name: their weights are then rounded for the least error in their outputs.
    scales : dict of str to ndarray (channels,), optional
        Of weights, by step name: those that another form of the same program has found, and gets those that this one finds.

    Raises
    ------
    QuantizationError
        A program that is int8 already; from `IntegerForm.step`, a step without an int8 form, sums that could overflow.
    """
    if program.dtype != "float32":
        raise QuantizationError(already_int8(program))
    held = held_numbers(program)
    scales = {} if scales is None else scales
    plans = {
        dtype: Plan(program, buffer_scales(program, known, held, dtype), known, means or {}, moments or {}, scales)
        for dtype, known in ranges.items()
    }
    return IntegerForm(program, plans, {})


def _int8_step(step: p.Step, plan: Plan) -> p.Step:
    return _STEPS[type(step)](step, plan)


def _state(state: p.State, buffer: p.Buffer) -> p.State:
    return replace(state, initial=multipliers.nearest_codes(state.initial, buffer)) if p.holds_codes(buffer) else state


def already_int8(program: p.Program) -> str:
    """Return why a program is not to be quantised, and what to do."""
    state = f"{program.dtype} already" if program.dtype != "mixed" else "integer in part already"
    return f"{program.source}: the network is {state}; quantise the float32 one it came from"


def _convolution(step: p.Convolution | p.TransposedConvolution, plan: Plan) -> p.Step:
    source, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    codes, weight_scale, bias = rounded_weights(step, plan)
    acc_bias = -source.zero_point * codes.reshape(len(codes), -1).sum(axis=1, dtype=np.int64)
    bounds = multipliers.accumulator_bounds(codes, acc_bias, plan.where(step))
    epilogue = unfolded_epilogue(step, acc_bias, bias, plan)
    epilogue = multipliers.refold(epilogue, source.scale * weight_scale, output.scale, bounds, plan.where(step))
    return replace(step, weight=codes, weight_scale=weight_scale, epilogue=epilogue)


def _affine(step: p.Affine, plan: Plan) -> p.Step:
    assert isinstance(step.epilogue, p.FloatEpilogue)
    source, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    channels = output.shape[2]
    acc_bias = np.full(channels, -source.zero_point, np.int64)
    bounds = (acc_bias - 128, acc_bias + 127)
    epilogue = unfolded_epilogue(step, acc_bias, step.epilogue.bias.astype(np.float64), plan)
    scales = np.full(channels, source.scale)
    return replace(step, epilogue=multipliers.refold(epilogue, scales, output.scale, bounds, plan.where(step)))


def _add(step: p.Add, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    arithmetic = multipliers.single_rounding_add((first, second), *output_codes(step, plan), plan.where(step))
    return replace(step, arithmetic=arithmetic)


def _multiply(step: p.Multiply, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    return replace(
        step, arithmetic=multipliers.single_rounding_multiply((first, second), *output_codes(step, plan), plan.where(step))
    )


def _matmul(step: p.MatMul, plan: Plan) -> p.Step:
    a, b, output = (plan.buffers[name] for name in (*step.inputs, step.output))
    codes = (output.zero_point, -128, 127)
    arithmetic = multipliers.single_rounding_multiply((a.scale, b.scale), output.scale, codes, plan.where(step), terms=a.shape[2])
    return replace(step, arithmetic=arithmetic)


def _binary(step: p.Binary, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    output = output_codes(step, plan)
    return replace(step, arithmetic=multipliers.binary_arithmetic(step.function, (first, second), *output, plan.where(step)))


def _pool(step: p.Pool, plan: Plan) -> p.Step:
    if not is_global_average(step, plan.program):
        return step
    source, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    count = source.shape[0] * source.shape[1]
    return replace(step, epilogue=multipliers.average_epilogue(source, output, (count,), plan.where(step)))


def _elementwise(step: p.Elementwise, plan: Plan) -> p.Step:
    """Every elementwise function is a table; a PReLU has one a channel."""
    assert step.slope is None or step.slope.size in (1, step.slope.shape[-1]), "apart.steps_apart takes such a PReLU apart"
    function = step if step.slope is None else replace(step, slope=step.slope.reshape(-1, 1))
    source, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    table = multipliers.lookup_table(lambda real: FUNCTIONS[step.function](real, function), source, output)
    return p.Lookup(step.name, step.inputs, step.output, table)


def _softmax(step: p.Softmax, plan: Plan) -> p.Step:
    scale = plan.buffers[step.inputs[0]].scale
    multiplier, left_shift, diff_min = multipliers.softmax_parameters(step.beta, scale, plan.where(step))
    return replace(step, multiplier=multiplier, left_shift=left_shift, diff_min=diff_min)


def _concat(step: p.Concat, plan: Plan) -> p.Step:
    output = plan.buffers[step.output]
    tables: list[np.ndarray | None] = []
    for name in step.inputs:
        source = plan.buffers[name]
        same = (source.scale, source.zero_point) == (output.scale, output.zero_point)
        tables.append(None if same else multipliers.lookup_table(lambda real: real, source, output)[0])
    return replace(step, tables=tuple(tables))


_STEPS: dict[type[p.Step], Callable[[Any, Plan], p.Step]] = {
    p.Convolution: _convolution,
    p.TransposedConvolution: _convolution,
    p.Affine: _affine,
    p.Add: _add,
    p.Multiply: _multiply,
    p.MatMul: _matmul,
    p.Binary: _binary,
    p.Pool: _pool,
    p.Elementwise: _elementwise,
    p.Softmax: _softmax,
    p.Concat: _concat,
    p.Pad: padding,
    p.Crop: unchanged,
    p.Resize: resampling,
    p.Transpose: unchanged,
    p.Reshape: unchanged,
}

"""A float32 program and the ranges of its values become an int8 program. One small function a step class.

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
from edgebn.passes.quantization.keep import with_conversions, with_movement
from edgebn.passes.quantization.pad_ranges import held_numbers
from edgebn.passes.quantization.patch_moments import PatchMoments
from edgebn.passes.quantization.quantize_buffers import buffer_scales, is_global_average
from edgebn.passes.quantization.quantize_weights import mean_error, quantize_weights
from edgebn.passes.quantization.round_weights import lost_mean, round_weights

UNBOUNDED = (-np.inf, np.inf)
RESIZE_ONE = 1024  # integer bilinear weights of a pair sum to this


@dataclass(frozen=True)
class Plan:
    """What a step needs to know of its surroundings."""

    program: p.Program  # float32
    buffers: Mapping[str, p.Buffer]  # int8
    means: Mapping[str, np.ndarray]  # channel means of the float32 values, where known
    moments: Mapping[str, PatchMoments]  # of what convolutions read, by step name, where known

    def where(self, step: p.Step) -> str:
        """Name a step for messages."""
        return f"{self.program.source}: layer '{step.name}'"


@dataclass(frozen=True)
class IntegerForm:
    """Every step of a float32 program in int8, to be joined with float32 ones.

    Attributes
    ----------
    program : Program
        float32.
    buffers, constants : mapping
        As int8.
    steps : dict of str to Step
        int8, by name; those that stay float32 in any case may be missing.
    """

    program: p.Program
    buffers: Mapping[str, p.Buffer]
    constants: Mapping[str, np.ndarray]
    steps: dict[str, p.Step]

    def joined(self, floats: frozenset[str] = frozenset()) -> p.Program:
        """Return the program whose steps of these names, and what only moves their values, are float32, with conversions around."""
        floats = with_movement(self.program, floats)
        steps = [step if step.name in floats else self.steps[step.name] for step in self.program.steps]
        found = with_conversions(self.program, self.buffers, self.constants, steps, floats)
        return replace(found, states=tuple(_state(state, found.buffers[state.reads]) for state in found.states))


def quantize_program(
    program: p.Program,
    ranges: Mapping[str, Range],
    means: Mapping[str, np.ndarray] | None = None,
    moments: Mapping[str, PatchMoments] | None = None,
) -> p.Program:
    """Return the int8 program: `integer_form`, whole."""
    return integer_form(program, ranges, means, moments).joined()


def integer_form(
    program: p.Program,
    ranges: Mapping[str, Range],
    means: Mapping[str, np.ndarray] | None = None,
    moments: Mapping[str, PatchMoments] | None = None,
    progress: Callable[[], None] | None = None,
    floats: frozenset[str] = frozenset(),
) -> IntegerForm:
    """Return the int8 form of a program's steps.

    Parameters
    ----------
    program : Program
        float32, of steps that int8 has (`apart.steps_apart`).
    ranges : mapping of str to (low, high)
        For every computed buffer and input; zero is added.
    means : mapping of str to ndarray (channels,), optional
        Channel means of the buffers, for correcting biases by what weight rounding shifts.
    moments : mapping of str to PatchMoments, optional
        Of what convolutions read, by step name: their weights are then rounded for the least error in their outputs.
    progress : callable, optional
        Called after every step.
    floats : frozenset of str
        Names of steps that stay float32 in any case.

    Raises
    ------
    QuantizationError
        A program that is int8 already, a step without an int8 form, sums that could overflow.
    """
    if program.dtype != "float32":
        raise QuantizationError(already_int8(program))
    plan = Plan(program, buffer_scales(program, ranges, held_numbers(program)), means or {}, moments or {})
    floats = with_movement(program, floats)
    constants = {name: multipliers.nearest_codes(array, plan.buffers[name]) for name, array in program.constants.items()}
    steps: dict[str, p.Step] = {}
    for step in program.steps:
        if step.name not in floats:
            steps[step.name] = _STEPS[type(step)](step, plan)
        if progress is not None:
            progress()
    return IntegerForm(program, plan.buffers, constants, steps)


def _state(state: p.State, buffer: p.Buffer) -> p.State:
    return replace(state, initial=multipliers.nearest_codes(state.initial, buffer)) if buffer.dtype == "int8" else state


def already_int8(program: p.Program) -> str:
    """Return why a program is not to be quantised, and what to do."""
    state = "int8 already" if program.dtype == "int8" else "int8 in part already"
    return f"{program.source}: the network is {state}; quantise the float32 one it came from"


def _epilogue(step: Any, acc_bias: np.ndarray, bias: np.ndarray, plan: Plan) -> p.IntEpilogue:
    """Return the epilogue for `refold` to complete; without a batch norm both clips are one and become qmin and qmax."""
    given: p.FloatEpilogue = step.epilogue
    pre, post = given.pre, given.post
    if not given.norms:
        pre, post = UNBOUNDED, (max(min(pre[0], post[1]), post[0]), min(max(pre[1], post[0]), post[1]))
    start = multipliers.identity_epilogue(acc_bias, plan.buffers[step.output], post)
    return replace(start, bias=bias, pre=pre, norms=given.norms)


def _convolution(step: p.Convolution | p.TransposedConvolution, plan: Plan) -> p.Step:
    assert isinstance(step.epilogue, p.FloatEpilogue)
    given, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    bias = step.epilogue.bias.astype(np.float64)
    codes, weight_scale = quantize_weights(step.weight, bias, given.scale)
    if step.name in plan.moments:
        codes, weight_scale = round_weights(step.weight, codes, weight_scale, plan.moments[step.name])
        bias = bias + lost_mean(step.weight, codes, weight_scale, plan.moments[step.name])
    elif step.inputs[0] in plan.means:
        bias = bias + mean_error(step.weight, codes, weight_scale, plan.means[step.inputs[0]], step.groups)
    acc_bias = -given.zero_point * codes.reshape(len(codes), -1).sum(axis=1, dtype=np.int64)
    bounds = multipliers.accumulator_bounds(codes, acc_bias, plan.where(step))
    epilogue = _epilogue(step, acc_bias, bias, plan)
    epilogue = multipliers.refold(epilogue, given.scale * weight_scale, output.scale, bounds, plan.where(step))
    return replace(step, weight=codes, weight_scale=weight_scale, epilogue=epilogue)


def _affine(step: p.Affine, plan: Plan) -> p.Step:
    assert isinstance(step.epilogue, p.FloatEpilogue)
    given, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    channels = output.shape[2]
    acc_bias = np.full(channels, -given.zero_point, np.int64)
    bounds = (acc_bias - 128, acc_bias + 127)
    epilogue = _epilogue(step, acc_bias, step.epilogue.bias.astype(np.float64), plan)
    scales = np.full(channels, given.scale)
    return replace(step, epilogue=multipliers.refold(epilogue, scales, output.scale, bounds, plan.where(step)))


def _output_codes(step: p.Add | p.Multiply | p.Binary, plan: Plan) -> tuple[float, tuple[int, int, int]]:
    output = plan.buffers[step.output]
    return output.scale, (output.zero_point, *multipliers.clip_codes(output, step.post))


def _add(step: p.Add, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    arithmetic = multipliers.single_rounding_add((first, second), *_output_codes(step, plan), plan.where(step))
    return replace(step, arithmetic=arithmetic)


def _multiply(step: p.Multiply, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    return replace(
        step, arithmetic=multipliers.single_rounding_multiply((first, second), *_output_codes(step, plan), plan.where(step))
    )


def _matmul(step: p.MatMul, plan: Plan) -> p.Step:
    a, b, output = (plan.buffers[name] for name in (*step.inputs, step.output))
    codes = (output.zero_point, -128, 127)
    how = multipliers.single_rounding_multiply((a.scale, b.scale), output.scale, codes, plan.where(step), terms=a.shape[2])
    return replace(step, arithmetic=how)


def _binary(step: p.Binary, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    output = _output_codes(step, plan)
    return replace(step, arithmetic=multipliers.binary_arithmetic(step.function, (first, second), *output, plan.where(step)))


def _pool(step: p.Pool, plan: Plan) -> p.Step:
    if not is_global_average(step, plan.program):
        return step
    given, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    count = given.shape[0] * given.shape[1]
    return replace(step, epilogue=multipliers.average_epilogue(given, output, (count,), plan.where(step)))


def _elementwise(step: p.Elementwise, plan: Plan) -> p.Step:
    """Every elementwise function is a table; a PReLU has one a channel."""
    assert step.slope is None or step.slope.size in (1, step.slope.shape[-1]), "apart.steps_apart takes such a PReLU apart"
    function = step if step.slope is None else replace(step, slope=step.slope.reshape(-1, 1))
    given, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    table = multipliers.lookup_table(lambda real: FUNCTIONS[step.function](real, function), given, output)
    return p.Lookup(step.name, step.inputs, step.output, table)


def _softmax(step: p.Softmax, plan: Plan) -> p.Step:
    scale = plan.buffers[step.inputs[0]].scale
    multiplier, left_shift, diff_min = multipliers.softmax_parameters(step.beta, scale, plan.where(step))
    return replace(step, multiplier=multiplier, left_shift=left_shift, diff_min=diff_min)


def _concat(step: p.Concat, plan: Plan) -> p.Step:
    output = plan.buffers[step.output]
    tables: list[np.ndarray | None] = []
    for name in step.inputs:
        given = plan.buffers[name]
        same = (given.scale, given.zero_point) == (output.scale, output.zero_point)
        tables.append(None if same else multipliers.lookup_table(lambda real: real, given, output)[0])
    return replace(step, tables=tuple(tables))


def _pad(step: p.Pad, plan: Plan) -> p.Step:
    return replace(step, value=float(multipliers.nearest_codes(np.array(step.value), plan.buffers[step.output])))


def _resize(step: p.Resize, plan: Plan) -> p.Step:  # noqa: ARG001  # every step's function is called alike
    def integers(weights: np.ndarray) -> np.ndarray:
        first = np.rint(weights[:, 0].astype(np.float64) * RESIZE_ONE).astype(np.int32)
        return np.stack([first, RESIZE_ONE - first], axis=1)

    return replace(step, row_weights=integers(step.row_weights), column_weights=integers(step.column_weights))


def _unchanged(step: p.Step, plan: Plan) -> p.Step:  # noqa: ARG001  # every step's function is called alike
    return step


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
    p.Pad: _pad,
    p.Crop: _unchanged,
    p.Resize: _resize,
    p.Transpose: _unchanged,
    p.Reshape: _unchanged,
}

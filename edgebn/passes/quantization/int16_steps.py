"""Steps between int16 codes and by int8 weights, of float32 ones. What has no form here stays float32. Runs nothing.

Functions that TensorFlow Lite Micro has in int16 are its own; all others are a table of 513 entries between which lines run, where
these are near enough to the function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.errors import QuantizationError
from edgebn.functions import FUNCTIONS
from edgebn.passes.integer import int16_tables, multipliers
from edgebn.passes.quantization.plan import (
    Plan,
    output_codes,
    padding,
    resampling,
    rounded_weights,
    unchanged,
    unfolded_epilogue,
)
from edgebn.passes.quantization.quantize_buffers import is_global_average

ENTRY = 128  # codes from one entry of a table to the next
FAR = 32  # codes by which a line may miss the function; rounding to int8 misses it by up to 128 of them
MAX_CHANNELS = 1 << 16  # of a softmax


def wide_step(step: p.Step, plan: Plan) -> p.Step | None:
    """Return the int16 form of a step, None where it has none or its numbers do not fit it."""
    try:
        return WIDE_STEPS[type(step)](step, plan) if type(step) in WIDE_STEPS else None
    except QuantizationError:
        return None


def _convolution(step: p.Convolution | p.TransposedConvolution, plan: Plan) -> p.Step:
    source = plan.buffers[step.inputs[0]]
    codes, weight_scale, bias = rounded_weights(step, plan)
    reach = np.abs(codes.astype(np.int64)).reshape(len(codes), -1).sum(axis=1) * multipliers.WIDE_REACH
    folded = _folded(step, source.scale * weight_scale, bias, reach, plan)
    return replace(step, weight=codes, weight_scale=weight_scale, epilogue=folded)


def _affine(step: p.Affine, plan: Plan) -> p.Step:
    assert isinstance(step.epilogue, p.FloatEpilogue)
    source, channels = plan.buffers[step.inputs[0]], plan.buffers[step.output].shape[2]
    reach = np.full(channels, multipliers.WIDE_REACH, np.int64)
    bias = step.epilogue.bias.astype(np.float64)
    return replace(step, epilogue=_folded(step, np.full(channels, source.scale), bias, reach, plan))


def _folded(step: Any, acc_scale: np.ndarray, bias: np.ndarray, reach: np.ndarray, plan: Plan) -> p.IntEpilogue:
    """Return the epilogue of sums of at most `reach`, int64 (channels,)."""
    start = unfolded_epilogue(step, np.zeros(len(reach), np.int64), bias, plan)
    return multipliers.refold(start, acc_scale, plan.buffers[step.output].scale, (-reach, reach), plan.where(step))


def _add(step: p.Add, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    arithmetic = multipliers.single_rounding_add((first, second), *output_codes(step, plan), plan.where(step), wide=True)
    return replace(step, arithmetic=arithmetic)


def _multiply(step: p.Multiply, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    arithmetic = multipliers.single_rounding_multiply((first, second), *output_codes(step, plan), plan.where(step), wide=True)
    return replace(step, arithmetic=arithmetic)


def _binary(step: p.Binary, plan: Plan) -> p.Step:
    first, second = (plan.buffers[name].scale for name in step.inputs)
    output = output_codes(step, plan)
    return replace(
        step, arithmetic=multipliers.binary_arithmetic(step.function, (first, second), *output, plan.where(step), wide=True)
    )


def _pool(step: p.Pool, plan: Plan) -> p.Step | None:
    source, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    count = step.window.kernel[0] * step.window.kernel[1]
    if count > multipliers.MAX_WIDE_POSITIONS:
        return None
    if not is_global_average(step, plan.program):
        return step
    return replace(step, epilogue=multipliers.average_epilogue(source, output, (count,), plan.where(step)))


def _elementwise(step: p.Elementwise, plan: Plan) -> p.Step | None:
    source, output = plan.buffers[step.inputs[0]], plan.buffers[step.output]
    where, ends = plan.where(step), (0, *p.CODE_RANGES["int16"])
    if step.function == "clip":
        codes = (0, *multipliers.clip_codes(output, (step.low, step.high)))
        return p.Rescale(step.name, step.inputs, step.output, multipliers.rescaling(source.scale, output.scale, codes, where))
    if step.function == "leaky_relu" or (step.slope is not None and step.slope.size == 1):
        slope = step.alpha if step.slope is None else float(step.slope.reshape(-1)[0])
        above = multipliers.double_rounding_multiply((source.scale, 1.0), output.scale, ends, where)
        below = multipliers.below_zero(slope, source.scale, output.scale, ends, where)
        return p.Rescale(step.name, step.inputs, step.output, above, below)
    if step.slope is not None:
        return None
    if step.function in ("sigmoid", "tanh"):
        multiplier, shift = int16_tables.curve_input(source.scale, where)
        return p.Curve(step.name, step.inputs, step.output, step.function, int16_tables.SIGMOID, multiplier, shift)
    table = _table(step, plan.ranges.get(step.inputs[0], (-np.inf, np.inf)), source, output)
    return None if table is None else p.Curve(step.name, step.inputs, step.output, "table", table)


def _table(step: p.Elementwise, seen: tuple[float, float], source: p.Buffer, output: p.Buffer) -> np.ndarray | None:
    """Return the table of a function, None where the lines between its entries are far from it at numbers that were seen."""

    def wanted(codes: np.ndarray) -> np.ndarray:
        real = FUNCTIONS[step.function](source.scale * codes.astype(np.float64), step)
        return np.clip(np.where(np.isnan(real), 0.0, real) / output.scale, -32768, 32767)

    table = np.rint(wanted(np.arange(-(1 << 15), (1 << 15) + 1, ENTRY)))
    low, high = (int(min(max(end / source.scale, -32768), 32767)) for end in seen)
    codes = np.arange(low, high + 1, 7)  # every place between two entries in turn
    lines = np.interp(codes, np.arange(-(1 << 15), (1 << 15) + 1, ENTRY), table)
    return table.astype(np.int16) if np.abs(lines - wanted(codes)).max(initial=0.0) <= FAR else None


def _softmax(step: p.Softmax, plan: Plan) -> p.Step | None:
    source = plan.buffers[step.inputs[0]]
    multiplier, left_shift = multipliers.wide_softmax_parameters(step.beta, source.scale, plan.where(step))
    if source.shape[2] > MAX_CHANNELS or not -31 <= left_shift <= 14:
        return None
    return replace(step, multiplier=multiplier, left_shift=left_shift, tables=int16_tables.SOFTMAX)


def _resize(step: p.Resize, plan: Plan) -> p.Step | None:
    return resampling(step, plan) if step.function == "nearest" else None


WIDE_STEPS: dict[type[p.Step], Callable[[Any, Plan], p.Step | None]] = {
    p.Convolution: _convolution,
    p.TransposedConvolution: _convolution,
    p.Affine: _affine,
    p.Add: _add,
    p.Multiply: _multiply,
    p.Binary: _binary,
    p.Pool: _pool,
    p.Elementwise: _elementwise,
    p.Softmax: _softmax,
    p.Concat: unchanged,
    p.Pad: padding,
    p.Crop: unchanged,
    p.Resize: _resize,
    p.Transpose: unchanged,
    p.Reshape: unchanged,
}

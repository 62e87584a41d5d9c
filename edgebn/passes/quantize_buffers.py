"""Which scale and zero point each buffer of an int8 program gets. Knows ranges and steps, nothing of weights or arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.passes.calibration import Range
from edgebn.program import SOFTMAX_CODES, Buffer, Crop, Elementwise, Pad, Pool, Program, Reshape, Resize, Softmax, Step, Transpose

# Functions whose output range is known beforehand: (scale, zero point), as TensorFlow Lite fixes them.
FIXED_FUNCTIONS = {"sigmoid": (1.0 / 256.0, -128), "tanh": (1.0 / 128.0, 0)}
SMALLEST_SCALE = 1e-30  # keeps float32 quotients finite; a range this small holds nothing


def is_global_average(step: Step, program: Program) -> bool:
    """Whether the step averages over the whole of its input, and so can have an output scale of its own."""
    if not isinstance(step, Pool) or step.window.function != "average":
        return False
    shape = program.buffers[step.inputs[0]].shape
    return step.window.kernel == shape[:2] and step.window.padding == (0, 0, 0, 0) and step.window.dilations == (1, 1)


def keeps_codes(step: Step, program: Program) -> bool:
    """Whether the step moves or compares codes, so that its output shares its input's scale."""
    if isinstance(step, Pool):
        return not is_global_average(step, program)
    return isinstance(step, (Reshape, Crop, Pad, Resize, Transpose))


def buffer_scales(program: Program, ranges: Mapping[str, Range]) -> dict[str, Buffer]:
    """Return the int8 buffers of a float32 program.

    Zero is always a code. A step that keeps codes takes its input's scale; sigmoid, tanh and softmax have fixed ones.
    """
    buffers = {}
    for name, array in program.constants.items():
        buffers[name] = _scaled(program.buffers[name], (float(array.min()), float(array.max())))
    padded = {
        step.inputs[0]: step.value
        for step in program.steps
        if isinstance(step, Pad) and np.isfinite(step.value) and step.value != 0
    }

    def by_range(name: str) -> Buffer:
        if name not in ranges:
            raise QuantizationError(f"{program.source}: no range is known for the value '{name}'; give calibration data")
        low, high = ranges[name]
        if not (np.isfinite(low) and np.isfinite(high)):
            raise QuantizationError(f"{program.source}: the range of the value '{name}' is not finite; give other calibration data")
        value = padded.get(name, 0.0)
        return _scaled(program.buffers[name], (min(low, value), max(high, value)))

    for name in program.inputs:
        buffers[name] = by_range(name)
    for step in program.steps:
        buffer = program.buffers[step.output]
        if keeps_codes(step, program):
            given = buffers[step.inputs[0]]
            buffers[step.output] = replace(buffer, dtype="int8", scale=given.scale, zero_point=given.zero_point)
        elif isinstance(step, Softmax):
            buffers[step.output] = replace(buffer, dtype="int8", scale=SOFTMAX_CODES[0], zero_point=SOFTMAX_CODES[1])
        elif isinstance(step, Elementwise) and step.function in FIXED_FUNCTIONS:
            scale, zero_point = FIXED_FUNCTIONS[step.function]
            buffers[step.output] = replace(buffer, dtype="int8", scale=scale, zero_point=zero_point)
        else:
            buffers[step.output] = by_range(step.output)
    return buffers


def _scaled(buffer: Buffer, value_range: Range) -> Buffer:
    """Return the int8 buffer for a range: 255 steps from low to high, both stretched to hold zero."""
    low, high = min(value_range[0], 0.0), max(value_range[1], 0.0)
    if high - low < 255.0 * SMALLEST_SCALE:
        return replace(buffer, dtype="int8", scale=1.0, zero_point=0)
    scale = float(np.float32((high - low) / 255.0))
    zero_point = int(np.clip(np.rint(-128.0 - low / scale), -128, 127))
    return replace(buffer, dtype="int8", scale=scale, zero_point=zero_point)

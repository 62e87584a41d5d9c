"""Which scale and zero point each buffer gets as int8 or int16 codes. Knows ranges and steps, nothing of weights or arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.passes.integer.int16_tables import UNIT
from edgebn.passes.quantization.calibration import Range
from edgebn.program import (
    CODE_RANGES,
    SOFTMAX_CODES,
    Buffer,
    Crop,
    Elementwise,
    Pad,
    Pool,
    Program,
    Reshape,
    Resize,
    Softmax,
    Step,
    Transpose,
)

# Functions whose output range is known beforehand: (scale, zero point), as TensorFlow Lite fixes them.
FIXED_FUNCTIONS = {"sigmoid": (1.0 / 256.0, -128), "tanh": (1.0 / 128.0, 0)}
ROOM = 1.5  # of int16 codes, times what calibration showed: the noise of weights hides what that costs, and cutting off costs more
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


def fixed_codes(step: Step, dtype: str = "int8") -> tuple[float, int] | None:
    """Return the scale and zero point of a step whose range is known beforehand, else None."""
    codes = SOFTMAX_CODES if isinstance(step, Softmax) else None
    if isinstance(step, Elementwise):
        codes = FIXED_FUNCTIONS.get(step.function)
    return (UNIT, 0) if codes is not None and dtype == "int16" else codes


def buffer_scales(
    program: Program, ranges: Mapping[str, Range], held: Mapping[str, Sequence[float]] | None = None, dtype: str = "int8"
) -> dict[str, Buffer]:
    """Return the buffers of a float32 program as codes of a type; int16 ones have the zero point 0.

    Zero is always a code, and so are the numbers that `held` says by buffer (`pad_ranges.py`). A step that keeps codes takes its
    input's scale; sigmoid, tanh and softmax have fixed ones. A state is read under the scale that a run leaves it with.
    """
    more = {name: tuple(numbers) for name, numbers in (held or {}).items()}
    for state in program.states:
        begins = float(state.initial.min()), float(state.initial.max())
        more[state.writes] = (*more.get(state.writes, ()), *begins)
    reads: dict[str, Buffer] = {}
    for _ in range(len(program.states) + 1):  # as often as states are handed on to others as they are
        buffers = _buffer_scales(program, ranges, more, reads, dtype)
        left = {
            state.reads: replace(buffers[state.writes], name=state.reads, shape=program.buffers[state.reads].shape)
            for state in program.states
        }
        if left == reads:
            return buffers
        reads = left
    raise QuantizationError(
        f"{program.source}: the state '{program.states[0].reads}' and others are handed on to each other in a circle, so that none "
        "says what codes they share; compute something between them"
    )


def _buffer_scales(
    program: Program, ranges: Mapping[str, Range], more: Mapping[str, Sequence[float]], reads: Mapping[str, Buffer], dtype: str
) -> dict[str, Buffer]:
    buffers = {}
    for name, array in program.constants.items():
        numbers = (float(array.min()), float(array.max()), *more.get(name, ()))
        buffers[name] = _scaled(program.buffers[name], (min(numbers), max(numbers)), dtype)

    def by_range(name: str) -> Buffer:
        if name not in ranges:
            raise QuantizationError(f"{program.source}: no range is known for the value '{name}'; give calibration data")
        low, high = ranges[name]
        if not (np.isfinite(low) and np.isfinite(high)):
            raise QuantizationError(f"{program.source}: the range of the value '{name}' is not finite; give other calibration data")
        return _scaled(program.buffers[name], (min(low, *more.get(name, ()), 0.0), max(high, *more.get(name, ()), 0.0)), dtype)

    for name in program.entering:
        buffers[name] = reads[name] if name in reads else by_range(name)
    for step in program.steps:
        buffer = program.buffers[step.output]
        if keeps_codes(step, program):
            source = buffers[step.inputs[0]]
            buffers[step.output] = replace(buffer, dtype=dtype, scale=source.scale, zero_point=source.zero_point)
        elif (codes := fixed_codes(step, dtype)) is not None:
            buffers[step.output] = replace(buffer, dtype=dtype, scale=codes[0], zero_point=codes[1])
        else:
            buffers[step.output] = by_range(step.output)
    return buffers


def _scaled(buffer: Buffer, value_range: Range, dtype: str) -> Buffer:
    """Return the buffer for a range: 255 steps of int8 from low to high, both stretched to hold zero, or int16's about zero."""
    low, high = min(value_range[0], 0.0), max(value_range[1], 0.0)
    if high - low < 255.0 * SMALLEST_SCALE:
        return replace(buffer, dtype=dtype, scale=1.0, zero_point=0)
    if dtype == "int16":
        return replace(buffer, dtype=dtype, scale=float(np.float32(ROOM * max(-low, high) / CODE_RANGES[dtype][1])), zero_point=0)
    scale = float(np.float32((high - low) / 255.0))
    zero_point = int(np.clip(np.rint(-128.0 - low / scale), -128, 127))
    return replace(buffer, dtype="int8", scale=scale, zero_point=zero_point)

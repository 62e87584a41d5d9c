"""Arithmetic and reductions of whole numbers and truth, as chains of functions of two int32 values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import FUSED_CLIPS, INT32_ENDS, Reading, inputs_of, only_output, without_batch
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.graph import Shape
from edgebn.layers import Cast, Constant, Crop, IntegerBinary, Pad, Reduce, Reshape, Transpose

# What joins the elements of a reduction of whole numbers, and the extreme of 1 and 0 that a reduction of truth is.
JOINED = {"sum": "add", "mean": "add", "max": "maximum", "min": "minimum", "product": "multiply"}
OF_TRUTH = {"sum": "max", "max": "max", "min": "min", "product": "min"}


def number(reading: Reading, like: str, value: float, dtype: type[np.generic] = np.int32) -> str:
    """Return a constant of one number beside a value."""
    shape = (1,) if reading.builder.tensors[like].shape else ()
    return reading.step(Constant, f"{like}/number", (), None, value=np.full(shape, value, dtype))


def two(reading: Reading, label: str, function: str, a: str, b: str) -> str:
    """Append a function of two int32 values."""
    return reading.step(IntegerBinary, label, (a, b), None, function=function)


def emit_result(reading: Reading, operator: FileOperator, value: str, full: Shape, fused: int = 0) -> None:
    """Append what makes `value` the operator's output of shape `full`, within its fused activation."""
    label = reading.tensor(only_output(operator)).name
    if fused not in (0, *FUSED_CLIPS):
        raise UnsupportedLayerError(f"its fused activation number {fused} is none of RELU, RELU_N1_TO_1 and RELU6")
    if fused:
        _, low, high = FUSED_CLIPS[fused]
        value = two(reading, f"{label}/low", "maximum", value, number(reading, value, low))
        if np.isfinite(high):
            value = two(reading, f"{label}/high", "minimum", value, number(reading, value, high))
    reading.emit(operator, Reshape, (value,), full=full, shape=without_batch(full))


def arithmetic(reading: Reading, operator: FileOperator, function: str, fused: int = 0) -> None:
    """A function of two integers; 'divide' drops what stands behind the point."""
    a, b = inputs_of(operator, 2, 2)
    label = reading.tensor(only_output(operator)).name
    if "divi" in function and reading.is_constant(b) and (reading.integers(b) == 0).any():
        raise ModelError("it divides by zero")
    values, full = reading.operands((a, b), label)
    if not fused and function in DIRECT:
        reading.emit(operator, IntegerBinary, values, full=full, function=function)
        return
    if function == "squared_difference":
        difference = two(reading, f"{label}/difference", "subtract", *values)
        made = two(reading, f"{label}/square", "multiply", difference, difference)
    elif function == "divide":
        made = quotient(reading, label, *values)
    else:
        made = two(reading, f"{label}/linear", function, *values)
    emit_result(reading, operator, made, full, fused)


DIRECT = ("add", "subtract", "multiply", "maximum", "minimum", "floor_divide", "floor_mod")


def quotient(reading: Reading, label: str, a: str, b: str) -> str:
    """Append a / b towards zero: one more than the floor where that is below zero and there is a rest."""
    floor = two(reading, f"{label}/floor", "floor_divide", a, b)
    rest = two(reading, f"{label}/rest", "floor_mod", a, b)
    is_part = two(reading, f"{label}/part", "not_equal", rest, number(reading, rest, 0))
    is_below = two(reading, f"{label}/below", "less", floor, number(reading, floor, 0))
    return two(reading, f"{label}/quotient", "add", floor, two(reading, f"{label}/one", "multiply", is_part, is_below))


def absolute(reading: Reading, operator: FileOperator) -> None:
    """ABS of integers."""
    (x,) = inputs_of(operator, 1, 1)
    value = reading.value(x)
    negative = two(reading, f"{value}/negative", "subtract", number(reading, value, 0), value)
    reading.emit(operator, IntegerBinary, (value, negative), function="maximum")


def square(reading: Reading, operator: FileOperator) -> None:
    """SQUARE of integers."""
    (x,) = inputs_of(operator, 1, 1)
    value = reading.value(x)
    reading.emit(operator, IntegerBinary, (value, value), function="multiply")


def reduced(reading: Reading, operator: FileOperator, function: str) -> None:
    """A reduction of integers over any axes, by halves: log2(n) functions of ever shorter values, odd elements last."""
    x, _ = inputs_of(operator, 2, 2)
    axes, full = reduced_shape(reading, operator)
    if reading.tensor(x).type == "BOOL":
        _truth(reading, operator, OF_TRUTH[function], axes, full)
        return
    if function == "product" and reading.tensor(x).type == "INT64":
        raise UnsupportedLayerError("it multiplies 64-bit integers, which edgebn holds in 32 bits; export them as int32")
    shape, label = reading.shape(x), reading.tensor(only_output(operator)).name
    value = reading.whole(x, label)
    if len(shape) > 1:
        order = (*axes, *(axis for axis in range(len(shape)) if axis not in axes))
        value = reading.step(Transpose, f"{label}/turned", (value,), None, permutation=order)
    count = int(np.prod([shape[axis] for axis in axes], dtype=np.int64))
    kept = int(np.prod(full, dtype=np.int64))
    value = reading.step(Reshape, f"{label}/rows", (value,), None, shape=(count, kept))
    total = _joined_rows(reading, label, JOINED[function], value)
    if function == "mean":
        total = quotient(reading, label, total, number(reading, total, count))
    emit_result(reading, operator, total, full)


def reduced_shape(reading: Reading, operator: FileOperator) -> tuple[list[int], Shape]:
    """Return the axes of a reduction, counted from 0, and the output's shape."""
    x, a = inputs_of(operator, 2, 2)
    keeps, shape = bool(operator.options("ReducerOptions").keep_dims), reading.shape(x)
    named = [int(axis) for axis in reading.integers(a).reshape(-1)]
    if any(not -len(shape) <= axis < len(shape) for axis in named):
        raise ModelError(f"its axes {named} are outside a value of {len(shape)} axes; the file is damaged")
    axes = sorted({axis % len(shape) for axis in named})
    return axes, tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keeps or axis not in axes)


def _joined_rows(reading: Reading, label: str, function: str, value: str) -> str:
    """Return the one row (1, n) that all rows are joined to."""
    count, length = reading.builder.tensors[value].shape
    left: list[str] = []

    def rows(begin: int, size: int) -> str:
        return reading.step(Crop, f"{label}/rows", (value,), None, starts=(begin, 0), sizes=(size, length))

    while count > 1:
        half = count // 2
        if count % 2:
            left.append(rows(2 * half, 1))
        value = two(reading, f"{label}/joined", function, rows(0, half), rows(half, half))
        count = half
    for row in left:
        value = two(reading, f"{label}/joined", function, value, row)
    return value


def _truth(reading: Reading, operator: FileOperator, function: str, axes: list[int], full: Shape) -> None:
    """Whether any ('max') or all ('min') of truth is."""
    x, _ = inputs_of(operator, 2, 2)
    label = reading.tensor(only_output(operator)).name
    real = reading.step(Cast, f"{label}/real", (reading.whole(x, label),), None, to="float32")
    found = reading.step(Reduce, f"{label}/found", (real,), None, function=function, axes=tuple(axes), keepdims=True)
    truth = reading.step(Cast, f"{label}/truth", (found,), None, to="int32")
    emit_result(reading, operator, truth, full)


def reduced_truth(function: str) -> Callable[[Reading, FileOperator], None]:
    """Return the reader of REDUCE_ANY ('max') or REDUCE_ALL ('min')."""
    return lambda reading, operator: _truth(reading, operator, function, *reduced_shape(reading, operator))


def padded(reading: Reading, operator: FileOperator, value: str, pads: tuple[tuple[int, int], ...], by: int, full: Shape) -> None:
    """PAD of integers; by another number than 0 as a padding of what lies above it."""
    label = reading.tensor(only_output(operator)).name
    if by:
        value = two(reading, f"{label}/above", "subtract", value, number(reading, value, by))
    made = reading.step(Pad, f"{label}/padded", (value,), None, pads=pads)
    if by:
        made = two(reading, f"{label}/moved", "add", made, number(reading, made, by))
    emit_result(reading, operator, made, full)


def wrapped(reading: Reading, value: str, kind: str) -> str:
    """Append int32 numbers cut to the bits of a narrower type."""
    low, high = INT32_ENDS[kind]
    moved = value if not low else two(reading, f"{value}/moved", "subtract", value, number(reading, value, low))
    rest = two(reading, f"{value}/rest", "floor_mod", moved, number(reading, moved, high - low + 1))
    return rest if not low else two(reading, f"{value}/wrapped", "add", rest, number(reading, rest, low))

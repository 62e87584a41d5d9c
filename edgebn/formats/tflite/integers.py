"""Operators that make or read whole numbers and truth: casts, comparisons, logic, ARG_MAX, choices and computed indices.

INT32, INT64 and BOOL tensors are int32 values of the graph, truth being 1 and 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.composed import negative
from edgebn.formats.tflite.context import (
    CODE_TYPES,
    INT32_ENDS,
    INTEGER_TYPES,
    NO_CLIP,
    Reading,
    inputs_of,
    only_output,
    without_batch,
)
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.formats.tflite.whole_numbers import arithmetic, number, wrapped
from edgebn.layers import (
    MAX_EXTENT,
    Activation,
    ArgExtreme,
    Binary,
    Cast,
    Constant,
    Dequantize,
    GatherND,
    Identity,
    IntegerBinary,
    Quantization,
    Quantize,
    Reshape,
    Select,
    Transpose,
)

COMPARED_STEPS = 256  # of 1, which TensorFlow Lite rounds codes to before it compares them
MAX_COMPARED = 32767  # of them, in 16 bits


def cast(reading: Reading, operator: FileOperator) -> None:
    """CAST between float32, integers, truth, and 8-bit numbers that have no scale."""
    (x,) = inputs_of(operator, 1, 1)
    output = only_output(operator)
    own, wanted = reading.tensor(x).type, reading.tensor(output).type
    value = reading.value(x)
    if reading.is_integer(x):
        own = "INT32"
    elif own in CODE_TYPES:
        if reading.tensor(x).quantization is not None:
            raise UnsupportedLayerError(f"it casts codes that have a scale to {wanted}; convert the model again")
        if wanted == "FLOAT32":
            reading.emit(operator, Dequantize, (value,))
            return
        value = reading.step(Dequantize, f"{reading.tensor(x).name}/real", (value,), None)
        own = "FLOAT32"
        if wanted in INT32_ENDS:
            value, own = reading.step(Cast, f"{value}/whole", (value,), None, to="int32"), "INT32"
    if wanted in INT32_ENDS and reading.tensor(output).quantization is None:
        _narrowed(reading, operator, value, own, wanted)
        return
    if own == wanted or (own in INTEGER_TYPES and wanted in ("INT32", "INT64")):
        reading.emit(operator, Identity, (value,))
    elif wanted == "BOOL":
        dtype = np.float32 if own == "FLOAT32" else np.int32
        zero = number(reading, value, 0, dtype)
        reading.emit(operator, IntegerBinary, (value, zero), function="not_equal")
    elif {own, wanted} <= {"FLOAT32", *INTEGER_TYPES}:
        reading.emit(operator, Cast, (value,), to="float32" if wanted == "FLOAT32" else "int32")
    else:
        raise UnsupportedLayerError(f"it casts {own} to {wanted}; edgebn casts between float32, int32, int64 and bool")


def _narrowed(reading: Reading, operator: FileOperator, value: str, own: str, wanted: str) -> None:
    """Emit whole numbers of 8 or 16 bits: int32 here, cut to those bits, and real numbers to the nearest that there is."""
    reading.narrow.add(only_output(operator))
    if own == "FLOAT32":
        low, high = INT32_ENDS[wanted]
        held = reading.step(Activation, f"{value}/held", (value,), None, function="clip", low=float(low), high=float(high))
        reading.emit(operator, Cast, (held,), to="int32")
    else:
        reading.emit(operator, Identity, (wrapped(reading, value, wanted),))


def neg(reading: Reading, operator: FileOperator) -> None:
    """NEG."""
    (x,) = inputs_of(operator, 1, 1)
    if not reading.is_integer(x):
        negative(reading, operator)
        return
    value = reading.value(x)
    reading.emit(operator, IntegerBinary, (number(reading, value, 0), value), function="subtract")


def _floored(function: str) -> Callable[[Reading, FileOperator], None]:
    """Return the reader of a floor division or of its rest."""

    def read(reading: Reading, operator: FileOperator) -> None:
        a, b = inputs_of(operator, 2, 2)
        if reading.is_integer(only_output(operator)):
            arithmetic(reading, operator, function)
            return
        if reading.is_codes(a) or function == "floor_mod":
            raise UnsupportedLayerError("edgebn takes the rest of a floor division of integers only, and divides no codes")
        values, full = reading.operands((a, b), reading.tensor(only_output(operator)).name)
        low, high = NO_CLIP
        quotient = reading.step(Binary, f"{values[0]}/quotient", values, None, function="divide", low=low, high=high)
        reading.emit(operator, Activation, (quotient,), full=full, function="floor")

    return read


floor_div, floor_mod = _floored("floor_divide"), _floored("floor_mod")


def comparison(function: str) -> Callable[[Reading, FileOperator], None]:
    """Return the reader of a comparison: of floats, integers, truth, or codes."""

    def read(reading: Reading, operator: FileOperator) -> None:
        a, b = inputs_of(operator, 2, 2)
        label = reading.tensor(only_output(operator)).name
        values, full = reading.operands((a, b), label)
        if reading.is_codes(a):
            values = _compared(reading, function, (a, b), values)
        reading.emit(operator, IntegerBinary, values, full=full, function=function)

    return read


def _compared(reading: Reading, function: str, indices: tuple[int, int], values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the real numbers that codes are compared as: multiples of 1 / `COMPARED_STEPS`, where that is not the codes' order.

    Which of two int16 codes is larger LiteRT says by the codes as they are.
    """
    a, b = (one for one in map(reading.quantization, indices) if one is not None)
    same = (a.scale[0], a.zero_point[0]) == (b.scale[0], b.zero_point[0])
    ordered = a.bits == 16 and function not in ("equal", "not_equal")
    if ordered and not same:
        words = "whose scales TensorFlow Lite overlooks; convert the model with this layer in float32"
        raise UnsupportedLayerError(f"it compares int16 codes, {words}")
    if not ordered and (not same or a.scale[0] * COMPARED_STEPS < 1):
        reach = max(float(one.scale[0]) * (2 ** (one.bits - 1) + abs(int(one.zero_point[0]))) for one in (a, b))
        if reach * COMPARED_STEPS > MAX_COMPARED:
            raise UnsupportedLayerError(f"it compares codes that reach {reach:.6g}, beyond {MAX_COMPARED // COMPARED_STEPS}")
        steps = Quantization.per_tensor(1 / COMPARED_STEPS, 0, bits=16)
        values = tuple(reading.step(Quantize, f"{value}/compared", (value,), steps, compared=True) for value in values)
    return tuple(reading.step(Dequantize, f"{value}/real", (value,), None) for value in values)


def logical(function: str) -> Callable[[Reading, FileOperator], None]:
    """Return the reader of a function of two truth values, 1 and 0."""
    return lambda reading, operator: arithmetic(reading, operator, function)


def logical_not(reading: Reading, operator: FileOperator) -> None:
    """LOGICAL_NOT: whether it is 0."""
    (x,) = inputs_of(operator, 1, 1)
    value = reading.value(x)
    reading.emit(operator, IntegerBinary, (value, number(reading, value, 0)), function="equal")


def _arg(function: str) -> Callable[[Reading, FileOperator], None]:
    """Return the reader of ARG_MAX or ARG_MIN, whose axis goes."""

    def read(reading: Reading, operator: FileOperator) -> None:
        x, a = inputs_of(operator, 2, 2)
        axes = reading.integers(a).reshape(-1)
        if axes.size != 1:
            raise ModelError(f"it has {axes.size} axes where one should be; the file is damaged")
        axis, shape = int(axes[0]), reading.shape(x)
        label, along_batch = reading.tensor(only_output(operator)).name, reading.has_batch(x) and axis % len(shape) == 0
        own = 0 if along_batch else reading.axis(x, axis)
        value = reading.whole(x, label) if along_batch else reading.value(x)
        if reading.tensor(x).type == "INT16":  # whose codes have no such step; in float32 no two of them are the same
            value = reading.step(Dequantize, f"{value}/real", (value,), None)
        found = reading.step(ArgExtreme, f"{label}/place", (value,), None, function=function, axis=own)
        axis %= len(shape)
        full = (*shape[:axis], *shape[axis + 1 :])
        reading.emit(operator, Reshape, (found,), full=full, shape=without_batch(full))

    return read


arg_max, arg_min = _arg("max"), _arg("min")


def top_k(reading: Reading, operator: FileOperator) -> None:
    """TOPK_V2: the largest values along the last axis, the best first, and where they stand."""
    x, k = inputs_of(operator, 2, 2)
    counts, shape = reading.integers(k).reshape(-1), reading.shape(x)
    if counts.size != 1 or not shape or len(operator.outputs) != 2:
        raise ModelError(f"it has {counts.size} numbers of values and {len(operator.outputs)} outputs; the file is damaged")
    count, length = int(counts[0]), shape[-1]
    rows = int(np.prod(shape[:-1], dtype=np.int64))
    label, quantization, value = reading.tensor(operator.outputs[0]).name, reading.quantization(x), reading.value(x)
    flat = reading.step(Reshape, f"{label}/rows", (value,), quantization, shape=(rows, length))
    compared = flat
    if reading.tensor(x).type == "INT16":
        compared = reading.step(Dequantize, f"{label}/real", (flat,), None)
    places = reading.step(ArgExtreme, f"{label}/best", (compared,), None, function="max", axis=1, count=count)
    begins = reading.step(Constant, f"{label}/begins", (), None, value=np.arange(rows, dtype=np.int32)[:, None] * length)
    found = reading.step(IntegerBinary, f"{label}/places", (places, begins), None, function="add")
    column = reading.step(Reshape, f"{label}/column", (found,), None, shape=(rows * count, 1))
    values = reading.step(Reshape, f"{label}/flat", (flat,), quantization, shape=(rows * length,))
    picked = reading.step(GatherND, f"{label}/picked", (values, column), quantization)
    full = (*shape[:-1], count)
    for output, made in enumerate((picked, places)):
        reading.emit(operator, Reshape, (made,), full=full, output=output, shape=without_batch(full))


def sign(reading: Reading, operator: FileOperator) -> None:
    """SIGN: 1, 0 or -1."""
    (x,) = inputs_of(operator, 1, 1)
    whole, value = reading.is_integer(x), reading.value(x)
    zero = number(reading, value, 0, np.int32 if whole else np.float32)
    above, below = (
        reading.step(IntegerBinary, f"{value}/{part}", (value, zero), None, function=part) for part in ("greater", "less")
    )
    if whole:
        reading.emit(operator, IntegerBinary, (above, below), function="subtract")
        return
    signs = reading.step(IntegerBinary, f"{value}/signs", (above, below), None, function="subtract")
    reading.emit(operator, Cast, (signs,), to="float32")


def one_hot(reading: Reading, operator: FileOperator) -> None:
    """ONE_HOT: along a new axis, one number where its place is the index, another elsewhere."""
    i, d, on, off = inputs_of(operator, 4, 4)
    shape, depths, axis = reading.shape(i), reading.integers(d).reshape(-1), operator.options("OneHotOptions").axis
    if depths.size != 1 or not 0 < depths[0] <= MAX_EXTENT or not -1 <= axis <= len(shape):
        raise ModelError(f"its depth {tuple(depths)} or axis {axis} does not fit indices of shape {shape}; the file is damaged")
    depth = int(depths[0])
    axis = len(shape) if axis < 0 else axis
    output = only_output(operator)
    label = reading.tensor(output).name
    if reading.tensor(output).type in INT32_ENDS and reading.tensor(output).quantization is None:
        reading.narrow.update((on, off, output))
    raised = (*shape[:axis], 1, *shape[axis:])
    indices = reading.step(Reshape, f"{label}/raised", (reading.whole(i, label),), None, shape=raised)
    places = np.arange(depth, dtype=np.int32).reshape(-1, *[1] * (len(shape) - axis))
    numbers = reading.step(Constant, f"{label}/places", (), None, value=places)
    found = reading.step(IntegerBinary, f"{label}/found", (indices, numbers), None, function="equal")
    values = [
        reading.step(Reshape, f"{label}/{part}", (reading.value(index),), None, shape=(1,))
        for part, index in (("on", on), ("off", off))
    ]
    chosen = reading.step(Select, f"{label}/chosen", (found, *values), None)
    full = (*shape[:axis], depth, *shape[axis:])
    reading.emit(operator, Reshape, (chosen,), full=full, shape=without_batch(full))


def select(reading: Reading, operator: FileOperator) -> None:
    """SELECT and SELECT_V2: one of two values, element by element."""
    indices = inputs_of(operator, 3, 3)
    if operator.kind == "SELECT" and reading.shape(indices[0]) not in (reading.shape(indices[1]), (1,)):
        raise UnsupportedLayerError("its condition chooses whole rows; export the model with tf.where on values of one shape")
    output = only_output(operator)
    codes = [(one.scale.tolist(), one.zero_point.tolist()) for one in map(reading.quantization, (*indices[1:], output)) if one]
    if any(one != codes[-1] for one in codes):
        words = "whose scales TensorFlow Lite overlooks; convert the model with this layer in float32"
        raise UnsupportedLayerError(f"it chooses between codes of several quantisations, {words}")
    values, full = reading.operands(indices, reading.tensor(output).name)
    reading.emit(operator, Select, values, full=full)


def gather_nd(reading: Reading, operator: FileOperator) -> None:
    """GATHER_ND: the last axis of the indices names a place along the first axes of the values."""
    x, i = inputs_of(operator, 2, 2)
    shape, indices = reading.shape(x), reading.shape(i)
    if not indices or not 1 <= indices[-1] <= len(shape):
        raise ModelError(f"its indices of shape {indices} do not fit a value of shape {shape}; the file is damaged")
    columns = indices[-1]
    first = int(reading.has_batch(x))  # the batch's index can be 0 only
    count = int(np.prod(indices[:-1], dtype=np.int64))
    rows = reading.step(Reshape, f"{reading.tensor(i).name}/rows", (reading.value(i),), None, shape=(count, columns))
    full = (*indices[:-1], *shape[columns:])
    quantization = reading.quantization(x)
    value = reading.value(x)
    if columns == first:  # the batch alone is indexed: whole samples
        raise UnsupportedLayerError("it picks whole samples of a batch; edgebn runs sample by sample")
    _parts(reading, operator, value, rows, first, columns - first, full, quantization)


def _parts(
    reading: Reading, operator: FileOperator, value: str, rows: str, first: int, indexed: int, full: tuple[int, ...],
    quantization: Quantization | None,
) -> None:  # fmt: skip
    """Emit a GatherND of `indexed` axes and its result in the file's shape."""
    label = reading.tensor(only_output(operator)).name
    sample = reading.builder.tensors[value].shape
    if len(sample) > 3:
        value = reading.step(
            Reshape, f"{label}/flat", (value,), quantization, shape=(*sample[:indexed], int(np.prod(sample[indexed:])))
        )
    picked = reading.step(GatherND, f"{label}/parts", (value, rows), quantization, first=first)
    reading.emit(operator, Reshape, (picked,), full=full, shape=without_batch(full))


def gather_computed(reading: Reading, operator: FileOperator, axis: int, batches: int = 0) -> None:
    """GATHER by indices that the network computes, along `axis` of the file's shape; the first `batches` axes of both are one."""
    x, i = inputs_of(operator, 2, 2)
    shape, indices = reading.shape(x), reading.shape(i)[batches:]
    own, quantization, value = reading.axis(x, axis), reading.quantization(x), reading.value(x)
    label = reading.tensor(only_output(operator)).name
    sample = reading.sample(x)
    count = int(np.prod(indices, dtype=np.int64))
    rows = reading.step(Reshape, f"{reading.tensor(i).name}/rows", (reading.value(i),), None, shape=(count, 1))
    before = int(np.prod(sample[:own], dtype=np.int64))
    behind = int(np.prod(sample[own + 1 :], dtype=np.int64))
    value = reading.step(Reshape, f"{label}/flat", (value,), quantization, shape=(before, sample[own], behind))
    value = reading.step(Transpose, f"{label}/first", (value,), quantization, permutation=(1, 0, 2))
    picked = reading.step(GatherND, f"{label}/parts", (value, rows), quantization)
    picked = reading.step(Reshape, f"{label}/apart", (picked,), quantization, shape=(count, before, behind))
    picked = reading.step(Transpose, f"{label}/back", (picked,), quantization, permutation=(1, 0, 2))
    full = (*shape[:axis], *indices, *shape[axis + 1 :])
    reading.emit(operator, Reshape, (picked,), full=full, shape=without_batch(full))

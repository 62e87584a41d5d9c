"""SHAPE and what is computed from it in integers: how files with open sizes compute the shape of a RESHAPE or the size of a RESIZE.

With a batch of one and the input's shape known, everything about shapes is known while reading, so these operators are worked out
here and vanish.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, inputs_of
from edgebn.formats.tflite.flatbuffer import FileOperator

INTEGER_TYPES = ("INT32", "INT64")
MAX_KNOWN = 64  # numbers in one value; a shape has fewer
MAX_FILLED = 1 << 22  # numbers in a constant that a file only describes
OF_SHAPES = ("SHAPE", "RANK", "ZEROS_LIKE")  # what they read need not be known, its shape is
FILLS = ("FILL", "RANGE", "ZEROS_LIKE")  # which make real numbers too
_MAX_NUMBER = 1 << 31  # the product of two still fits 64 bits


def fold(reading: Reading, operator: FileOperator) -> bool:
    """Work out an operator that computes with shapes; whether it was one."""
    if operator.kind not in FOLDS or len(operator.outputs) != 1:
        return False
    if reading.tensor(operator.outputs[0]).type not in INTEGER_TYPES:
        return operator.kind in FILLS and _fold_reals(reading, operator)
    if operator.kind not in OF_SHAPES and not all(reading.is_constant(index) for index in operator.inputs if index >= 0):
        return False  # integers that the network computes
    output = operator.outputs[0]
    if output in reading.known or output in reading.names:
        raise ModelError("its output is made twice; the file is damaged")
    value = np.asarray(FOLDS[operator.kind](reading, operator), np.int64)
    if value.size > MAX_KNOWN or (np.abs(value) > _MAX_NUMBER).any():
        raise ModelError(f"it computes {value.size} integers, or larger ones, than any shape has; the file is damaged")
    reading.known[output] = value
    return True


def _fold_reals(reading: Reading, operator: FileOperator) -> bool:
    """Work out a constant of float32; whether it is one."""
    output = operator.outputs[0]
    if reading.tensor(output).type != "FLOAT32" or output in reading.file.outputs:
        return False
    if output in reading.folded or output in reading.names:
        raise ModelError("its output is made twice; the file is damaged")
    reading.folded[output] = np.asarray(FOLDS[operator.kind](reading, operator), np.float32)
    return True


def _fill(reading: Reading, operator: FileOperator) -> np.ndarray:
    s, number = inputs_of(operator, 2, 2)
    return _filled(tuple(reading.integers(s).reshape(-1).tolist()), _constant_number(reading, number))


def _zeros_like(reading: Reading, operator: FileOperator) -> np.ndarray:
    (x,) = inputs_of(operator, 1, 1)
    return _filled(reading.shape(x), 0)


def _filled(shape: tuple[int, ...], number: float) -> np.ndarray:
    size = 1
    for length in shape:
        size *= length
    if size > MAX_FILLED or min(shape, default=1) < 1:
        raise ModelError(f"it makes a constant of shape {shape}; the file is damaged")
    return np.full(shape, number)


def _range(reading: Reading, operator: FileOperator) -> np.ndarray:
    start, limit, step = (_constant_number(reading, index) for index in inputs_of(operator, 3, 3))
    if step == 0 or not 0 < (limit - start) / step < MAX_FILLED:
        raise ModelError(f"it counts from {start} to {limit} by {step}; the file is damaged")
    return np.arange(start, limit, step)


def _constant_number(reading: Reading, index: int) -> float:
    numbers = reading.integers(index) if reading.tensor(index).type in INTEGER_TYPES else reading.numbers(index)
    if numbers.size != 1:
        raise ModelError(f"it takes {numbers.size} numbers where one should be; the file is damaged")
    return numbers.reshape(-1)[0].item()


def _rank(reading: Reading, operator: FileOperator) -> np.ndarray:
    (x,) = inputs_of(operator, 1, 1)
    return np.array(len(reading.shape(x)))


def _shape(reading: Reading, operator: FileOperator) -> np.ndarray:
    (x,) = inputs_of(operator, 1, 1)
    return np.array(reading.shape(x), np.int64)


def _strided_slice(reading: Reading, operator: FileOperator) -> np.ndarray:
    """A slice of a vector."""
    x, *limits = inputs_of(operator, 4, 4)
    options = operator.options("StridedSliceOptions")
    vector = reading.integers(x)
    begin, end, step = (reading.integers(index).reshape(-1) for index in limits)
    if vector.ndim != 1 or not len(begin) == len(end) == len(step) == 1 or step[0] == 0:
        raise ModelError("it slices a shape that is no vector; the file is damaged")
    if options.shrink_axis_mask & 1:
        if not -len(vector) <= begin[0] < len(vector):
            raise ModelError(f"it takes element {begin[0]} of a shape of {len(vector)} axes; the file is damaged")
        return vector[int(begin[0])]
    first = None if options.begin_mask & 1 else int(begin[0])
    last = None if options.end_mask & 1 else int(end[0])
    return vector[first : last : int(step[0])]


def _slice(reading: Reading, operator: FileOperator) -> np.ndarray:
    x, b, s = inputs_of(operator, 3, 3)
    vector, begin, size = (reading.integers(index).reshape(-1) for index in (x, b, s))
    if begin.shape != (1,) or size.shape != (1,) or not 0 <= begin[0] <= len(vector):
        raise ModelError("it slices a shape that is no vector; the file is damaged")
    return vector[int(begin[0]) :] if size[0] == -1 else vector[int(begin[0]) : int(begin[0] + size[0])]


def _gather(reading: Reading, operator: FileOperator) -> np.ndarray:
    x, i = inputs_of(operator, 2, 2)
    vector, indices = reading.integers(x), reading.integers(i)
    if vector.ndim != 1 or indices.size > MAX_KNOWN or not ((indices >= 0) & (indices < len(vector))).all():
        raise ModelError(f"it takes the elements {indices.tolist()} of a shape of {vector.size} axes; the file is damaged")
    return vector[indices]


def _pack(reading: Reading, operator: FileOperator) -> np.ndarray:
    parts = [reading.integers(index).reshape(-1)[:MAX_KNOWN] for index in operator.inputs[: MAX_KNOWN + 1]]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _flat(reading: Reading, operator: FileOperator) -> np.ndarray:
    """RESHAPE, EXPAND_DIMS and SQUEEZE to a vector or a number, as the file says."""
    vector = reading.integers(operator.inputs[0])
    rank = len(reading.tensor(operator.outputs[0]).shape)
    if rank > 1 or (rank == 0 and vector.size != 1):
        raise ModelError("it makes more of a shape than a vector; the file is damaged")
    return vector.reshape(-1) if rank else vector.reshape(())


def _same(reading: Reading, operator: FileOperator) -> np.ndarray:
    (x,) = inputs_of(operator, 1, 1)
    if reading.tensor(x).type not in INTEGER_TYPES:
        raise UnsupportedLayerError(f"it makes integers of {reading.tensor(x).type}; export the model with fixed shapes")
    return reading.integers(x)


def _product(reading: Reading, operator: FileOperator) -> np.ndarray:
    x, _ = inputs_of(operator, 2, 2)
    vector = reading.integers(x).reshape(-1)[:MAX_KNOWN]
    product = 1
    for number in vector:
        product *= int(number)
    if abs(product) > _MAX_NUMBER:
        raise ModelError(f"the product of {vector.tolist()} is larger than any value; the file is damaged")
    return np.array([product] if operator.options("ReducerOptions").keep_dims else product)


def _two(compute: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Reading, FileOperator], np.ndarray]:
    def fold_two(reading: Reading, operator: FileOperator) -> np.ndarray:
        a, b = (reading.integers(index) for index in inputs_of(operator, 2, 2))
        if max(a.size, b.size) > MAX_KNOWN or (np.abs(a) > _MAX_NUMBER).any() or (np.abs(b) > _MAX_NUMBER).any():
            raise ModelError("it computes with other integers than those of shapes; the file is damaged")
        return compute(a, b)

    return fold_two


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if (b == 0).any():
        raise ModelError("it divides a size by zero; the file is damaged")
    return np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))


def _floor_quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if (b == 0).any():
        raise ModelError("it divides a size by zero; the file is damaged")
    return a // b


FOLDS: dict[str, Callable[[Reading, FileOperator], np.ndarray]] = {
    "SHAPE": _shape,
    "RANK": _rank,
    "FILL": _fill,
    "RANGE": _range,
    "ZEROS_LIKE": _zeros_like,
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "GATHER": _gather,
    "PACK": _pack,
    "CONCATENATION": _pack,
    "RESHAPE": _flat,
    "EXPAND_DIMS": _flat,
    "SQUEEZE": _flat,
    "CAST": _same,
    "REDUCE_PROD": _product,
    "ADD": _two(np.add),
    "SUB": _two(np.subtract),
    "MUL": _two(np.multiply),
    "DIV": _two(_quotient),
    "FLOOR_DIV": _two(_floor_quotient),
    "MAXIMUM": _two(np.maximum),
    "MINIMUM": _two(np.minimum),
}

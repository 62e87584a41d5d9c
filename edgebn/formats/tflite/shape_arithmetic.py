"""SHAPE, STRIDED_SLICE and PACK of integers: how files with an open batch size compute the shape of a RESHAPE.

With a batch of one everything about shapes is known while reading, so these operators are worked out here and vanish.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.tflite.context import Reading, inputs_of
from edgebn.formats.tflite.flatbuffer import FileOperator

INTEGER_TYPES = ("INT32", "INT64")
MAX_KNOWN = 64  # numbers in one value; a shape has fewer


def fold(reading: Reading, operator: FileOperator) -> bool:
    """Work out an operator that computes with shapes; whether it was one."""
    if operator.kind not in FOLDS or len(operator.outputs) != 1 or reading.tensor(operator.outputs[0]).type not in INTEGER_TYPES:
        return False
    output = operator.outputs[0]
    if output in reading.known or output in reading.names:
        raise ModelError("its output is made twice; the file is damaged")
    value = FOLDS[operator.kind](reading, operator)
    if value.size > MAX_KNOWN:
        raise ModelError(f"it computes {value.size} integers, more than any shape has; the file is damaged")
    reading.known[output] = value
    return True


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
    if options.ShrinkAxisMask() & 1:
        if not -len(vector) <= begin[0] < len(vector):
            raise ModelError(f"it takes element {begin[0]} of a shape of {len(vector)} axes; the file is damaged")
        return vector[int(begin[0])]
    first = None if options.BeginMask() & 1 else int(begin[0])
    last = None if options.EndMask() & 1 else int(end[0])
    return vector[first : last : int(step[0])]


def _pack(reading: Reading, operator: FileOperator) -> np.ndarray:
    parts = [reading.integers(index).reshape(-1)[:MAX_KNOWN] for index in operator.inputs[: MAX_KNOWN + 1]]
    return np.concatenate([np.zeros(0, np.int64), *parts])


FOLDS: dict[str, Callable[[Reading, FileOperator], np.ndarray]] = {
    "SHAPE": _shape,
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
}

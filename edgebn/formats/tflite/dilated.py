"""SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND: how older converters write a dilated convolution, joined into one.

The padding is real zeros (the zero point in int8), as in LiteRT. TensorFlow Lite Micro's int8 SPACE_TO_BATCH_ND fills its
padding with other codes; there, and only there, edgebn gives LiteRT's numbers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.tflite.flatbuffer import FileModel, FileOperator, constant

CONVOLUTIONS = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}
VALID = 1  # the schema's number of that padding


def join_dilated(file: FileModel) -> tuple[FileOperator, ...]:
    """Return the operators with every dilated convolution in one piece; other uses of the two operators stay, to be refused."""
    if not any(operator.kind == "SPACE_TO_BATCH_ND" for operator in file.operators):
        return file.operators
    readers: dict[int, list[FileOperator]] = {}
    for operator in file.operators:
        for index in operator.inputs:
            readers.setdefault(index, []).append(operator)
    joined: dict[int, FileOperator | None] = {}
    for first in file.operators:
        parts = _parts(file, first, readers)
        if parts is None:
            continue
        middle, last = parts
        joined[first.index] = joined[middle.index] = None
        joined[last.index] = _join(file, first, middle, last)
    operators = (joined.get(operator.index, operator) for operator in file.operators)
    return tuple(operator for operator in operators if operator is not None)


def _parts(
    file: FileModel, first: FileOperator, readers: dict[int, list[FileOperator]]
) -> tuple[FileOperator, FileOperator] | None:
    """Return the convolution and the BATCH_TO_SPACE_ND behind a SPACE_TO_BATCH_ND, or None where the three are no unit."""
    if first.kind != "SPACE_TO_BATCH_ND":
        return None
    middle = _only_reader(file, first, readers)
    last = None if middle is None else _only_reader(file, middle, readers)
    if middle is None or last is None or middle.kind not in CONVOLUTIONS or last.kind != "BATCH_TO_SPACE_ND":
        return None
    options = middle.options(CONVOLUTIONS[middle.kind])
    plain = (options.StrideH(), options.StrideW(), options.DilationHFactor(), options.DilationWFactor()) == (1, 1, 1, 1)
    if not plain or options.Padding() != VALID or middle.inputs[0] != first.outputs[0] or last.inputs[0] != middle.outputs[0]:
        return None
    return middle, last


def _only_reader(file: FileModel, operator: FileOperator, readers: dict[int, list[FileOperator]]) -> FileOperator | None:
    if len(operator.outputs) != 1 or operator.outputs[0] in file.outputs:
        return None
    found = readers.get(operator.outputs[0], [])
    return found[0] if len(found) == 1 else None


def _join(file: FileModel, first: FileOperator, middle: FileOperator, last: FileOperator) -> FileOperator:
    """Return the convolution with the block as its dilation, and the paddings less the crops as its padding."""
    block, pads = _numbers(file, first)
    other, crops = _numbers(file, last)
    sides = pads - crops
    if not np.array_equal(block, other) or sides.min() < 0:
        raise ModelError("its space-to-batch and batch-to-space blocks do not belong together; the file is damaged")
    (top, bottom), (left, right) = ((int(before), int(after)) for before, after in sides)
    return replace(
        middle,
        inputs=(first.inputs[0], *middle.inputs[1:]),
        outputs=last.outputs,
        dilations=(int(block[0]), int(block[1])),
        padding=(top, left, bottom, right),
    )


def _numbers(file: FileModel, operator: FileOperator) -> tuple[np.ndarray, np.ndarray]:
    """Return the block (2,) and the paddings or crops (2, 2)."""
    if len(operator.inputs) != 3 or min(operator.inputs) < 0:
        raise ModelError("a space-to-batch or batch-to-space has other inputs than three; the file is damaged")
    block, sides = (constant(file.tensors[index]).astype(np.int64) for index in operator.inputs[1:])
    if block.shape != (2,) or sides.shape != (2, 2) or block.min() < 1 or sides.min() < 0:
        raise ModelError("a space-to-batch or batch-to-space has no two-dimensional block; edgebn dilates over height and width")
    return block, sides

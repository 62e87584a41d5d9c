"""SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND: how converters write a dilated convolution, joined into one.

Of sequences (1, T, C) too, where an axis is put in before the convolution and taken out behind it. The padding is real zeros (the
zero point in int8), as in LiteRT. TensorFlow Lite Micro's int8 SPACE_TO_BATCH_ND fills its padding with other codes; there, and
only there, edgebn gives LiteRT's numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError
from edgebn.formats.tflite.flatbuffer import FileModel, FileOperator, constant
from edgebn.quick_dataclass import replace

CONVOLUTIONS = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}
VALID = 1  # the schema's number of that padding
_PUT_IN = ("EXPAND_DIMS", "RESHAPE")
_TAKEN_OUT = ("SQUEEZE", "RESHAPE")


class _Unit(NamedTuple):
    """The operators of one dilated convolution; `between` puts an axis in and takes it out, where the value is a sequence."""

    first: FileOperator
    between: tuple[FileOperator, ...]
    middle: FileOperator
    last: FileOperator


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
        unit = _unit(file, first, readers)
        if unit is None:
            continue
        try:
            joined |= dict.fromkeys((unit.first.index, unit.middle.index, *(operator.index for operator in unit.between)))
            joined[unit.last.index] = _join(file, unit)
        except EdgebnError as error:
            label = file.tensors[unit.middle.outputs[0]].name.split(";", maxsplit=1)[0]
            raise type(error)(f"layer '{label}' ({unit.first.kind}): {error}") from None
    operators = (joined.get(operator.index, operator) for operator in file.operators)
    return tuple(operator for operator in operators if operator is not None)


def _unit(file: FileModel, first: FileOperator, readers: dict[int, list[FileOperator]]) -> _Unit | None:
    """Return the operators that belong to a SPACE_TO_BATCH_ND, or None where they are no dilated convolution."""
    if first.kind != "SPACE_TO_BATCH_ND":
        return None
    row = [first]
    while row[-1].kind != "BATCH_TO_SPACE_ND" and len(row) < 5:
        following = _only_reader(file, row[-1], readers)
        if following is None or following.inputs[0] != row[-1].outputs[0]:
            return None
        row.append(following)
    kinds = [operator.kind for operator in row]
    if len(row) == 3 and kinds[1] in CONVOLUTIONS:
        unit = _Unit(first, (), row[1], row[2])
    elif len(row) == 5 and kinds[1] in _PUT_IN and kinds[2] in CONVOLUTIONS and kinds[3] in _TAKEN_OUT:
        unit = _Unit(first, (row[1], row[3]), row[2], row[4])
    else:
        return None
    options = unit.middle.options(CONVOLUTIONS[unit.middle.kind])
    plain = (options.stride_h, options.stride_w, options.dilation_h_factor, options.dilation_w_factor) == (1, 1, 1, 1)
    return unit if plain and options.padding == VALID and row[-1].kind == "BATCH_TO_SPACE_ND" else None


def _only_reader(file: FileModel, operator: FileOperator, readers: dict[int, list[FileOperator]]) -> FileOperator | None:
    if len(operator.outputs) != 1 or operator.outputs[0] in file.outputs:
        return None
    found = readers.get(operator.outputs[0], [])
    return found[0] if len(found) == 1 else None


def _join(file: FileModel, unit: _Unit) -> FileOperator:
    """Return the convolution with the block as its dilation, and the paddings less the crops as its padding."""
    axes = 1 if unit.between else 2
    block, pads = _numbers(file, unit.first, axes)
    other, crops = _numbers(file, unit.last, axes)
    if not np.array_equal(block, other):
        raise ModelError("its space-to-batch and batch-to-space blocks do not belong together; the file is damaged")
    sides = [(int(before), int(after)) for before, after in pads - crops]
    if min(min(side) for side in sides) < 0:
        raise UnsupportedLayerError("its batch-to-space cuts off more than its space-to-batch pads; set dilation_rate in the layer")
    (top, bottom), (left, right) = sides if axes == 2 else ((0, 0), *sides)
    return replace(
        unit.middle,
        inputs=(unit.first.inputs[0], *unit.middle.inputs[1:]),
        outputs=unit.last.outputs,
        dilations=(int(block[0]), int(block[1])) if axes == 2 else (1, int(block[0])),
        padding=(top, left, bottom, right),
        line=_time_axis(file, unit) if unit.between else None,
    )


def _time_axis(file: FileModel, unit: _Unit) -> int:
    """Return the axis of the image (batch, height, width, channels) along which the kernel runs; the other one was put in."""
    weight = file.tensors[unit.middle.inputs[1]].shape
    if len(weight) != 4 or 1 not in weight[1:3]:
        raise ModelError(f"its weight of shape {weight} is no sequence's; the file is damaged")
    return 2 if weight[1] == 1 else 1


def _numbers(file: FileModel, operator: FileOperator, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the block (axes,) and the paddings or crops (axes, 2)."""
    if len(operator.inputs) != 3 or min(operator.inputs) < 0:
        raise ModelError("a space-to-batch or batch-to-space has other inputs than three; the file is damaged")
    block, sides = (constant(file.tensors[index]).astype(np.int64) for index in operator.inputs[1:])
    if block.shape != (axes,) or sides.shape != (axes, 2) or block.min() < 1 or sides.min() < 0:
        raise UnsupportedLayerError(
            f"its space-to-batch block {tuple(block)} is not one number an axis; edgebn dilates over height and width, or over time"
        )
    return block, sides

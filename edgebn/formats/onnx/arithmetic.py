"""Add, Sub, Mul, Div, Sum, Mean and Neg, on values and constants."""

from __future__ import annotations

import numpy as np

from edgebn.formats.onnx import weights
from edgebn.formats.onnx.activations import drop_batch
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.layers import Add, Layer, Multiply


def _operand(node: Node, context: Context, index: int, rank: int, part: str) -> Dynamic:
    """Return input `index` as a value, appending a constant layer where it is an array."""
    value = node.value(index)
    if isinstance(value, Dynamic):
        if context.batch is not None and len(value.shape) != rank:
            raise node.refuse(
                "its inputs have different numbers of axes, so that one's batch meets another axis; "
                "read the file with batch_axis=False if the first axis is no batch"
            )
        return node.real(index)
    array = weights.real_array(node, value.array, f"input {index}")
    return context.constant(node, value, drop_batch(node, context, array, rank), part)


def _rank(node: Node) -> int:
    if node.integer("broadcast", 0):
        raise node.refuse("it uses the broadcasting of opset 6; convert the model to opset 9 or newer")
    return max((len(value.shape) for value in node.inputs if isinstance(value, Dynamic)), default=0)


def _binary(node: Node, context: Context, kind: type[Layer]) -> Dynamic:
    rank = _rank(node)
    return context.emit(node, kind, _operand(node, context, 0, rank, "a"), _operand(node, context, 1, rank, "b"))


def add(node: Node, context: Context) -> Dynamic:
    """Add."""
    return _binary(node, context, Add)


def mul(node: Node, context: Context) -> Dynamic:
    """Mul."""
    return _binary(node, context, Multiply)


def _times(node: Node, context: Context, x: Dynamic, factor: float, part: str = "") -> Dynamic:
    """Append x times one number."""
    array = np.full((), factor, np.float32)
    constant = context.constant(node, Static(array), array, f"{part}factor")
    return context.emit(node, Multiply, x, constant, part=part)


def sub(node: Node, context: Context) -> Dynamic:
    """Sub: a constant is added with its sign changed, a value is multiplied by -1 first."""
    rank = _rank(node)
    second = node.value(1)
    if isinstance(second, Static):
        array = drop_batch(node, context, -weights.real_array(node, second.array, "input 1"), rank)
        return context.emit(node, Add, node.real(0), context.constant(node, Static(array), array, "b"))
    first = _operand(node, context, 0, rank, "a")
    return context.emit(node, Add, first, _times(node, context, _operand(node, context, 1, rank, "b"), -1.0, "negative"))


def div(node: Node, context: Context) -> Dynamic:
    """Div by a constant: a multiplication by its inverse."""
    rank = _rank(node)
    if not isinstance(node.value(1), Static):
        raise node.refuse("it divides by a value of the network; edgebn divides by constants")
    array = weights.real_array(node, node.static(1, "divisor"), "divisor")
    if (array == 0).any():
        raise node.damaged("it divides by zero")
    inverse = drop_batch(node, context, (1.0 / array.astype(np.float64)).astype(np.float32), rank)
    return context.emit(node, Multiply, node.real(0), context.constant(node, Static(inverse), inverse, "inverse"))


def negative(node: Node, context: Context) -> Dynamic:
    """Neg."""
    return _times(node, context, node.real(0), -1.0)


def total(node: Node, context: Context, last: str = "") -> Dynamic:
    """Sum of any number of values."""
    rank = _rank(node)
    if len(node.inputs) == 1:
        return context.identity(node, node.real(0))
    result = _operand(node, context, 0, rank, "part0")
    for index in range(1, len(node.inputs)):
        operand = _operand(node, context, index, rank, f"part{index}")
        part = last if index == len(node.inputs) - 1 else f"sum{index}"
        result = context.emit(node, Add, result, operand, part=part)
    return result


def mean(node: Node, context: Context) -> Dynamic:
    """Mean of any number of values."""
    if len(node.inputs) == 1:
        return context.identity(node, node.real(0))
    return _times(node, context, total(node, context, "total"), 1.0 / len(node.inputs))

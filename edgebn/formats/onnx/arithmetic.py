"""Add, Sub, Mul, Div, Max, Min, Sum, Mean and Neg, on values and constants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.formats.onnx import integers, weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.layers import Activation, Add, Binary, Layer, Multiply

Operand = Dynamic | np.ndarray


def _operand(node: Node, index: int) -> Operand:
    """Return input `index` as a value of the network or an array of real numbers."""
    value = node.value(index)
    return node.real(index) if isinstance(value, Dynamic) else weights.real_array(node, value.array, f"input {index}")


def combine(
    node: Node,
    context: Context,
    kind: type[Layer],
    operands: dict[str, Operand],
    part: str = "",
    stored: dict[str, Static] | None = None,
    **fields: Any,
) -> Dynamic:
    """Append a sum, product or `Binary` of two values or arrays; an array becomes a constant layer under its name in `operands`.

    `stored` gives the constants of the file behind arrays that are as the file has them, whose codes are kept.
    """
    if node.integer("broadcast", 0):
        raise node.refuse("it uses the broadcasting of opset 6; convert the model to opset 9 or newer")
    met, place = context.broadcast(node, list(operands.values()))
    inputs = [
        context.constant(node, (stored or {}).get(name, Static(item)), item, name) if isinstance(item, np.ndarray) else item
        for name, item in zip(operands, met, strict=True)
    ]
    return context.emit(node, kind, *inputs, part=part, place=place, **fields)


def _stored(node: Node, names: tuple[str, ...]) -> dict[str, Static]:
    """Return the constants among the node's inputs, by the names of their layers."""
    return {name: value for name, value in zip(names, node.inputs, strict=False) if isinstance(value, Static)}


def _binary(node: Node, context: Context, kind: type[Layer], **fields: Any) -> Dynamic:
    if len(node.inputs) != 2:
        raise node.damaged(f"it has {len(node.inputs)} inputs; it should have 2")
    operands = {"a": _operand(node, 0), "b": _operand(node, 1)}
    return combine(node, context, kind, operands, stored=_stored(node, ("a", "b")), **fields)


def add(node: Node, context: Context) -> Dynamic:
    """Add."""
    if integers.reads_integers(node):
        return integers.two_integers(node, context, "add")
    return _binary(node, context, Add)


def mul(node: Node, context: Context) -> Dynamic:
    """Mul."""
    if integers.reads_integers(node):
        return integers.two_integers(node, context, "multiply")
    if any(node.unit(index) is not None for index in range(len(node.inputs))):
        return _counted(node, context)
    return _binary(node, context, Multiply)


def _counted(node: Node, context: Context) -> Dynamic:
    """Mul of scales that the file computes as it runs, and of what is counted in them."""
    first, second = (node.value(0), node.value(1)) if len(node.inputs) == 2 else (None, None)
    if isinstance(first, Static) or (isinstance(second, Dynamic) and node.unit(1) is not None and node.unit(0) is None):
        first, second = second, first
    if not isinstance(first, Dynamic) or first.unit is None or second is None:
        raise node.damaged("it should have two inputs")
    unit, other = first.unit, second.unit if isinstance(second, Dynamic) else None
    if isinstance(second, Static) and unit.power == 1:
        factor = unit.factor * weights.real_array(node, second.array, "factor")
        return replace(first, shape=factor.shape, unit=replace(unit, factor=factor))
    if other is not None and other.scale == unit.scale and {other.power, unit.power} == {-1, 1}:
        value, scale = (first, other) if unit.power == -1 else (second, unit)
        assert isinstance(value, Dynamic)
        return combine(node, context, Multiply, {"a": replace(value, unit=None), "scale": np.asarray(scale.factor, np.float32)})
    raise node.refuse("it multiplies by a scale that the network computes; edgebn undoes a dynamic quantisation where it began")


def _times(node: Node, context: Context, x: Dynamic, factor: float, part: str = "") -> Dynamic:
    """Append x times one number."""
    array = np.full((), factor, np.float32)
    constant = context.constant(node, Static(array), array, f"{part}factor")
    return context.emit(node, Multiply, x, constant, part=part)


def sub(node: Node, context: Context) -> Dynamic:
    """Sub: of two values a step of its own; a constant is added with its sign changed, or the value multiplied by -1 before it."""
    if integers.reads_integers(node):
        return integers.two_integers(node, context, "subtract")
    if len(node.inputs) != 2 or not any(isinstance(value, Static) for value in node.inputs):
        return _binary(node, context, Binary, function="subtract")
    first, second = _operand(node, 0), _operand(node, 1)
    negative = (
        np.negative(second, out=second.copy())
        if isinstance(second, np.ndarray)
        else _times(node, context, second, -1.0, "negative")
    )
    return combine(node, context, Add, {"a": first, "b": negative}, stored=_stored(node, ("a",)))


def div(node: Node, context: Context) -> Dynamic:
    """Div: by a constant a multiplication by its inverse."""
    if integers.reads_integers(node):
        return integers.divide(node, context)
    if len(node.inputs) != 2 or not isinstance(node.value(1), Static):
        return _binary(node, context, Binary, function="divide")
    array = weights.real_array(node, node.static(1, "divisor"), "divisor")
    if (array == 0).any():
        raise node.damaged("it divides by zero")
    inverse = np.asarray(1.0 / array.astype(np.float64), np.float32)
    return combine(node, context, Multiply, {"a": node.real(0), "inverse": inverse})


def negative(node: Node, context: Context) -> Dynamic:
    """Neg."""
    if integers.reads_integers(node):
        return integers.negative(node, context)
    return _times(node, context, node.real(0), -1.0)


def total(node: Node, context: Context, last: str = "") -> Dynamic:
    """Sum of any number of values."""
    return _chain(node, context, Add, "sum", last)


def _chain(node: Node, context: Context, kind: type[Layer], between: str, last: str = "", **fields: Any) -> Dynamic:
    """Append a function of any number of values, two at a time, constants behind values."""
    if len(node.inputs) == 1:
        return context.identity(node, node.real(0))
    names = tuple(f"part{index}" for index in range(len(node.inputs)))
    stored = _stored(node, names)
    operands = {name: _operand(node, index) for index, name in enumerate(names)}
    first, *others = sorted(names, key=lambda name: name in stored)
    result = node.dynamic(names.index(first))
    for number, name in enumerate(others, 1):
        part = last if number == len(others) else f"{between}{number}"
        result = combine(node, context, kind, {first: result, name: operands[name]}, part, stored, **fields)
    return result


def _bound(node: Node) -> float | None:
    """Return the one constant number that a value is held against, if it is that."""
    constants = [value for value in node.inputs if isinstance(value, Static)]
    if len(node.inputs) != 2 or len(constants) != 1 or constants[0].array.size != 1:
        return None
    return node.static_scalar(node.inputs.index(constants[0]), "bound")


def _limit(node: Node, context: Context, function: str, side: str) -> Dynamic:
    if integers.reads_integers(node):
        return integers.two_integers(node, context, function)
    bound = _bound(node)
    if bound is None:
        return _chain(node, context, Binary, function, function=function)
    x = node.real(0 if isinstance(node.inputs[1], Static) else 1)
    bounds: dict[str, Any] = {side: bound}
    return context.emit(node, Activation, x, function="clip", **bounds)


def maximum(node: Node, context: Context) -> Dynamic:
    """Max of any number of values; of one and a constant number it is a clip."""
    return _limit(node, context, "maximum", "low")


def minimum(node: Node, context: Context) -> Dynamic:
    """Min, likewise."""
    return _limit(node, context, "minimum", "high")


def mean(node: Node, context: Context) -> Dynamic:
    """Mean of any number of values."""
    if len(node.inputs) == 1:
        return context.identity(node, node.real(0))
    return _times(node, context, total(node, context, "total"), 1.0 / len(node.inputs))

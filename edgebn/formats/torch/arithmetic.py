"""Sums, products and quotients of values, constants and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.formats.torch import whole_numbers
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static, Symbol
from edgebn.layers import Add, Binary, Cast, Layer, Multiply

Operand = Dynamic | np.ndarray


def add(node: Node, context: Context) -> Dynamic:
    """The sum self + alpha * other."""
    if whole_numbers.made_by(node):
        return whole_numbers.total(node, context, "self", "other")
    return _sum(node, context, _operand(node, "self"), _operand(node, "other"), node.number("alpha", 1.0))


def sub(node: Node, context: Context) -> Dynamic:
    """The difference self - alpha * other."""
    if whole_numbers.made_by(node):
        return whole_numbers.difference(node, context, "self", "other")
    return _sum(node, context, _operand(node, "self"), _operand(node, "other"), -node.number("alpha", 1.0))


def rsub(node: Node, context: Context) -> Dynamic:
    """The difference other - alpha * self."""
    if whole_numbers.made_by(node):
        return whole_numbers.difference(node, context, "other", "self")
    return _sum(node, context, _operand(node, "other"), _operand(node, "self"), -node.number("alpha", 1.0))


def mul(node: Node, context: Context) -> Dynamic:
    """The product self * other."""
    if whole_numbers.made_by(node):
        return whole_numbers.two(node, context, "multiply", "minimum")
    return combine(node, context, Multiply, _operand(node, "self"), _operand(node, "other"))


def div(node: Node, context: Context) -> Dynamic:
    """The quotient self / other: by a constant a multiplication by its inverse."""
    if whole_numbers.made_by(node):
        return whole_numbers.divide(node, context)
    if node.has("rounding_mode"):
        raise node.refuse("it rounds its quotient; edgebn divides without rounding")
    divisor = _operand(node, "other")
    if isinstance(divisor, Dynamic):
        return combine(node, context, Binary, _operand(node, "self"), divisor, function="divide")
    if (divisor == 0).any():
        raise node.refuse("it divides by zero")
    inverse = np.asarray(1.0 / divisor.astype(np.float64), np.float32)
    return combine(node, context, Multiply, _operand(node, "self"), inverse)


def maximum(node: Node, context: Context) -> Dynamic:
    """The larger of self and other."""
    if whole_numbers.made_by(node):
        return whole_numbers.two(node, context, "maximum", "maximum")
    return combine(node, context, Binary, _operand(node, "self"), _operand(node, "other"), function="maximum")


def minimum(node: Node, context: Context) -> Dynamic:
    """The smaller of self and other."""
    if whole_numbers.made_by(node):
        return whole_numbers.two(node, context, "minimum", "minimum")
    return combine(node, context, Binary, _operand(node, "self"), _operand(node, "other"), function="minimum")


def addcmul(node: Node, context: Context) -> Dynamic:
    """The sum self + value * tensor1 * tensor2."""
    return _sum(node, context, _operand(node, "self"), _inner(node, context, Multiply), node.number("value", 1.0))


def addcdiv(node: Node, context: Context) -> Dynamic:
    """The sum self + value * tensor1 / tensor2."""
    inner = _inner(node, context, Binary, function="divide")
    return _sum(node, context, _operand(node, "self"), inner, node.number("value", 1.0))


def _inner(node: Node, context: Context, kind: type[Layer], **fields: Any) -> Operand:
    """Return the product or quotient of tensor1 and tensor2."""
    first, second = _operand(node, "tensor1"), _operand(node, "tensor2")
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return _finite(node, np.asarray(first * second if kind is Multiply else first / second))
    return combine(node, context, kind, first, second, part="inner", **fields)


def neg(node: Node, context: Context) -> Dynamic:
    """-self."""
    if whole_numbers.made_by(node):
        return whole_numbers.negative(node, context)
    return scaled(node, context, node.dynamic("self"), -1.0, "")


def scaled(node: Node, context: Context, x: Dynamic, factor: float, part: str) -> Dynamic:
    """Append x times one number; nothing where it is 1 and only a `part` of the node."""
    if factor == 1.0 and part:
        return x
    constant = context.constant(node, np.array(factor, np.float32), f"{part}factor")
    return context.emit(node, Multiply, x, constant, part=part and f"{part}scaled")


def _operand(node: Node, argument: str) -> Operand:
    """Return a tensor or number as a value of the network or an array."""
    value = node.arguments.get(argument)
    if isinstance(value, int | float | str | Symbol):
        return _finite(node, np.array(node.number(argument), np.float32))
    if isinstance(node.value(argument), Static):
        return node.weight(argument)
    return node.dynamic(argument)


def _finite(node: Node, array: np.ndarray) -> np.ndarray:
    if not np.isfinite(array).all():
        raise node.refuse("it computes with NaN or infinity; edgebn needs finite constants")
    return array


def _sum(node: Node, context: Context, first: Operand, second: Operand, factor: float) -> Dynamic:
    if isinstance(first, Dynamic) and isinstance(second, Dynamic) and factor == -1.0:
        return combine(node, context, Binary, first, second, function="subtract")
    if isinstance(second, Dynamic):
        return combine(node, context, Add, first, scaled(node, context, second, factor, "other"))
    return combine(node, context, Add, first, _finite(node, np.asarray(second * np.float32(factor))))


def combine(
    node: Node, context: Context, kind: type[Layer], first: Operand, second: Operand, part: str = "", **fields: Any
) -> Dynamic:
    """Append a sum, product or `Binary` of two values or arrays."""
    first, second = (
        context.emit(node, Cast, item, part=f"{part}{side}_real", place=item.place, to="float32")
        if isinstance(item, Dynamic) and item.whole  # what they make is real
        else item
        for side, item in zip("ab", (first, second), strict=True)
    )
    met, place = context.broadcast(node, (first, second))
    inputs = [
        context.constant(node, item, f"{part}{side}") if isinstance(item, np.ndarray) else item
        for side, item in zip("ab", met, strict=True)
    ]
    return context.emit(node, kind, *inputs, part=part, place=place, **fields)

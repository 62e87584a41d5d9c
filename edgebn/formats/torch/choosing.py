"""Comparisons, logic, choices and positions: their values are whole numbers (int32), truth being 1 and 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.computed_indices import by_element
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static, Symbol
from edgebn.layers import ArgExtreme, Cast, IntegerBinary, Select

Operand = Dynamic | np.ndarray


def held(node: Node, argument: str) -> Operand:
    """Return a tensor or number as a value of the network, or as an array of whole numbers or float32."""
    stated = node.arguments.get(argument)
    if isinstance(stated, bool):
        return np.array(int(stated), np.int32)
    if isinstance(stated, int | float | str | Symbol):
        return integers_or_reals(
            node, argument, np.array(node.number(argument), np.int64 if isinstance(stated, int) else np.float32)
        )
    value = node.value(argument)
    return integers_or_reals(node, argument, value.array) if isinstance(value, Static) else value


def integers_or_reals(node: Node, argument: str, array: np.ndarray) -> np.ndarray:
    """Return a constant as int32, or float32 where it holds real numbers."""
    if array.dtype.kind not in "iub":
        real = np.asarray(array, np.float32)
        if not np.isfinite(real).all():
            raise node.refuse(f"its {argument} holds NaN or infinite numbers; edgebn needs finite constants")
        return real
    limits = np.iinfo(np.int32)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise node.refuse(f"its {argument} holds whole numbers beyond 32 bits")
    return array.astype(np.int32)


def _is_whole(operand: Operand) -> bool:
    return operand.whole if isinstance(operand, Dynamic) else operand.dtype == np.int32


def met(node: Node, context: Context, operands: Sequence[Operand], wholes: Sequence[bool]) -> tuple[list[Dynamic], Place]:
    """Return operands as values that broadcast, whole or real as told, and the place of the result."""
    met, place = context.broadcast(node, list(operands))
    values = []
    for number, (item, whole) in enumerate(zip(met, wholes, strict=True)):
        if isinstance(item, np.ndarray):
            values.append(context.constant(node, item.astype(np.int32 if whole else np.float32), f"constant{number}"))
        elif item.whole and not whole:
            values.append(context.emit(node, Cast, item, part=f"real{number}", place=item.place, to="float32"))
        else:
            values.append(item)
    return values, place


def comparison(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of a comparison; whole numbers beside real ones become real, as in PyTorch."""

    def read(node: Node, context: Context) -> Dynamic:
        both = [held(node, name) for name in ("self", "other")]
        whole = all(_is_whole(one) for one in both)
        (a, b), place = met(node, context, both, [whole, whole])
        return context.emit(node, IntegerBinary, a, b, place=place, function=function)

    return read


def _truth(node: Node, context: Context, operand: Operand, part: str) -> Operand:
    """Return whether an operand is not 0."""
    if isinstance(operand, np.ndarray):
        return (operand != 0).astype(np.int32)
    zero = context.constant(node, np.zeros((), np.int32 if operand.whole else np.float32), f"{part}zero")
    return context.emit(node, IntegerBinary, operand, zero, part=f"{part}truth", place=operand.place, function="not_equal")


def logical(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of logic on two values, of which anything but 0 is true."""

    def read(node: Node, context: Context) -> Dynamic:
        both = [_truth(node, context, held(node, name), name) for name in ("self", "other")]
        (a, b), place = met(node, context, both, [True, True])
        return context.emit(node, IntegerBinary, a, b, place=place, function=function)

    return read


def logical_not(node: Node, context: Context) -> Dynamic:
    """Whether a value is 0."""
    x = node.dynamic("self")
    zero = context.constant(node, np.zeros((), np.int32 if x.whole else np.float32), "zero")
    return context.emit(node, IntegerBinary, x, zero, place=x.place, function="equal")


def where(node: Node, context: Context) -> Dynamic:
    """One of two values, element by element."""
    return _select(node, context, "condition", "self", "other")


def threshold(node: Node, context: Context) -> Dynamic:
    """What is above a threshold, and one number elsewhere."""
    value = node.dynamic("self")
    if value.whole:
        raise node.refuse("it compares whole numbers; cast them first: x.float()")
    place, limit = value.place, context.constant(node, np.array(node.number("threshold"), np.float32), "threshold")
    above = context.emit(node, IntegerBinary, value, limit, part="above", place=place, function="greater")
    other = context.constant(node, np.array(node.number("value"), np.float32), "value")
    return context.emit(node, Select, above, value, other, place=place)


def sign(node: Node, context: Context) -> Dynamic:
    """1, 0 or -1."""
    x = node.dynamic("self")
    if x.whole:
        raise node.refuse("it takes the sign of whole numbers; cast them first: x.float()")
    zero = context.constant(node, np.zeros((), np.float32), "zero")
    sides = [context.emit(node, IntegerBinary, x, zero, part=part, place=x.place, function=part) for part in ("greater", "less")]
    whole = context.emit(node, IntegerBinary, *sides, part="whole", place=x.place, function="subtract")
    return context.emit(node, Cast, whole, place=x.place, to="float32")


def masked_fill(node: Node, context: Context) -> Dynamic:
    """One number where a mask is true."""
    return _select(node, context, "mask", "value", "self")


def _select(node: Node, context: Context, *names: str) -> Dynamic:
    if not all(node.has(name) for name in names):
        raise node.refuse("it tells where a value is not 0, of which there may be any number; give it two values to choose from")
    condition, *values = (held(node, name) for name in names)
    whole = all(_is_whole(value) for value in values)
    (mask, a, b), place = met(node, context, [_truth(node, context, condition, "mask"), *values], [True, whole, whole])
    return context.emit(node, Select, mask, a, b, place=place)


def arg(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of argmax or argmin."""

    def read(node: Node, context: Context) -> Dynamic:
        if not node.has("dim"):
            raise node.refuse("it finds the place in all samples together; name the axis")
        return places(node, context, function, node.integer("dim"))

    return read


def top_k(node: Node, context: Context) -> tuple[Dynamic, Dynamic]:
    """The largest or smallest numbers along an axis, the best first, and their places."""
    return _best(node, context, "max" if node.flag("largest", default=True) else "min", node.integer("k"))


def sort(node: Node, context: Context) -> tuple[Dynamic, Dynamic]:
    """All numbers along an axis in order, and their places."""
    return _best(node, context, "max" if node.flag("descending", default=False) else "min", None)


def _best(node: Node, context: Context, function: str, count: int | None) -> tuple[Dynamic, Dynamic]:
    x, (axis,) = context.along(node, node.dynamic("self"), (node.integer("dim", -1),))
    count = x.shape[axis + x.place.leading] if count is None else count
    found = context.emit(node, ArgExtreme, x, output=1, function=function, axis=axis, count=count)
    values: Dynamic = by_element(node, context, x, axis + x.place.leading, found)
    return values, found


def places(node: Node, context: Context, function: str, dim: int, output: int = 0) -> Dynamic:
    """Append the first places of the largest or smallest numbers along an axis."""
    x, (axis,) = context.along(node, node.dynamic("self"), (dim,))
    if x.whole:
        raise node.refuse("it finds the place among whole numbers; cast them first: x.float()")
    keeps = node.flag("keepdim", default=False)
    fields: dict[str, Any] = {"function": function, "axis": axis, "last": False, "output": output}
    found = context.emit(node, ArgExtreme, x, part="" if keeps else "place", **fields)
    return found if keeps else context.without_axis(node, found, axis + x.place.leading, output=output)

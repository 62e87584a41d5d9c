"""Layers with several inputs, and arithmetic with constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.operands import Operand, merged, named, operand
from edgebn.formats.keras.place import LayerFunction, Place, Value
from edgebn.formats.keras.settings import as_integer, resolved_axis
from edgebn.layers import Add, Binary, Concat, Identity, Layer, Multiply


def chain(place: Place, kind: type[Layer], values: list[str], output: str = "", **fields: Any) -> str:
    """Add up, multiply or compare any number of values, two at a time; one alone stays as it is."""
    if len(values) == 1:
        return place.add(Identity, values, "", output)
    total = values[0]
    for index, value in enumerate(values[1:], start=1):
        last = index == len(values) - 1
        stage = "" if last else f"part{index}"
        total = place.add(kind, [total, value], stage, output if last else stage, **fields)
    return total


def _listed(place: Place) -> list[Any]:
    """Return what a merging layer is called on: values and constants, in order."""
    argument = place.args[0] if place.args else place.kwargs.get("inputs")
    if not isinstance(argument, list) or not argument:
        raise ModelError("it merges a single value; it should be called on a list of values")
    return argument


def _operands(place: Place) -> list[Operand]:
    return merged(place, [operand(item, f"input {index}") for index, item in enumerate(_listed(place), start=1)])


def _merged_values(place: Place) -> list[str]:
    return [named(place, item, f"constant{index}") for index, item in enumerate(_operands(place), start=1)]


def elementwise(kind: type[Layer], **fields: Any) -> LayerFunction:
    """Return the function of the layers Add, Multiply, Maximum and Minimum."""
    return lambda place: chain(place, kind, _merged_values(place), **fields)


def average(place: Place) -> str:
    """Average: the sum times 1 / n."""
    values = _merged_values(place)
    total = chain(place, Add, values, "sum")
    return place.add(Multiply, [total, place.constant(1 / len(values), "share")], "scale")


def subtract(place: Place) -> str:
    """Subtract: the first minus the second."""
    operands = _operands(place)
    if len(operands) != 2:
        raise ModelError(f"it subtracts {len(operands)} values; it should have two")
    return difference(place, *operands)


def scaled_sum(place: Place) -> str:
    """CustomScaleLayer: the first plus `scale` times the second."""
    operands = _operands(place)
    if len(operands) != 2 or not all(isinstance(item, str) for item in operands):
        raise ModelError(f"it is called on {len(operands)} values or on a constant; it should have two values")
    first, second = (str(item) for item in operands)
    scaled = place.add(Multiply, [second, place.constant(place.settings.number("scale", 1.0), "factor")], "scale", "scaled")
    return place.add(Add, [first, scaled])


def difference(place: Place, left: Operand, right: Operand) -> str:
    """Add left - right; a constant on either side makes it a sum."""
    first = named(place, left, "left")
    if isinstance(right, np.ndarray):
        return place.add(Add, [first, place.constant(-right, "right")])
    if not isinstance(left, np.ndarray):
        return place.add(Binary, [first, right], function="subtract")
    negative = place.add(Multiply, [right, place.constant(-1.0, "minus_one")], "negate", "negative")
    return place.add(Add, [first, negative])


def concatenate(place: Place) -> str:
    """Concatenate along any axis but the batch."""
    return joined(place, _listed(place), place.settings.get("axis"))


def joined(place: Place, items: list[Any], axis: Any) -> str:
    """Add the concatenation of `items`, arguments of the call."""
    if not items or not all(isinstance(item, Value) for item in items):
        raise place.unsupported("edgebn joins values of the network, at least one and no constants")
    values = [str(item) for item in items]
    number = -1 if axis is None else as_integer(axis, "axis")
    resolved = resolved_axis(number, len(place.shape_of(values[0])), "axis")
    return place.add(Identity, values) if len(values) == 1 else place.add(Concat, values, axis=resolved)

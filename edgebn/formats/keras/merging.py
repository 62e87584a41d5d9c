"""Layers with several inputs, and arithmetic with constants."""

from __future__ import annotations

from typing import Any

from edgebn.errors import ModelError
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.formats.keras.settings import as_integer, resolved_axis
from edgebn.layers import Add, Concat, Identity, Layer, Multiply


def chain(place: Place, kind: type[Layer], values: list[str], output: str = "") -> str:
    """Add up or multiply any number of values, two at a time."""
    if len(values) < 2:
        raise ModelError(f"it merges {len(values)} values; it should have two or more")
    total = values[0]
    for index, value in enumerate(values[1:], start=1):
        last = index == len(values) - 1
        stage = "" if last else f"part{index}"
        total = place.add(kind, [total, value], stage, output if last else stage)
    return total


def merged(kind: type[Layer]) -> LayerFunction:
    """Return the function of the layers Add and Multiply."""
    return lambda place: chain(place, kind, place.inputs)


def average(place: Place) -> str:
    """Average: the sum times 1 / n."""
    total = chain(place, Add, place.inputs, "sum")
    return place.add(Multiply, [total, place.constant(1 / len(place.inputs), "share")], "scale")


def subtract(place: Place) -> str:
    """Subtract: the first plus -1 times the second."""
    if len(place.inputs) != 2:
        raise ModelError(f"it subtracts {len(place.inputs)} values; it should have two")
    return difference(place, *place.inputs)


def difference(place: Place, left: str, right: str) -> str:
    """Add left - right."""
    negative = place.add(Multiply, [right, place.constant(-1.0, "minus_one")], "negate", "negative")
    return place.add(Add, [left, negative])


def concatenate(place: Place) -> str:
    """Concatenate along any axis but the batch."""
    if not place.inputs:
        raise ModelError("it joins no values")
    return joined(place, place.inputs, place.settings.get("axis"))


def joined(place: Place, values: list[str], axis: Any) -> str:
    """Add the concatenation of `values`."""
    number = -1 if axis is None else as_integer(axis, "axis")
    if len(values) == 1:
        return place.add(Identity, values)
    return place.add(Concat, values, axis=resolved_axis(number, len(place.shape_of(values[0])), "axis"))

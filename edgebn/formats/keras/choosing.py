"""What Keras records of comparisons, logic, choices and positions: their values are whole numbers, truth being 1 and 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.formats.keras.operands import Operand, broadcast, operand
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.formats.keras.settings import as_flag, as_integer, resolved_axis
from edgebn.layers import ArgExtreme, Cast, Constant, Identity, IntegerBinary, Reshape, Select, integer_values

REAL = ("float16", "bfloat16", "float32", "float64")
WHOLE = ("int32", "int64")
TRUTH = "bool"


def _argument(place: Place, position: int, *names: str) -> Any:
    if position < len(place.args):
        return place.args[position]
    return next((place.kwargs[name] for name in names if name in place.kwargs), None)


def is_whole(place: Place, value: Operand) -> bool:
    """Whether an operand holds whole numbers of the network."""
    return isinstance(value, str) and value in integer_values(place.reading.builder.layers)


def _of_type(place: Place, value: Operand, stage: str, *, whole: bool) -> str:
    """Return an operand's name in the graph, whole numbers or real ones."""
    if isinstance(value, str):
        if is_whole(place, value) == whole:
            return value
        if whole:
            raise place.unsupported(f"its operand '{value}' holds real numbers where others are whole; cast it first")
        return place.add(Cast, [value], stage, stage, to="float32")
    if whole and not (value == np.floor(value)).all():
        raise place.unsupported("it compares whole numbers with constants that are none; cast the whole numbers first")
    return place.add(Constant, [], stage, stage, value=np.atleast_1d(value).astype(np.int32 if whole else np.float32))


def _truth(place: Place, value: Operand, stage: str) -> str:
    """Return an operand as truth: whether it is not 0."""
    if is_whole(place, value):
        return str(value)
    real = _of_type(place, value, f"{stage}_real", whole=False)
    zero = place.add(Constant, [], f"{stage}_zero", f"{stage}_zero", value=np.zeros(1, np.float32))
    return place.add(IntegerBinary, [real, zero], stage, stage, function="not_equal")


def _two(place: Place) -> list[Operand]:
    arguments = [_argument(place, 0, "x1", "x"), _argument(place, 1, "x2", "y")]
    return broadcast(place, [operand(one, f"operand {number}") for number, one in enumerate(arguments, 1)])


def comparison(function: str) -> LayerFunction:
    """Return the function of a comparison; whole numbers beside real ones become real."""

    def add(place: Place) -> str:
        both = _two(place)
        whole = all(is_whole(place, one) for one in both if isinstance(one, str))
        whole = whole and all(isinstance(one, str) or bool((one == np.floor(one)).all()) for one in both)
        names = [_of_type(place, one, stage, whole=whole) for one, stage in zip(both, ("left", "right"), strict=True)]
        return place.add(IntegerBinary, names, function=function)

    return add


def logical(function: str) -> LayerFunction:
    """Return the function of logic on two values, of which anything but 0 is true."""

    def add(place: Place) -> str:
        one = place.add(Constant, [], "zero", "zero", value=np.zeros(1, np.int32))
        names = []
        for value, stage in zip(_two(place), ("left", "right"), strict=True):
            held = _truth(place, value, stage)
            names.append(place.add(IntegerBinary, [held, one], f"{stage}_truth", f"{stage}_truth", function="not_equal"))
        return place.add(IntegerBinary, names, function=function)

    return add


def logical_not(place: Place) -> str:
    """Whether a value is 0."""
    zero = place.add(Constant, [], "zero", "zero", value=np.zeros(1, np.int32))
    return place.add(IntegerBinary, [_truth(place, place.input, "truth"), zero], function="equal")


def where(place: Place) -> str:
    """Return one of two values, element by element."""
    arguments = [_argument(place, position, name) for position, name in enumerate(("condition", "x1", "x2"))]
    if arguments[1] is None or arguments[2] is None:
        raise place.unsupported(
            "it tells where a value is not 0, of which there may be any number; give it two values to choose from"
        )
    condition, *values = broadcast(place, [operand(one, f"operand {number}") for number, one in enumerate(arguments, 1)])
    chosen = [value for value in values if isinstance(value, str)]
    whole = bool(chosen) and all(is_whole(place, value) for value in chosen)
    names = [_of_type(place, value, stage, whole=whole) for value, stage in zip(values, ("left", "right"), strict=True)]
    return place.add(Select, [_truth(place, condition, "condition"), *names])


def arg(function: str) -> LayerFunction:
    """Return the function of Argmax or Argmin along an axis of the samples."""

    def add(place: Place) -> str:
        arguments = place.settings.get("axis")
        if arguments is None:
            raise place.unsupported("it finds the place in all samples together; name an axis")
        axis = resolved_axis(as_integer(arguments, "axis"), len(place.shape), "axis")
        if as_flag(place.settings.get("keepdims"), "keepdims"):
            return place.add(ArgExtreme, function=function, axis=axis)
        found = place.add(ArgExtreme, None, "place", "place", function=function, axis=axis)
        return place.add(Reshape, [found], shape=tuple(size for number, size in enumerate(place.shape) if number != axis))

    return add


def cast(place: Place) -> str:
    """Between real numbers, whole ones and truth."""
    to = str(_argument(place, 1, "dtype") or place.settings.get("dtype"))
    if to in REAL:
        return place.add(Cast, to="float32") if is_whole(place, place.input) else place.add(Identity)
    if to in WHOLE:
        return place.add(Identity) if is_whole(place, place.input) else place.add(Cast, to="int32")
    if to == TRUTH:
        zero = place.add(Constant, [], "zero", "zero", value=np.zeros(1, np.int32))
        return place.add(IntegerBinary, [_truth(place, place.input, "truth"), zero], function="not_equal")
    raise place.unsupported(f"it casts to {to[:40]}; edgebn casts to float32, int32, int64 and bool")

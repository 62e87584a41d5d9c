"""What Keras records of norms, products, running sums and the largest elements: reductions that are several layers of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.choosing import is_whole
from edgebn.formats.keras.parts import Parts
from edgebn.formats.keras.place import Place
from edgebn.formats.keras.products import MIN_SQUARES, unit
from edgebn.formats.keras.settings import as_flag, as_integer, resolved_axis
from edgebn.layers import (
    Activation,
    Add,
    ArgExtreme,
    Binary,
    Cast,
    Concat,
    Constant,
    Crop,
    Dense,
    Identity,
    IntegerBinary,
    Multiply,
    Reduce,
    Select,
)

MAX_LARGEST = 64  # elements that top_k finds: each is a search of its own
LEAST = -3e38  # below every number of a network


def _axes(place: Place, key: str = "axis") -> tuple[int, ...]:
    """Return the setting's axes as those of a sample."""
    given: Any = place.settings.get(key)
    if given is None:
        raise place.unsupported("edgebn does not reduce over the batch; name the axes")
    listed = given if isinstance(given, list) else [given]
    return tuple(sorted({resolved_axis(as_integer(axis, key), len(place.shape), key) for axis in listed}))


def _keeps(place: Place) -> bool:
    return as_flag(place.settings.get("keepdims"), "keepdims")


def norm(place: Place) -> str:
    """Norms of vectors, of order 1, 2 and infinity, and Frobenius' of matrices."""
    axes, order = _axes(place), place.settings.get("ord")
    frobenius = order in (None, "fro") or (order == 2 and len(axes) == 1)
    parts, keep = Parts(place), _keeps(place)
    if frobenius:
        squares = parts.add(Activation, [place.input], "squares", function="square")
        total = parts.add(Reduce, [squares], "total", function="sum", axes=axes, keepdims=keep)
        return place.add(Activation, [total], function="sqrt")
    functions = {1: "sum", "inf": "max", "-inf": "min", float("inf"): "max", float("-inf"): "min"}
    name = str(order) if isinstance(order, str) else order
    if len(axes) != 1 or name not in functions:
        raise place.unsupported(f"its order is {str(order)[:40]}; edgebn has norms of order 1, 2, infinity and Frobenius'")
    size = parts.add(Activation, [place.input], "size", function="abs")
    return place.add(Reduce, [size], function=functions[name], axes=axes, keepdims=keep)


def normalize(place: Place) -> str:
    """normalize: divided by the length along an axis, or by a tiny number where that is larger."""
    axes, order = _axes(place), place.settings.integer("order", 2)
    least = place.settings.number("epsilon", MIN_SQUARES**0.5)
    if order == 2:
        return place.add(Identity, [unit(Parts(place), place.input, axes, least**2)])
    if order != 1:
        raise place.unsupported(f"its order is {order}; edgebn normalises by norms of order 1 and 2")
    parts = Parts(place)
    size = parts.add(Activation, [place.input], "size", function="abs")
    total = parts.add(Reduce, [size], "total", function="sum", axes=axes, keepdims=True)
    bounded = parts.add(Activation, [total], "bounded", function="clip", low=least)
    return place.add(Binary, [place.input, bounded], function="divide")


def log_sum_exp(place: Place) -> str:
    """log(sum(exp(x - max))) + max, so that no exponential overflows."""
    axes, parts, keep = _axes(place), Parts(place), _keeps(place)
    largest = parts.add(Reduce, [place.input], "largest", function="max", axes=axes, keepdims=True)
    grown = parts.add(Activation, [parts.add(Binary, [place.input, largest], "below", function="subtract")], "exp", function="exp")
    total = parts.add(Reduce, [grown], "total", function="sum", axes=axes, keepdims=keep)
    again = largest if keep else parts.add(Reduce, [place.input], "shift", function="max", axes=axes, keepdims=False)
    return place.add(Add, [parts.add(Activation, [total], "logarithm", function="log"), again])


def product(place: Place) -> str:
    """prod: products of halves, axis by axis, an odd element carried along."""
    value, axes, parts = place.input, _axes(place), Parts(place)
    for axis in axes:
        while (size := parts.shape(value)[axis]) > 1:
            low, high = (_part(parts, value, axis, begin, begin + size // 2, f"{name}{axis}_{size}")
                         for begin, name in ((0, "low"), (size // 2, "high")))  # fmt: skip
            rest = _part(parts, value, axis, size - 1, size, f"rest{axis}_{size}") if size % 2 else None
            value = parts.add(Multiply, [low, high], f"product{axis}_{size}")
            if rest is not None:
                value = parts.add(Concat, [value, rest], f"joined{axis}_{size}", axis=axis)
    return place.add(Reduce, [value], function="max", axes=axes, keepdims=_keeps(place))  # of one element each


def _part(parts: Parts, value: str, axis: int, begin: int, end: int, part: str) -> str:
    shape = parts.shape(value)
    starts = tuple(begin if position == axis else 0 for position in range(len(shape)))
    sizes = tuple(end - begin if position == axis else size for position, size in enumerate(shape))
    return parts.add(Crop, [value], part, starts=starts, sizes=sizes)


def running_sum(place: Place) -> str:
    """cumsum: a product by a triangle of ones."""
    (axis,) = _axes(place)
    if is_whole(place, place.input):
        raise place.unsupported("it adds up whole numbers; edgebn adds up real ones: cast them first")
    size, parts = place.shape[axis], Parts(place)
    order = [position for position in range(len(place.shape)) if position != axis] + [axis]
    moved = str(parts.moved(place.input, order, "moved"))
    sums = parts.add(Dense, [moved], "sums", weight=np.tril(np.ones((size, size), np.float32)))
    return place.add(Identity, [str(parts.moved(sums, np.argsort(order).tolist(), "ordered"))])


def largest(place: Place) -> list[str]:
    """top_k: the largest elements of the last axis and their places, one search after the other."""
    count, value, parts = place.settings.integer("k"), place.input, Parts(place)
    axis = len(place.shape) - 1
    if axis < 0 or not 1 <= count <= place.shape[axis]:
        raise ModelError(f"it finds {count} elements of a value of shape {place.shape}")
    if count > MAX_LARGEST or is_whole(place, value):
        raise place.unsupported(f"it finds {count} elements; edgebn finds {MAX_LARGEST} of real numbers at most")
    numbers = parts.add(Constant, [], "numbers", value=np.arange(place.shape[axis], dtype=np.int32))
    least = parts.constant(LEAST, "least")
    values, places = [], []
    for turn in range(count):
        values.append(parts.add(Reduce, [value], f"value{turn}", function="max", axes=(axis,), keepdims=True))
        places.append(parts.add(ArgExtreme, [value], f"place{turn}", function="max", axis=axis))
        if turn + 1 < count:
            found = parts.add(IntegerBinary, [numbers, places[-1]], f"found{turn}", function="equal")
            value = parts.add(Select, [found, least, value], f"rest{turn}")
    if count == 1:
        return [parts.add(Identity, values, "values"), parts.add(Identity, places, "places")]
    return [parts.add(Concat, values, "values", axis=axis), parts.add(Concat, places, "places", axis=axis)]


def one_hot(place: Place) -> str:
    """one_hot: 1 at each whole number's place along a new axis, else 0."""
    count, rank = place.settings.integer("num_classes"), len(place.shape)
    if count < 1:
        raise ModelError(f"it has {count} classes")
    if not is_whole(place, place.input):
        raise place.unsupported("it counts by real numbers; cast them to whole ones first")
    axis = resolved_axis(place.settings.integer("axis", -1), rank + 1, "axis")
    parts = Parts(place)
    raised = str(parts.reshaped(place.input, (*place.shape[:axis], 1, *place.shape[axis:]), "raised"))
    shape = [count if position == axis else 1 for position in range(rank + 1)]
    numbers = parts.add(Constant, [], "numbers", value=np.arange(count, dtype=np.int32).reshape(shape))
    hit = parts.add(IntegerBinary, [raised, numbers], "hit", function="equal")
    return place.add(Cast, [hit], to="float32")


def moments(place: Place) -> list[str]:
    """Return means and variances over axes."""
    axes, parts, keep = _axes(place, "axes"), Parts(place), _keeps(place)
    mean = parts.add(Reduce, [place.input], "mean_kept", function="mean", axes=axes, keepdims=True)
    apart = parts.add(Binary, [place.input, mean], "apart", function="squared_difference")
    shape = place.shape if keep else tuple(size for axis, size in enumerate(place.shape) if axis not in axes)
    means = mean if keep else str(parts.reshaped(mean, shape, "mean"))
    return [means, parts.add(Reduce, [apart], "variance", function="mean", axes=axes, keepdims=keep)]

"""Functions of one value that Keras has as activations or as operations and that are several layers of the graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats import common_layers
from edgebn.formats.keras.operands import as_array
from edgebn.formats.keras.place import LayerFunction, Place, Value
from edgebn.formats.keras.settings import as_flag, as_integer, as_number, resolved_axis
from edgebn.layers import (
    Activation,
    Add,
    Binary,
    Cast,
    Crop,
    Dense,
    Identity,
    IntegerBinary,
    Layer,
    MatMul,
    Multiply,
    Reduce,
    Select,
)

Composed = Callable[[Place, str], str]

_TINY = 1e-37  # what has this exponential and less is as good as 0


def _part(place: Place, kind: type[Layer], inputs: list[str], stage: str, part: str, **fields: Any) -> str:
    """Add a graph layer between two others of one Keras layer."""
    label = f"{stage}_{part}" if stage else part
    return place.add(kind, inputs, label, label, **fields)


def _number(place: Place, number: float, stage: str, part: str) -> str:
    return place.constant(number, f"{stage}_{part}" if stage else part)


def log_softmax(place: Place, stage: str, axis: int = -1) -> str:
    """(x - max) - log(sum(exp(x - max))) along an axis, so that no exponential overflows."""
    axes = (resolved_axis(axis, len(place.shape), "axis"),)
    largest = _part(place, Reduce, [place.input], stage, "largest", function="max", axes=axes, keepdims=True)
    below = _part(place, Binary, [place.input, largest], stage, "below", function="subtract")
    grown = _part(place, Activation, [below], stage, "exp", function="exp")
    total = _part(place, Reduce, [grown], stage, "total", function="sum", axes=axes, keepdims=True)
    logarithm = _part(place, Activation, [total], stage, "logarithm", function="log")
    return place.add(Binary, [below, logarithm], stage, function="subtract")


def log_sigmoid(place: Place, stage: str) -> str:
    """-softplus(-x)."""
    minus = _number(place, -1.0, stage, "minus_one")
    negative = _part(place, Multiply, [place.input, minus], stage, "negative")
    bent = _part(place, Activation, [negative], stage, "softplus", function="softplus")
    return place.add(Multiply, [bent, minus], stage)


def softsign(place: Place, stage: str) -> str:
    """Return x / (1 + |x|)."""
    size = _part(place, Activation, [place.input], stage, "size", function="abs")
    above = _part(place, Add, [size, _number(place, 1.0, stage, "one")], stage, "above")
    return place.add(Binary, [place.input, above], stage, function="divide")


def soft_shrink(place: Place, stage: str, threshold: float = 0.5) -> str:
    """What x lies outside [-threshold, threshold]."""
    if threshold < 0:
        raise ModelError(f"its threshold {threshold} is negative")
    inside = _part(place, Activation, [place.input], stage, "inside", function="clip", low=-threshold, high=threshold)
    return place.add(Binary, [place.input, inside], stage, function="subtract")


def tanh_shrink(place: Place, stage: str) -> str:
    """Return x - tanh(x)."""
    bent = _part(place, Activation, [place.input], stage, "tanh", function="tanh")
    return place.add(Binary, [place.input, bent], stage, function="subtract")


def squareplus(place: Place, stage: str, b: float = 4.0) -> str:
    """(x + sqrt(x^2 + b)) / 2."""
    if b < 0:
        raise ModelError(f"its b {b} is negative")
    square = _part(place, Activation, [place.input], stage, "square", function="square")
    above = _part(place, Add, [square, _number(place, b, stage, "b")], stage, "above")
    root = _part(place, Activation, [above], stage, "root", function="sqrt")
    both = _part(place, Add, [place.input, root], stage, "both")
    return place.add(Multiply, [both, _number(place, 0.5, stage, "half")], stage)


def celu(place: Place, stage: str, alpha: float = 1.0) -> str:
    """Return alpha * elu(x / alpha)."""
    if alpha == 1.0:
        return place.add(Activation, [place.input], stage, function="elu", alpha=1.0)
    if abs(alpha) < 1e-30:
        raise ModelError(f"its alpha is {alpha}")
    scaled = _part(place, Multiply, [place.input, _number(place, 1 / alpha, stage, "share")], stage, "scaled")
    bent = _part(place, Activation, [scaled], stage, "elu", function="elu", alpha=1.0)
    return place.add(Multiply, [bent, _number(place, alpha, stage, "alpha")], stage)


def glu(place: Place, stage: str, axis: int = -1) -> str:
    """Return the first half along an axis times the sigmoid of the second."""
    shape, number = place.shape, resolved_axis(axis, len(place.shape), "axis")
    if shape[number] % 2:
        raise ModelError(f"it halves an axis of {shape[number]}")
    sizes = tuple(size // 2 if position == number else size for position, size in enumerate(shape))
    starts = [tuple(size if position == number else 0 for position, size in enumerate(sizes)), (0,) * len(shape)]
    gate, value = (
        _part(place, Crop, [place.input], stage, part, starts=start, sizes=sizes)
        for part, start in zip(("gate", "value"), starts, strict=True)
    )
    opened = _part(place, Activation, [gate], stage, "sigmoid", function="sigmoid")
    return place.add(Multiply, [value, opened], stage)


def _selected(place: Place, stage: str, condition: str, bound: float, of: str, otherwise: float) -> str:
    """Return x where `of` compares so with a bound, else a number."""
    met = _part(place, IntegerBinary, [of, _number(place, bound, stage, "bound")], stage, "met", function=condition)
    return place.add(Select, [met, place.input, _number(place, otherwise, stage, "otherwise")], stage)


def hard_shrink(place: Place, stage: str, threshold: float = 0.5) -> str:
    """Return x outside [-threshold, threshold], else 0."""
    size = _part(place, Activation, [place.input], stage, "size", function="abs")
    return _selected(place, stage, "greater", threshold, size, 0.0)


def sparse_plus(place: Place, stage: str) -> str:
    """0 up to -1, (x + 1)^2 / 4 up to 1, x beyond."""
    inside = _part(place, Activation, [place.input], stage, "inside", function="clip", low=-1.0, high=1.0)
    above = _part(place, Add, [inside, _number(place, 1.0, stage, "one")], stage, "above")
    square = _part(place, Activation, [above], stage, "square", function="square")
    bent = _part(place, Multiply, [square, _number(place, 0.25, stage, "quarter")], stage, "bent")
    beyond = _part(place, Add, [place.input, _number(place, -1.0, stage, "minus_one")], stage, "beyond")
    straight = _part(place, Activation, [beyond], stage, "straight", function="clip", low=0.0)
    return place.add(Add, [bent, straight], stage)


def log1p(place: Place, stage: str) -> str:
    """log(1 + x), as exact near 0 as elsewhere.

    softplus(log(p)) - softplus(log(n / (1 - n))) of x = p - n, one of which is 0.
    """
    parts = []
    for sign, part in ((1.0, "positive"), (-1.0, "negative")):
        turned = _part(place, Multiply, [place.input, _number(place, sign, stage, f"{part}_sign")], stage, f"{part}_turned")
        size = _part(place, Activation, [turned], stage, f"{part}_size", function="clip", low=_TINY)
        if sign < 0:
            minus = _part(place, Multiply, [size, _number(place, -1.0, stage, "minus_one")], stage, "minus")
            left = _part(place, Add, [minus, _number(place, 1.0, stage, "one")], stage, "left")
            size = _part(place, Binary, [size, left], stage, "odds", function="divide")
        logarithm = _part(place, Activation, [size], stage, f"{part}_logarithm", function="log")
        parts.append(_part(place, Activation, [logarithm], stage, f"{part}_softplus", function="softplus"))
    return place.add(Binary, parts, stage, function="subtract")


def expm1(place: Place, stage: str) -> str:
    """exp(x) - 1 as exact near 0 as elsewhere: below 0 it is elu(x), above -elu(-x) exp(x)."""
    minus = _number(place, -1.0, stage, "minus_one")
    above = _part(place, Activation, [place.input], stage, "above", function="clip", low=0.0)
    under = _part(place, Activation, [place.input], stage, "under", function="clip", high=0.0)
    below = _part(place, Activation, [under], stage, "below", function="elu", alpha=1.0)
    turned = _part(place, Multiply, [above, minus], stage, "turned")
    small = _part(place, Activation, [turned], stage, "small", function="elu", alpha=1.0)
    grown = _part(place, Multiply, [small, _part(place, Activation, [above], stage, "exp", function="exp")], stage, "grown")
    return place.add(Binary, [below, grown], stage, function="subtract")


def sign(place: Place, stage: str) -> str:
    """Return 1, 0 or -1."""
    zero = _number(place, 0.0, stage, "zero")
    sides = [_part(place, IntegerBinary, [place.input, zero], stage, part, function=part) for part in ("greater", "less")]
    whole = _part(place, IntegerBinary, sides, stage, "whole", function="subtract")
    return place.add(Cast, [whole], stage, to="float32")


# Activations by name, as `activation=` gives them: their settings have Keras' defaults.
COMPOSED: dict[str, Composed] = {
    "celu": celu,
    "glu": glu,
    "hard_shrink": hard_shrink,
    "log_sigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "soft_shrink": soft_shrink,
    "softsign": softsign,
    "sparse_plus": sparse_plus,
    "squareplus": squareplus,
    "tanh_shrink": tanh_shrink,
}


# What Keras records of operations in code ---------------------------------------------------------------------------------


def operation(composed: Callable[..., str], setting: str = "") -> LayerFunction:
    """Return the function of an operation that is one of those above, with its setting."""

    def add(place: Place) -> str:
        value = place.settings.get(setting) if setting else None
        if value is None:
            return composed(place, "")
        return composed(place, "", as_integer(value, setting) if setting == "axis" else as_number(value, setting))

    return add


def threshold(place: Place) -> str:
    """Return x above a threshold, else a number."""
    bound, otherwise = place.settings.number("threshold", 0.0), place.settings.number("default_value", 0.0)
    return _selected(place, "", "greater", bound, place.input, otherwise)


def logarithm(base: float) -> LayerFunction:
    """Return the function of the logarithm to a base."""

    def add(place: Place) -> str:
        natural = place.add(Activation, [place.input], "natural", "natural", function="log")
        return place.add(Multiply, [natural, place.constant(1 / math.log(base), "factor")])

    return add


def exp2(place: Place) -> str:
    """Two to the power of a value."""
    return place.add(Activation, [place.input], function="exp_base", alpha=2.0)


def gelu(place: Place) -> str:
    """gelu, by tanh unless said."""
    by_tanh = as_flag(place.settings.get("approximate"), "approximate", default=True)
    return place.add(Activation, [place.input], function="gelu_tanh" if by_tanh else "gelu")


def elu(place: Place) -> str:
    """Elu with a depth."""
    return place.add(Activation, [place.input], function="elu", alpha=place.settings.number("alpha", 1.0))


def rounded(place: Place) -> str:
    """Round to whole numbers, ties to even."""
    if place.settings.integer("decimals", 0):
        raise place.unsupported("it rounds to decimals; edgebn rounds to whole numbers")
    return place.add(Activation, [place.input], function="round")


class _Parts:
    """A place as the builders that ONNX and PyTorch share ask for it: it appends layers, and refuses."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.refuse = place.unsupported

    def emit(self, _node: Any, kind: type[Layer], *inputs: str, part: str = "", **fields: Any) -> str:
        return self.place.add(kind, list(inputs), part, part, **fields)

    def number(self, _node: Any, value: float, part: str) -> str:
        return self.place.constant(value, part)


def power(place: Place, exponent: float) -> str:
    """A value raised by one number."""
    if exponent == 1.0:
        return place.add(Identity, [place.input])
    parts = _Parts(place)
    return str(common_layers.power(parts, parts, place.input, exponent))


def deviation(root: bool) -> LayerFunction:
    """Return the function of the variance over axes, or of its root."""

    def add(place: Place) -> str:
        given = place.settings.get("axis")
        if given is None:
            raise place.unsupported("edgebn does not reduce over the batch; name the axes")
        listed = given if isinstance(given, list) else [given]
        axes = tuple(sorted({resolved_axis(as_integer(axis, "axis"), len(place.shape), "axis") for axis in listed}))
        mean = place.add(Reduce, [place.input], "mean", "mean", function="mean", axes=axes, keepdims=True)
        apart = place.add(Binary, [place.input, mean], "apart", "apart", function="squared_difference")
        keep = as_flag(place.settings.get("keepdims"), "keepdims")
        stage = "variance" if root else ""
        variance = place.add(Reduce, [apart], stage, stage, function="mean", axes=axes, keepdims=keep)
        return place.add(Activation, [variance], function="sqrt") if root else variance

    return add


def matrix_product(place: Place) -> str:
    """Matmul of two values of the same number of axes, or of a value by a constant matrix."""
    given = [*place.args, *(place.kwargs[name] for name in ("x1", "x2") if name in place.kwargs)]
    if len(given) != 2:
        raise ModelError(f"it multiplies {len(given)} values; it should be two")
    left, right = given
    if not isinstance(left, Value):
        raise place.unsupported("edgebn multiplies a constant matrix from the right only")
    if isinstance(right, Value):
        shapes = place.shape_of(left), place.shape_of(right)
        if len(shapes[0]) != len(shapes[1]) or len(shapes[0]) < 2:
            raise place.unsupported(
                f"it multiplies values of shapes {shapes[0]} and {shapes[1]} without the batch; give both as many"
            )
        return place.add(MatMul, [str(left), str(right)])
    matrix = as_array(right, "matrix")
    if matrix.ndim != 2 or not place.shape_of(left):
        raise place.unsupported(f"it multiplies by a constant of shape {matrix.shape}; edgebn multiplies values by a matrix")
    return place.add(Dense, [str(left)], weight=np.ascontiguousarray(matrix.T))

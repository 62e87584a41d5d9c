"""Layers that ONNX and PyTorch have alike: norms of blocks of channels, powers by a number, reductions that are several layers.

`node` and `context` are those of either reader; of a node only `refuse` and `damaged` are asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from edgebn.layers import Activation, Add, Binary, Concat, Convolution, Layer, Multiply, Normalization, Reduce

# Powers that are a function of their own, by exponent.
POWERS = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}
PRODUCTS = (3.0, 4.0)  # powers whose products are within two units in the last place
MAX_NEIGHBOURS = 1 << 11  # channels of a local response norm


def by_channels(node: Any, context: Any, x: Any, groups: int, parameters: list[np.ndarray | None], epsilon: float) -> Any:
    """Append a norm of blocks of channels (axis 1); as many blocks as channels are an instance norm.

    `parameters` are gamma and beta, vectors of one number a channel or None.
    """
    channels = x.shape[1] if len(x.shape) > 2 else 0
    if groups < 1 or not channels or channels % groups:
        raise node.damaged(f"its {groups} groups do not divide {channels} channels of an input of shape {x.shape}")
    x, (axis,) = context.along(node, x, (1,))
    shape = context.batch.sample(x.shape, x.place)
    if math.prod(shape[:axis]) != 1:
        raise node.refuse("it normalises every sample of a batch that lies elsewhere than in front")
    wide = tuple(channels if place == axis else 1 for place in range(len(shape)))
    gamma, beta = (None if array is None else array.reshape(wide) for array in parameters)
    return context.emit(
        node,
        Normalization,
        x,
        axes=tuple(range(len(shape))),
        groups=groups,
        axis=axis,
        gamma=gamma,
        beta=beta,
        epsilon=epsilon,
        channels_first=bool(x.place.leading) and len(x.shape) in (3, 4),
    )


def power(node: Any, context: Any, x: Any, exponent: float, part: str = "") -> Any:
    """Append what raises a value by one number: a function of its own, a product of squares, or `power`."""
    if not abs(exponent) <= float(np.finfo(np.float32).max):
        raise node.refuse(f"its exponent is {exponent}; edgebn raises by a finite number")
    exponent = float(np.float32(exponent))
    if exponent == 1.0:
        return context.emit(node, Activation, x, part=part)  # a clip without bounds
    if exponent in POWERS:
        return context.emit(node, Activation, x, part=part, function=POWERS[exponent])
    if exponent == -2.0:  # the square of a large number may be none
        x = context.emit(node, Activation, x, part=f"{part}reciprocal", function="reciprocal")
        return context.emit(node, Activation, x, part=part, function="square")
    if exponent not in PRODUCTS:
        return context.emit(node, Activation, x, part=part, function="power", alpha=exponent)
    square = context.emit(node, Activation, x, part=f"{part}power2", function="square")
    if exponent == 3.0:
        return context.emit(node, Multiply, square, x, part=part)
    return context.emit(node, Activation, square, part=part, function="square")


def times(node: Any, context: Any, x: Any, factor: float, part: str) -> Any:
    """Append x times one number."""
    constant = context.number(node, factor, f"{part}factor")
    return context.emit(node, Multiply, x, constant, part=part)


def exponential(node: Any, context: Any, x: Any, base: float) -> Any:
    """Append a positive number raised by a value."""
    if not 0 < base <= float(np.finfo(np.float32).max):
        raise node.refuse(f"its base is {base}; edgebn raises positive numbers")
    return context.emit(node, Activation, x, function="exp_base", alpha=float(np.float32(base)))


def reduce(node: Any, context: Any, x: Any, function: str, axes: Iterable[int], *, keepdims: bool, part: str = "") -> Any:
    """Append a reduction over axes of the file's shape by a function of `Reduce` or one of `REDUCTIONS`."""
    axes = tuple(axes)
    if function in REDUCTIONS:
        return REDUCTIONS[function](node, context, x, axes, keepdims, part)
    fields = context.reduction(node, x, axes, keepdims=keepdims)
    if not fields["axes"]:  # the batch of one alone
        left = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape) if keepdims or axis not in axes)
        return context.reshape(node, x, left, part=part)
    return context.moved(node, Reduce, x, part=part, function=function, **fields)


def _applied(before: str, after: str | None) -> Callable[..., Any]:
    """Return a reduction that is a sum of one function of the elements, and another of that sum."""

    def append(node: Any, context: Any, x: Any, axes: tuple[int, ...], keepdims: bool, part: str) -> Any:
        each = context.emit(node, Activation, x, part=f"{part}{before}", function=before) if before else x
        total = reduce(node, context, each, "sum", axes, keepdims=keepdims, part=f"{part}sum" if after else part)
        return context.emit(node, Activation, total, part=part, function=after) if after else total

    return append


def _log_sum_exp(node: Any, context: Any, x: Any, axes: tuple[int, ...], keepdims: bool, part: str) -> Any:
    """log(sum(exp(x - max))) + max, so that no exponential overflows."""
    largest = reduce(node, context, x, "max", axes, keepdims=True, part=f"{part}largest")
    below = _binary(node, context, Binary, x, largest, f"{part}below", function="subtract")
    logarithm = reduce(node, context, below, "log_sum_of_exp", axes, keepdims=keepdims, part=f"{part}logarithm")
    again = largest if keepdims else reduce(node, context, x, "max", axes, keepdims=False, part=f"{part}shift")
    return _binary(node, context, Add, logarithm, again, part)


def _log_sum_of_exp(node: Any, context: Any, x: Any, axes: tuple[int, ...], keepdims: bool, part: str) -> Any:
    """log(sum(exp(x))) of values that are known not to overflow."""
    return _applied("exp", "log")(node, context, x, axes, keepdims, part)


def _binary(node: Any, context: Any, kind: type[Layer], a: Any, b: Any, part: str, **fields: Any) -> Any:
    (first, second), place = context.broadcast(node, (a, b))
    return context.emit(node, kind, first, second, part=part, place=place, **fields)


def _product(node: Any, context: Any, x: Any, axes: tuple[int, ...], keepdims: bool, part: str) -> Any:
    def multiply(halves: list[Any], part: str) -> Any:
        return context.emit(node, Multiply, *halves, part=part)

    ones = by_halves(node, context, x, axes, part, multiply)
    return reduce(node, context, ones, "max", axes, keepdims=keepdims, part=part)  # of one element each


def by_halves(node: Any, context: Any, x: Any, axes: Iterable[int], part: str, join: Callable[[list[Any], str], Any]) -> Any:
    """Append a reduction by a function of two values, which `join` appends; its axes stay, each of one element.

    Halves are joined, axis by axis: log2(n) times, of ever shorter values, the odd element carried along.
    """
    for axis in sorted(context.resolved(node, axis, len(x.shape)) for axis in axes):
        while (size := x.shape[axis]) > 1:
            half = size // 2
            rest = _part_of(node, context, x, axis, 2 * half, size, f"{part}rest{axis}_{size}") if size % 2 else None
            halves = [_part_of(node, context, x, axis, begin, begin + half, f"{part}{name}{axis}_{size}")
                      for begin, name in ((0, "low"), (half, "high"))]  # fmt: skip
            x = join(halves, f"{part}product{axis}_{size}")
            if rest is not None:
                joined, along, place = context.joined(node, (x, rest), axis)
                x = context.moved(node, Concat, *joined, axis=along, place=place, part=f"{part}joined{axis}_{size}")
    return x


def _part_of(node: Any, context: Any, x: Any, axis: int, begin: int, end: int, part: str) -> Any:
    starts, sizes = [0] * len(x.shape), list(x.shape)
    starts[axis], sizes[axis] = begin, end - begin
    return context.crop(node, x, starts, sizes, part=part)


def log_softmax(node: Any, context: Any, x: Any, axis: int, part: str = "") -> Any:
    """Append x - log(sum(exp(x))) along an axis of the file's shape, as (x - max) - log(sum(exp(x - max)))."""
    largest = reduce(node, context, x, "max", (axis,), keepdims=True, part=f"{part}largest")
    below = _binary(node, context, Binary, x, largest, f"{part}below", function="subtract")
    logarithm = reduce(node, context, below, "log_sum_of_exp", (axis,), keepdims=True, part=f"{part}logarithm")
    return _binary(node, context, Binary, below, logarithm, part and f"{part}result", function="subtract")


def unit_norm(node: Any, context: Any, x: Any, order: str, axes: Iterable[int], least: float) -> Any:
    """Append a value divided by its norm ('l1' or 'l2') over axes of the file's shape, or by `least` where that is larger."""
    norm = reduce(node, context, x, order, axes, keepdims=True, part="norm")
    bounded = context.emit(node, Activation, norm, part="bounded", function="clip", low=least)
    return _binary(node, context, Binary, x, bounded, "", function="divide")


def neighbours_weight(channels: int, before: int, after: int, factor: float) -> np.ndarray:
    """Return the weight (C, 1, 1, C) of a convolution that sums each channel and its neighbours, times a factor."""
    distance = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    return (((distance >= -before) & (distance <= after)) * factor).astype(np.float32)[:, None, None, :]


def local_response(node: Any, context: Any, x: Any, before: int, after: int, bias: float, alpha: float, beta: float) -> Any:
    """Append x / (bias + alpha * sum of squares over neighbouring channels)^beta, of a value (N, C, ...).

    The sum is a convolution of 1 x 1 with a band of equal weights.
    """
    if not (math.isfinite(alpha) and math.isfinite(beta) and math.isfinite(bias) and bias > 0 and alpha >= 0):
        raise node.refuse(f"its bias {bias} is not positive or its alpha {alpha} or beta {beta} damaged")
    channels = x.shape[1]
    if not 0 <= before + after <= MAX_NEIGHBOURS or channels > MAX_NEIGHBOURS:
        raise node.refuse(f"it sums {before + after + 1} of {channels} channels; edgebn sums up to {MAX_NEIGHBOURS}")
    x = context.image(node, x)
    squares = context.emit(node, Activation, x, part="squares", function="square")
    level = context.emit(
        node,
        Convolution,
        squares,
        part="level",
        weight=neighbours_weight(channels, before, after, alpha),
        bias=np.full(channels, bias, np.float32),
        channels_first=True,
    )
    return context.emit(node, Multiply, x, power(node, context, level, -beta, "divisor"))


# Reductions that are several layers, by name: function of (node, context, value, axes, keepdims, part).
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "l1": _applied("abs", None),
    "l2": _applied("square", "sqrt"),
    "log_sum": _applied("", "log"),
    "log_sum_exp": _log_sum_exp,
    "log_sum_of_exp": _log_sum_of_exp,
    "product": _product,
    "sum_square": _applied("square", None),
}

"""Pooling over windows, adaptive and global pooling, and means and maxima over axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from edgebn.formats import adaptive_windows, volumes
from edgebn.formats.channels_first import ceil_extra, pair
from edgebn.formats.common_layers import reduce
from edgebn.formats.torch import adaptive, arithmetic, choosing, windows
from edgebn.formats.torch.arithmetic import combine
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import Activation, Binary, Identity, Multiply, Pool, Reduce


def max_pool(node: Node, context: Context) -> Dynamic:
    """max_pool1d, max_pool2d and their forms with indices."""
    node.only_first_output()
    return _pool(node, context, "max")


def avg_pool(node: Node, context: Context) -> Dynamic:
    """avg_pool1d and avg_pool2d."""
    if node.has("divisor_override"):
        raise node.refuse("it divides by divisor_override; edgebn divides by the size of the window")
    return _pool(node, context, "average")


def _pool(node: Node, context: Context, function: str) -> Dynamic:
    x = node.dynamic("self")
    sizes = windows.spatial(node, x)
    count = len(sizes)
    kernel = node.per_axis("kernel_size", count, 0)
    strides = node.per_axis("stride", count, 1) if node.integers("stride") else kernel
    dilations = node.per_axis("dilation", count, 1)
    pads = node.per_axis("padding", count, 0)
    if 0 in (*kernel, *strides, *dilations):
        raise node.damaged(f"its kernel_size {kernel}, stride {strides} or dilation {dilations} is 0")
    extra = (0,) * count
    if node.flag("ceil_mode", default=False):
        spans = tuple(dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True))
        extra = tuple(
            ceil_extra(size, span, stride, pad, pad) for size, span, stride, pad in zip(sizes, spans, strides, pads, strict=True)
        )
    return _pooled(
        node,
        context,
        x,
        {
            "function": function,
            "kernel": pair(kernel, 1),
            "strides": pair(strides, 1),
            "dilations": pair(dilations, 1),
            "padding": windows.sides(pads, tuple(pad + more for pad, more in zip(pads, extra, strict=True))),
            "count_padding": function == "average" and node.flag("count_include_pad", default=True),
            "clipped_end": pair(extra, 0),
        },
    )


def pool_over_three(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of max_pool3d or avg_pool3d."""

    def read(node: Node, context: Context) -> Dynamic:
        if node.has("divisor_override"):
            raise node.refuse("it divides by divisor_override; edgebn divides by the size of the window")
        x, kernel = node.dynamic("self"), node.per_axis("kernel_size", 3, 0)
        strides = node.per_axis("stride", 3, 1) if node.integers("stride") else kernel
        dilations, pads = node.per_axis("dilation", 3, 1), node.per_axis("padding", 3, 0)
        if len(x.shape) != 5:
            raise node.refuse(f"its input of shape {x.shape} has no batch axis; give inputs one")
        if 0 in (*kernel, *strides, *dilations):
            raise node.damaged(f"its kernel_size {kernel}, stride {strides} or dilation {dilations} is 0")
        extra = [0, 0, 0]
        if node.flag("ceil_mode", default=False):
            extra = [
                ceil_extra(x.shape[2 + axis], dilations[axis] * (kernel[axis] - 1) + 1, strides[axis], pads[axis], pads[axis])
                for axis in range(3)
            ]
        afters = tuple(pad + more for pad, more in zip(pads, extra, strict=True))
        box: Any = volumes.Box(kernel, strides, dilations, pads, afters)
        counts = function == "average" and node.flag("count_include_pad", default=True)
        clipped: Any = tuple(extra)
        made: Dynamic = volumes.pooled(node, context, x, function, box, count_padding=counts, clipped=clipped)
        return made

    return read


def _pooled(node: Node, context: Context, x: Dynamic, fields: dict[str, Any]) -> Dynamic:
    def build(image: Dynamic, part: str, copies: int) -> Dynamic:  # noqa: ARG001  # channels do not meet
        return context.emit(node, Pool, image, part=part, channels_first=True, **fields)

    return context.on_images(node, x, build)


def adaptive_avg_pool(node: Node, context: Context) -> Dynamic:
    """adaptive_avg_pool1d and adaptive_avg_pool2d."""
    return _adaptive(node, context, "average", "mean")


def adaptive_max_pool(node: Node, context: Context) -> Dynamic:
    """adaptive_max_pool1d and adaptive_max_pool2d."""
    node.only_first_output()
    return _adaptive(node, context, "max", "max")


def _adaptive(node: Node, context: Context, function: str, reduction: str) -> Dynamic:
    x = node.dynamic("self")
    sizes = windows.spatial(node, x)
    wanted = node.per_axis("output_size", len(sizes), 1)
    if all(size == 1 for size in wanted):
        fields = context.reduction(node, x, range(2, len(x.shape)), keepdims=True)
        return context.emit(node, Reduce, x, function=reduction, channels_first=bool(x.place.leading), **fields)
    if min(wanted) < 1:
        raise node.damaged(f"its output size {wanted} is none")
    windows_of = [adaptive_windows.windows(size, target) for size, target in zip(sizes, wanted, strict=True)]
    if all(one.regular for one in windows_of):
        kernel = pair(tuple(one.length for one in windows_of), 1)
        strides = pair(tuple(one.stride for one in windows_of), 1)
        return _pooled(node, context, x, {"function": function, "kernel": kernel, "strides": strides})
    for axis, one in enumerate(windows_of, 2):
        x = adaptive.along(node, context, x, axis, one, function)
    return context.emit(node, Identity, x)


def mean(node: Node, context: Context) -> Dynamic:
    """Mean over named axes."""
    return _reduce(node, context, "mean")


def amax(node: Node, context: Context) -> Dynamic:
    """Maximum over named axes."""
    return _reduce(node, context, "max")


def amin(node: Node, context: Context) -> Dynamic:
    """Minimum over named axes."""
    return _reduce(node, context, "min")


def total(node: Node, context: Context) -> Dynamic:
    """Sum over named axes."""
    return _reduce(node, context, "sum")


def reduction(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of a reduction that is several layers: logsumexp, prod."""
    return lambda node, context: _reduce(node, context, function)


def vector_norm(node: Node, context: Context) -> Dynamic:
    """linalg_vector_norm and norm, of order 1, 2 or infinity."""
    order = node.number("ord" if node.has("ord") else "p", 2.0)
    if order == math.inf:
        sizes = context.emit(node, Activation, node.dynamic("self"), part="sizes", function="abs")
        return _reduced(node, context, sizes, "max")
    if order not in (1.0, 2.0):
        raise node.refuse(f"its order is {order}; edgebn runs norms of order 1, 2 and infinity")
    return _reduce(node, context, f"l{int(order)}")


def variance(node: Node, context: Context) -> Dynamic:
    """var: the mean of squared distances from the mean, times n / (n - correction)."""
    return _variance(node, context, "")


def deviation(node: Node, context: Context) -> Dynamic:
    """std: its root."""
    return context.emit(node, Activation, _variance(node, context, "variance"), function="sqrt")


def _variance(node: Node, context: Context, part: str) -> Dynamic:
    x, correction = node.dynamic("self"), node.number("correction", 1.0)
    if node.has("unbiased"):
        correction = float(node.flag("unbiased"))
    axes = node.integers("dim") or tuple(range(len(x.shape)))
    context.check_apart(node, x, axes)
    count = math.prod(x.shape[context.resolved(node, axis, len(x.shape))] for axis in axes)
    if count <= correction:
        raise node.refuse(f"it is the variance of {count} numbers")
    mean = reduce(node, context, x, "mean", axes, keepdims=True, part="mean")
    distances = combine(node, context, Binary, x, mean, part="distances", function="squared_difference")
    keepdims = node.flag("keepdim", default=False)
    spread: Dynamic = reduce(node, context, distances, "mean", axes, keepdims=keepdims, part="spread")
    factor = context.number(node, count / (count - correction), "correction")
    return context.emit(node, Multiply, spread, factor, part=part)


def extreme(function: str) -> Callable[[Node, Context], Dynamic | tuple[Dynamic, ...]]:
    """Return the reader of max or min: of two values, along one axis with the places where asked for, or over all axes."""

    def read(node: Node, context: Context) -> Dynamic | tuple[Dynamic, ...]:
        if node.has("other"):
            return (arithmetic.maximum if function == "max" else arithmetic.minimum)(node, context)
        x = node.dynamic("self")
        axes = node.integers("dim") or tuple(range(len(x.shape)))
        context.check_apart(node, x, axes)
        keeps = node.flag("keepdim", default=False)
        values: Dynamic = reduce(node, context, x, function, axes, keepdims=keeps)
        return (values, choosing.places(node, context, function, axes[0], output=1)) if any(node.used[1:]) else values

    return read


def _reduce(node: Node, context: Context, function: str) -> Dynamic:
    return _reduced(node, context, node.dynamic("self"), function)


def _reduced(node: Node, context: Context, x: Dynamic, function: str) -> Dynamic:
    axes = node.integers("dim") or tuple(range(len(x.shape)))
    context.check_apart(node, x, axes)
    made: Dynamic = reduce(node, context, x, function, axes, keepdims=node.flag("keepdim", default=False))
    return made

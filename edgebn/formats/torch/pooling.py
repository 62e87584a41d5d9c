"""Pooling over windows, adaptive and global pooling, and means and maxima over axes."""

from __future__ import annotations

from edgebn.formats.channels_first import ceil_extra, pair
from edgebn.formats.torch import windows
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import Pool, Reduce


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
    return context.emit(
        node,
        Pool,
        x,
        function=function,
        kernel=pair(kernel, 1),
        strides=pair(strides, 1),
        dilations=pair(dilations, 1),
        padding=windows.sides(pads, tuple(pad + more for pad, more in zip(pads, extra, strict=True))),
        count_padding=function == "average" and node.flag("count_include_pad", default=True),
        clipped_end=pair(extra, 0),
        channels_first=True,
    )


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
        axes = tuple(range(1, len(x.shape) - 1))
        return context.emit(node, Reduce, x, function=reduction, axes=axes, keepdims=True, channels_first=True)
    if any(target < 1 or size % target for size, target in zip(sizes, wanted, strict=True)):
        raise node.refuse(
            f"it pools {sizes} to {wanted} with windows of unequal size; give it an output size that divides its input's"
        )
    kernel = pair(tuple(size // target for size, target in zip(sizes, wanted, strict=True)), 1)
    return context.emit(node, Pool, x, function=function, kernel=kernel, strides=kernel, channels_first=True)


def mean(node: Node, context: Context) -> Dynamic:
    """Mean over named axes."""
    return _reduce(node, context, "mean")


def amax(node: Node, context: Context) -> Dynamic:
    """Maximum over named axes."""
    return _reduce(node, context, "max")


def max_values(node: Node, context: Context) -> Dynamic:
    """max.dim: maximum along one axis, without its indices."""
    node.only_first_output()
    return _reduce(node, context, "max")


def _reduce(node: Node, context: Context, function: str) -> Dynamic:
    x = node.dynamic("self")
    axes = node.integers("dim") or tuple(range(len(x.shape)))
    own = tuple(sorted({context.axis(node, axis, len(x.shape)) for axis in axes}))
    return context.emit(node, Reduce, x, function=function, axes=own, keepdims=node.flag("keepdim", default=False))

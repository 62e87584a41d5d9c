"""Pooling over windows, global pooling and reductions over axes."""

from __future__ import annotations

from edgebn.formats.onnx import windows
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import Pool, Quantization, Reduce


def max_pool(node: Node, context: Context) -> Dynamic:
    """MaxPool; codes keep their scale."""
    node.only_first_output()
    x = node.dynamic(0)
    return pool(node, context, x, "max", x.quantization, x.shift)


def average_pool(node: Node, context: Context) -> Dynamic:
    """AveragePool."""
    return pool(node, context, node.real(0), "average")


def pool(
    node: Node,
    context: Context,
    x: Dynamic,
    function: str,
    quantization: Quantization | None = None,
    shift: int = 0,
    *,
    counts_end: bool = False,
) -> Dynamic:
    """Append a pool; shared by MaxPool, AveragePool and QLinearAveragePool.

    `counts_end` is for an average that counts padding, and what ceil mode adds at the end too.
    """
    if context.batch is None:
        raise node.refuse("its first axis is the batch; read the file with batch_axis=True")
    kernel = node.integers("kernel_shape")
    if kernel is None:
        raise node.damaged("it has no kernel_shape")
    shape = windows.geometry(node, x.shape, kernel, ceil_mode=bool(node.integer("ceil_mode", 0)))
    return context.emit(
        node,
        Pool,
        x,
        quantization=quantization,
        shift=shift,
        function=function,
        kernel=shape.kernel,
        strides=shape.strides,
        dilations=shape.dilations,
        padding=shape.padding,
        count_padding=bool(node.integer("count_include_pad", 0)),
        clipped_end=(0, 0) if counts_end else shape.extra,
        channels_first=True,
    )


def spatial_axes(node: Node, context: Context, x: Dynamic) -> tuple[int, ...]:
    """Return the sample's axes behind the channels of an (N, C, ...) value."""
    if context.batch is None:
        raise node.refuse("its first axis is the batch; read the file with batch_axis=True")
    if len(x.shape) < 3:
        raise node.damaged(f"its input of shape {x.shape} has no spatial axis")
    return tuple(range(1, len(x.shape) - 1))


def global_average_pool(node: Node, context: Context) -> Dynamic:
    """GlobalAveragePool."""
    x = node.real(0)
    return context.emit(node, Reduce, x, function="mean", axes=spatial_axes(node, context, x), keepdims=True)


def global_max_pool(node: Node, context: Context) -> Dynamic:
    """GlobalMaxPool; codes keep their scale."""
    x = node.dynamic(0)
    return context.emit_same_codes(node, Reduce, x, function="max", axes=spatial_axes(node, context, x), keepdims=True)


def reduced_axes(node: Node, context: Context, x: Dynamic, axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return the sample's axes that a Reduce operator works along; None where it does nothing."""
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return None
        axes = tuple(range(len(x.shape)))
    return tuple(sorted({context.axis(node, axis, len(x.shape)) for axis in axes}))


def reduce_mean(node: Node, context: Context) -> Dynamic:
    """ReduceMean: axes from an attribute (opset 13) or an input (opset 18)."""
    return _reduce(node, context, node.real(0), "mean")


def reduce_max(node: Node, context: Context) -> Dynamic:
    """ReduceMax; codes keep their scale."""
    return _reduce(node, context, node.dynamic(0), "max")


def _reduce(node: Node, context: Context, x: Dynamic, function: str) -> Dynamic:
    given = node.integers("axes") if node.opset < 18 else node.static_ints(1, "axes")
    axes = reduced_axes(node, context, x, given)
    if axes is None:
        return context.identity(node, x)
    keepdims = bool(node.integer("keepdims", 1))
    return context.emit_same_codes(node, Reduce, x, function=function, axes=axes, keepdims=keepdims)

"""Pooling over windows, global pooling and reductions over axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.formats import unfolding, volumes
from edgebn.formats.common_layers import power, reduce
from edgebn.formats.onnx import integers, windows
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import Activation, IntegerBinary, Pool, Quantization, Reduce

# What reductions over no axis at all do to each element, where it is not nothing.
EACH = {"l1": "abs", "l2": "abs", "log_sum": "log", "sum_square": "square"}


def max_pool_and_places(node: Node, context: Context) -> Dynamic | tuple[Dynamic, Dynamic]:
    """MaxPool, with the places of its maxima where these are used."""
    return _with_places(node, context) if any(node.used[1:]) else max_pool(node, context)


def max_pool(node: Node, context: Context) -> Dynamic:
    """MaxPool; codes keep their scale."""
    node.only_first_output()
    x = node.dynamic(0)
    return pool(node, context, x, "max", x.quantization, x.shift)


def _with_places(node: Node, context: Context) -> tuple[Dynamic, Dynamic]:
    """MaxPool with the places of its maxima in the whole value, row by row; those of one picture."""
    x, kernel = node.real(0), node.integers("kernel_shape") or ()
    if not context.batch.single or len(x.shape) != 4 or x.shape[0] != 1 or node.integer("storage_order", 0):
        raise node.refuse("its second output is used; edgebn gives places in one image (1, C, H, W), row by row")
    shape = windows.geometry(node, x.shape, kernel, ceil_mode=bool(node.integer("ceil_mode", 0)))
    over = unfolding.Windows(shape.kernel, shape.strides, shape.dilations, shape.padding)
    inside, flat = unfolding.max_places(node, context, x, over)
    channels, area = x.shape[1], x.shape[2] * x.shape[3]
    before = context.array(node, (np.arange(channels, dtype=np.int32) * area)[:, None, None], "channels_before")
    places = context.emit(node, IntegerBinary, flat, before, output=1, place=flat.place, whole=True, function="add")
    context.undone[places.tensor] = (inside, over, (x.shape[2], x.shape[3]))
    return pool(node, context, x, "max"), places


def max_unpool(node: Node, context: Context) -> Dynamic:
    """MaxUnpool of the places that a MaxPool over tiles gave."""
    x, value = node.real(0), node.dynamic(1)
    found = context.undone.get(value.tensor)
    if found is None:
        raise node.refuse("its places come from elsewhere than a MaxPool; edgebn undoes that")
    inside, over, _ = found
    kernel = node.integers("kernel_shape") or ()
    if (
        tuple(kernel) != over.kernel
        or tuple(node.integers("strides") or (1,) * len(kernel)) != over.strides
        or any(node.integers("pads") or ())
    ):
        raise node.refuse(f"its windows {kernel} are not those {over.kernel} of its MaxPool")
    wanted = node.static_ints(2, "output_shape")
    size = tuple(wanted[2:]) if wanted else (x.shape[2] * over.kernel[0], x.shape[3] * over.kernel[1])
    if over.kernel[1] * x.shape[3] != size[1] and wanted and size[1] != found[2][1]:
        raise node.refuse("its output is of another width than what its MaxPool read")
    made: Dynamic = unfolding.spread_maxima(node, context, x, inside, over, (size[0], size[1]))
    return made


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
    of_codes: bool = False,
) -> Dynamic:
    """Append a pool; shared by MaxPool, AveragePool and QLinearAveragePool.

    `of_codes` is for QLinearAveragePool: it rounds codes, and where it counts padding, what ceil mode adds counts too.
    """
    kernel = node.integers("kernel_shape")
    if kernel is None:
        raise node.damaged("it has no kernel_shape")
    if len(x.shape) == 5 and len(kernel) == 3 and quantization is None:
        over, extra = windows.box(node, x.shape, kernel, ceil_mode=bool(node.integer("ceil_mode", 0)))
        counts = bool(node.integer("count_include_pad", 0))
        made: Dynamic = volumes.pooled(node, context, x, function, over, count_padding=counts, clipped=extra)
        return made
    shape = windows.geometry(node, x.shape, kernel, ceil_mode=bool(node.integer("ceil_mode", 0)))
    fields: dict[str, Any] = {
        "function": function,
        "kernel": shape.kernel,
        "strides": shape.strides,
        "dilations": shape.dilations,
        "padding": shape.padding,
        "count_padding": bool(node.integer("count_include_pad", 0)),
        "clipped_end": (0, 0) if of_codes else shape.extra,
        "rounds_codes": of_codes,
        "channels_first": True,
    }

    def build(image: Dynamic, part: str, copies: int) -> Dynamic:  # noqa: ARG001  # channels do not meet
        return context.emit(node, Pool, image, part=part, quantization=quantization, shift=shift, **fields)

    return context.on_images(node, x, build)


def lp_pool(node: Node, context: Context) -> Dynamic:
    """LpPool: the p-th root of the sum of p-th powers under each window."""
    x, kernel = node.real(0), node.integers("kernel_shape")
    if kernel is None:
        raise node.damaged("it has no kernel_shape")
    shape = windows.geometry(node, x.shape, kernel, ceil_mode=bool(node.integer("ceil_mode", 0)))
    over = unfolding.Windows(shape.kernel, shape.strides, shape.dilations, shape.padding)
    return _norm(node, context, x, lambda powers: unfolding.sums(node, context, powers, over, "sums"))


def global_lp_pool(node: Node, context: Context) -> Dynamic:
    """GlobalLpPool."""
    x = node.real(0)
    return _norm(
        node,
        context,
        x,
        lambda powers: context.emit(node, Reduce, powers, part="sums", function="sum", **whole_image(node, context, x)),
    )


def _norm(node: Node, context: Context, x: Dynamic, total: Callable[[Dynamic], Dynamic]) -> Dynamic:
    """Append the p-th root of a `total` of the p-th powers of magnitudes, p 2 unless said."""
    p = node.number("p", 2)
    if p <= 0:
        raise node.damaged(f"its p is {p}")
    if p == 2:
        return context.emit(
            node, Activation, total(context.emit(node, Activation, x, part="powers", function="square")), function="sqrt"
        )
    size = context.emit(node, Activation, x, part="size", function="abs")
    if p == 1:
        return context.identity(node, total(size))
    root: Dynamic = power(node, context, total(power(node, context, size, p, "powers")), 1 / p)
    return root


def whole_image(node: Node, context: Context, x: Dynamic) -> dict[str, Any]:
    """Return the fields of a Reduce over the axes behind the channels of an (N, C, ...) value."""
    if len(x.shape) < 3:
        raise node.damaged(f"its input of shape {x.shape} has no spatial axis")
    fields = context.reduction(node, x, range(2, len(x.shape)), keepdims=True)
    return {**fields, "channels_first": bool(x.place.leading) and len(x.shape) < 5}


def global_average_pool(node: Node, context: Context) -> Dynamic:
    """GlobalAveragePool."""
    x = node.real(0)
    return context.emit(node, Reduce, x, function="mean", **whole_image(node, context, x))


def global_max_pool(node: Node, context: Context) -> Dynamic:
    """GlobalMaxPool; codes keep their scale."""
    x = node.dynamic(0)
    return context.moved(node, Reduce, x, function="max", **whole_image(node, context, x))


def reduced_axes(node: Node, x: Dynamic, axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the axes of a value that a Reduce operator works along: all where it names none and is not told to do nothing."""
    if not axes and not node.integer("noop_with_empty_axes", 0):
        return tuple(range(len(x.shape)))
    return axes or ()


def reduce_mean(node: Node, context: Context) -> Dynamic:
    """ReduceMean: axes from an attribute (opset 13) or an input (opset 18)."""
    return _reduce(node, context, node.real(0), "mean")


def reduce_max(node: Node, context: Context) -> Dynamic:
    """ReduceMax; codes keep their scale."""
    return _reduce(node, context, node.dynamic(0), "max")


def reduce_min(node: Node, context: Context) -> Dynamic:
    """ReduceMin; codes keep their scale."""
    return _reduce(node, context, node.dynamic(0), "min")


def reduce_sum(node: Node, context: Context) -> Dynamic:
    """ReduceSum: its axes became an input earlier than those of the others, with opset 13."""
    return _reduce(node, context, node.dynamic(0), "sum", since=13)


def reduction(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of a Reduce operator on float32 values: ReduceL2, ReduceProd and their like."""

    def read(node: Node, context: Context) -> Dynamic:
        return _reduce(node, context, node.dynamic(0) if function in integers.JOINS else node.real(0), function)

    return read


def _reduce(node: Node, context: Context, x: Dynamic, function: str, since: int = 18) -> Dynamic:
    listed = node.integers("axes") if node.opset < since else node.static_ints(1, "axes")
    axes = reduced_axes(node, x, listed)
    if x.whole and function in integers.JOINS and axes:
        return integers.reduced(node, context, x, function, axes, keepdims=bool(node.integer("keepdims", 1)))
    if function == "sum":
        node.real(0)
    if not axes and function in EACH:
        return context.emit(node, Activation, x, function=EACH[function])
    if not axes:
        return context.identity(node, x)
    made: Dynamic = reduce(node, context, x, function, axes, keepdims=bool(node.integer("keepdims", 1)))
    return made

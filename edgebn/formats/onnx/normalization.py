"""BatchNormalization, Softmax, and the operators that vanish at inference."""

from __future__ import annotations

import math

import numpy as np

from edgebn.formats import common_layers
from edgebn.formats.onnx import integers, weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import BatchNorm, Reshape, Softmax

# float32, float16 and bfloat16 in TensorProto.DataType.
TINY = float(np.finfo(np.float32).tiny)


def batch_normalization(node: Node, context: Context) -> Dynamic:
    """BatchNormalization at inference, kept apart from the convolution before it."""
    # Before opset 14 the further outputs, used or not, are what says that it trains.
    if node.integer("training_mode", 0) or (node.opset < 14 and any(node.outputs[1:])):
        raise node.refuse("it is in training mode; export the model for inference (model.eval())")
    node.only_first_output()
    if node.integer("spatial", 1) != 1:
        raise node.refuse("it has statistics for every pixel (spatial=0); edgebn normalises per channel")
    x = node.real(0)
    gamma, beta, mean, variance = (
        weights.real_array(node, node.static(index + 1, what), what)
        for index, what in enumerate(("scale", "bias", "mean", "variance"))
    )
    x, (axis,) = context.along(node, x, (1,))
    return context.emit(
        node,
        BatchNorm,
        x,
        gamma=gamma,
        beta=beta,
        mean=mean,
        variance=variance,
        epsilon=node.number("epsilon", 1e-5),
        axis=axis,
        channels_first=bool(x.place.leading) and len(x.shape) in (3, 4),
    )


def softmax(node: Node, context: Context) -> Dynamic:
    """Softmax: along one axis since opset 13; before, over everything from `axis` on."""
    x = node.real(0)
    axis = context.resolved(node, node.integer("axis", -1 if node.opset >= 13 else 1), len(x.shape))
    if node.opset >= 13 or all(length == 1 for length in x.shape[axis + 1 :]):
        x, (own,) = context.along(node, x, (axis,))
        return context.emit(node, Softmax, x, axis=own)
    x, behind = context.along(node, x, range(axis, len(x.shape)))
    sample = context.batch.sample(x.shape, x.place)
    kept = sample[: behind[0]]
    flat = context.emit(node, Reshape, x, part="flat", shape=(*kept, math.prod(sample[behind[0] :])))
    shares = context.emit(node, Softmax, flat, part="shares", axis=len(kept))
    return context.emit(node, Reshape, shares, shape=sample)


def log_softmax(node: Node, context: Context) -> Dynamic:
    """LogSoftmax: along one axis since opset 13; before, over everything from `axis` on."""
    x = node.real(0)
    axis = context.resolved(node, node.integer("axis", -1 if node.opset >= 13 else 1), len(x.shape))
    if node.opset >= 13 or all(length == 1 for length in x.shape[axis + 1 :]):
        made: Dynamic = common_layers.log_softmax(node, context, x, axis)
        return made
    x, behind = context.along(node, x, range(axis, len(x.shape)))
    sample = context.batch.sample(x.shape, x.place)
    flat = context.emit(node, Reshape, x, part="flat", shape=(*sample[: behind[0]], math.prod(sample[behind[0] :])))
    below: Dynamic = common_layers.log_softmax(node, context, flat, len(flat.shape) - 1, "flat_")
    return context.emit(node, Reshape, below, shape=sample)


def lp_normalization(node: Node, context: Context) -> Dynamic:
    """LpNormalization: divided by the norm along one axis; where that is 0 everything stays 0."""
    x, order = node.real(0), node.integer("p", 2)
    if order not in (1, 2):
        raise node.damaged(f"its p is {order}; ONNX defines 1 and 2")
    made: Dynamic = common_layers.unit_norm(node, context, x, f"l{order}", (node.integer("axis", -1),), TINY)
    return made


def local_response_normalization(node: Node, context: Context) -> Dynamic:
    """LRN: over `size` neighbouring channels."""
    size = node.integer("size", 0)
    if size < 1:
        raise node.damaged(f"its size is {size}")
    numbers = [node.number(name, default) for name, default in (("bias", 1.0), ("alpha", 0.0001), ("beta", 0.75))]
    bias, alpha, beta = numbers
    x = node.real(0)
    made: Dynamic = common_layers.local_response(node, context, x, (size - 1) // 2, size // 2, bias, alpha / size, beta)
    return made


def identity(node: Node, context: Context) -> Dynamic:
    """Identity."""
    return context.identity(node, node.dynamic(0))


def dropout(node: Node, context: Context) -> Dynamic:
    """Dropout at inference does nothing."""
    if node.has(2) and bool(node.static(2, "training_mode").reshape(-1)[:1].any()):
        raise node.refuse("it is in training mode; export the model for inference (model.eval())")
    node.only_first_output()
    return context.identity(node, node.dynamic(0))


def cast(node: Node, context: Context) -> Dynamic:
    """Cast of what is counted in a scale to real numbers does nothing; any other is that of `integers.py`."""
    value = node.value(0)
    if isinstance(value, Dynamic) and node.unit() is not None and node.integer("to", 1) in integers.REAL:
        return value  # sums of products of codes: what they are counted in follows
    return integers.cast(node, context)

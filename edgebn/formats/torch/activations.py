"""Elementwise functions and softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.formats import common_layers
from edgebn.formats.channels_first import open_bound
from edgebn.formats.torch import functions
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static
from edgebn.layers import Activation, Softmax

Reader = Callable[[Node, Context], Dynamic]
THRESHOLD = 15.0  # log(1 + exp(x)) is x in float32 from here on, to one unit in the last place


def function(name: str, low: float = -np.inf, high: float = np.inf, alpha: float = 0.0, beta: float = 0.0) -> Reader:
    """Return the reader of an operator that is one of our activations, with fixed settings."""

    def read(node: Node, context: Context) -> Dynamic:
        return context.emit(node, Activation, node.dynamic("self"), function=name, low=low, high=high, alpha=alpha, beta=beta)

    return read


relu = function("clip", low=0.0)
relu6 = function("clip", low=0.0, high=6.0)
sigmoid = function("sigmoid")
tanh = function("tanh")
hardsigmoid = function("hard_sigmoid", alpha=1 / 6, beta=0.5)
hardswish = function("hard_swish")
silu = function("silu")
selu = function("selu")


def elu(node: Node, context: Context) -> Dynamic:
    """Elu with a depth; its two scales are those of celu and selu, and 1 here."""
    if node.number("scale", 1.0) != 1.0 or node.number("input_scale", 1.0) != 1.0:
        raise node.refuse("its scale or input_scale is not 1; edgebn runs elu(x, alpha)")
    return context.emit(node, Activation, node.dynamic("self"), function="elu", alpha=node.number("alpha", 1.0))


def gelu(node: Node, context: Context) -> Dynamic:
    """gelu, exact or by tanh."""
    name = "gelu_tanh" if node.text("approximate", "none") == "tanh" else "gelu"
    return context.emit(node, Activation, node.dynamic("self"), function=name)


def softplus(node: Node, context: Context) -> Dynamic:
    """softplus; beyond its threshold PyTorch returns x, which float32 cannot tell apart at 20."""
    if node.number("beta", 1.0) != 1.0 or node.number("threshold", 20.0) < THRESHOLD:
        raise node.refuse("its beta is not 1 or its threshold is low; edgebn runs log(1 + exp(x))")
    return context.emit(node, Activation, node.dynamic("self"), function="softplus")


def log_softmax(node: Node, context: Context) -> Dynamic:
    """Log of the softmax along one axis."""
    x, dim = node.dynamic("self"), node.integer("dim")
    context.check_apart(node, x, (dim,))
    made: Dynamic = common_layers.log_softmax(node, context, x, dim)
    return made


def celu(node: Node, context: Context) -> Dynamic:
    """celu: alpha * elu(x / alpha)."""
    x, alpha = node.dynamic("self"), node.number("alpha", 1.0)
    if not alpha:
        raise node.damaged("its alpha is 0")
    scaled = common_layers.times(node, context, x, 1 / alpha, "scaled")
    bent = context.emit(node, Activation, scaled, part="elu", function="elu", alpha=1.0)
    made: Dynamic = common_layers.times(node, context, bent, alpha, "")
    return made


def power(node: Node, context: Context) -> Dynamic:
    """Power by one number, or of one number."""
    if not isinstance(node.arguments.get("self"), Dynamic):
        grown: Dynamic = common_layers.exponential(node, context, node.dynamic("exponent"), node.number("self"))
        return grown
    if not isinstance(node.arguments.get("exponent"), int | float | str):
        return functions.power(node, context)
    made: Dynamic = common_layers.power(node, context, node.dynamic("self"), node.number("exponent"))
    return made


def hardtanh(node: Node, context: Context) -> Dynamic:
    """hardtanh: between -1 and 1 unless said; ReLU6 is between 0 and 6."""
    return _clip(node, context, node.number("min_val", -1.0), node.number("max_val", 1.0))


def clamp(node: Node, context: Context) -> Dynamic:
    """clamp, clamp_min and clamp_max."""
    if any(isinstance(node.arguments.get(name), Dynamic | Static) for name in ("min", "max")):
        return functions.clamp(node, context)
    return _clip(node, context, node.number("min", -np.inf), node.number("max", np.inf))


def _clip(node: Node, context: Context, low: float, high: float) -> Dynamic:
    """Where the bounds cross, everything becomes the upper one."""
    low = min(low, high)
    return context.emit(node, Activation, node.dynamic("self"), function="clip", low=open_bound(low), high=open_bound(high))


def leaky_relu(node: Node, context: Context) -> Dynamic:
    """leaky_relu."""
    slope = node.number("negative_slope", 0.01)
    return context.emit(node, Activation, node.dynamic("self"), function="leaky_relu", alpha=slope)


def prelu(node: Node, context: Context) -> Dynamic:
    """prelu: one slope, or one a channel (axis 1)."""
    x, slope = node.dynamic("self"), node.weight("weight")
    rank = len(x.shape)
    if 1 < slope.ndim <= rank:  # _prelu_kernel has it ready to broadcast
        slope = context.share(node, slope, rank, x.place)
    elif slope.size == 1:
        slope = slope.reshape((1,) * max(rank - 1, 0))
    elif rank > 1 and slope.shape == x.shape[1:2]:
        slope = slope.reshape(-1, *(1,) * (rank - 2))
    else:
        raise node.damaged(f"its weight of shape {slope.shape} does not fit an input of shape {x.shape}")
    return context.emit(node, Activation, x, function="prelu", slope=slope)


def softmax(node: Node, context: Context) -> Dynamic:
    """Softmax along one axis."""
    x = node.dynamic("self")
    dim = node.integer("dim")
    context.check_apart(node, x, (dim,))
    x, (axis,) = context.along(node, x, (dim,))
    return context.emit(node, Softmax, x, axis=axis)

"""Elementwise activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.formats.channels_first import open_bound
from edgebn.formats.common_layers import exponential, times
from edgebn.formats.common_layers import power as raised
from edgebn.formats.composed import COMPOSED, Layers
from edgebn.formats.composed import power as power_of_each
from edgebn.formats.composed import shrink as shrunk
from edgebn.formats.onnx import integers, weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.functions import SELU_ALPHA, SELU_SCALE
from edgebn.layers import Activation, Add, Binary, Cast, IntegerBinary, Multiply, Select


def _function(node: Node, context: Context, function: str, **fields: Any) -> Dynamic:
    return context.emit(node, Activation, node.real(0), function=function, **fields)


def relu(node: Node, context: Context) -> Dynamic:
    """Relu; on codes it is a maximum with the zero point, which keeps their scale."""
    return context.moved(node, Activation, node.dynamic(0), function="clip", low=0.0)


def clip(node: Node, context: Context) -> Dynamic:
    """Clip: bounds from attributes (opset 6) or inputs (opset 11)."""
    x = node.real(0)
    if node.opset < 11:
        low, high = node.number("min", -np.inf), node.number("max", np.inf)
    else:
        given_low, given_high = node.static_scalar(1, "lower bound"), node.static_scalar(2, "upper bound")
        low = -np.inf if given_low is None else given_low
        high = np.inf if given_high is None else given_high
    low = min(low, high)  # ONNX: where the bounds cross, everything becomes the upper one
    return context.emit(node, Activation, x, function="clip", low=open_bound(low), high=open_bound(high))


def leaky_relu(node: Node, context: Context) -> Dynamic:
    """LeakyRelu, alpha 0.01 unless said."""
    return _function(node, context, "leaky_relu", alpha=node.number("alpha", 0.01))


def prelu(node: Node, context: Context) -> Dynamic:
    """PRelu with a constant slope that broadcasts against the input."""
    x = node.real(0)
    if isinstance(node.value(1), Dynamic):
        return _computed_prelu(node, context, x, node.real(1))
    slope = weights.real_array(node, node.static(1, "slope"), "slope")
    if node.opset < 7 and slope.ndim == 1 and slope.size > 1:  # then a vector meant one number a channel
        slope = slope.reshape(-1, *[1] * (len(x.shape) - 2))
    if np.broadcast_shapes(slope.shape, x.shape) != x.shape:
        return _computed_prelu(node, context, x, slope)
    return context.emit(node, Activation, x, function="prelu", slope=context.share(node, slope, len(x.shape), x.place))


def _computed_prelu(node: Node, context: Context, x: Dynamic, slope: Dynamic | np.ndarray) -> Dynamic:
    """max(x, 0) + slope * min(x, 0)."""
    of = Layers(node, context)
    above, below = of.apply("clip", x, "above", low=0.0), of.apply("clip", x, "below", high=0.0)
    made: Dynamic = of.add(above, of.times(slope, below, "bent"))
    return made


def sigmoid(node: Node, context: Context) -> Dynamic:
    """Sigmoid."""
    return _function(node, context, "sigmoid")


def tanh(node: Node, context: Context) -> Dynamic:
    """Tanh."""
    return _function(node, context, "tanh")


def hard_sigmoid(node: Node, context: Context) -> Dynamic:
    """HardSigmoid: clip(alpha x + beta, 0, 1), 0.2 and 0.5 unless said."""
    return _function(node, context, "hard_sigmoid", alpha=node.number("alpha", 0.2), beta=node.number("beta", 0.5))


def hard_swish(node: Node, context: Context) -> Dynamic:
    """HardSwish."""
    return _function(node, context, "hard_swish")


def swish(node: Node, context: Context) -> Dynamic:
    """Swish: x * sigmoid(alpha x)."""
    x, alpha = node.real(0), node.number("alpha", 1.0)
    if alpha == 1.0:
        return _function(node, context, "silu")
    array = np.full((), alpha, np.float32)
    scaled = context.emit(node, Multiply, x, context.constant(node, Static(array), array, "alpha"), part="scaled")
    gate = context.emit(node, Activation, scaled, part="gate", function="sigmoid")
    return context.emit(node, Multiply, x, gate)


def unary(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of an operator that is one function of one number."""

    def read(node: Node, context: Context) -> Dynamic:
        return _function(node, context, function)

    return read


def composed(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of an operator that is one function of one number, and several layers."""

    def read(node: Node, context: Context) -> Dynamic:
        made: Dynamic = COMPOSED[function](Layers(node, context), node.real(0))
        return made

    return read


def shrink(node: Node, context: Context) -> Dynamic:
    """Shrink: x + bias below -lambd, x - bias above lambd, 0 between; 0.5 and 0 unless said."""
    made: Dynamic = shrunk(node, context, node.real(0), node.number("lambd", 0.5), node.number("bias", 0.0))
    return made


def elu(node: Node, context: Context) -> Dynamic:
    """Elu, alpha 1 unless said."""
    return _function(node, context, "elu", alpha=node.number("alpha", 1.0))


def selu(node: Node, context: Context) -> Dynamic:
    """Selu: gamma * elu(x, alpha), with the numbers of its paper unless said."""
    alpha, gamma = node.number("alpha", SELU_ALPHA), node.number("gamma", SELU_SCALE)
    if np.allclose((alpha, gamma), (SELU_ALPHA, SELU_SCALE), rtol=1e-6):
        return _function(node, context, "selu")
    bent = context.emit(node, Activation, node.real(0), part="elu", function="elu", alpha=alpha)
    array = np.full((), gamma, np.float32)
    return context.emit(node, Multiply, bent, context.constant(node, Static(array), array, "gamma"))


def gelu(node: Node, context: Context) -> Dynamic:
    """Gelu, exact or by tanh."""
    forms = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = node.text("approximate", "none")
    if approximate not in forms:
        raise node.damaged(f"its approximate '{approximate}' is not one that ONNX defines")
    return _function(node, context, forms[approximate])


def thresholded_relu(node: Node, context: Context) -> Dynamic:
    """ThresholdedRelu: what is above alpha, 1 unless said, and 0 elsewhere."""
    x = node.real(0)
    above = integers.with_number(node, context, x, "greater", node.number("alpha", 1.0), "above")
    return context.emit(node, Select, above, x, context.number(node, 0.0, "zero"), place=x.place)


def sign(node: Node, context: Context) -> Dynamic:
    """Sign: 1, 0 or -1."""
    x = node.real(0)
    sides = [integers.with_number(node, context, x, function, 0, function) for function in ("greater", "less")]
    whole = context.whole_numbers(node, IntegerBinary, *sides, part="whole", place=x.place, function="subtract")
    return context.emit(node, Cast, whole, place=x.place, to="float32")


def celu(node: Node, context: Context) -> Dynamic:
    """Celu: alpha * elu(x / alpha), alpha 1 unless said."""
    x, alpha = node.real(0), node.number("alpha", 1.0)
    if alpha == 1.0:
        return _function(node, context, "elu", alpha=1.0)
    if alpha == 0:
        raise node.damaged("its alpha is 0")
    bent = context.emit(node, Activation, times(node, context, x, 1 / alpha, "scaled"), part="elu", function="elu", alpha=1.0)
    made: Dynamic = times(node, context, bent, alpha, "")
    return made


def softsign(node: Node, context: Context) -> Dynamic:
    """Softsign: x / (1 + |x|)."""
    x = node.real(0)
    size = context.emit(node, Activation, x, part="size", function="abs")
    above = context.emit(node, Add, size, context.number(node, 1.0, "one"), part="above")
    return context.emit(node, Binary, x, above, function="divide")


def power(node: Node, context: Context) -> Dynamic:
    """Pow: by one constant number, of one constant number, or element by element."""
    base, exponent = (_number_or_value(node, index) for index in (0, 1))
    if isinstance(base, float) and isinstance(exponent, Dynamic) and base > 0:
        grown: Dynamic = exponential(node, context, exponent, base)
        return grown
    if isinstance(base, Dynamic) and isinstance(exponent, float) and exponent == 1.0:
        return context.identity(node, base)
    if isinstance(base, Dynamic) and isinstance(exponent, float) and exponent != 0:
        made: Dynamic = raised(node, context, base, exponent)
        return made
    each: Dynamic = power_of_each(
        node, context, *(np.asarray(x, np.float32) if isinstance(x, float) else x for x in (base, exponent))
    )
    return each


def _number_or_value(node: Node, index: int) -> float | np.ndarray | Dynamic:
    """Return an input as a value, as an array, or as one number where it is equal everywhere and changes no shape."""
    value = node.value(index)
    if isinstance(value, Dynamic):
        return node.real(index)
    array = value.array.astype(np.float32) if value.array.dtype.kind in "iub" else weights.real_array(node, value.array, "power")
    other = node.value(1 - index)
    shape = other.shape if isinstance(other, Dynamic) else other.array.shape
    alone = array.size and (array == array.flat[0]).all() and np.broadcast_shapes(array.shape, shape) == shape
    return float(array.flat[0]) if alone else array

"""Arithmetic between tensors that Keras stores as nodes of the graph and not as layers.

Keras 3 stores `x + y` as an operation of class Add, its axes in the configuration; Keras 2 as a TFOpLambda with the name of the
TensorFlow function. Knows both, for the functions of the layers that edgebn runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.activations import operation as activation_operation
from edgebn.formats.keras.merging import chain, difference, joined
from edgebn.formats.keras.moving import identity, permuted, reshaped
from edgebn.formats.keras.place import LayerFunction, Place, Value
from edgebn.formats.keras.settings import as_integer, as_number, as_numbers, resolved_axis
from edgebn.layers import Activation, Add, Multiply, Reduce, Softmax


def _argument(place: Place, position: int, *names: str) -> Any:
    """Return an argument of the call, by position or by name, else from the settings."""
    if position < len(place.args):
        return place.args[position]
    for name in names:
        if name in place.kwargs:
            return place.kwargs[name]
        if place.settings.get(name) is not None:
            return place.settings.get(name)
    return None


def _operand(place: Place, position: int, *names: str) -> str | np.ndarray:
    """Return one operand: a value's name, or a constant array."""
    argument = _argument(place, position, *names)
    if isinstance(argument, Value):
        return str(argument)
    if argument is None:
        raise ModelError(f"its operand {position + 1} is missing; the file is damaged")
    try:
        return np.asarray(as_numbers(argument, f"operand {position + 1}"), dtype=np.float32)
    except ValueError:
        raise ModelError(f"its operand {position + 1} is no regular array") from None


def _named(place: Place, operand: str | np.ndarray, stage: str) -> str:
    return operand if isinstance(operand, str) else place.constant(operand, stage)


def _operands(place: Place) -> tuple[str | np.ndarray, str | np.ndarray]:
    return _operand(place, 0, "x", "x1"), _operand(place, 1, "y", "x2")


def _sum(place: Place) -> str:
    left, right = _operands(place)
    return chain(place, Add, [_named(place, left, "left"), _named(place, right, "right")])


def _product(place: Place) -> str:
    left, right = _operands(place)
    return chain(place, Multiply, [_named(place, left, "left"), _named(place, right, "right")])


def _difference(place: Place) -> str:
    left, right = _operands(place)
    if isinstance(right, np.ndarray):
        return place.add(Add, [_named(place, left, "left"), place.constant(-right, "right")])
    return difference(place, _named(place, left, "left"), right)


def _quotient(place: Place) -> str:
    left, right = _operands(place)
    if not isinstance(right, np.ndarray) or (np.abs(right) < 1e-30).any():
        raise place.unsupported("edgebn divides by constants only, and not by zero; multiply by the reciprocal instead")
    return place.add(Multiply, [_named(place, left, "left"), place.constant(1 / right, "right")])


def _negative(place: Place) -> str:
    return place.add(Multiply, [place.input, place.constant(-1.0, "minus_one")])


def _reduced(function: str) -> LayerFunction:
    def add(place: Place) -> str:
        axes = _argument(place, 1, "axis")
        if axes is None:
            raise place.unsupported("edgebn does not reduce over the batch; name the axes")
        listed = axes if isinstance(axes, list) else [axes]
        resolved = sorted({resolved_axis(as_integer(axis, "axis"), len(place.shape), "axis") for axis in listed})
        keep = _argument(place, 2, "keepdims")
        return place.add(Reduce, [place.input], function=function, axes=tuple(resolved), keepdims=keep is True)

    return add


def _clip(place: Place) -> str:
    low, high = _argument(place, 1, "x_min", "clip_value_min"), _argument(place, 2, "x_max", "clip_value_max")
    return place.add(
        Activation, [place.input], function="clip", low=as_number(low, "lower bound"), high=as_number(high, "upper bound")
    )


def _softmax(place: Place) -> str:
    axis = _argument(place, 1, "axis")
    number = -1 if axis is None else as_integer(axis, "axis")
    return place.add(Softmax, [place.input], axis=resolved_axis(number, len(place.shape), "axis"))


def _reshape(place: Place) -> str:
    target = _argument(place, 1, "newshape", "shape")
    if not isinstance(target, list) or len(target) < 2 or target[0] not in (None, -1):
        raise place.unsupported("edgebn reshapes within a sample: the first size must be -1, the batch; use a Reshape layer")
    return reshaped(place, target[1:])


def _transpose(place: Place) -> str:
    axes = _argument(place, 1, "axes", "perm")
    if not isinstance(axes, list) or not axes or axes[0] != 0:
        raise place.unsupported("edgebn keeps the batch axis first; use a Permute layer")
    return permuted(place, axes[1:])


def _concatenate(place: Place) -> str:
    return joined(place, place.inputs, _argument(place, 1, "axis"))


# Keras 3's class names, which are those of keras.ops.
OPERATIONS: dict[str, Callable[[Place], str]] = {
    "Add": _sum,
    "Multiply": _product,
    "Subtract": _difference,
    "Divide": _quotient,
    "TrueDivide": _quotient,
    "Negative": _negative,
    "Mean": _reduced("mean"),
    "Max": _reduced("max"),
    "Clip": _clip,
    "Relu": activation_operation("relu"),
    "Relu6": activation_operation("relu6"),
    "LeakyRelu": activation_operation("leaky_relu"),
    "Sigmoid": activation_operation("sigmoid"),
    "Tanh": activation_operation("tanh"),
    "Silu": activation_operation("silu"),
    "HardSigmoid": activation_operation("hard_sigmoid"),
    "HardSilu": activation_operation("hard_silu"),
    "Softmax": _softmax,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concatenate": _concatenate,
    "Identity": identity,
}

# TensorFlow's names, as a TFOpLambda gives them under 'function'.
TENSORFLOW_OPERATIONS: dict[str, Callable[[Place], str]] = {
    "__operators__.add": _sum,
    "math.add": _sum,
    "math.multiply": _product,
    "math.subtract": _difference,
    "math.truediv": _quotient,
    "math.divide": _quotient,
    "math.negative": _negative,
    "math.reduce_mean": _reduced("mean"),
    "math.reduce_max": _reduced("max"),
    "clip_by_value": _clip,
    "nn.relu": activation_operation("relu"),
    "nn.relu6": activation_operation("relu6"),
    "math.sigmoid": activation_operation("sigmoid"),
    "math.tanh": activation_operation("tanh"),
    "nn.silu": activation_operation("silu"),
    "nn.softmax": _softmax,
    "reshape": _reshape,
    "concat": _concatenate,
}


def tensorflow_operation(place: Place) -> str:
    """TFOpLambda: one TensorFlow function by name."""
    function = place.settings.text("function", "")
    if function not in TENSORFLOW_OPERATIONS:
        raise place.unsupported(f"edgebn does not run the TensorFlow function '{function[:60]}'; use a Keras layer in its place")
    return TENSORFLOW_OPERATIONS[function](place)

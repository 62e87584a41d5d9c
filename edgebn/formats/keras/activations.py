"""Activations: layers of their own, and the `activation=` argument of other layers.

Formulas: https://keras.io/api/layers/activations; hard_sigmoid changed from 0.2 x + 0.5 (Keras 2) to x / 6 + 0.5 (Keras 3).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.keras.functions import COMPOSED
from edgebn.formats.keras.parts import Parts
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.formats.keras.settings import Settings, as_integer, resolved_axis
from edgebn.layers import Activation, Add, Identity, Layer, Multiply, Softmax

# Steep enough that a hard sigmoid is a step for every float32 that is not zero: the least is 2**-149.
_STEP_SLOPE = 2.0**100
# A threshold this close to zero could not be told from zero.
_MIN_THRESHOLD = 1e-6

_BY_NAME: dict[str, dict[str, Any]] = {
    "relu": {"function": "clip", "low": 0.0},
    "relu6": {"function": "clip", "low": 0.0, "high": 6.0},
    "hard_tanh": {"function": "clip", "low": -1.0, "high": 1.0},
    "leaky_relu": {"function": "leaky_relu", "alpha": 0.2},
    "sigmoid": {"function": "sigmoid"},
    "tanh": {"function": "tanh"},
    "silu": {"function": "silu"},
    "swish": {"function": "silu"},
    "elu": {"function": "elu", "alpha": 1.0},
    "exponential": {"function": "exp"},
    "gelu": {"function": "gelu"},
    "mish": {"function": "mish"},
    "selu": {"function": "selu"},
    "softplus": {"function": "softplus"},
    "sparse_sigmoid": {"function": "hard_sigmoid", "alpha": 0.5, "beta": 0.5},
    "hard_silu": {"function": "hard_swish"},
    "hard_swish": {"function": "hard_swish"},
}


def fused(place: Place, kind: type[Layer], inputs: list[str] | None = None, stage: str = "", **fields: Any) -> str:
    """Add a graph layer followed by what the Keras layer's `activation` says; return the value after it."""
    activation = place.settings.get("activation")
    if activation in (None, "linear") or _serialised_name(activation) == "linear":
        return place.add(kind, inputs, stage, **fields)
    before = place.add(kind, inputs, stage, "before_activation", **fields)
    return _apply(replace(place, inputs=[before]), activation, stage="activation")


def activation_layer(place: Place) -> str:
    """Activation: any function by name."""
    return _apply(place, place.settings.get("activation"), stage="")


def operation(name: str) -> LayerFunction:
    """Return the function of a Keras operation that is the activation `name`."""

    def add(place: Place) -> str:
        plain = replace(place, inputs=place.inputs[:1])
        if name == "leaky_relu":
            return plain.add(Activation, function=name, alpha=place.settings.number("negative_slope", 0.2))
        return _apply(plain, name, stage="")

    return add


def name_of(activation: Any, default: str) -> str:
    """Return the name of a function in a configuration; '' for a layer in its place."""
    if activation is None:
        return default
    return activation if isinstance(activation, str) else _serialised_name(activation)


def _serialised_name(activation: Any) -> str:
    """Return the name of a function that Keras 3 serialised as a dictionary; '' for anything else."""
    if isinstance(activation, dict) and activation.get("class_name") == "function" and isinstance(activation.get("config"), str):
        return str(activation["config"])
    return ""


def _apply(place: Place, activation: Any, stage: str) -> str:
    name = name_of(activation, "")
    if not name and isinstance(activation, dict):
        return _apply_layer(place, activation, stage)
    if name == "linear":
        return place.add(Identity, stage=stage)
    if name == "softmax":
        return place.add(Softmax, stage=stage, axis=len(place.shape) - 1)
    if name == "hard_sigmoid":
        slope = 0.2 if place.keras2 else 1 / 6
        return place.add(Activation, stage=stage, function="hard_sigmoid", alpha=slope, beta=0.5)
    if name in COMPOSED:
        return COMPOSED[name](place, stage)
    if name not in _BY_NAME:
        raise _unknown(name or activation)
    return place.add(Activation, stage=stage, **_BY_NAME[name])


def _apply_layer(place: Place, serialised: dict[str, Any], stage: str) -> str:
    """Apply an activation given as a whole layer: `activation=LeakyReLU(0.1)`."""
    class_name, config = serialised.get("class_name"), serialised.get("config")
    if class_name == "PReLU":
        raise place.unsupported("Keras does not save the slope of a PReLU within another layer; make it a layer of its own")
    inner = {"ReLU": relu, "LeakyReLU": leaky_relu, "Softmax": softmax, "ELU": elu}.get(str(class_name))
    if inner is None or not isinstance(config, dict):
        raise _unknown(class_name)
    return inner(replace(place, settings=Settings(config)), stage)


def _unknown(activation: Any) -> UnsupportedLayerError:
    return UnsupportedLayerError(f"edgebn does not run the activation '{str(activation)[:60]}'; train with relu, relu6 or silu")


def elu(place: Place, stage: str = "") -> str:
    """ELU: alpha * (exp(x) - 1) below zero."""
    return place.add(Activation, stage=stage, function="elu", alpha=place.settings.number("alpha", 1.0))


def relu(place: Place, stage: str = "") -> str:
    """ReLU with its three arguments.

    max_value where x >= max_value; x where threshold < x; negative_slope (x - threshold) elsewhere.
    """
    maximum = place.settings.get("max_value")
    high = math.inf if maximum is None else place.settings.number("max_value", 0.0)
    slope = place.settings.number("negative_slope", 0.0)
    threshold = place.settings.number("threshold", 0.0)
    if high < 0:
        raise ModelError(f"its max_value {high} is negative")
    if abs(threshold) >= _MIN_THRESHOLD:
        return _thresholded(place, stage, slope, threshold, high)
    if slope == 0:
        return place.add(Activation, stage=stage, function="clip", low=0.0, high=high)
    if high == math.inf:
        return place.add(Activation, stage=stage, function="leaky_relu", alpha=slope)
    leaky = place.add(Activation, stage=stage, output="leaky", function="leaky_relu", alpha=slope)
    return place.add(Activation, [leaky], f"{stage}clip", function="clip", high=high)


def _thresholded(place: Place, stage: str, slope: float, threshold: float, high: float) -> str:
    """Add x * [x > threshold] + slope * min(x - threshold, 0), from steps that the graph has; it jumps at the threshold."""
    source = place.input
    shifted = place.add(Add, [source, place.constant(-threshold, f"{stage}minus_threshold")], f"{stage}shift", f"{stage}shifted")
    step = place.add(Activation, [shifted], f"{stage}step", f"{stage}step", function="hard_sigmoid", alpha=_STEP_SLOPE, beta=0.0)
    if slope == 0:
        return place.add(Multiply, [source, step], stage, high=high)
    kept = place.add(Multiply, [source, step], stage, f"{stage}kept", high=high)
    below = place.add(Activation, [shifted], f"{stage}below", f"{stage}below", function="clip", high=0.0)
    scaled = place.add(Multiply, [below, place.constant(slope, f"{stage}slope")], f"{stage}scale", f"{stage}scaled")
    return place.add(Add, [kept, scaled], f"{stage}sum", high=high)


def leaky_relu(place: Place, stage: str = "") -> str:
    """LeakyReLU; Keras 2 calls the slope alpha."""
    slope = place.settings.number("alpha", place.settings.number("negative_slope", 0.3))
    return place.add(Activation, stage=stage, function="leaky_relu", alpha=slope)


def prelu(place: Place) -> str:
    """PReLU: a trained slope an element, shared along `shared_axes`."""
    shared = place.settings.get("shared_axes") or []
    listed = shared if isinstance(shared, list) else [shared]
    axes = {resolved_axis(as_integer(axis, "shared_axes"), len(place.shape), "shared axis") for axis in listed}
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(place.shape))
    slope = place.weight(0, "slope", shape)
    return place.add(Activation, function="prelu", slope=slope)


def softmax(place: Place, stage: str = "") -> str:
    """Softmax along one axis, or along several together."""
    if len(place.inputs) > 1:
        raise place.unsupported("edgebn runs softmax without a mask")
    return softmax_along(place, place.settings.get("axis"), stage)


def softmax_along(place: Place, axis: Any, stage: str = "") -> str:
    """Add a softmax along an axis that counts the batch, the last unless said, or along a list of them."""
    listed = axis if isinstance(axis, list) else [-1 if axis is None else axis]
    axes = sorted({resolved_axis(as_integer(one, "axis"), len(place.shape), "axis") for one in listed})
    if not axes:
        raise ModelError("it names no axis")
    if len(axes) == 1:
        return place.add(Softmax, stage=stage, axis=axes[0])
    parts = Parts(place, f"{stage}_" if stage else "")
    kept = [number for number in range(len(place.shape)) if number not in axes]
    order = [*kept, *axes]
    moved = parts.moved(place.input, order, "moved")
    shape = parts.shape(moved)
    flat = str(parts.reshaped(moved, [*shape[: len(kept)], math.prod(shape[len(kept) :])], "flat"))
    shares = parts.add(Softmax, [flat], "shares", axis=len(kept))
    apart = parts.reshaped(shares, shape, "apart")
    return place.add(Identity, [str(parts.moved(apart, np.argsort(order).tolist(), "ordered"))], stage)

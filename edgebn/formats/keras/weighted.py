"""What Keras records of convolutions, pools and norms called in code: their weights are constants among the arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras import convolutions, pooling
from edgebn.formats.keras.operands import as_array
from edgebn.formats.keras.place import LayerFunction, Place, Value
from edgebn.formats.keras.settings import Settings, as_integer, resolved_axis
from edgebn.layers import BatchNorm, Normalization

EPSILON = 1e-7  # keras.backend.epsilon()


def _constants(place: Place, *names: str) -> list[np.ndarray | None]:
    """Return the arguments behind the first by their names, None where one is left out."""
    found: list[np.ndarray | None] = []
    for position, name in enumerate(names, 1):
        argument: Any = place.args[position] if position < len(place.args) else place.kwargs.get(name)
        if isinstance(argument, Value):
            raise place.unsupported(f"its {name} is what the network computes; edgebn takes constants there")
        found.append(None if argument is None else as_array(argument, name))
    return found


def _convolved(kernels: tuple[str, ...], layers: dict[int, LayerFunction], kind: str) -> LayerFunction:
    """Return the function of a convolution: a layer's whose settings are those of the operation and of its kernels' shapes."""

    def add(place: Place) -> str:
        given = [array for array in _constants(place, *kernels) if array is not None]
        if len(given) != len(kernels) or given[0].ndim - 2 not in layers:
            raise ModelError(f"it has {len(given)} kernels, the first of {given[0].ndim if given else 0} axes")
        rank, shape = given[0].ndim - 2, given[0].shape
        _, channels, _ = place.spatial(rank)
        last = {"conv": shape[-1], "depthwise": 1, "separable": given[-1].shape[-1]}[kind]
        own: dict[str, Any] = {"kernel_size": list(shape[:rank]), "use_bias": False, "filters": last, "activation": None}
        if kind == "conv":
            own["groups"] = channels // shape[-2] if shape[-2] and channels % shape[-2] == 0 else 0
        if kind in ("depthwise", "separable"):
            own["depth_multiplier"] = shape[-1]
        settings = Settings({**place.settings.values, **own})
        made = layers[rank](replace(place, settings=settings, given=given))
        assert isinstance(made, str)
        return made

    return add


convolution = _convolved(("kernel",), {1: convolutions.convolution(1), 2: convolutions.convolution(2)}, "conv")
depthwise = _convolved(("kernel",), {1: convolutions.depthwise(1), 2: convolutions.depthwise(2)}, "depthwise")
separable = _convolved(
    ("depthwise_kernel", "pointwise_kernel"), {1: convolutions.separable(1), 2: convolutions.separable(2)}, "separable"
)


def _pool(make: Callable[[str, int], LayerFunction]) -> Callable[[str], LayerFunction]:
    """Return what gives a pool's function by its name: the layer of as many axes as its value has."""

    def of(function: str) -> LayerFunction:
        def add(place: Place) -> str | list[str]:
            rank = len(place.shape) - 1
            if rank not in (1, 2):
                raise place.unsupported(f"it pools a value of {rank + 2} axes; edgebn pools in one and two dimensions")
            return make(function, rank)(place)

        return add

    return of


pool = _pool(pooling.window)
adaptive_pool = _pool(pooling.adaptive)


def batch_norm(place: Place) -> str:
    """batch_normalization by constant statistics."""
    mean, variance, offset, scale = _constants(place, "mean", "variance", "offset", "scale")
    if mean is None or variance is None:
        raise ModelError("it lacks a mean or a variance")
    axis = resolved_axis(place.settings.integer("axis", -1), len(place.shape), "axis")
    return place.add(
        BatchNorm,
        [place.input],
        gamma=np.ones_like(mean) if scale is None else scale,
        beta=np.zeros_like(mean) if offset is None else offset,
        mean=mean,
        variance=variance,
        epsilon=place.settings.number("epsilon", 1e-3),
        axis=axis,
    )


def layer_norm(place: Place) -> str:
    """layer_normalization over any axes."""
    if place.settings.flag("rms_scaling", False):
        raise place.unsupported("its rms_scaling is another norm than its name says; use rms_normalization")
    gamma, beta = _constants(place, "gamma", "beta")
    return _own_statistics(place, gamma, beta, centred=True)


def rms_norm(place: Place) -> str:
    """rms_normalization over any axes."""
    (scale,) = _constants(place, "scale")
    return _own_statistics(place, scale, None, centred=False)


def _own_statistics(place: Place, gamma: np.ndarray | None, beta: np.ndarray | None, *, centred: bool) -> str:
    given = place.settings.get("axis")
    listed = given if isinstance(given, list) else [-1 if given is None else given]
    axes = tuple(sorted({resolved_axis(as_integer(axis, "axis"), len(place.shape), "axis") for axis in listed}))
    shape = tuple(place.shape[axis] for axis in axes)
    wide = tuple(size if axis in axes else 1 for axis, size in enumerate(place.shape))
    for array in (gamma, beta):
        if array is not None and array.shape != shape:
            raise place.unsupported(f"its scale or shift has shape {array.shape}; edgebn takes the shape of its axes, {shape}")
    gamma, beta = (None if array is None else array.reshape(wide) for array in (gamma, beta))
    epsilon = place.settings.number("epsilon", EPSILON)
    return place.add(
        Normalization, [place.input], axes=axes, axis=axes[-1], gamma=gamma, beta=beta, epsilon=epsilon, centred=centred
    )

"""Batch norm, and the preprocessing layers that are a fixed scale and shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.activations import fused
from edgebn.formats.keras.operands import as_array, without_batch
from edgebn.formats.keras.place import Place
from edgebn.formats.keras.settings import as_integer, resolved_axis
from edgebn.layers import Activation, Add, BatchNorm, Binary, Identity, Multiply, Normalization, Reduce

# keras.backend.epsilon(): Normalization never divides by less.
_KERAS_EPSILON = 1e-7
_MIN_NORM = 1e-12  # of UnitNormalization


def batch_norm(place: Place) -> str:
    """Read a BatchNormalization on any axis; weights are stored as gamma, beta (where there are), moving mean, moving variance."""
    settings = place.settings
    if settings.flag("renorm", False):
        raise place.unsupported("edgebn does not run batch renormalisation; train with renorm=False")
    axis = settings.get("axis")
    if isinstance(axis, list):
        if len(axis) != 1:
            raise place.unsupported(f"edgebn normalises along one axis, not {str(axis)[:40]}")
        axis = axis[0]
    resolved = resolved_axis(-1 if axis is None else as_integer(axis, "axis"), len(place.shape), "axis")
    channels = place.shape[resolved]
    names = ["gamma"] * settings.flag("scale", True) + ["beta"] * settings.flag("center", True) + ["mean", "variance"]
    arrays = {name: place.weight(index, name, (channels,)) for index, name in enumerate(names)}
    return fused(
        place,
        BatchNorm,
        gamma=arrays.get("gamma", np.ones(channels, np.float32)),
        beta=arrays.get("beta", np.zeros(channels, np.float32)),
        mean=arrays["mean"],
        variance=arrays["variance"],
        epsilon=settings.number("epsilon", 1e-3),
        axis=resolved,
    )


def rescaling(place: Place) -> str:
    """Rescaling: x * scale + offset, numbers or one a channel."""
    rank = len(place.shape) + 1
    scale, offset = (_array(place.settings.get(key), default, key) for key, default in (("scale", 1.0), ("offset", 0.0)))
    return _scaled(place, without_batch(place, scale, rank), without_batch(place, offset, rank))


def normalization(place: Place) -> str:
    """Read a Normalization: (x - mean) / max(sqrt(variance), epsilon), with given or learnt statistics."""
    axes = place.settings.get("axis")
    listed = [] if axes is None else axes if isinstance(axes, list) else [axes]
    kept = {resolved_axis(as_integer(axis, "axis"), len(place.shape), "axis") for axis in listed}
    shape = tuple(size for axis, size in enumerate(place.shape) if axis in kept)
    broadcast = tuple(size if axis in kept else 1 for axis, size in enumerate(place.shape))
    if place.settings.get("mean") is None:
        mean, variance = place.weight(0, "mean", shape), place.weight(1, "variance", shape)
    else:
        mean = _array(place.settings.get("mean"), 0.0, "mean")
        variance = _array(place.settings.get("variance"), 1.0, "variance")
    if not (np.isfinite(mean).all() and np.isfinite(variance).all()) or (variance < 0).any():
        raise ModelError("its mean or variance is not a finite number; adapt the layer again")
    mean, variance = _spread(mean, shape, broadcast), _spread(variance, shape, broadcast)
    deviation = np.maximum(np.sqrt(variance.astype(np.float64)), _KERAS_EPSILON)
    if place.settings.flag("invert", False):
        return _scaled(place, deviation, mean)
    centred = place.add(Add, [place.input, place.constant(-mean, "minus_mean")], "centre", "centred")
    return place.add(Multiply, [centred, place.constant(1 / deviation, "factor")])


def layer_norm(place: Place) -> str:
    """Read a LayerNormalization over any axes; weights are gamma and beta, of the shape of those axes."""
    resolved = _axes(place)
    shape = tuple(place.shape[axis] for axis in resolved)
    rms = place.settings.flag("rms_scaling", False)
    return _own_statistics(place, shape, resolved, axes=resolved, axis=resolved[-1], centred=not rms, shifts=not rms)


def rms_norm(place: Place) -> str:
    """Read an RMSNormalization over any axes; its only weight is the scale, of the shape of those axes."""
    resolved = _axes(place)
    shape = tuple(place.shape[axis] for axis in resolved)
    wide = tuple(size if axis in resolved else 1 for axis, size in enumerate(place.shape))
    scale = place.weight(0, "scale", shape).reshape(wide)
    epsilon = place.settings.number("epsilon", 1e-6)
    return place.add(Normalization, axes=resolved, axis=resolved[-1], gamma=scale, epsilon=epsilon, centred=False)


def unit_norm(place: Place) -> str:
    """Read a UnitNormalization: divided by the root of the sum of squares, or by a tiny number where that is smaller."""
    squares = place.add(Activation, None, "squares", "squares", function="square")
    total = place.add(Reduce, [squares], "sum", "sum", function="sum", axes=_axes(place), keepdims=True)
    norm = place.add(Activation, [total], "norm", "norm", function="sqrt")
    bounded = place.add(Activation, [norm], "bounded", "bounded", function="clip", low=_MIN_NORM)
    return place.add(Binary, [place.input, bounded], function="divide")


def layer_scale(place: Place) -> str:
    """LayerScale: times one trained number a channel."""
    return place.add(Multiply, [place.input, place.constant(place.weight(0, "gamma", place.shape[-1:]), "gamma")])


def _axes(place: Place) -> tuple[int, ...]:
    """Return the axes, the last one unless said, as those of a sample."""
    axes = place.settings.get("axis")
    listed = axes if isinstance(axes, list) else [-1 if axes is None else axes]
    return tuple(sorted({resolved_axis(as_integer(axis, "axis"), len(place.shape), "axis") for axis in listed}))


def group_norm(place: Place) -> str:
    """Read a GroupNormalization: blocks of channels; -1 groups are as many as there are channels."""
    axis = resolved_axis(place.settings.integer("axis", -1), len(place.shape), "axis")
    channels = place.shape[axis]
    groups = place.settings.integer("groups", 32)
    groups = channels if groups == -1 else groups
    if groups < 1 or channels % groups:
        raise ModelError(f"its {groups} groups do not divide {channels} channels")
    return _own_statistics(place, (channels,), (axis,), axes=tuple(range(len(place.shape))), axis=axis, groups=groups)


def _own_statistics(place: Place, shape: tuple[int, ...], kept: tuple[int, ...], *, shifts: bool = True, **fields: Any) -> str:
    """Add a norm whose gamma and beta have `shape`, along the axes `kept`."""
    wide = tuple(size if axis in kept else 1 for axis, size in enumerate(place.shape))
    names = ["gamma"] * place.settings.flag("scale", True) + ["beta"] * (shifts and place.settings.flag("center", True))
    arrays = {name: place.weight(index, name, shape).reshape(wide) for index, name in enumerate(names)}
    epsilon = place.settings.number("epsilon", 1e-3)
    return place.add(Normalization, gamma=arrays.get("gamma"), beta=arrays.get("beta"), epsilon=epsilon, **fields)


def _scaled(place: Place, scale: np.ndarray, offset: np.ndarray) -> str:
    source = place.input
    if (offset == 0).all():
        return place.add(Identity) if (scale == 1).all() else place.add(Multiply, [source, place.constant(scale, "factor")])
    scaled = place.add(Multiply, [source, place.constant(scale, "factor")], "scale", "scaled")
    return place.add(Add, [scaled, place.constant(offset, "offset")])


def _array(value: Any, default: float, key: str) -> np.ndarray:
    return as_array(default if value is None else value, key)


def _spread(array: np.ndarray, kept: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Give statistics the shape in which they broadcast against the input: they fit the `kept` axes, or broadcast against them."""
    while array.ndim > len(kept) and array.shape[0] == 1:
        array = array[0]
    try:
        return np.broadcast_to(array, kept).reshape(shape)
    except ValueError:
        raise ModelError(f"its statistics of shape {array.shape} do not fit the axes of shape {kept}") from None

"""Pooling over windows and over the whole image."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.adaptive_windows import Windows, windows
from edgebn.formats.keras.parts import Parts
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.layers import Add, Binary, Gather, Identity, Multiply, Pool, Reduce, same_padding


def window(function: str, rank: int) -> LayerFunction:
    """Return the function of Max- or AveragePooling in one or two dimensions; padding is never counted in an average."""

    def add(place: Place) -> str:
        size, _, first = place.spatial(rank)
        kernel = place.settings.pair("pool_size", rank, 2)
        strides = kernel if place.settings.get("strides") is None else place.settings.pair("strides", rank)
        mode = place.settings.text("padding", "valid")
        if mode not in ("valid", "same"):
            raise ModelError(f"its padding '{mode[:40]}' is not one of valid and same")
        padding = (0, 0, 0, 0)
        if mode == "same":
            top, bottom = same_padding(size[0], kernel[0], strides[0])
            left, right = same_padding(size[1], kernel[1], strides[1])
            padding = (top, left, bottom, right)
        return place.add(Pool, function=function, kernel=kernel, strides=strides, padding=padding, channels_first=first)

    return add


def adaptive(function: str, rank: int) -> LayerFunction:
    """Return the function of AdaptiveMax- or AdaptiveAveragePooling in one or two dimensions."""

    def add(place: Place) -> str:
        size, _, first = place.spatial(rank)
        wanted = place.settings.sizes("output_size", rank)
        axes = tuple(range(1, rank + 1)) if first else tuple(range(rank))
        along = [windows(length, target) for length, target in zip(size[2 - rank :], wanted, strict=True)]
        if all(one.regular for one in along):
            kernel = tuple(one.length for one in along)
            strides = tuple(one.stride for one in along)
            if rank == 1:
                kernel, strides = (1, *kernel), (1, *strides)
            return place.add(
                Pool, [place.input], function=function, kernel=kernel, strides=strides, padding=(0, 0, 0, 0), channels_first=first
            )
        value, parts = place.input, Parts(place)
        for axis, one in zip(axes, along, strict=True):
            value = _of_unequal(parts.below(f"axis{axis}"), value, axis, one, function)
        return place.add(Identity, [value])

    return add


def _of_unequal(parts: Parts, value: str, axis: int, of: Windows, function: str) -> str:
    """Return the average or maximum of windows along one axis, element by element of each window."""
    shape, made = parts.shape(value), ""
    for place in range(of.length):
        picked = of.starts + np.minimum(place, of.lengths - 1)
        indices = tuple(picked if position == axis else None for position in range(len(shape)))
        one = parts.add(Gather, [value], f"picked{place}", indices=indices)
        if function == "average":
            shares = np.where(place < of.lengths, 1.0 / of.lengths, 0.0).reshape(-1, *[1] * (len(shape) - axis - 1))
            one = parts.add(Multiply, [one, parts.constant(shares, f"shares{place}")], f"share{place}")
        if not made:
            made = one
        elif function == "average":
            made = parts.add(Add, [made, one], f"sum{place}")
        else:
            made = parts.add(Binary, [made, one], f"maximum{place}", function="maximum")
    return made


def whole(function: str, rank: int) -> LayerFunction:
    """Return the function of GlobalMax- or GlobalAveragePooling."""

    def add(place: Place) -> str:
        _, _, first = place.spatial(rank)
        axes = tuple(range(1, rank + 1)) if first else tuple(range(rank))
        return place.add(Reduce, function=function, axes=axes, keepdims=place.settings.flag("keepdims", False))

    return add

"""Pooling over windows and over the whole image."""

from __future__ import annotations

from edgebn.errors import ModelError
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.layers import Pool, Reduce, same_padding


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


def whole(function: str, rank: int) -> LayerFunction:
    """Return the function of GlobalMax- or GlobalAveragePooling."""

    def add(place: Place) -> str:
        _, _, first = place.spatial(rank)
        axes = tuple(range(1, rank + 1)) if first else tuple(range(rank))
        return place.add(Reduce, function=function, axes=axes, keepdims=place.settings.flag("keepdims", False))

    return add

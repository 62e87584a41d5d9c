"""Layers that move, repeat or cut values without computing: padding, cropping, upsampling, flatten, reshape, permute."""

from __future__ import annotations

import math

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.formats.keras.settings import as_integer
from edgebn.layers import MAX_EXTENT, Crop, Gather, Identity, Pad, Reshape, Resize, Transpose


def identity(place: Place) -> str:
    """Dropout and everything else that does nothing at inference."""
    return place.add(Identity, [place.input])


def zero_padding(rank: int) -> LayerFunction:
    """Return the function of ZeroPadding1D or ZeroPadding2D."""

    def add(place: Place) -> str:
        _, _, first = place.spatial(rank)
        sides = place.settings.sides("padding", rank, 1)
        return place.add(Pad, pads=((0, 0), *sides) if first else (*sides, (0, 0)))

    return add


def cropping(rank: int) -> LayerFunction:
    """Return the function of Cropping1D or Cropping2D."""

    def add(place: Place) -> str:
        _, _, first = place.spatial(rank)
        sides = place.settings.sides("cropping", rank, 0)
        cuts = ((0, 0), *sides) if first else (*sides, (0, 0))
        sizes = tuple(size - before - after for size, (before, after) in zip(place.shape, cuts, strict=True))
        return place.add(Crop, starts=tuple(before for before, _ in cuts), sizes=sizes)

    return add


def center_crop(place: Place) -> str:
    """CenterCrop, of an image that is not smaller; the odd row or column goes after."""
    (height, width), _, first = place.spatial(2)
    wanted = (place.settings.integer("height"), place.settings.integer("width"))
    starts = tuple((size - kept) // 2 for size, kept in zip((height, width), wanted, strict=True))
    if min(wanted) < 1 or min(starts) < 0:
        raise place.unsupported(
            f"it crops an image of {height} x {width} to {wanted[0]} x {wanted[1]}, which would resize it; "
            "resize the input before the network"
        )
    channels = place.shape[0 if first else -1]
    return place.add(
        Crop,
        starts=(0, *starts) if first else (*starts, 0),
        sizes=(channels, *wanted) if first else (*wanted, channels),
    )


def upsampling(rank: int) -> LayerFunction:
    """Return the function of UpSampling1D or UpSampling2D; bilinear uses half-pixel centres."""

    def add(place: Place) -> str:
        (height, width), _, first = place.spatial(rank)
        vertical, horizontal = place.settings.pair("size", rank, 2)
        function = place.settings.text("interpolation", "nearest")
        if function not in ("nearest", "bilinear"):
            raise place.unsupported(f"edgebn upsamples nearest and bilinear, not '{function[:40]}'")
        return place.add(
            Resize,
            function=function,
            size=(height * vertical, width * horizontal),
            ratio=(1 / vertical, 1 / horizontal),
            coordinates="asymmetric" if function == "nearest" else "half_pixel",
            channels_first=first,
        )

    return add


def resizing(place: Place) -> str:
    """Resizing to a height and width, whatever the aspect."""
    for key in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        if place.settings.flag(key, False):
            raise place.unsupported(f"edgebn resizes without {key}; prepare the input before the network")
    size = (place.settings.integer("height", 0), place.settings.integer("width", 0))
    return resized(place, size, place.settings.text("interpolation", "bilinear"))


def resized(place: Place, size: tuple[int, int], function: str) -> str:
    """Add a nearest or bilinear resampling with half-pixel centres, in which Keras' backends agree.

    In bicubic ones they do not: torch's kernel has the parameter -0.75, JAX' -0.5, TensorFlow's that in steps of 1 / 1024.
    """
    (height, width), _, first = place.spatial(2)
    if not all(1 <= length <= MAX_EXTENT for length in size):
        raise ModelError(f"its height and width {size} are none")
    if function not in ("nearest", "bilinear"):
        raise place.unsupported(f"edgebn resizes nearest and bilinear, not '{function[:40]}', in which Keras' backends differ")
    whole = function == "nearest" and size[0] % height == 0 and size[1] % width == 0
    return place.add(
        Resize,
        [place.input],
        function=function,
        size=size,
        ratio=(height / size[0], width / size[1]),
        coordinates="asymmetric" if whole else "tf_half_pixel_for_nn" if function == "nearest" else "half_pixel",
        channels_first=first,
    )


def flatten(place: Place) -> str:
    """Flatten; with channels_first Keras first moves the channels last."""
    shape, source = place.shape, place.input
    if place.settings.channels_first() and len(shape) > 1:
        source = place.add(Transpose, None, "channels_last", "channels_last", permutation=(*range(1, len(shape)), 0))
    return place.add(Reshape, [source], shape=(math.prod(shape),))


def reshape(place: Place) -> str:
    """Reshape; one size may be -1."""
    return reshaped(place, place.settings.get("target_shape"))


def reshaped(place: Place, target: object) -> str:
    """Add a Reshape of the only input to `target`, a list without the batch."""
    if not isinstance(target, list):
        raise ModelError(f"its target shape {str(target)[:60]} should be a list of sizes")
    sizes = [as_integer(size, "target_shape") for size in target]
    if sizes.count(-1) == 1:
        known = -math.prod(sizes)
        elements = math.prod(place.shape)
        if known < 1 or elements % known:
            raise ModelError(f"it cannot turn a value of shape {place.shape} into {tuple(sizes)}")
        sizes[sizes.index(-1)] = elements // known
    if not all(1 <= size <= math.prod(place.shape) for size in sizes):
        raise ModelError(f"it cannot turn a value of shape {place.shape} into {tuple(sizes)}")
    return place.add(Reshape, [place.input], shape=tuple(sizes))


def permute(place: Place) -> str:
    """Permute; Keras counts axes from 1."""
    return permuted(place, place.settings.get("dims"))


def permuted(place: Place, dims: object) -> str:
    """Add a Transpose of the only input by `dims`, counted from 1 without the batch."""
    if not isinstance(dims, list):
        raise ModelError(f"its dims {str(dims)[:60]} should be a list of axes")
    return place.add(Transpose, [place.input], permutation=tuple(as_integer(axis, "dims") - 1 for axis in dims))


def repeat_vector(place: Place) -> str:
    """RepeatVector: a vector at each of n moments."""
    count = place.settings.integer("n")
    if len(place.shape) != 1 or not 1 <= count <= MAX_EXTENT:
        raise ModelError(f"it repeats a value of shape {place.shape} {count} times; it should be a vector")
    row = place.add(Reshape, [place.input], "row", "row", shape=(1, *place.shape))
    return place.add(Gather, [row], indices=(np.zeros(count, np.int64), None))

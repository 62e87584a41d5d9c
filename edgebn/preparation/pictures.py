"""A picture of 8 bits and any size to a network's input: its codes or its real numbers, with no picture in between."""

from __future__ import annotations

import functools
from importlib.util import find_spec

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import Picture
from edgebn.preparation.pixel_numbers import affine, lookup
from edgebn.preparation.resizing import Taps, boxes, linear_taps, resized, taps
from edgebn.program import Buffer

DIFFERENT = 256  # no shift of codes: the kernels look them up
_GREY = (19595, 38470, 7471)  # ITU-R BT.601 in 16 bits, as Pillow has it


@functools.lru_cache(maxsize=64)
def _rows_ofaffine(picture: Picture, channels: int, width: int) -> np.ndarray:
    """Return scales and offsets for a whole row, (2, width * channels)."""
    return np.stack([np.tile(values, width) for values in affine(picture, channels)])


def pictured(pixels: np.ndarray, picture: Picture, buffer: Buffer) -> np.ndarray:
    """Return a picture as a network takes it.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3), (height, width, 1) or (height, width)
        RGB or grey.
    picture : Picture
    buffer : Buffer
        The network's input.

    Returns
    -------
    ndarray, shape of `buffer`
        float32 real numbers, or int8 codes.

    Raises
    ------
    ModelError
        Pixels of another type or shape.
    """
    pixels = coloured(pixels, picture)
    rows, columns, channels = buffer.shape
    order = np.arange(channels)[::-1] if picture.colours == "bgr" else np.arange(channels)
    found = boxes(picture, pixels.shape[:2], (rows, columns))
    top, left, height, width = found.source
    pixels = pixels[top : top + height, left : left + width]
    table = lookup(picture, buffer)
    top, left, height, width = found.target
    if find_spec("numba") is None:
        inner = specified(pixels[..., order], picture.resize, table, (height, width))
    else:
        inner = np.empty((height, width, channels), table.dtype)
        _fill(inner, np.ascontiguousarray(pixels), picture, order, table)
    if (height, width) == (rows, columns):
        return inner
    out = np.broadcast_to(table[:, picture.border], buffer.shape).copy()
    out[top : top + height, left : left + width] = inner
    return out


def _fill(inner: np.ndarray, pixels: np.ndarray, picture: Picture, order: np.ndarray, table: np.ndarray) -> None:
    """Do what `specified` does by a kernel."""
    from edgebn.preparation import picture_kernel

    height, width, channels = inner.shape
    shift = _shift(table)
    if picture.resize == "bilinear":
        down, across = linear_taps(pixels.shape[0], height, is_row=True), linear_taps(pixels.shape[1], width, is_row=False)
        if channels == 3:
            _fill_by_blocks(inner, pixels, picture, (down, across), table)
        else:
            picture_kernel.linear(pixels, down.first, down.weights, across.first, across.weights, table, shift, inner)
        return
    down, across = taps(picture.resize, pixels.shape[0], height), taps(picture.resize, pixels.shape[1], width)
    if picture.resize == "nearest":
        picture_kernel.nearest(pixels, down.first, across.first, order, table, shift, inner)
    else:
        several = (down.first, down.counts, down.weights, across.first, across.counts, across.weights)
        picture_kernel.weighed(pixels, *several, order, table, shift, inner)


def _fill_by_blocks(inner: np.ndarray, pixels: np.ndarray, picture: Picture, sides: tuple[Taps, Taps], table: np.ndarray) -> None:
    """Mix two by two pixels of three colours."""
    from edgebn.preparation import bilinear_kernel

    down, across = sides
    blocks = bilinear_kernel.blocks(across)
    shift = _shift(table)
    added, numbers = 0, table
    if inner.dtype == np.float32:
        finish, numbers = bilinear_kernel.REAL, _rows_ofaffine(picture, *inner.shape[:0:-1])
    elif shift != DIFFERENT:
        finish, added = bilinear_kernel.CODES, shift
    else:
        finish = bilinear_kernel.LISTED
    turned = picture.colours == "bgr"
    bilinear_kernel.mixed(pixels, down.first, down.weights, blocks.starts, blocks.weights, turned, finish, added, numbers, inner)


def _shift(table: np.ndarray) -> int:
    """Return what codes are more than their pixels, or DIFFERENT."""
    if table.dtype != np.int8:
        return DIFFERENT
    shifts = table.astype(np.int64) - np.arange(256)
    return int(shifts[0, 0]) if (shifts == shifts[0, 0]).all() else DIFFERENT


def specified(pixels: np.ndarray, method: str, table: np.ndarray, wanted: tuple[int, int]) -> np.ndarray:
    """Return what the kernels give, in NumPy: channels in the input's order."""
    return table[np.arange(pixels.shape[2]), resized(pixels, wanted, method)]


def coloured(pixels: np.ndarray, picture: Picture) -> np.ndarray:
    """Return uint8 (height, width, channels), grey or RGB as the input is."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in {1, 3} or 0 in pixels.shape:
        raise ModelError(f"a picture is uint8 of shape (height, width, 3 or 1), not {pixels.dtype} of shape {pixels.shape}")
    if picture.colours == "grey" and pixels.shape[2] == 3:
        total = pixels.astype(np.int32) @ np.array(_GREY, np.int32)
        return ((total + (1 << 15)) >> 16).astype(np.uint8)[..., None]
    return np.repeat(pixels, 3, axis=2) if picture.colours != "grey" and pixels.shape[2] == 1 else pixels

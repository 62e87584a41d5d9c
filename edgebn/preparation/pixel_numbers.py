"""What number a network's input has for each value of a pixel."""

from __future__ import annotations

import functools

import numpy as np

from edgebn.preparation.data import Picture
from edgebn.program import Buffer


def affine(picture: Picture, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset of each channel."""
    return np.full(channels, picture.scale, np.float32), np.full(channels, picture.offset, np.float32)


@functools.lru_cache(maxsize=64)
def lookup(picture: Picture, buffer: Buffer) -> np.ndarray:
    """Return the input's number of each pixel value, (channels, 256), in the input's type.

    real = pixel * scale + offset; code = clip(rint(real / the input's scale) + zero point), every operation in float32.
    """
    scale, offset = affine(picture, buffer.shape[2])
    table = np.arange(256, dtype=np.float32) * scale[:, None] + offset[:, None]
    if buffer.dtype != "float32":
        table = np.clip(np.rint(table / np.float32(buffer.scale)) + buffer.zero_point, -128, 127).astype(np.int8)
    table.flags.writeable = False  # all callers have this one
    return table

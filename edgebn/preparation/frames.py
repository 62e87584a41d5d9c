"""Frame buffers of cameras as pixels: the specification of what firmware does with them.

rgb565:  5, 6 and 5 bits in a little-endian word (`_swapped`: big-endian), the highest bits repeated below: 31 is 255.
yuyv:    Y U Y V, ITU-R BT.601 of 16 to 235 in 20 bits, as OpenCV's COLOR_YUV2RGB_YUYV
"""

from __future__ import annotations

import numpy as np

from edgebn.preparation.check import BYTES
from edgebn.preparation.data import Frame

_LUMA, _BLUE_U, _GREEN_U, _GREEN_V, _RED_V, _BITS = 1220542, 2116026, -409993, -852492, 1673527, 20


def unpacked(data: np.ndarray, frame: Frame) -> np.ndarray:
    """Return uint8 (height, width, 3), RGB, or (height, width, 1) of a grey frame, from the buffer's bytes."""
    values = np.asarray(data, np.uint8).reshape(frame.height, frame.width, BYTES[frame.layout])
    if frame.layout in {"grey", "rgb888"}:
        return values
    if frame.layout == "bgr888":
        return values[..., ::-1]
    if frame.layout == "yuyv":
        return _from_yuyv(values.astype(np.int64))
    high, low = (0, 1) if frame.layout == "rgb565_swapped" else (1, 0)
    words = values[..., high].astype(np.int64) << 8 | values[..., low]
    red, green, blue = words >> 11, words >> 5 & 63, words & 31
    return np.stack([red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2], axis=-1).astype(np.uint8)


def _from_yuyv(values: np.ndarray) -> np.ndarray:
    luma = np.maximum(values[..., 0] - 16, 0) * _LUMA
    u, v = (np.repeat(values[:, side::2, 1] - 128, 2, axis=1) for side in (0, 1))
    sums = np.stack([luma + _RED_V * v, luma + _GREEN_U * u + _GREEN_V * v, luma + _BLUE_U * u], axis=-1)
    return np.clip((sums + (1 << (_BITS - 1))) >> _BITS, 0, 255).astype(np.uint8)


def packed(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    """Return the buffer's bytes, uint8 (n,), of a picture of its size, uint8 RGB or grey: the nearest that the layout can say."""
    values = pixels.astype(np.int64)
    if frame.layout == "grey":
        return _bytes(values.mean(axis=2, keepdims=True) + 0.5)
    red, green, blue = np.moveaxis(np.broadcast_to(values, (*values.shape[:2], 3)), 2, 0)
    if frame.layout == "rgb888":
        return _bytes(np.stack([red, green, blue], axis=-1))
    if frame.layout == "bgr888":
        return _bytes(np.stack([blue, green, red], axis=-1))
    if frame.layout == "yuyv":
        luma = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
        u = 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256
        v = 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256
        sides = [side.reshape(len(side), -1, 2).mean(axis=2) for side in (u, v)]
        return _bytes(np.stack([luma, np.stack(sides, axis=-1).reshape(luma.shape)], axis=-1) + 0.5)
    words = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
    order = (words >> 8, words & 255) if frame.layout == "rgb565_swapped" else (words & 255, words >> 8)
    return _bytes(np.stack(order, axis=-1))


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8).reshape(-1)

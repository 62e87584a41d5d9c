"""TensorFlow Lite Micro's resampling along one axis: which sources each output reads, and the weights in 1/1024. No graph."""

from __future__ import annotations

import numpy as np

ONE = 1 << 10  # integer weights are in 1/1024


def real_bilinear(size: int, out: int, coordinates: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the two neighbours, int32 (out, 2), and their float32 weights: TensorFlow Lite's for float32 and uint8."""
    align = coordinates == "align_corners" and out > 1
    scale = np.float32(size - 1) / np.float32(out - 1) if align else np.float32(size) / np.float32(out)
    place = np.arange(out, dtype=np.float32)
    place = (place + np.float32(0.5)) * scale - np.float32(0.5) if coordinates == "half_pixel" else place * scale
    lower = np.maximum(np.floor(place), 0)
    upper = np.minimum(np.ceil(place), size - 1)
    second = place - lower.astype(np.float32)
    return np.stack([lower, upper], axis=1).astype(np.int32), np.stack([np.float32(1) - second, second], axis=1).astype(np.float32)


def nearest(size: int, out: int, coordinates: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the source index of every output index, twice, and weights (ONE, 0): int32 (out, 2). Coordinates are float32."""
    align = coordinates == "align_corners" and out > 1
    scale = np.float32(size - 1) / np.float32(out - 1) if align else np.float32(size) / np.float32(out)
    offset = np.float32(0.5 if coordinates == "half_pixel" else 0.0)
    source = (np.arange(out, dtype=np.float32) + offset) * scale
    whole = np.floor(source + np.float32(0.5)) if coordinates == "align_corners" else np.floor(source)
    index = np.clip(whole, 0, size - 1).astype(np.int32)
    return np.stack([index, index], axis=1), np.tile(np.array([ONE, 0], np.int32), (out, 1))


def bilinear(size: int, out: int, coordinates: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the two neighbours (out, 2) and their weights (out, 2), both int32."""
    if coordinates == "align_corners" and out > 1:
        step = (ONE * (size - 1) + (out - 1) // 2) // (out - 1)
    else:
        step = (ONE * size + out // 2) // out
    place = np.arange(out, dtype=np.int64) * step
    if coordinates == "half_pixel":
        place = place + step // 2 - ONE // 2
    lower = np.clip(place // ONE, 0, size - 1)
    upper = np.clip((place + ONE - 1) // ONE, 0, size - 1)
    second = np.where(lower == upper, 0, place - ONE * lower)
    return np.stack([lower, upper], axis=1).astype(np.int32), np.stack([ONE - second, second], axis=1).astype(np.int32)

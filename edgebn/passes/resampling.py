"""Where each output row or column of a `Resize` reads its input: source indices and weights, worked out once."""

from __future__ import annotations

import numpy as np

from edgebn.layers import Resize


def source_coordinates(size: int, out: int, ratio: float, coordinates: str) -> np.ndarray:
    """Return the source coordinate of each output index, float64, shape (out,); formulas in `layers.Resize`.

    Where `ratio` is exactly size / out, whole coordinates come out whole: i * size / out is rounded once.
    """
    index = np.arange(out, dtype=np.float64)
    if coordinates == "align_corners":
        length = out if ratio == size / out else size / ratio  # ONNX counts the length before it is rounded down
        return index * (size - 1) / (length - 1) if out > 1 else np.zeros(out)
    exact = ratio == size / out
    if coordinates == "half_pixel_symmetric" and not exact:
        return size / 2 * (1 - out * ratio / size) + (index + 0.5) * ratio - 0.5
    if coordinates == "asymmetric":
        return index * size / out if exact else index * ratio
    if coordinates == "pytorch_half_pixel" and out == 1:
        return np.zeros(out)
    return (index * 2 + 1) * size / (2 * out) - 0.5 if exact else (index + 0.5) * ratio - 0.5


def axis_table(size: int, out: int, ratio: float, layer: Resize) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices int32, weights float64), both of shape (out, 2), of one axis.

    Nearest: both indices are the source and the weights are 1 and 0. Bilinear: coordinates outside repeat the edge.
    """
    source = source_coordinates(size, out, ratio, layer.coordinates)
    if layer.function == "nearest":
        rounded = {
            "floor": np.floor(source),
            "ceil": np.ceil(source),
            "round_prefer_floor": np.ceil(source - 0.5),
            "round_prefer_ceil": np.floor(source + 0.5),
        }[layer.rounding]
        nearest = np.clip(rounded, 0, size - 1).astype(np.int32)
        return np.stack([nearest, nearest], axis=1), np.tile([1.0, 0.0], (out, 1))
    source = np.clip(source, 0, size - 1)
    low = np.floor(source)
    high = np.minimum(low + 1, size - 1)
    fraction = source - low
    return np.stack([low, high], axis=1).astype(np.int32), np.stack([1 - fraction, fraction], axis=1)

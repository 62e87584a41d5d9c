"""Where each output row or column of a `Resize` reads its input: source indices and weights, worked out once."""

from __future__ import annotations

import numpy as np

from edgebn.coordinates import source_coordinates
from edgebn.layers import Gather, Resize
from edgebn.program import Hwc

TIE = 1e-6  # onnxruntime (1.27 on) takes coordinates this near to the middle of two pixels for the middle


def axis_table(size: int, out: int, ratio: float, layer: Resize) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices int32, weights float64), both of shape (out, 2), of one axis.

    Nearest: both indices are the source and the weights are 1 and 0. Bilinear: coordinates outside repeat the edge.
    """
    source = source_coordinates(size, out, ratio, layer.coordinates, layer.arithmetic)
    if layer.function == "nearest":
        nearest = np.clip(_nearest(source, ratio, layer), 0, size - 1).astype(np.int32)
        return np.stack([nearest, nearest], axis=1), np.tile([1.0, 0.0], (out, 1))
    source = np.clip(source, 0, size - 1)
    low = np.floor(source)
    high = np.minimum(low + 1, size - 1)
    fraction = source - low
    return np.stack([low, high], axis=1).astype(np.int32), np.stack([1 - fraction, fraction], axis=1)


def _nearest(source: np.ndarray, ratio: float, layer: Resize) -> np.ndarray:
    """Return the nearest whole coordinates, which may lie outside."""
    if layer.rounding == "ceil" or (layer.rounding == "ceil_when_smaller" and ratio > 1):
        return np.ceil(source)
    if layer.rounding in ("floor", "ceil_when_smaller"):
        return np.floor(source)
    middle = np.floor(source) + 0.5
    tie = np.abs(source - middle) <= (TIE if layer.arithmetic == "onnxruntime" else 0.0)
    place = np.where(tie, middle, source)
    return np.ceil(place - 0.5) if layer.rounding == "round_prefer_floor" else np.floor(place + 0.5)


def index_tables(layer: Gather, shape: Hwc) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and column indices of a nearest resampling that gathers from a value of `shape`, int32 (n, 2) each."""
    first, second, channels = (None,) * (3 - len(layer.indices)) + layer.indices
    assert channels is None, "three_axes.py makes columns of the last axis"
    tables = (np.arange(size) if picked is None else picked for picked, size in zip((first, second), shape[:2], strict=True))
    rows, columns = (np.stack([table, table], axis=1).astype(np.int32) for table in tables)
    return rows, columns

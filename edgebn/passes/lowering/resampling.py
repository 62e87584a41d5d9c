"""Where each output row or column of a `Resize` reads its input: source indices and weights, worked out once."""

from __future__ import annotations

import numpy as np

from edgebn.layers import Gather, Resize
from edgebn.program import Hwc

HALF = np.float32(0.5)
TIE = 1e-6  # onnxruntime (1.27 on) takes coordinates this near to the middle of two pixels for the middle


def source_coordinates(size: int, out: int, ratio: float, layer: Resize) -> np.ndarray:
    """Return the source coordinate of each output index, float64, shape (out,); formulas in `layers.Resize`."""
    if layer.arithmetic == "exact":
        return _exact(size, out, ratio, layer.coordinates)
    with np.errstate(over="ignore"):
        scale, step = np.float32(1 / ratio), np.float32(ratio)
    index = np.arange(out, dtype=np.float32)
    if layer.arithmetic == "pytorch":
        return _multiplied(size, index, step, layer.coordinates).astype(np.float64)
    if scale == 1:
        return index.astype(np.float64)
    return _divided(size, index, scale, layer.coordinates).astype(np.float64)


def _exact(size: int, out: int, ratio: float, coordinates: str) -> np.ndarray:
    """In float64; where `ratio` is exactly size / out, whole coordinates come out whole: i * size / out is rounded once."""
    index = np.arange(out, dtype=np.float64)
    if coordinates == "align_corners":
        return index * (size - 1) / (out - 1) if out > 1 else np.zeros(out)
    exact = ratio == size / out
    if coordinates == "half_pixel_symmetric" and not exact:
        return size / 2 * (1 - out * ratio / size) + (index + 0.5) * ratio - 0.5
    if coordinates == "asymmetric":
        return index * size / out if exact else index * ratio
    if coordinates == "pytorch_half_pixel" and out == 1:
        return np.zeros(out)
    shift = 0.0 if coordinates == "tf_half_pixel_for_nn" else 0.5
    return (index * 2 + 1) * size / (2 * out) - shift if exact else (index + 0.5) * ratio - shift


def _divided(size: int, index: np.ndarray, scale: np.float32, coordinates: str) -> np.ndarray:
    """As onnxruntime's Resize: float32, divided by the scale (`upsamplebase.h`)."""
    out = len(index)
    if coordinates == "align_corners":
        return index * np.float32(size - 1) / np.float32(out - 1) if out > 1 else index
    if coordinates == "asymmetric":
        return index / scale
    if coordinates == "pytorch_half_pixel" and out == 1:
        return index
    if coordinates == "half_pixel_symmetric":  # onnxruntime adds these up in float64
        offset = np.float32(size) / 2 * (1 - np.float32(out) / (scale * np.float32(size)))
        return (np.float64(offset) + (index.astype(np.float64) + 0.5) / np.float64(scale) - 0.5).astype(np.float32)
    centre = (index + HALF) / scale
    return centre if coordinates == "tf_half_pixel_for_nn" else centre - HALF


def _multiplied(size: int, index: np.ndarray, step: np.float32, coordinates: str) -> np.ndarray:
    """As PyTorch's upsampling: float32, multiplied by the step."""
    if coordinates == "align_corners":
        return index * (np.float32(size - 1) / np.float32(len(index) - 1)) if len(index) > 1 else index
    if coordinates == "asymmetric":
        return index * step
    centre = (index + HALF) * step
    return centre if coordinates == "tf_half_pixel_for_nn" else centre - HALF


def axis_table(size: int, out: int, ratio: float, layer: Resize) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices int32, weights float64), both of shape (out, 2), of one axis.

    Nearest: both indices are the source and the weights are 1 and 0. Bilinear: coordinates outside repeat the edge.
    """
    source = source_coordinates(size, out, ratio, layer)
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

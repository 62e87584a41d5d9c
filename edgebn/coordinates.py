"""Where each output of a resampling reads its input, along one axis: in exact arithmetic, or in that of another runtime."""

from __future__ import annotations

import numpy as np

HALF = np.float32(0.5)


def source_coordinates(size: int, out: int, ratio: float, coordinates: str, arithmetic: str) -> np.ndarray:
    """Return the source coordinate of each output index, float64 (out,); names and formulas as in `layers.Resize`."""
    if arithmetic == "exact":
        return _exact(size, out, ratio, coordinates)
    with np.errstate(over="ignore"):
        scale, step = np.float32(1 / ratio), np.float32(ratio)
    index = np.arange(out, dtype=np.float32)
    if arithmetic == "pytorch":
        return _multiplied(size, index, step, coordinates).astype(np.float64)
    if scale == 1:
        return index.astype(np.float64)
    return _divided(size, index, scale, coordinates).astype(np.float64)


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


def cubic_matrix(source: np.ndarray, size: int, a: float, *, inside: bool = False) -> np.ndarray:
    """Return the weights of a cubic interpolation, float64 (outputs, size), of Keys' kernel with the parameter `a`.

    Keys, Cubic convolution interpolation for digital image processing (1981). Four pixels around each coordinate count; those
    outside repeat the edge, or with `inside` do not count, and the others make up for them.

    Parameters
    ----------
    source : ndarray of float64, shape (outputs,)
        Coordinates.
    size : int
        Pixels of the input.
    """
    first = np.floor(source)
    t = source - first
    far = [((a * u - 5 * a) * u + 8 * a) * u - 4 * a for u in (t + 1, 2 - t)]
    near = [((a + 2) * u - (a + 3)) * u * u + 1 for u in (t, 1 - t)]
    weights = np.stack([far[0], *near, far[1]], axis=1)
    places = first.astype(np.int64)[:, np.newaxis] + np.arange(-1, 3)
    if inside:
        weights = np.where((places >= 0) & (places < size), weights, 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(source), size))
    np.add.at(matrix, (np.arange(len(source))[:, np.newaxis], np.clip(places, 0, size - 1)), weights)
    return matrix

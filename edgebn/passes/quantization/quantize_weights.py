"""Weights to int8: symmetric, one scale an output channel, batch norm left out. Knows arrays only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CLIP_GRID = np.linspace(0.75, 1.0, 26)  # fractions of the largest weight tried as the clipping point
BLOCK = 1 << 14  # weights looked at together: they stay in a cache over all of the grid
EMPTY_CHANNEL_BITS = 20  # a channel without weights resolves its bias to this many bits


def quantize_weights(
    weight: np.ndarray, bias: np.ndarray, input_scale: float, scales: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 codes and float64 scales of weights (O, ...): for each channel the scale of least squared error.

    A channel of zeros gets a scale from its bias instead, so that a clip before the batch norm still falls in the right place.
    `scales` are those of `least_squares_scales`, where they are known.
    """
    scales = least_squares_scales(weight) if scales is None else scales
    bias_scale = np.maximum(np.abs(bias.astype(np.float64)), 1.0) / (input_scale * 2.0**EMPTY_CHANNEL_BITS)
    scales = np.where(scales == 0.0, bias_scale, scales)
    codes = np.empty(weight.shape, np.int8)
    for part in _blocks(weight):
        rows = _rows(weight[part])
        codes[part] = _codes(rows, scales[part], out=rows).reshape(codes[part].shape)
    return codes, scales


def least_squares_scales(weight: np.ndarray) -> np.ndarray:
    """Return the scale of least squared error of each channel of weights (O, ...), 0 where all are 0."""
    scales = np.empty(len(weight))
    for part in _blocks(weight):
        scales[part] = _some_scales(_rows(weight[part]))
    return scales


def _blocks(weight: np.ndarray) -> Iterator[slice]:
    some = max(1, BLOCK * len(weight) // max(weight.size, 1))
    return (slice(start, start + some) for start in range(0, len(weight), some))


def _rows(weight: np.ndarray) -> np.ndarray:
    return weight.reshape(len(weight), -1).astype(np.float64)


def _some_scales(rows: np.ndarray) -> np.ndarray:
    largest = np.abs(rows).max(axis=1)
    empty = largest < np.finfo(np.float32).tiny
    best_scale, best_error = np.zeros(len(rows)), np.full(len(rows), np.inf)
    work = np.empty_like(rows)
    for factor in CLIP_GRID:
        scale = np.where(empty, 1.0, largest * factor / 127.0)
        _codes(rows, scale, out=work)
        work *= scale[:, None]
        np.subtract(rows, work, out=work)
        error = np.square(work, out=work).sum(axis=1)
        better = error <= best_error
        best_scale, best_error = np.where(better, scale, best_scale), np.where(better, error, best_error)
    return np.where(empty, 0.0, best_scale)


def _codes(rows: np.ndarray, scale: np.ndarray, out: np.ndarray) -> np.ndarray:
    np.divide(rows, scale[:, None], out=out)
    np.rint(out, out=out)
    np.minimum(out, 127.0, out=out)
    return np.maximum(out, -127.0, out=out)


def mean_error(weight: np.ndarray, codes: np.ndarray, scale: np.ndarray, input_mean: np.ndarray, groups: int) -> np.ndarray:
    """Return what quantising the weights takes from each output channel's mean, for inputs of these channel means.

    Adding it to the bias makes the mean right again. Padding is not accounted for.

    Parameters
    ----------
    weight, codes : ndarray, shape (O, kh, kw, I / groups)
    scale : ndarray, shape (O,)
    input_mean : ndarray, shape (I,)
    groups : int
    """
    lost = (weight.astype(np.float64) - codes * scale[:, None, None, None]).sum(axis=(1, 2))  # (O, I / groups)
    by_group = input_mean.reshape(groups, -1)  # (groups, I / groups)
    group_of = np.arange(len(weight)) // (len(weight) // groups)
    return (lost * by_group[group_of]).sum(axis=1)

"""Weights to int8: symmetric, one scale an output channel, batch norm left out. Knows arrays only."""

from __future__ import annotations

import numpy as np

CLIP_GRID = np.linspace(0.75, 1.0, 26)  # fractions of the largest weight tried as the clipping point
BLOCK = 1 << 14  # weights looked at together: they stay in a cache over all of the grid
EMPTY_CHANNEL_BITS = 20  # a channel without weights resolves its bias to this many bits


def quantize_weights(weight: np.ndarray, bias: np.ndarray, input_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 codes and float64 scales of weights (O, ...): for each channel the scale of least squared error.

    A channel of zeros gets a scale from its bias instead, so that a clip before the batch norm still falls in the right place.
    """
    codes, scales = np.empty(weight.shape, np.int8), np.empty(len(weight))
    some = max(1, BLOCK * len(weight) // max(weight.size, 1))
    for start in range(0, len(weight), some):
        part = slice(start, start + some)
        codes[part], scales[part] = _some_channels(weight[part], bias[part], input_scale)
    return codes, scales


def _some_channels(weight: np.ndarray, bias: np.ndarray, input_scale: float) -> tuple[np.ndarray, np.ndarray]:
    channels = len(weight)
    rows = weight.reshape(channels, -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    empty = largest < np.finfo(np.float32).tiny
    bias_scale = np.maximum(np.abs(bias.astype(np.float64)), 1.0) / (input_scale * 2.0**EMPTY_CHANNEL_BITS)
    best_scale = np.where(empty, bias_scale, largest / 127.0)
    best_error = np.full(channels, np.inf)
    work = np.empty_like(rows)
    for factor in CLIP_GRID:
        scale = np.where(empty, bias_scale, largest * factor / 127.0)
        codes = _codes(rows, scale, out=work)
        np.multiply(codes, scale[:, None], out=work)
        np.subtract(rows, work, out=work)
        error = np.square(work, out=work).sum(axis=1)
        better = error <= best_error
        best_scale, best_error = np.where(better, scale, best_scale), np.where(better, error, best_error)
    return _codes(rows, best_scale, out=work).astype(np.int8).reshape(weight.shape), best_scale


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

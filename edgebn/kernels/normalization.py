"""Norms by the sample's own statistics, float32: of each pixel over its channels, or of the whole map in groups of channels.

Sums are float64 in one order of operations (`norm_vectors.py`), so that the JIT and ahead-of-time objects give the same bytes; the
variance is summed around the mean, in a pass of its own.
"""

from __future__ import annotations

import math

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.jit import kernel
from edgebn.kernels.norm_vectors import OverPixels, SinglePixels, widths
from edgebn.kernels.primitives import bits_of_float, load_f32, load_f64, store_f64
from edgebn.kernels.variants import runner

_over_pixels = runner(OverPixels(SELECTED))
_single_pixels = runner(SinglePixels(SELECTED))

WIDTHS = widths(SELECTED)
WIDEST = WIDTHS[0]
SUM, SQUARES, APPLY = 0, len(WIDTHS), 2 * len(WIDTHS)  # the first variants of `OverPixels` that do so


@kernel
def _over(
    variant: int, src: int, src_row: int, dst: int, dst_row: int, rows: int, columns: int, pixel: int, first: int, second: int
) -> None:
    """Let adjacent channels go through what `OverPixels` does, which is written where it is called."""
    _over_pixels(variant, (src, src_row, dst, dst_row, rows, columns, pixel, first, second))


@kernel
def normalize_pixels_f32(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    gamma: int,
    beta: int,
    epsilon: float,
    centred: int,
) -> None:
    """Each pixel by the statistics of its channels; pixels of a row are adjacent."""
    for y in range(rows):
        _single_pixels(0, (src + y * src_row, dst + y * dst_row, columns, channels, gamma, beta, bits_of_float(epsilon), centred))


@kernel
def _by_channel(
    what: int,
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    pixel: int,
    channels: int,
    first: int,
    second: int,
) -> None:
    """Let every channel go through what `OverPixels` does, by `first` and `second`."""
    c = 0
    for i, width in enumerate(WIDTHS):
        while channels - c >= width:
            _over(what + i, src + c * 4, src_row, dst + c * 4, dst_row, rows, columns, pixel, first + c * 8, second + c * 8)
            c += width


@kernel
def _of_adjacent(what: int, src: int, src_row: int, rows: int, count: int, mean: float, lanes: int) -> float:
    """Return what `OverPixels` sums of rows of `count` adjacent numbers; `lanes` has room for two float64 in each of `WIDEST`."""
    results = lanes + (WIDEST * 8 if what == SQUARES else 0)
    turns = count // WIDEST
    begun = turns * WIDEST
    for i in range(WIDEST):
        store_f64(lanes, i, mean)
    _over(what, src, src_row, 0, 0, rows, turns, WIDEST * 4, lanes, lanes + WIDEST * 8)
    size = WIDEST
    while size > 1:
        size //= 2
        for i in range(size):
            store_f64(results, i, load_f64(results, i) + load_f64(results, i + size))
    total = load_f64(results, 0)
    store_f64(lanes, 0, mean)
    _over(what + len(WIDTHS) - 1, src + begun * 4, src_row, 0, 0, rows, count - begun, 4, lanes, lanes + WIDEST * 8)
    return total + load_f64(results, 0)


@kernel
def _share(sums: int, channels: int, groups: int, count: int) -> None:
    """Give every channel the sum of its group, divided by `count` elements a channel."""
    size = channels // groups
    for group in range(groups):
        total = 0.0
        for c in range(group * size, (group + 1) * size):
            total += load_f64(sums, c)
        for c in range(group * size, (group + 1) * size):
            store_f64(sums, c, total / (count * size))


@kernel
def normalize_groups_f32(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    pixel: int,
    channels: int,
    groups: int,
    gamma: int,
    beta: int,
    epsilon: float,
    centred: int,
    scratch: int,
) -> None:
    """The whole map by the statistics of groups of channels.

    `pixel` is bytes, `scratch` holds two float64 a channel; of one group, behind them two for each of `WIDEST` lanes.
    """
    means, squares = scratch, scratch + channels * 8
    lanes, count = scratch + channels * 16, columns * channels
    is_flat = groups == 1 and pixel == channels * 4
    mean = square = 0.0
    if is_flat:
        if centred != 0:
            mean = _of_adjacent(SUM, src, src_row, rows, count, 0.0, lanes) / (rows * count)
        square = _of_adjacent(SQUARES, src, src_row, rows, count, mean, lanes) / (rows * count)
        for c in range(channels):
            store_f64(means, c, mean)
            store_f64(squares, c, square)
    else:
        for c in range(channels):
            store_f64(means, c, 0.0)
        if centred != 0:
            _by_channel(SUM, src, src_row, 0, 0, rows, columns, pixel, channels, means, squares)
            _share(means, channels, groups, rows * columns)
        _by_channel(SQUARES, src, src_row, 0, 0, rows, columns, pixel, channels, means, squares)
        _share(squares, channels, groups, rows * columns)
    for c in range(channels):  # from the statistics to a factor and what is added
        factor = load_f32(gamma, c) / math.sqrt(load_f64(squares, c) + epsilon)
        store_f64(squares, c, load_f32(beta, c) - load_f64(means, c) * factor)
        store_f64(means, c, factor)
    if channels == 1 and is_flat:
        turns = count // WIDEST
        begun = turns * WIDEST
        for i in range(WIDEST):
            store_f64(lanes, i, load_f64(means, 0))
            store_f64(lanes, WIDEST + i, load_f64(squares, 0))
        _over(APPLY, src, src_row, dst, dst_row, rows, turns, WIDEST * 4, lanes, lanes + WIDEST * 8)
        _by_channel(APPLY, src + begun * 4, src_row, dst + begun * 4, dst_row, rows, count - begun, 4, 1, means, squares)
    else:
        _by_channel(APPLY, src, src_row, dst, dst_row, rows, columns, pixel, channels, means, squares)

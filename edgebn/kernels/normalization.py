"""Norms by the sample's own statistics, float32: of each pixel over its channels, or of the whole map in groups of channels.

Sums are float64 in one order of operations, so that the JIT and ahead-of-time objects give the same bytes; the variance is summed
around the mean, in a pass of its own.
"""

from __future__ import annotations

import math

import numpy as np

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, load_f64, store_f32, store_f64


@kernel
def _sum(src: int, count: int) -> float:
    """Sum of `count` float32, in eight lanes."""
    a = b = c = d = e = f = g = h = 0.0
    for i in range(0, count - 7, 8):
        a += load_f32(src, i)
        b += load_f32(src, i + 1)
        c += load_f32(src, i + 2)
        d += load_f32(src, i + 3)
        e += load_f32(src, i + 4)
        f += load_f32(src, i + 5)
        g += load_f32(src, i + 6)
        h += load_f32(src, i + 7)
    for i in range(count - count % 8, count):
        a += load_f32(src, i)
    return ((a + e) + (b + f)) + ((c + g) + (d + h))


@kernel
def _sum_of_squares(src: int, count: int, mean: float) -> float:
    """Sum of the squared differences from `mean`, in eight lanes."""
    a = b = c = d = e = f = g = h = 0.0
    for i in range(0, count - 7, 8):
        a += (load_f32(src, i) - mean) * (load_f32(src, i) - mean)
        b += (load_f32(src, i + 1) - mean) * (load_f32(src, i + 1) - mean)
        c += (load_f32(src, i + 2) - mean) * (load_f32(src, i + 2) - mean)
        d += (load_f32(src, i + 3) - mean) * (load_f32(src, i + 3) - mean)
        e += (load_f32(src, i + 4) - mean) * (load_f32(src, i + 4) - mean)
        f += (load_f32(src, i + 5) - mean) * (load_f32(src, i + 5) - mean)
        g += (load_f32(src, i + 6) - mean) * (load_f32(src, i + 6) - mean)
        h += (load_f32(src, i + 7) - mean) * (load_f32(src, i + 7) - mean)
    for i in range(count - count % 8, count):
        a += (load_f32(src, i) - mean) * (load_f32(src, i) - mean)
    return ((a + e) + (b + f)) + ((c + g) + (d + h))


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
        for x in range(columns):
            a = src + y * src_row + x * channels * 4
            b = dst + y * dst_row + x * channels * 4
            mean = 0.0
            if centred != 0:
                mean = _sum(a, channels) / channels
            factor = 1.0 / math.sqrt(_sum_of_squares(a, channels, mean) / channels + epsilon)
            for c in range(channels):
                normalised = (load_f32(a, c) - mean) * factor
                store_f32(b, c, np.float32(normalised * load_f32(gamma, c) + load_f32(beta, c)))


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
    """The whole map by the statistics of groups of channels; `pixel` is bytes, `scratch` holds two float64 a channel."""
    means = scratch
    squares = scratch + channels * 8
    for c in range(channels):
        store_f64(means, c, 0.0)
        store_f64(squares, c, 0.0)
    if centred != 0:
        for y in range(rows):
            for x in range(columns):
                a = src + y * src_row + x * pixel
                for c in range(channels):
                    store_f64(means, c, load_f64(means, c) + load_f32(a, c))
        _share(means, channels, groups, rows * columns)
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * pixel
            for c in range(channels):
                difference = load_f32(a, c) - load_f64(means, c)
                store_f64(squares, c, load_f64(squares, c) + difference * difference)
    _share(squares, channels, groups, rows * columns)
    for c in range(channels):
        store_f64(squares, c, 1.0 / math.sqrt(load_f64(squares, c) + epsilon))
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * pixel
            b = dst + y * dst_row + x * pixel
            for c in range(channels):
                normalised = (load_f32(a, c) - load_f64(means, c)) * load_f64(squares, c)
                store_f32(b, c, np.float32(normalised * load_f32(gamma, c) + load_f32(beta, c)))

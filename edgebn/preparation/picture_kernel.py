"""Pictures to inputs in one pass, compiled by Numba: each pixel is resized and looked up.

All of it is in this file, for the cache. The arithmetic is that of `resizing.py`, to the byte. `table` is (channels, 256), and
gives an input's number for a pixel's.
"""

from __future__ import annotations

import numpy as np

from edgebn.preparation.compiling import compiled


@compiled
def linear(
    pixels: np.ndarray,
    rows: np.ndarray,
    row_weights: np.ndarray,
    columns: np.ndarray,
    column_weights: np.ndarray,
    table: np.ndarray,
    shift: int,
    out: np.ndarray,
) -> None:
    """Fill `out` (rows, columns, 1) with mixtures of two by two grey pixels; `bilinear_kernel.py` does those of three colours.

    `shift`: what every entry of the table is more than its pixel, or 256 where they differ.
    """
    width = len(columns)
    across = np.empty((2, width), np.int16)
    held = np.full(2, -1, np.int64)  # which row of pixels each row of `across` comes from
    values = np.empty(width, np.uint8)
    flat = pixels.reshape(len(pixels), -1)
    order = np.zeros(1, np.int64)
    for y in range(len(rows)):
        for side in range(2):
            row = rows[y, side]
            if held[side] != row:
                if held[1 - side] == row:
                    across[side] = across[1 - side]
                else:
                    _row_of_one(flat[row], columns, column_weights, across[side])
                held[side] = row
        _mixed(across[0], across[1], row_weights[y, 0], row_weights[y, 1], values)
        _looked_up(values, order, table, shift, out[y])


@compiled
def _row_of_one(row: np.ndarray, columns: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    for x in range(len(columns)):
        total = np.int32(row[np.uint64(columns[x, 0])]) * weights[x, 0] + np.int32(row[np.uint64(columns[x, 1])]) * weights[x, 1]
        out[x] = total >> 4


@compiled
def _mixed(above: np.ndarray, below: np.ndarray, upper: int, lower: int, out: np.ndarray) -> None:
    a, b = np.int16(upper), np.int16(lower)
    for i in range(len(out)):
        high = np.int16((np.int32(a) * np.int32(above[i])) >> 16)
        low = np.int16((np.int32(b) * np.int32(below[i])) >> 16)
        out[i] = np.uint8((high + low + np.int16(2)) >> 2)


@compiled
def nearest(
    pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray, order: np.ndarray, table: np.ndarray, shift: int, out: np.ndarray
) -> None:
    """Fill `out` (rows, columns, channels) with one pixel each."""
    width, channels = len(columns), out.shape[2]
    flat = pixels.reshape(len(pixels), -1)
    values = np.empty(width * channels, np.uint8)
    for y in range(len(rows)):
        row = flat[rows[y, 0]]
        if channels == 3:
            at = np.uint64(0)
            for x in range(width):
                start = np.uint64(3 * columns[x, 0])
                values[at] = row[start]
                values[at + np.uint64(1)] = row[start + np.uint64(1)]
                values[at + np.uint64(2)] = row[start + np.uint64(2)]
                at += np.uint64(3)
        else:
            for x in range(width):
                values[x] = row[np.uint64(columns[x, 0])]
        _looked_up(values, order, table, shift, out[y])


@compiled
def _looked_up(values: np.ndarray, order: np.ndarray, table: np.ndarray, shift: int, out: np.ndarray) -> None:
    width, channels = out.shape
    if shift != 256 and order[0] == 0:
        added = np.uint8(shift & 255)
        flat = out.reshape(-1)
        for i in range(len(values)):
            flat[i] = np.int8(np.uint8(values[i] + added))
    elif channels == 3:
        first, second, third = np.uint64(order[0]), np.uint64(order[1]), np.uint64(order[2])
        at = np.uint64(0)
        for x in range(width):
            out[x, 0] = table[0, values[at + first]]
            out[x, 1] = table[1, values[at + second]]
            out[x, 2] = table[2, values[at + third]]
            at += np.uint64(3)
    else:
        for x in range(width):
            out[x, 0] = table[0, values[x]]


@compiled
def weighed(
    pixels: np.ndarray,
    rows: np.ndarray,
    row_counts: np.ndarray,
    row_weights: np.ndarray,
    columns: np.ndarray,
    column_counts: np.ndarray,
    column_weights: np.ndarray,
    order: np.ndarray,
    table: np.ndarray,
    shift: int,
    out: np.ndarray,
) -> None:
    """Fill `out` (rows, columns, channels) with weighed sums of any number of pixels: rows first, then columns."""
    width, channels = len(columns), out.shape[2]
    first = rows[0, 0]
    last = first
    for y in range(len(rows)):
        last = max(last, rows[y, 0] + row_counts[y])
    across = np.empty((last - first, width * channels), np.uint8)
    flat = pixels.reshape(len(pixels), -1)
    for y in range(last - first):
        if channels == 3:
            _weighed_row_of_three(flat[first + y], columns, column_counts, column_weights, across[y])
        else:
            _weighed_row_of_one(flat[first + y], columns, column_counts, column_weights, across[y])
    sums = np.empty(width * channels, np.int32)
    values = np.empty(width * channels, np.uint8)
    for y in range(len(rows)):
        start = rows[y, 0] - first
        sums[:] = 1 << 21
        for k in range(row_counts[y]):
            _add_row(across[start + k], row_weights[y, k], sums)
        for i in range(len(sums)):
            values[i] = min(max(sums[i] >> 22, 0), 255)
        _looked_up(values, order, table, shift, out[y])


@compiled
def _weighed_row_of_three(row: np.ndarray, columns: np.ndarray, counts: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    for x in range(len(columns)):
        at = np.uint64(3 * columns[x, 0])
        red = green = blue = np.int32(1 << 21)
        for k in range(np.uint64(counts[x])):
            weight = weights[x, k]
            red += np.int32(row[at]) * weight
            green += np.int32(row[at + np.uint64(1)]) * weight
            blue += np.int32(row[at + np.uint64(2)]) * weight
            at += np.uint64(3)
        out[3 * x] = min(max(red >> 22, 0), 255)
        out[3 * x + 1] = min(max(green >> 22, 0), 255)
        out[3 * x + 2] = min(max(blue >> 22, 0), 255)


@compiled
def _weighed_row_of_one(row: np.ndarray, columns: np.ndarray, counts: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    for x in range(len(columns)):
        at = np.uint64(columns[x, 0])
        total = np.int32(1 << 21)
        for k in range(np.uint64(counts[x])):
            total += np.int32(row[at + np.uint64(k)]) * weights[x, k]
        out[x] = min(max(total >> 22, 0), 255)


@compiled
def _add_row(row: np.ndarray, weight: int, sums: np.ndarray) -> None:
    factor = np.int32(weight)
    for i in range(len(sums)):
        sums[i] = np.int32(sums[i] + np.int32(np.int32(row[i]) * factor))

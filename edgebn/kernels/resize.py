"""Spatial resampling with coordinates and weights worked out by the packer: arrays of (output size, 2)."""

from __future__ import annotations

import numpy as np

from edgebn.kernels.isa import CACHE_LINE
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import (
    load_code,
    load_f32,
    load_i16,
    load_i32,
    load_u8,
    store_code,
    store_f32,
    store_i16,
    store_i32,
    store_u8,
)

HALF = np.float32(0.5)
WORD = 4  # bytes


@kernel
def nearest(
    src: int, src_row: int, dst: int, dst_row: int, rows: int, columns: int, pixel: int, row_index: int, column_index: int
) -> None:
    """out[y, x] = in[rows[y, 0], columns[x, 0]]; `pixel` is the bytes of one pixel, whatever its type."""
    for y in range(rows):
        again = y > 0 and load_i32(row_index, 2 * y) == load_i32(row_index, 2 * y - 2)
        if again and pixel < CACHE_LINE:  # the row above once more, in one piece
            b = dst + y * dst_row
            for i in range(columns * pixel):
                store_u8(b, i, load_u8(b - dst_row, i))
            continue
        for x in range(columns):
            a = src + load_i32(row_index, 2 * y) * src_row + load_i32(column_index, 2 * x) * pixel
            b = dst + y * dst_row + x * pixel
            if pixel == WORD:  # a call that copies a few bytes takes longer than they do
                store_i32(b, 0, load_i32(a, 0))
                continue
            for i in range(pixel):
                store_u8(b, i, load_u8(a, i))


@kernel
def bilinear_f32(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    row_index: int,
    column_index: int,
    row_weight: int,
    column_weight: int,
) -> None:
    """float32; weights are float32."""
    for y in range(rows):
        above = src + load_i32(row_index, 2 * y) * src_row
        below = src + load_i32(row_index, 2 * y + 1) * src_row
        wa, wb = load_f32(row_weight, 2 * y), load_f32(row_weight, 2 * y + 1)
        for x in range(columns):
            left = load_i32(column_index, 2 * x) * channels
            right = load_i32(column_index, 2 * x + 1) * channels
            wl, wr = load_f32(column_weight, 2 * x), load_f32(column_weight, 2 * x + 1)
            for c in range(channels):
                upper = wl * load_f32(above, left + c) + wr * load_f32(above, right + c)
                lower = wl * load_f32(below, left + c) + wr * load_f32(below, right + c)
                store_f32(dst + y * dst_row, x * channels + c, wa * upper + wb * lower)


@kernel
def bilinear_i16(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    row_index: int,
    column_index: int,
    row_weight: int,
    column_weight: int,
) -> None:
    """int16 by weights in 1/1024, int32: sum of weight products times codes / 2**20, halves away from zero."""
    for y in range(rows):
        above = src + load_i32(row_index, 2 * y) * src_row
        below = src + load_i32(row_index, 2 * y + 1) * src_row
        wa, wb = load_i32(row_weight, 2 * y), load_i32(row_weight, 2 * y + 1)
        for x in range(columns):
            left = load_i32(column_index, 2 * x) * channels
            right = load_i32(column_index, 2 * x + 1) * channels
            wl, wr = load_i32(column_weight, 2 * x), load_i32(column_weight, 2 * x + 1)
            for c in range(channels):
                upper = wl * load_i16(above, left + c) + wr * load_i16(above, right + c)
                lower = wl * load_i16(below, left + c) + wr * load_i16(below, right + c)
                total = wa * upper + wb * lower
                store_i16(dst + y * dst_row, x * channels + c, (total + (1 << 19) - (1 if total < 0 else 0)) >> 20)


@kernel
def bilinear_truncated_i8(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    row_index: int,
    column_index: int,
    row_weight: int,
    column_weight: int,
    offset: int,
) -> None:
    """int8 by float32 weights, the fraction of code + offset dropped; the order of the operations is `program.Resize`'s."""
    for y in range(rows):
        above = src + load_i32(row_index, 2 * y) * src_row
        below = src + load_i32(row_index, 2 * y + 1) * src_row
        wa, wb = load_f32(row_weight, 2 * y), load_f32(row_weight, 2 * y + 1)
        for x in range(columns):
            left = load_i32(column_index, 2 * x) * channels
            right = load_i32(column_index, 2 * x + 1) * channels
            wl, wr = load_f32(column_weight, 2 * x), load_f32(column_weight, 2 * x + 1)
            for c in range(channels):
                upper = wl * wa * _real(above, left + c, offset) + wr * wa * _real(above, right + c, offset)
                total = upper + wl * wb * _real(below, left + c, offset) + wr * wb * _real(below, right + c, offset)
                store_code(dst + y * dst_row, x * channels + c, int(total) - offset)


@kernel
def _real(base: int, index: int, offset: int) -> np.float32:
    """Return a code plus `offset` as float32."""
    return np.float32(load_code(base, index) + offset)


@kernel
def bilinear_half_i8(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    row_index: int,
    column_index: int,
    row_weight: int,
    column_weight: int,
) -> None:
    """int8 by float32 weights, a half added before the fraction is dropped; the order of the operations is `program.Resize`'s."""
    for y in range(rows):
        above = src + load_i32(row_index, 2 * y) * src_row
        below = src + load_i32(row_index, 2 * y + 1) * src_row
        wa, wb = load_f32(row_weight, 2 * y), load_f32(row_weight, 2 * y + 1)
        for x in range(columns):
            left = load_i32(column_index, 2 * x) * channels
            right = load_i32(column_index, 2 * x + 1) * channels
            wl, wr = load_f32(column_weight, 2 * x), load_f32(column_weight, 2 * x + 1)
            for c in range(channels):
                total = _real(above, left + c, 128) * wa * wl + _real(below, left + c, 128) * wb * wl
                total = total + _real(above, right + c, 128) * wa * wr + _real(below, right + c, 128) * wb * wr
                store_code(dst + y * dst_row, x * channels + c, min(max(int(total + HALF), 0), 255) - 128)

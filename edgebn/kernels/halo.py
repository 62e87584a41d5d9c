"""Padding kept around a buffer, so that convolutions need no bounds tests; and constant fills."""

from __future__ import annotations

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import store_f32, store_i16, store_u8


@kernel
def _fill(dst: int, count: int, byte: int) -> None:
    for i in range(count):
        store_u8(dst, i, byte)


@kernel
def fill_halo(dst: int, row: int, rows: int, start_offset: int, gap: int, tail: int, byte: int) -> None:
    """Write `byte` around the inside of a buffer.

    `dst` is the start of the buffer with its halo: `start_offset` bytes up to the first pixel, then after each row of pixels but
    the last `gap` bytes (its right halo and the next row's left halo), then `tail` bytes. `row` is bytes from one row to the next.
    """
    _fill(dst, start_offset, byte)
    end = dst + start_offset + row - gap
    for _ in range(rows - 1):
        _fill(end, gap, byte)
        end += row
    _fill(end, tail, byte)


@kernel
def fill_bytes(dst: int, dst_row: int, rows: int, count: int, byte: int) -> None:
    """Set `rows` rows of `count` bytes."""
    for _ in range(rows):
        _fill(dst, count, byte)
        dst += dst_row


@kernel
def fill_i16(dst: int, dst_row: int, rows: int, count: int, value: int) -> None:
    """Set `rows` rows of `count` int16 codes."""
    for _ in range(rows):
        for i in range(count):
            store_i16(dst, i, value)
        dst += dst_row


@kernel
def fill_f32(dst: int, dst_row: int, rows: int, count: int, value: float) -> None:
    """Set `rows` rows of `count` float32 numbers."""
    for _ in range(rows):
        for i in range(count):
            store_f32(dst, i, value)
        dst += dst_row

"""Copies, quantisation and dequantisation, row by row: between the user's dense arrays and the arena, and between its buffers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.kernels.elements import INT8, INT16, Element, named
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import (
    load_f32,
    load_i64,
    load_u8,
    round_half_even,
    store_code,
    store_f32,
    store_i64,
    store_u8,
)
from edgebn.kernels.records import CHECK_COUNT, CHECK_HOME, CHECK_NUMBERS, CHECK_ROW, CHECK_ROWS, CHECK_WORD


@kernel
def copy_rows(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """Copy `rows` rows of `count` bytes; `src_row` and `dst_row` are bytes from one row to the next."""
    for _ in range(rows):
        for i in range(count):
            store_u8(dst, i, load_u8(src, i))
        src += src_row
        dst += dst_row


@kernel
def point_words(dst: int, places: int, count: int) -> None:
    """Write addresses from `dst` on into other rows of the table: `places` holds (address of a word, offset, -) for each."""
    for i in range(count):
        store_i64(load_i64(places, 3 * i), 0, dst + load_i64(places, 3 * i + 1))


@kernel
def flip_rows(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """Copy rows of codes between the user's int8 and the stored bytes, either way."""
    for _ in range(rows):
        for i in range(count):
            store_code(dst, i, load_u8(src, i))
        src += src_row
        dst += dst_row


def _conversions(element: Element, suffix: str) -> tuple[Callable[..., None], ...]:
    """Return the kernels from float32 to one type of codes and back."""
    load, store = element.load, element.store
    least, most = np.float32(element.least), np.float32(element.most)

    @named(f"quantize_rows{suffix}")
    def quantize(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, scale: float, zero_point: int) -> None:
        """clip(rint(x / scale) + zero_point, least, most), every operation in float32. NaN becomes the least code."""
        offset = np.float32(zero_point)
        for _ in range(rows):
            for i in range(count):
                rounded = round_half_even(load_f32(src, i) / scale) + offset
                store(dst, i, int(min(max(least, rounded), most)))
            src += src_row
            dst += dst_row

    @named(f"dequantize_rows{suffix}")
    def dequantize(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, scale: float, zero_point: int) -> None:
        """Codes to float32: scale * (code - zero_point)."""
        for _ in range(rows):
            for i in range(count):
                store_f32(dst, i, scale * np.float32(load(src, i) - zero_point))
            src += src_row
            dst += dst_row

    return quantize, dequantize


quantize_rows, dequantize_rows = _conversions(INT8, "")
quantize_rows_i16, dequantize_rows_i16 = _conversions(INT16, "_i16")


# Pages are at least so large: what begins in one of them can be read to its end.
PAGE = 4096


@kernel
def read_in_place(src: int, size: int, overread: int, home: int, places: int, count: int, others: int, other_count: int) -> None:
    """Let rows of the table read `size` bytes where the user has them, or where they cannot a copy of them at `home`.

    `places` is as for `point_words`. Vectors may read `overread` bytes after the end, which must then be in the end's page.
    `others` holds (address of the word with an address, bytes) of what rows write to the user's arrays meanwhile.
    """
    end = src + size
    target = src if (end - 1) % PAGE + overread < PAGE else home
    for i in range(other_count):
        begin = load_i64(load_i64(others, 2 * i), 0)
        if begin < end and src < begin + load_i64(others, 2 * i + 1):
            target = home
    if target == home:
        copy_rows(src, size, home, size, 1, size)
    point_words(target, places, count)


@kernel
def has_nan(src: int, count: int) -> bool:
    """Whether `count` float32 numbers hold a NaN."""
    found = 0
    for i in range(count):
        x = load_f32(src, i)
        found |= int(x != x)  # noqa: PLR0124  # true of NaN alone
    return found != 0


@kernel
def arrives(check: int, batch: int) -> bool:
    """Whether the numbers of an input hold a NaN; a single sample is copied to its home on the way, where it has one there."""
    src = load_i64(load_i64(check, CHECK_WORD), 0)
    dst = load_i64(check, CHECK_HOME)
    if dst == 0 or batch != 1:
        return has_nan(src, batch * load_i64(check, CHECK_NUMBERS))
    count = load_i64(check, CHECK_COUNT)
    found = 0
    for _ in range(load_i64(check, CHECK_ROWS)):
        for i in range(count):
            x = load_f32(src, i)
            store_f32(dst, i, x)
            found |= int(x != x)  # noqa: PLR0124  # true of NaN alone
        src += 4 * count
        dst += load_i64(check, CHECK_ROW)
    return found != 0


@kernel
def bring(check: int, sample: int) -> None:
    """Copy one sample of a batch to its home, where it has one there."""
    home = load_i64(check, CHECK_HOME)
    if home != 0:
        src = load_i64(load_i64(check, CHECK_WORD), 0) + 4 * sample * load_i64(check, CHECK_NUMBERS)
        count = 4 * load_i64(check, CHECK_COUNT)
        copy_rows(src, count, home, load_i64(check, CHECK_ROW), load_i64(check, CHECK_ROWS), count)

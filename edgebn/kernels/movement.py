"""Steps that only move elements: crop, concatenation, padding's inside, transposition, and reshape where rows are not adjacent."""

from __future__ import annotations

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, load_i16, load_u8, store_f32, store_i16, store_u8


@kernel
def _copy_u8(src: int, dst: int, count: int) -> None:
    for i in range(count):
        store_u8(dst, i, load_u8(src, i))


@kernel
def _interleave_u8(src: int, src_2: int, dst: int, count_1: int, times: int) -> None:
    """dst[j * times + k] = src[k * src_2 + j]: with a number of times that is known, several are written at once."""
    for j in range(count_1):
        for k in range(times):
            store_u8(dst, j * times + k, load_u8(src + k * src_2, j))


@kernel
def move_u8(
    src: int,
    src_0: int,
    src_1: int,
    src_2: int,
    dst: int,
    dst_0: int,
    dst_1: int,
    dst_2: int,
    count_0: int,
    count_1: int,
    count_2: int,
) -> None:
    """dst[i, j, k] = src[i, j, k], bytes; steps along each axis are bytes."""
    interleaves = src_1 == 1 and dst_2 == 1 and dst_1 == count_2 * 1
    for i in range(count_0):
        a = src + i * src_0
        b = dst + i * dst_0
        if interleaves and count_2 == 2:
            _interleave_u8(a, src_2, b, count_1, 2)
        elif interleaves and count_2 == 3:
            _interleave_u8(a, src_2, b, count_1, 3)
        elif interleaves and count_2 == 4:
            _interleave_u8(a, src_2, b, count_1, 4)
        elif src_2 == 1 and dst_2 == 1:
            for j in range(count_1):
                _copy_u8(a + j * src_1, b + j * dst_1, count_2)
        elif count_1 > count_2:  # the longer axis inside
            for k in range(count_2):
                for j in range(count_1):
                    store_u8(b + j * dst_1 + k * dst_2, 0, load_u8(a + j * src_1 + k * src_2, 0))
        else:
            for j in range(count_1):
                for k in range(count_2):
                    store_u8(b + j * dst_1 + k * dst_2, 0, load_u8(a + j * src_1 + k * src_2, 0))


@kernel
def _copy_f32(src: int, dst: int, count: int) -> None:
    for i in range(count):
        store_f32(dst, i, load_f32(src, i))


@kernel
def _interleave_f32(src: int, src_2: int, dst: int, count_1: int, times: int) -> None:
    """dst[j * times + k] = src[k * src_2 + j]: with a number of times that is known, several are written at once."""
    for j in range(count_1):
        for k in range(times):
            store_f32(dst, j * times + k, load_f32(src + k * src_2, j))


@kernel
def move_f32(
    src: int,
    src_0: int,
    src_1: int,
    src_2: int,
    dst: int,
    dst_0: int,
    dst_1: int,
    dst_2: int,
    count_0: int,
    count_1: int,
    count_2: int,
) -> None:
    """dst[i, j, k] = src[i, j, k], float32; steps along each axis are bytes."""
    interleaves = src_1 == 4 and dst_2 == 4 and dst_1 == count_2 * 4
    for i in range(count_0):
        a = src + i * src_0
        b = dst + i * dst_0
        if interleaves and count_2 == 2:
            _interleave_f32(a, src_2, b, count_1, 2)
        elif interleaves and count_2 == 3:
            _interleave_f32(a, src_2, b, count_1, 3)
        elif interleaves and count_2 == 4:
            _interleave_f32(a, src_2, b, count_1, 4)
        elif src_2 == 4 and dst_2 == 4:
            for j in range(count_1):
                _copy_f32(a + j * src_1, b + j * dst_1, count_2)
        elif count_1 > count_2:  # the longer axis inside
            for k in range(count_2):
                for j in range(count_1):
                    store_f32(b + j * dst_1 + k * dst_2, 0, load_f32(a + j * src_1 + k * src_2, 0))
        else:
            for j in range(count_1):
                for k in range(count_2):
                    store_f32(b + j * dst_1 + k * dst_2, 0, load_f32(a + j * src_1 + k * src_2, 0))


@kernel
def move_i16(
    src: int,
    src_0: int,
    src_1: int,
    src_2: int,
    dst: int,
    dst_0: int,
    dst_1: int,
    dst_2: int,
    count_0: int,
    count_1: int,
    count_2: int,
) -> None:
    """dst[i, j, k] = src[i, j, k], int16; steps along each axis are bytes."""
    for i in range(count_0):
        for j in range(count_1):
            a = src + i * src_0 + j * src_1
            b = dst + i * dst_0 + j * dst_1
            if src_2 == 2 and dst_2 == 2:
                for k in range(count_2):
                    store_i16(b, k, load_i16(a, k))
            else:
                for k in range(count_2):
                    store_i16(b + k * dst_2, 0, load_i16(a + k * src_2, 0))


@kernel
def reshape(src: int, src_row: int, src_count: int, dst: int, dst_row: int, dst_count: int, total: int) -> None:
    """Copy `total` bytes in row-major order between rows of `src_count` and rows of `dst_count` bytes."""
    src_left = src_count
    dst_left = dst_count
    while total > 0:
        count = min(src_left, dst_left)
        for i in range(count):
            store_u8(dst, i, load_u8(src, i))
        total -= count
        src += count
        dst += count
        src_left -= count
        dst_left -= count
        if src_left == 0:
            src += src_row - src_count
            src_left = src_count
        if dst_left == 0:
            dst += dst_row - dst_count
            dst_left = dst_count


@kernel
def repeat_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, times: int) -> None:
    """Write each of the `count` float32 of a row `times` times: dst[i * times + j] = src[i]."""
    for y in range(rows):
        a = src + y * src_row
        b = dst + y * dst_row
        if times == 2:  # with a count that is known, several are written at once
            for i in range(count):
                for j in range(2):
                    store_f32(b, 2 * i + j, load_f32(a, i))
        elif times == 4:
            for i in range(count):
                for j in range(4):
                    store_f32(b, 4 * i + j, load_f32(a, i))
        else:
            for i in range(count):
                for j in range(times):
                    store_f32(b, times * i + j, load_f32(a, i))


@kernel
def repeat_u8(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, times: int) -> None:
    """Write each of the `count` bytes of a row `times` times."""
    for y in range(rows):
        a = src + y * src_row
        b = dst + y * dst_row
        if times == 2:
            for i in range(count):
                for j in range(2):
                    store_u8(b, 2 * i + j, load_u8(a, i))
        elif times == 4:
            for i in range(count):
                for j in range(4):
                    store_u8(b, 4 * i + j, load_u8(a, i))
        else:
            for i in range(count):
                for j in range(times):
                    store_u8(b, times * i + j, load_u8(a, i))

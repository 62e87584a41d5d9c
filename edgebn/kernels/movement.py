"""Steps that only move elements: crop, concatenation, padding's inside, transposition, and reshape where rows are not adjacent."""

from __future__ import annotations

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, load_u8, store_f32, store_u8


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
    for i in range(count_0):
        for j in range(count_1):
            a = src + i * src_0 + j * src_1
            b = dst + i * dst_0 + j * dst_1
            for k in range(count_2):
                store_u8(b, k * dst_2, load_u8(a, k * src_2))


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
    for i in range(count_0):
        for j in range(count_1):
            for k in range(count_2):
                value = load_f32(src + i * src_0 + j * src_1 + k * src_2, 0)
                store_f32(dst + i * dst_0 + j * dst_1 + k * dst_2, 0, value)


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

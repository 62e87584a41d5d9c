"""Sum of two buffers with broadcasting: a step of 0 repeats. Steps are elements along (H, W, C) of each operand.

The output's rows are `dst_row` bytes apart and its pixels adjacent.
"""

from __future__ import annotations

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_f32, store_code, store_f32


@kernel
def add_f32(
    a: int,
    a_row: int,
    a_pixel: int,
    a_channel: int,
    b: int,
    b_row: int,
    b_pixel: int,
    b_channel: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    low: float,
    high: float,
) -> None:
    """float32: clip(a + b, low, high)."""
    for y in range(rows):
        for x in range(columns):
            pa = a + (y * a_row + x * a_pixel) * 4
            pb = b + (y * b_row + x * b_pixel) * 4
            out = dst + y * dst_row + x * channels * 4
            for c in range(channels):
                store_f32(out, c, min(max(load_f32(pa, c * a_channel) + load_f32(pb, c * b_channel), low), high))


@kernel
def rescale(v: int, m: int, e: int) -> int:
    """TensorFlow Lite Micro's doubling high multiply and rounding shift in one (DESIGN section 2)."""
    if e == 0:
        return (v * m + (1 << 30)) >> 31
    nudge = (1 << 31) if v < 0 else 0
    return (v * m + (1 << 30) + (1 << (30 + e)) - nudge) >> (31 + e)


@kernel
def add_i8(
    a: int,
    a_row: int,
    a_pixel: int,
    a_channel: int,
    b: int,
    b_row: int,
    b_pixel: int,
    b_channel: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    a_zero: int,
    b_zero: int,
    a_multiplier: int,
    b_multiplier: int,
    rounding: int,
    shift: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8, one rounding: (a * ma + b * mb + rounding) >> shift."""
    for y in range(rows):
        for x in range(columns):
            pa = a + y * a_row + x * a_pixel
            pb = b + y * b_row + x * b_pixel
            out = dst + y * dst_row + x * channels
            for c in range(channels):
                va = load_code(pa, c * a_channel) - a_zero
                vb = load_code(pb, c * b_channel) - b_zero
                total = (va * a_multiplier + vb * b_multiplier + rounding) >> shift
                store_code(out, c, min(max(zero_point + total, qmin), qmax))


@kernel
def add_double_i8(
    a: int,
    a_row: int,
    a_pixel: int,
    a_channel: int,
    b: int,
    b_row: int,
    b_pixel: int,
    b_channel: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    a_zero: int,
    b_zero: int,
    a_multiplier: int,
    b_multiplier: int,
    total_multiplier: int,
    a_shift: int,
    b_shift: int,
    total_shift: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8, TensorFlow Lite Micro's roundings: each input, then the sum."""
    for y in range(rows):
        for x in range(columns):
            pa = a + y * a_row + x * a_pixel
            pb = b + y * b_row + x * b_pixel
            out = dst + y * dst_row + x * channels
            for c in range(channels):
                va = rescale((load_code(pa, c * a_channel) - a_zero) << 20, a_multiplier, a_shift)
                vb = rescale((load_code(pb, c * b_channel) - b_zero) << 20, b_multiplier, b_shift)
                total = rescale(va + vb, total_multiplier, total_shift)
                store_code(out, c, min(max(zero_point + total, qmin), qmax))

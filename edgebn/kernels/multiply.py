"""Product of two buffers with broadcasting: a step of 0 repeats. Steps are elements along (H, W, C) of each operand."""

from __future__ import annotations

from edgebn.kernels.epilogue import NUDGE
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_f32, store_code, store_f32


@kernel
def multiply_f32(
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
    """float32: clip(a * b, low, high)."""
    for y in range(rows):
        for x in range(columns):
            pa = a + (y * a_row + x * a_pixel) * 4
            pb = b + (y * b_row + x * b_pixel) * 4
            out = dst + y * dst_row + x * channels * 4
            for c in range(channels):
                store_f32(out, c, min(max(load_f32(pa, c * a_channel) * load_f32(pb, c * b_channel), low), high))


@kernel
def multiply_i8(
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
    multiplier: int,
    rounding: int,
    shift: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8: (u * multiplier + rounding - nudge) >> shift with u the product of the codes less their zero points."""
    for y in range(rows):
        for x in range(columns):
            pa = a + y * a_row + x * a_pixel
            pb = b + y * b_row + x * b_pixel
            out = dst + y * dst_row + x * channels
            for c in range(channels):
                u = (load_code(pa, c * a_channel) - a_zero) * (load_code(pb, c * b_channel) - b_zero)
                product = u * multiplier + rounding
                if neg != 0 and u < 0:
                    product -= NUDGE
                store_code(out, c, min(max(zero_point + (product >> shift), qmin), qmax))

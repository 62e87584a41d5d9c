"""Sum of two buffers with broadcasting: a step of 0 repeats. Steps are elements along (H, W, C) of each operand.

The output's rows are `dst_row` bytes apart and its pixels adjacent.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebn.kernels.elements import INT8, INT16, Element, named
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, store_f32


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
    """TensorFlow Lite Micro's doubling high multiply and rounding shift in one (docs/integer-contract.md)."""
    if e == 0:
        return (v * m + (1 << 30)) >> 31
    nudge = (1 << 31) if v < 0 else 0
    return (v * m + (1 << 30) + (1 << (30 + e)) - nudge) >> (31 + e)


def _sums(element: Element, suffix: str) -> tuple[Callable[..., None], ...]:
    """Return the kernels of one type of codes."""
    load, store, size = element.load, element.store, element.bytes
    unit = 20 if size == 1 else 15  # bits by which TensorFlow Lite Micro shifts codes before it rescales them

    @named(f"add_{suffix}")
    def add(
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
        """One rounding: (a * ma + b * mb + rounding) >> shift."""
        for y in range(rows):
            for x in range(columns):
                pa = a + (y * a_row + x * a_pixel) * size
                pb = b + (y * b_row + x * b_pixel) * size
                out = dst + y * dst_row + x * channels * size
                for c in range(channels):
                    va = load(pa, c * a_channel) - a_zero
                    vb = load(pb, c * b_channel) - b_zero
                    total = (va * a_multiplier + vb * b_multiplier + rounding) >> shift
                    store(out, c, min(max(zero_point + total, qmin), qmax))

    @named(f"add_double_{suffix}")
    def add_double(
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
        """TensorFlow Lite Micro's roundings: each input, then the sum."""
        for y in range(rows):
            for x in range(columns):
                pa = a + (y * a_row + x * a_pixel) * size
                pb = b + (y * b_row + x * b_pixel) * size
                out = dst + y * dst_row + x * channels * size
                for c in range(channels):
                    va = rescale((load(pa, c * a_channel) - a_zero) << unit, a_multiplier, a_shift)
                    vb = rescale((load(pb, c * b_channel) - b_zero) << unit, b_multiplier, b_shift)
                    total = rescale(va + vb, total_multiplier, total_shift)
                    store(out, c, min(max(zero_point + total, qmin), qmax))

    return add, add_double


add_i8, add_double_i8 = _sums(INT8, "i8")
add_i16, add_double_i16 = _sums(INT16, "i16")

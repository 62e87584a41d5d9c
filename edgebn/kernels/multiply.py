"""Product of two buffers with broadcasting: a step of 0 repeats. Steps are elements along (H, W, C) of each operand."""

from __future__ import annotations

from collections.abc import Callable

from edgebn.kernels.elements import INT8, INT16, Element, named
from edgebn.kernels.epilogue import NUDGE
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, store_f32


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


def _product(element: Element, suffix: str) -> tuple[Callable[..., None], ...]:
    """Return the kernels of one type of codes."""
    load, store, size = element.load, element.store, element.bytes

    @named(f"multiply_{suffix}")
    def multiply(
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
        """(u * multiplier + rounding - nudge) >> shift with u the product of the codes less their zero points."""
        for y in range(rows):
            for x in range(columns):
                pa = a + (y * a_row + x * a_pixel) * size
                pb = b + (y * b_row + x * b_pixel) * size
                out = dst + y * dst_row + x * channels * size
                for c in range(channels):
                    u = (load(pa, c * a_channel) - a_zero) * (load(pb, c * b_channel) - b_zero)
                    product = u * multiplier + rounding
                    if neg != 0 and u < 0:
                        product -= NUDGE
                    store(out, c, min(max(zero_point + (product >> shift), qmin), qmax))

    return (multiply,)


(multiply_i8,) = _product(INT8, "i8")
(multiply_i16,) = _product(INT16, "i16")

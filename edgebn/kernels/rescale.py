"""Codes to codes of another scale or type, with another multiplier below zero where there is one. Pixels of a row are adjacent."""

from __future__ import annotations

from collections.abc import Callable

from edgebn.kernels.elements import INT8, INT16, Element, named


def _rescale(operand: Element, output: Element, suffix: str) -> Callable[..., None]:
    """Return the kernel from one type of codes to another."""
    load, store = operand.load, output.store

    @named(f"rescale_{suffix}")
    def rescale(
        src: int,
        src_row: int,
        dst: int,
        dst_row: int,
        rows: int,
        count: int,
        source_zero: int,
        multiplier: int,
        rounding: int,
        shift: int,
        below_multiplier: int,
        below_rounding: int,
        below_shift: int,
        zero_point: int,
        qmin: int,
        qmax: int,
    ) -> None:
        """Of u, the code less its zero point: (u * multiplier + rounding) >> shift, with those of `below` where u < 0.

        `below_rounding` holds what double rounding takes off.
        """
        for y in range(rows):
            a = src + y * src_row
            b = dst + y * dst_row
            for i in range(count):
                u = load(a, i) - source_zero
                product = (u * below_multiplier + below_rounding) if u < 0 else (u * multiplier + rounding)
                value = product >> (below_shift if u < 0 else shift)
                store(b, i, min(max(zero_point + value, qmin), qmax))

    return rescale


rescale_i8_i8 = _rescale(INT8, INT8, "i8_i8")
rescale_i8_i16 = _rescale(INT8, INT16, "i8_i16")
rescale_i16_i8 = _rescale(INT16, INT8, "i16_i8")
rescale_i16_i16 = _rescale(INT16, INT16, "i16_i16")

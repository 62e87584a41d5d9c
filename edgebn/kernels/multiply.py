"""Product of two buffers with broadcasting."""

from __future__ import annotations

from typing import NamedTuple

from edgebn.kernels.broadcasting import broadcast
from edgebn.kernels.elements import FLOAT32, INT8, INT16
from edgebn.kernels.epilogue import NUDGE
from edgebn.kernels.parameters import Bounds


class Rounding(NamedTuple):
    """(u * multiplier + rounding - nudge) >> shift with u the product of the codes less their zero points."""

    a_zero: int
    b_zero: int
    multiplier: int
    rounding: int
    shift: int
    neg: int
    zero_point: int
    qmin: int
    qmax: int


def _product(a: float, b: float, bounds: Bounds) -> float:
    return min(max(a * b, bounds.low), bounds.high)


def _product_of_codes(a: int, b: int, by: Rounding) -> int:
    u = (a - by.a_zero) * (b - by.b_zero)
    product = u * by.multiplier + by.rounding
    if by.neg != 0 and u < 0:
        product -= NUDGE
    return min(max(by.zero_point + (product >> by.shift), by.qmin), by.qmax)


multiply_f32 = broadcast("multiply_f32", FLOAT32, FLOAT32, Bounds, _product)
multiply_i8 = broadcast("multiply_i8", INT8, INT8, Rounding, _product_of_codes)
multiply_i16 = broadcast("multiply_i16", INT16, INT16, Rounding, _product_of_codes)

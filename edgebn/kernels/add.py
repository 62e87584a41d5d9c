"""Sum of two buffers with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgebn.kernels.broadcasting import broadcast
from edgebn.kernels.elements import FLOAT32, INT8, INT16
from edgebn.kernels.jit import kernel
from edgebn.kernels.parameters import Bounds


class OneRounding(NamedTuple):
    """(a * ma + b * mb + rounding) >> shift of codes less their zero points."""

    a_zero: int
    b_zero: int
    a_multiplier: int
    b_multiplier: int
    rounding: int
    shift: int
    zero_point: int
    qmin: int
    qmax: int


class DoubleRounding(NamedTuple):
    """TensorFlow Lite Micro's roundings: each input, then the sum."""

    a_zero: int
    b_zero: int
    a_multiplier: int
    b_multiplier: int
    total_multiplier: int
    a_shift: int
    b_shift: int
    total_shift: int
    zero_point: int
    qmin: int
    qmax: int


def _sum(a: float, b: float, bounds: Bounds) -> float:
    return min(max(a + b, bounds.low), bounds.high)


def _sum_of_codes(a: int, b: int, scaling: OneRounding) -> int:
    va, vb = (a - scaling.a_zero) * scaling.a_multiplier, (b - scaling.b_zero) * scaling.b_multiplier
    total = (va + vb + scaling.rounding) >> scaling.shift
    return min(max(scaling.zero_point + total, scaling.qmin), scaling.qmax)


@kernel
def rescale(v: int, m: int, e: int) -> int:
    """TensorFlow Lite Micro's doubling high multiply and rounding shift in one (docs/integer-contract.md)."""
    if e == 0:
        return (v * m + (1 << 30)) >> 31
    negative_rounding = (1 << 31) if v < 0 else 0
    return (v * m + (1 << 30) + (1 << (30 + e)) - negative_rounding) >> (31 + e)


def _double_sum(unit: int) -> Callable[[int, int, DoubleRounding], int]:
    """Return the sum of codes that TensorFlow Lite Micro shifts by `unit` bits before it rescales them."""

    def compute(a: int, b: int, scaling: DoubleRounding) -> int:
        va = rescale((a - scaling.a_zero) << unit, scaling.a_multiplier, scaling.a_shift)
        vb = rescale((b - scaling.b_zero) << unit, scaling.b_multiplier, scaling.b_shift)
        total = rescale(va + vb, scaling.total_multiplier, scaling.total_shift)
        return min(max(scaling.zero_point + total, scaling.qmin), scaling.qmax)

    return compute


add_f32 = broadcast("add_f32", FLOAT32, FLOAT32, Bounds, _sum)
add_i8 = broadcast("add_i8", INT8, INT8, OneRounding, _sum_of_codes)
add_i16 = broadcast("add_i16", INT16, INT16, OneRounding, _sum_of_codes)
add_double_i8 = broadcast("add_double_i8", INT8, INT8, DoubleRounding, _double_sum(20))
add_double_i16 = broadcast("add_double_i16", INT16, INT16, DoubleRounding, _double_sum(15))

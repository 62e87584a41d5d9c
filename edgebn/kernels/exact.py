"""Logarithm and exponential of float32, to the bit those of `reference/float32.py`, which says where they come from.

Each line is one rounded operation in the order written: kernels are compiled without contraction (`jit.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import bits_of_float, float_from_bits

ONE: Any = np.float32(1)
HALF: Any = np.float32(0.5)
LN2 = np.float32(0.6931471805599453)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693145751953125)
LN2_LOW = np.float32(1.428606765330187e-6)
SQRT2 = np.float32(1.4142135623730951)
EXP_LIMIT: Any = np.float32(80.0)
ATANH_9, ATANH_7, ATANH_5, ATANH_3 = (np.float32(1.0 / n) for n in (9, 7, 5, 3))
EXP_6, EXP_5, EXP_4, EXP_3, EXP_2 = (np.float32(1.0 / n) for n in (720, 120, 24, 6, 2))

EXPONENT_BIAS = 127
MANTISSA_BITS = 23
MANTISSA = (1 << MANTISSA_BITS) - 1
ONES_BITS = EXPONENT_BIAS << MANTISSA_BITS


@kernel
def ln(x: float) -> float:
    """Return the natural logarithm of a positive normal number."""
    bits = bits_of_float(x)
    exponent = (bits >> MANTISSA_BITS) - EXPONENT_BIAS
    mantissa = float_from_bits((bits & MANTISSA) | ONES_BITS)
    if mantissa > SQRT2:
        mantissa = mantissa * HALF
        exponent += 1
    s = (mantissa - ONE) / (mantissa + ONE)
    z = s * s
    series = ATANH_9 * z + ATANH_7
    series = series * z + ATANH_5
    series = series * z + ATANH_3
    series = series * z
    half = s + s * series
    return half + half + np.float32(exponent) * LN2


@kernel
def exp(x: float) -> float:
    """Return e**x, x clipped to -80..80."""
    x = min(max(x, -EXP_LIMIT), EXP_LIMIT)
    nearest = x * LOG2_E + (-HALF if x < 0 else HALF)
    n = np.int64(nearest)  # towards zero
    real = np.float32(n)
    f = x - real * LN2_HIGH
    f = f - real * LN2_LOW
    series = EXP_6 * f + EXP_5
    series = series * f + EXP_4
    series = series * f + EXP_3
    series = series * f + EXP_2
    series = series * f + ONE
    return (series * f + ONE) * float_from_bits((n + EXPONENT_BIAS) << MANTISSA_BITS)

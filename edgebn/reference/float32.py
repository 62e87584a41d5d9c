"""float32 functions that every engine computes to the same bit: only additions, products, divisions and moves of bits.

Each line is one rounded IEEE operation (no fused multiply-add), in the order written. Arrays go through element by element.
"""

from __future__ import annotations

import numpy as np

# What a name stands for is the float32 nearest to it.
LN2 = np.float32(0.6931471805599453)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693145751953125)  # ln 2 with few bits, so that its product with a small integer is exact
LN2_LOW = np.float32(1.428606765330187e-6)
SQRT2 = np.float32(1.4142135623730951)
EXP_LIMIT = np.float32(80.0)

_ATANH = tuple(np.float32(1.0 / n) for n in (9, 7, 5, 3))  # ln m = 2 atanh(s), s = (m - 1) / (m + 1), as a series in s
_EXP = tuple(np.float32(1.0 / n) for n in (720, 120, 24, 6, 2, 1))  # Taylor: |f| <= ln 2 / 2 leaves 2e-8


def ln(x: np.ndarray) -> np.ndarray:
    """Return the natural logarithm of positive normal float32 numbers, within 2 units in the last place; ln(1) is 0."""
    bits = np.asarray(x, np.float32).view(np.int32)
    exponent = (bits >> 23) - 127
    mantissa = ((bits & 0x7FFFFF) | 0x3F800000).view(np.float32)  # 1 <= mantissa < 2
    is_large = mantissa > SQRT2
    mantissa = np.where(is_large, mantissa * np.float32(0.5), mantissa)
    exponent = exponent + is_large
    s = (mantissa - np.float32(1)) / (mantissa + np.float32(1))
    z = s * s
    series = _ATANH[0] * z + _ATANH[1]
    series = series * z + _ATANH[2]
    series = series * z + _ATANH[3]
    series = series * z
    half = s + s * series
    return half + half + exponent.astype(np.float32) * LN2


def exp(x: np.ndarray) -> np.ndarray:
    """Return e**x of float32 numbers, x clipped to -80..80, within 2 units in the last place; exp(0) is 1."""
    x = np.minimum(np.maximum(np.asarray(x, np.float32), -EXP_LIMIT), EXP_LIMIT)
    nearest = x * LOG2_E + np.where(x < 0, np.float32(-0.5), np.float32(0.5))
    n = nearest.astype(np.int32)  # towards zero
    real = n.astype(np.float32)
    f = x - real * LN2_HIGH
    f = f - real * LN2_LOW
    series = _EXP[0] * f + _EXP[1]
    for coefficient in _EXP[2:]:
        series = series * f + coefficient
    power = ((n + 127) << 23).astype(np.int32).view(np.float32)
    return (series * f + np.float32(1)) * power


def sequential_sum(values: np.ndarray) -> np.float32:
    """Return the sum of float32 (n,), added one after the other from the first to the last, beginning with 0."""
    return np.float32(0) if len(values) == 0 else np.cumsum(values, dtype=np.float32)[-1]

"""Softmax: real in float32, and TensorFlow Lite Micro's integer algorithms in int8 and int16, operation by operation.

The int8 algorithm is gemmlowp's fixed point (Jacob and Warden, gemmlowp/fixedpoint/fixedpoint.h): a raw int32 with n
integer bits stands for raw / 2**(31 - n). Arrays here are int64 that hold int32 values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.program import Softmax
from edgebn.reference.arithmetic import interpolated
from edgebn.reference.fixed_point import INT32_MAX, high_multiply, rounding_shift, saturating_left_shift

if TYPE_CHECKING:
    from edgebn.reference import Operands

INPUT_BITS = 5  # integer bits of the scaled differences
SUM_BITS = 12  # integer bits of the sum of exponentials
ONE_EIGHTH = 1 << 28  # with 0 integer bits
EXP_MINUS_ONE_EIGHTH = 1895147668  # exp(-1/8) with 0 integer bits
ONE_THIRD = 715827883  # 1/3 with 0 integer bits
# exp(-2**k) with 0 integer bits, k = -2 .. 4
EXP_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
FORTY_EIGHT_17THS = 1515870810  # 48/17 with 2 integer bits: the start of Newton's reciprocal
MINUS_THIRTY_TWO_17THS = -1010580540  # -32/17 with 2 integer bits


def softmax(step: Softmax, operands: Operands) -> np.ndarray:
    """Softmax over the channels of (H, W, C)."""
    (value,) = operands.values
    if value.dtype == np.float32:
        x = step.beta * value.astype(np.float64)
        powers = np.exp(x - x.max(axis=2, keepdims=True))
        return (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32)
    codes = value.astype(np.int64)
    if step.tables is not None:
        return _wide_softmax(step, codes, step.tables.astype(np.int64))
    difference = codes - codes.max(axis=2, keepdims=True)
    counted = difference >= step.diff_min
    scaled = high_multiply(np.where(counted, difference, 0) << step.left_shift, step.multiplier)
    powers = exp_of_negative(scaled)
    total = np.where(counted, rounding_shift(powers, SUM_BITS), 0).sum(axis=2, keepdims=True)
    reciprocal, bits_over_unit = reciprocal_of_sum(total)
    y = rounding_shift(high_multiply(reciprocal, powers), bits_over_unit + 31 - 8) - 128
    return np.where(counted, np.clip(y, -128, 127), -128).astype(np.int8)


def _wide_softmax(step: Softmax, codes: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """int16: TensorFlow Lite Micro's, by tables of e**x and of 1 / (1 + x) between whose entries lines run."""
    difference = codes - codes.max(axis=2, keepdims=True)
    shifted = high_multiply(difference << max(step.left_shift, 0), step.multiplier)
    scaled = rounding_shift(shifted, max(-step.left_shift, 0))
    powers = interpolated(np.clip(scaled + 32767, -32768, 32767), tables[0])
    total = powers.sum(axis=2, keepdims=True)
    zeros = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    x = ((total << (zeros - 1)) + 2**13) >> 14
    reciprocal = interpolated(np.clip(x - 3 * 2**15, -32768, 32767), tables[1])
    y = (powers * reciprocal + (1 << (30 - zeros))) >> (31 - zeros)
    return np.clip(y, 0, 32767).astype(np.int16)


def exp_of_negative(a: np.ndarray) -> np.ndarray:
    """exp(a) for a <= 0 with 5 integer bits; the result has 0 integer bits.

    a is split into a part in [-1/4, 0), whose exponential is a polynomial, and a sum of powers of two, whose exponentials
    are multiplied in one by one.
    """
    quarter = 1 << (31 - INPUT_BITS - 2)
    low = (a & (quarter - 1)) - quarter
    result = _exp_of_last_quarter(saturating_left_shift(low, INPUT_BITS))
    remainder = low - a
    for exponent, factor in zip(range(-2, INPUT_BITS), EXP_OF_POWERS, strict=True):
        is_set = (remainder & (1 << (31 - INPUT_BITS + exponent))) != 0
        result = np.where(is_set, high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_of_last_quarter(a: np.ndarray) -> np.ndarray:
    """exp(a) for -1/4 <= a < 0, both with 0 integer bits: Taylor's polynomial of degree 4 about -1/8."""
    x = a + ONE_EIGHTH
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    higher = rounding_shift(high_multiply(rounding_shift(x4, 2) + x3, ONE_THIRD) + x2, 1)
    return EXP_MINUS_ONE_EIGHTH + high_multiply(x + higher, EXP_MINUS_ONE_EIGHTH)


def reciprocal_of_sum(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 / total normalised to 0 integer bits, and how many bits above one `total` is (12 integer bits)."""
    leading_zeros = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    fraction = (total << leading_zeros) - 2**31  # total = (1 + fraction) * 2**bits
    # Newton-Raphson for 1 / ((1 + fraction) / 2), the start by the best line (error below 1/17), 2 integer bits.
    half_denominator = (fraction + INT32_MAX + 1) // 2  # half sum, rounded up; never negative here
    x = FORTY_EIGHT_17THS + high_multiply(half_denominator, MINUS_THIRTY_TWO_17THS)
    for _ in range(3):
        rest = (1 << 29) - high_multiply(half_denominator, x)
        x = x + saturating_left_shift(high_multiply(x, rest), 2)
    return saturating_left_shift(x, 1), SUM_BITS - leading_zeros

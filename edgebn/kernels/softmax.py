"""Softmax over the channels: float32, and TensorFlow Lite Micro's fixed point (gemmlowp) on int8 codes.

In fixed point, a number with n integer bits stands for raw / 2**(31 - n); raw values are int32, held here in int64.
"""

from __future__ import annotations

import numpy as np

from edgebn.kernels.fixed_point import INT32_MAX, high_multiply, rounding_shift, saturating_left_shift
from edgebn.kernels.isa import SELECTED
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import bits_of_float, load_code, load_i32, store_code, store_i32
from edgebn.kernels.softmax_vectors import BARE, NEGATIVE, SCALED, Softmax
from edgebn.kernels.variants import runner

SUM_BITS = 12  # integer bits of the sum of exponentials
QUARTER = 1 << 24  # 1/4 with the 5 integer bits of the scaled differences
ONE_EIGHTH = 1 << 28  # with 0 integer bits, like the next two
EXP_MINUS_ONE_EIGHTH = 1895147668
ONE_THIRD = 715827883
# exp(-2**k) for k = -2 .. 4, with 0 integer bits
EXP_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
FORTY_EIGHT_17THS = 1515870810  # with 2 integer bits: the start of Newton's reciprocal
MINUS_THIRTY_TWO_17THS = -1010580540
CODES = 256
UNKNOWN = np.int32(-1)  # no exponential is negative

_run = runner(Softmax(SELECTED))


@kernel
def softmax_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, columns: int, channels: int, beta: float) -> None:
    """float32; pixels of a row are adjacent. Sums are float64: of a thousand channels they would lose the last four places."""
    variant = BARE if beta == 1.0 else NEGATIVE if beta < 0 else SCALED
    for y in range(rows):
        _run(variant, (src + y * src_row, dst + y * dst_row, columns, channels, bits_of_float(beta)))


@kernel
def _exp_of_negative(a: int) -> int:
    """exp(a) for a <= 0 with 5 integer bits; the result has 0 integer bits.

    The part of a in [-1/4, 0) goes through Taylor's polynomial of degree 4 about -1/8; what remains is a sum of powers of two,
    whose exponentials are multiplied in.
    """
    if a == 0:
        return INT32_MAX
    low = (a & (QUARTER - 1)) - QUARTER
    x = saturating_left_shift(low, 5) + ONE_EIGHTH
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    higher = rounding_shift(high_multiply(rounding_shift(x4, 2) + x3, ONE_THIRD) + x2, 1)
    result = EXP_MINUS_ONE_EIGHTH + high_multiply(x + higher, EXP_MINUS_ONE_EIGHTH)
    remainder = low - a
    for k in range(7):
        if remainder & (QUARTER << k) != 0:
            result = high_multiply(result, EXP_OF_POWERS[k])
    return result


@kernel
def _reciprocal(total: int, leading_zeros: int) -> int:
    """1 / total for a total with `leading_zeros` zero bits in 32, normalised to 0 integer bits, by Newton and Raphson."""
    fraction = (total << leading_zeros) - (1 << 31)
    half_denominator = (fraction + INT32_MAX + 1) // 2
    x = FORTY_EIGHT_17THS + high_multiply(half_denominator, MINUS_THIRTY_TWO_17THS)
    for _ in range(3):
        rest = (1 << 29) - high_multiply(half_denominator, x)
        x += saturating_left_shift(high_multiply(x, rest), 2)
    return saturating_left_shift(x, 1)


@kernel
def softmax_i8(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    scratch: int,
    multiplier: int,
    left_shift: int,
    diff_min: int,
) -> None:
    """int8 codes to codes of scale 1/256 and zero point -128.

    `scratch` holds `CODES` int32: exponentials of differences from the largest code, each computed when it comes up first.
    """
    for i in range(CODES):
        store_i32(scratch, i, UNKNOWN)
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * channels
            b = dst + y * dst_row + x * channels
            highest = -128
            for c in range(channels):
                highest = max(highest, load_code(a, c))
            total = 0
            for c in range(channels):
                below = highest - load_code(a, c)
                if below <= -diff_min:
                    power = load_i32(scratch, below)
                    if power == UNKNOWN:
                        power = np.int32(_exp_of_negative(high_multiply(-below << left_shift, multiplier)))
                        store_i32(scratch, below, power)
                    total += rounding_shift(power, SUM_BITS)
            leading_zeros = 0
            while (total << leading_zeros) < (1 << 31):
                leading_zeros += 1
            reciprocal = _reciprocal(total, leading_zeros)
            for c in range(channels):
                below = highest - load_code(a, c)
                code = -128
                if below <= -diff_min:
                    share = high_multiply(reciprocal, load_i32(scratch, below))
                    code = min(max(rounding_shift(share, SUM_BITS - leading_zeros + 23) - 128, -128), 127)
                store_code(b, c, code)

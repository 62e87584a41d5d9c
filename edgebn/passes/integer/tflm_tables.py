"""TensorFlow Lite Micro's int8 elementwise functions as tables of 256 codes, bit for bit. Knows numbers only, no graph.

The integer algorithms are those of gemmlowp (fixedpoint.h: exp, logistic, tanh) and of TensorFlow Lite's reference kernels
(leaky ReLU, PReLU, hard-swish, requantisation). A raw int32 with n integer bits stands for raw / 2**(31 - n). Scales are
float32 numbers of the file, widened to float64; where a kernel multiplies them in float32, so does the code here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.layers import Quantization
from edgebn.passes.integer.multipliers import INT32_MAX, quantize_multiplier

CODES = np.arange(-128, 128, dtype=np.int64)
INPUT_BITS = 4  # integer bits of the scaled input of sigmoid and tanh
ONE_EIGHTH = 1 << 28
EXP_MINUS_ONE_EIGHTH = 1895147668  # exp(-1/8) with 0 integer bits
ONE_THIRD = 715827883  # 1/3 with 0 integer bits
# exp(-2**k) with 0 integer bits, for k = -2, -1, ...
EXP_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
FORTY_EIGHT_17THS = 1515870810  # 48/17 with 2 integer bits
MINUS_THIRTY_TWO_17THS = -1010580540  # -32/17 with 2 integer bits

ONE_AND_A_HALF = 3 << 27  # 1.5 with 3 integer bits
HALF_ROOT_2 = 1518500250  # sqrt(2) / 2 with 0 integer bits
ROOT_BITS = 20  # RSQRT's fraction on the way


def scale_of(quantization: Quantization) -> float:
    """Return the scale of a whole tensor."""
    return float(quantization.scale[0])


def zero_point_of(quantization: Quantization) -> int:
    """Return the zero point of a whole tensor."""
    return int(quantization.zero_point[0])


def multiply_by_quantized_multiplier(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """Return x * multiplier / 2**31 * 2**shift with TensorFlow Lite's double rounding; int64 arrays of int32 values."""
    return _rounding_shift(_high_multiply(x << max(shift, 0), multiplier), max(-shift, 0))


def requantized(source: Quantization, output: Quantization, low: int = -128, high: int = 127) -> np.ndarray:
    """Return the table (1, 256) that turns codes into another quantisation's, clipped to the codes low..high (QUANTIZE, RELU).

    RELU6 between two different quantisations is done alike, as LiteRT does it; TensorFlow Lite Micro clips the codes without
    converting them, which is right only within one quantisation (what converters write).
    """
    multiplier, shift = quantize_multiplier(scale_of(source) / scale_of(output))
    y = multiply_by_quantized_multiplier(CODES - zero_point_of(source), multiplier, shift)
    return _table(np.clip(y + zero_point_of(output), low, high))


def joined_unsigned(source: Quantization, output: Quantization) -> np.ndarray:
    """Return the table (1, 256) of a uint8 CONCATENATION's input, as `ConcatenationWithScaling`: float32, ties away from 0."""
    scale = np.float32(scale_of(source)) * (np.float32(1) / np.float32(scale_of(output)))
    bias = np.float32(-(zero_point_of(source) + 128)) * scale
    real = (CODES + 128).astype(np.float32) * scale + bias
    rounded = np.copysign(np.floor(np.abs(real) + np.float32(0.5)), real).astype(np.int64)
    return _table(np.clip(rounded + zero_point_of(output), -128, 127))


def sigmoid(source: Quantization, output: Quantization, where: str) -> np.ndarray:
    """Return LOGISTIC's table; its output has scale 1/256 and zero point -128."""
    if zero_point_of(output) != -128 or scale_of(output) != 1 / 256:
        raise QuantizationError(f"{where}: the int8 sigmoid needs an output scale of 1/256 and zero point -128; convert it again")
    x, centred, radius = _scaled_input(source, where)
    y = _rounding_shift(_logistic(x), 31 - 8) - 128
    return _table(np.where(centred <= -radius, -128, np.where(centred >= radius, 127, np.clip(y, -128, 127))))


def tanh(source: Quantization, output: Quantization, where: str) -> np.ndarray:
    """Return TANH's table; its output has scale 1/128 and zero point 0."""
    if zero_point_of(output) != 0 or scale_of(output) != 1 / 128:
        raise QuantizationError(f"{where}: the int8 tanh needs an output scale of 1/128 and zero point 0; convert it again")
    x, centred, radius = _scaled_input(source, where)
    y = _rounding_shift(_tanh(x), 31 - 7)
    return _table(np.where(centred <= -radius, -128, np.where(centred >= radius, 127, np.clip(y, -128, 127))))


def leaky_relu(source: Quantization, output: Quantization, alpha: float) -> np.ndarray:
    """Return LEAKY_RELU's table; both multipliers are float32 quotients."""
    s_in, s_out = np.float32(scale_of(source)), np.float32(scale_of(output))
    centred = CODES - zero_point_of(source)
    positive = multiply_by_quantized_multiplier(centred, *quantize_multiplier(float(s_in / s_out)))
    negative = multiply_by_quantized_multiplier(centred, *quantize_multiplier(float(s_in * np.float32(alpha) / s_out)))
    return _table(np.clip(np.where(centred >= 0, positive, negative) + zero_point_of(output), -128, 127))


def prelu(source: Quantization, output: Quantization, slopes: np.ndarray, slope: Quantization) -> np.ndarray:
    """Return PRELU's table, one row for each of the slope's codes `slopes`, int8 of shape (channels,)."""
    s_in, s_out = scale_of(source), scale_of(output)
    centred = CODES - zero_point_of(source)
    positive = multiply_by_quantized_multiplier(centred, *quantize_multiplier(s_in / s_out))
    factors = slopes.astype(np.int64)[:, None] - zero_point_of(slope)
    negative = multiply_by_quantized_multiplier(centred * factors, *quantize_multiplier(s_in * scale_of(slope) / s_out))
    return _table(np.clip(np.where(centred >= 0, positive, negative) + zero_point_of(output), -128, 127))


def hard_swish(source: Quantization, output: Quantization, where: str) -> np.ndarray:
    """Return HARD_SWISH's table: 16-bit fixed point throughout."""
    fine = np.float32(1 / 128) * np.float32(scale_of(source))
    multiplier, exponent = quantize_multiplier(float(fine / np.float32(scale_of(output))))
    gate_multiplier, gate_exponent = quantize_multiplier(float(fine / np.float32(3 / 32768)))
    if exponent > 0:
        raise QuantizationError(f"{where}: its output scale is too small for the int8 hard-swish; convert the model again")
    x = (CODES - zero_point_of(source)) << 7
    unshifted = _high_multiply_16(x, _to_16_bits(multiplier))
    gate = x
    if gate_exponent > 0:
        gate = _saturating_left_shift(gate, gate_exponent - 1, 16)
    gate = _high_multiply_16(gate, _to_16_bits(gate_multiplier))
    if gate_exponent > 0:
        gate = _saturating_left_shift(gate, 1, 16)
    if gate_exponent < 0:
        gate = _rounding_shift(gate, -gate_exponent)
    gate = (gate + (1 << 15)) >> 1
    product = gate * unshifted
    product = np.sign(product) * (np.abs(product) >> 15)  # towards zero
    return _table(np.clip(_rounding_shift(product, -exponent) + zero_point_of(output), -128, 127))


def absolute(source: Quantization, output: Quantization) -> np.ndarray:
    """Return ABS' table; the multiplier is a float32 quotient."""
    factor = float(np.float32(scale_of(source)) / np.float32(scale_of(output)))
    distance = np.abs(CODES - zero_point_of(source))
    if factor != 1.0:
        distance = multiply_by_quantized_multiplier(distance, *quantize_multiplier(factor))
    return _table(np.clip(distance + zero_point_of(output), -128, 127))


def by_formula(function: Callable[[np.ndarray], np.ndarray], source: Quantization, output: Quantization) -> np.ndarray:
    """Return the table of a formula, LiteRT's EXP, LOG and GELU: float32, ties away from 0, NaN the least code."""
    steps = _steps(function, source, output)
    rounded = np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps) + np.float32(zero_point_of(output))
    return _table(np.clip(np.nan_to_num(rounded, nan=-128.0), -128, 127))


def root(source: Quantization, output: Quantization) -> np.ndarray:
    """Return SQRT's table, which LiteRT rounds down; of codes below 0, at which it stops, the root of 0."""
    steps = _steps(lambda x: np.sqrt(np.maximum(x, 0.0)), source, output)
    return _table(np.clip(np.floor(steps) + zero_point_of(output), -128, 127))


def reciprocal_root(source: Quantization, output: Quantization) -> np.ndarray:
    """Return RSQRT's table; from 0 down, where TensorFlow Lite Micro stops below, the largest code."""
    factor = 1.0 / float(np.sqrt(np.float32(scale_of(source))) * np.float32(scale_of(output)))
    multiplier, shift = quantize_multiplier(factor)
    table = np.full(256, 127, np.int64)
    for place, distance in enumerate(CODES - zero_point_of(source)):
        if distance > 0:
            root, root_shift = _reciprocal_root(int(distance))
            units = multiply_by_quantized_multiplier(np.ones(1, np.int64), root, root_shift + ROOT_BITS)
            scaled = multiply_by_quantized_multiplier(units, multiplier, shift - ROOT_BITS)
            table[place] = scaled[0] + zero_point_of(output)
    return _table(np.clip(table, -128, 127))


def _steps(function: Callable[[np.ndarray], np.ndarray], source: Quantization, output: Quantization) -> np.ndarray:
    """Return a function of all codes in float32 steps of the output's scale."""
    real = np.float32(scale_of(source)) * (CODES - zero_point_of(source)).astype(np.float32)
    with np.errstate(all="ignore"):
        steps: np.ndarray = function(real.astype(np.float64)).astype(np.float32) * (np.float32(1) / np.float32(scale_of(output)))
    return steps


def _reciprocal_root(x: int) -> tuple[int, int]:
    """Return 1 / sqrt(x) of a positive int32 as a multiplier and its shift, by Newton and Raphson with 3 integer bits."""
    if x == 1:
        return INT32_MAX, 0
    shift = 11
    while x >= 1 << 29:
        x, shift = x // 4, shift + 1
    pairs = (31 - x.bit_length()) // 2 - 1
    half, root = _rounding_shift(np.array(x << (2 * pairs) >> 1), 1), np.array(1 << 28)
    for _ in range(5):
        cube = _saturating_left_shift(_high_multiply(_high_multiply(root, root), root), 6)
        root = _saturating_left_shift(_high_multiply(root, ONE_AND_A_HALF) - _high_multiply(half, cube), 3)
    root = _high_multiply(root, HALF_ROOT_2)
    return int(root) << max(pairs - shift, 0), -max(shift - pairs, 0)


def _table(codes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.atleast_2d(codes).astype(np.int8))


def _scaled_input(source: Quantization, where: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the input with 4 integer bits, the centred codes, and from which distance on the function is saturated."""
    multiplier, shift = quantize_multiplier(scale_of(source) * 2.0 ** (31 - INPUT_BITS))
    if not 0 <= shift <= 31:
        raise QuantizationError(f"{where}: its input scale {scale_of(source):.3g} is beyond int8 arithmetic; convert it again")
    radius = math.floor(((1 << INPUT_BITS) - 1) * 2.0 ** (31 - INPUT_BITS) / 2.0**shift)
    centred = CODES - zero_point_of(source)
    inside = np.clip(centred, -max(radius - 1, 0), max(radius - 1, 0))  # others never reach the function
    return multiply_by_quantized_multiplier(inside, multiplier, shift), centred, radius


def _high_multiply(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """Rounding doubling high multiply: round(a * b / 2**31), ties towards plus infinity."""
    return (a * b + 2**30) >> 31


def _high_multiply_16(a: np.ndarray, b: int) -> np.ndarray:
    """The 16-bit form of the same; only -2**15 times itself overflows, and saturates."""
    return np.minimum((a * b + 2**14) >> 15, 2**15 - 1)


def _rounding_shift(x: np.ndarray, exponent: int) -> np.ndarray:
    """Return x / 2**exponent, ties away from zero."""
    half = (1 << exponent) >> 1
    return np.sign(x) * ((np.abs(x) + half) >> exponent)


def _saturating_left_shift(x: np.ndarray, exponent: int, bits: int = 32) -> np.ndarray:
    """Return x * 2**exponent, held within a signed number of `bits` bits."""
    return np.clip(x << exponent, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def _to_16_bits(multiplier: int) -> int:
    """A 32-bit multiplier rounded to 16 bits."""
    return 2**15 - 1 if multiplier >= INT32_MAX - (1 << 15) else (multiplier + (1 << 15)) >> 16


def _exp_of_negative(a: np.ndarray, bits: int) -> np.ndarray:
    """exp(a) for a <= 0 with `bits` integer bits; the result has 0 integer bits.

    a = a part in [-1/4, 0), whose exponential is Taylor's polynomial about -1/8, and powers of two, multiplied in one by one.
    """
    fraction_bits = 31 - bits
    quarter = 1 << (fraction_bits - 2)
    low = (a & (quarter - 1)) - quarter
    x = _saturating_left_shift(low, bits) + ONE_EIGHTH
    x2 = _high_multiply(x, x)
    x3, x4 = _high_multiply(x2, x), _high_multiply(x2, x2)
    higher = _rounding_shift(_high_multiply(_rounding_shift(x4, 2) + x3, ONE_THIRD) + x2, 1)
    result = EXP_MINUS_ONE_EIGHTH + _high_multiply(x + higher, EXP_MINUS_ONE_EIGHTH)
    remainder = low - a
    for exponent, factor in zip(range(-2, bits), EXP_OF_POWERS, strict=False):
        is_set = (remainder & (1 << (fraction_bits + exponent))) != 0
        result = np.where(is_set, _high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _newton(a: np.ndarray) -> np.ndarray:
    """2 / (1 + a) for 0 <= a <= 1 with 0 integer bits, by Newton and Raphson; the result has 2 integer bits."""
    half_denominator = (a + INT32_MAX + 1) // 2
    x = FORTY_EIGHT_17THS + _high_multiply(half_denominator, MINUS_THIRTY_TWO_17THS)
    for _ in range(3):
        rest = (1 << 29) - _high_multiply(half_denominator, x)
        x = x + _saturating_left_shift(_high_multiply(x, rest), 2)
    return x


def _logistic(a: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-a)); 4 integer bits in, 0 out."""
    positive = _saturating_left_shift(_newton(_exp_of_negative(-np.abs(a), INPUT_BITS)), 1)
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def _tanh(a: np.ndarray) -> np.ndarray:
    """Tanh as (1 - exp(-2 a)) / (1 + exp(-2 a)); 4 integer bits in, 0 out. Doubling a is reading it with one bit more."""
    positive = _saturating_left_shift(_newton(_exp_of_negative(-np.abs(a), INPUT_BITS + 1)) - (1 << 29), 2)
    return np.where(a == 0, 0, np.where(a > 0, positive, -positive))

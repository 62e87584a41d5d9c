"""TensorFlow Lite's fixed point (gemmlowp): int32 that int64 holds; with n integer bits, raw stands for raw / 2**(31 - n)."""

from __future__ import annotations

from edgebn.kernels.jit import kernel

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)
ONE_AND_A_HALF = 3 << 27  # with 3 integer bits
ROOT_OF_HALF = 1518500250  # with 0 integer bits


@kernel
def high_multiply(a: int, b: int) -> int:
    """round(a * b / 2**31), ties towards plus infinity."""
    return (a * b + (1 << 30)) >> 31


@kernel
def rounding_shift(x: int, exponent: int) -> int:
    """X / 2**exponent, ties away from zero."""
    half = (1 << exponent) >> 1
    return -((half - x) >> exponent) if x < 0 else (x + half) >> exponent


@kernel
def saturating_left_shift(x: int, exponent: int) -> int:
    """X * 2**exponent, held within int32."""
    return min(max(x << exponent, INT32_MIN), INT32_MAX)


@kernel
def _steps(x: int) -> int:
    """Return by how many powers of 4 less than 11 a number from 2 up is multiplied to lie from 2**27 up and below 2**29."""
    shift = 11
    while x >= (1 << 29):
        x >>= 2
        shift += 1
    while x < (1 << 27):
        x <<= 2
        shift -= 1
    return shift


@kernel
def inverse_root_shift(x: int) -> int:
    """Return s of 1 / sqrt(x) = q / 2**31 / 2**s; `inverse_root` is q."""
    return max(_steps(x), 0) if x > 1 else 0


@kernel
def inverse_root(x: int) -> int:
    """Return q of 1 / sqrt(x), by five steps of Newton and Raphson; of 0, that of 1."""
    if x <= 1:
        return INT32_MAX
    shift = _steps(x)
    x = x >> (2 * (shift - 11)) if shift > 11 else x << (2 * (11 - shift))
    half, root = ((x >> 1) + 1) >> 1, 1 << 28
    for _ in range(5):
        cube = saturating_left_shift(high_multiply(high_multiply(root, root), root), 6)
        root = saturating_left_shift(high_multiply(root, ONE_AND_A_HALF) - high_multiply(half, cube), 3)
    return high_multiply(root, ROOT_OF_HALF) << max(-shift, 0)

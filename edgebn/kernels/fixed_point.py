"""TensorFlow Lite's fixed point (gemmlowp): int32 that int64 holds; with n integer bits, raw stands for raw / 2**(31 - n)."""

from __future__ import annotations

from edgebn.kernels.jit import kernel

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)


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

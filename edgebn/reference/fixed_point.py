"""TensorFlow Lite's fixed point (gemmlowp): a number with n integer bits stands for raw / 2**(31 - n); int64 that hold int32."""

from __future__ import annotations

import numpy as np

INT32_MAX = 2**31 - 1
ONE_AND_A_HALF = 3 << 27  # with 3 integer bits
ROOT_OF_HALF = 1518500250  # with 0 integer bits


def high_multiply(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """Rounding doubling high multiply: round(a * b / 2**31), ties towards plus infinity."""
    return (a * b + 2**30) >> 31


def rounding_shift(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """Return x / 2**exponent, ties away from zero."""
    half = np.where(np.asarray(exponent) > 0, 1 << np.maximum(np.asarray(exponent) - 1, 0), 0)
    return np.sign(x) * ((np.abs(x) + half) >> exponent)


def saturating_left_shift(x: np.ndarray, exponent: int) -> np.ndarray:
    """Return x * 2**exponent, held within int32."""
    return np.clip(x << exponent, -(2**31), INT32_MAX)


def inverse_root(total: int) -> tuple[int, int]:
    """Return (q, s): 1 / sqrt(total) as q / 2**31 / 2**s, by five steps of Newton and Raphson."""
    if total <= 1:
        return INT32_MAX, 0
    shift = 11
    while total >= 1 << 29:
        total, shift = total >> 2, shift + 1
    while total < 1 << 27:
        total, shift = total << 2, shift - 1
    half, root = np.array(((total >> 1) + 1) >> 1), np.array(1 << 28)
    for _ in range(5):
        cube = saturating_left_shift(high_multiply(high_multiply(root, root), root), 6)
        root = saturating_left_shift(high_multiply(root, ONE_AND_A_HALF) - high_multiply(half, cube), 3)
    return int(high_multiply(root, ROOT_OF_HALF)) << max(-shift, 0), max(shift, 0)

"""Norms by the sample's own statistics: layer, group, instance and RMS norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.program import Normalization, UnitNorm
from edgebn.reference.softmax import INT32_MAX, high_multiply, rounding_shift, saturating_left_shift

if TYPE_CHECKING:
    from edgebn.reference import Operands

ONE_AND_A_HALF = 3 << 27  # with 3 integer bits
ROOT_OF_HALF = 1518500250  # with 0 integer bits


def normalization(step: Normalization, operands: Operands) -> np.ndarray:
    """Normalise (H, W, C) in float64, rounded once; formulas in `program.Normalization`."""
    (value,) = operands.values
    x = value.astype(np.float64)
    axes: tuple[int, ...] = (2,)
    if step.groups:
        height, width, channels = x.shape
        x = x.reshape(height, width, step.groups, channels // step.groups)
        axes = (0, 1, 3)
    if step.centred:
        x = x - x.mean(axis=axes, keepdims=True)
    normalised = x / np.sqrt(np.square(x).mean(axis=axes, keepdims=True) + step.epsilon)
    return (normalised.reshape(value.shape) * step.gamma + step.beta).astype(np.float32)


def unit_norm(step: UnitNorm, operands: Operands) -> np.ndarray:
    """int8 codes over the root of the sum of their squares; formulas in `program.UnitNorm`."""
    centred = operands.values[0].astype(np.int64) - operands.inputs[0].zero_point
    result = np.empty(centred.shape, np.int8)
    for y, x in np.ndindex(centred.shape[:2]):
        multiplier, shift = inverse_root(int(np.square(centred[y, x]).sum()))
        right = shift + step.left_shift - 7
        scaled = high_multiply(centred[y, x] << step.left_shift << max(-right, 0), multiplier)
        result[y, x] = np.clip(rounding_shift(scaled, max(right, 0)), -128, 127)
    return result


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

"""Norms by the sample's own statistics: layer, group, instance and RMS norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.program import Normalization, UnitNorm
from edgebn.reference.fixed_point import high_multiply, inverse_root, rounding_shift

if TYPE_CHECKING:
    from edgebn.reference import Operands


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

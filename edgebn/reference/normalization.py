"""Norms by the sample's own statistics: layer, group, instance and RMS norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.program import Normalization

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

"""Steps that move values without computing new ones, and resampling. Knows nothing of layouts in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.program import Concat, Crop, Pad, Reshape, Resize, Transpose

if TYPE_CHECKING:
    from edgebn.reference import Operands


def concat(step: Concat, operands: Operands) -> np.ndarray:
    """Join along `axis`; int8 inputs pass through their tables first."""
    tables = step.tables or (None,) * len(operands.values)
    parts = [
        value if table is None else table[value.astype(np.int64) + 128]
        for value, table in zip(operands.values, tables, strict=True)
    ]
    return np.concatenate(parts, axis=step.axis)


def pad(step: Pad, operands: Operands) -> np.ndarray:
    """Surround the value with one constant."""
    (value,) = operands.values
    return np.pad(value, step.pads, constant_values=value.dtype.type(step.value))


def crop(step: Crop, operands: Operands) -> np.ndarray:
    """The part that begins at `starts`."""
    (value,) = operands.values
    (y, x, c), (height, width, channels) = step.starts, operands.output.shape
    return value[y : y + height, x : x + width, c : c + channels].copy()


def resize(step: Resize, operands: Operands) -> np.ndarray:
    """Nearest: one neighbour. Bilinear: four, in float64 rounded once (float32) or with weights in 1/1024 (int8)."""
    (value,) = operands.values
    if step.function == "nearest":
        return value[step.rows[:, 0]][:, step.columns[:, 0]]
    if value.dtype == np.float32:
        return _bilinear(value.astype(np.float64), step).astype(np.float32)
    if step.truncation_offset is not None:
        total = _bilinear(value.astype(np.float32) + np.float32(step.truncation_offset), step)
        return (np.trunc(total).astype(np.int64) - step.truncation_offset).astype(np.int8)
    if step.adds_half:
        return _bilinear_half(value.astype(np.float32) + np.float32(128), step)
    total = _bilinear(value.astype(np.int64), step)
    if step.even_from is not None:
        return (np.rint((total - step.even_from * 2**20) / 2**20) + step.even_from).astype(np.int8)
    return ((total + 2**19 - (total < 0)) >> 20).astype(value.dtype)  # half away from zero


def _bilinear_half(value: np.ndarray, step: Resize) -> np.ndarray:
    """Codes from the four neighbours of float32 numbers: columns outside, rows inside, and a half before the fraction goes."""
    total = np.float32(0)
    for j in range(2):
        for i in range(2):
            weighted = value[step.rows[:, i]][:, step.columns[:, j]] * step.row_weights[:, i][:, None, None]
            total = total + weighted * step.column_weights[:, j][None, :, None]
    whole = np.trunc(total + np.float32(0.5)).astype(np.int64)
    return (np.clip(whole, 0, 255) - 128).astype(np.int8)


def _bilinear(value: np.ndarray, step: Resize) -> np.ndarray:
    """Sum of the four neighbours times their weights, in the dtype of `value`."""
    weighted = []
    for i in range(2):
        for j in range(2):
            row_weight = step.row_weights[:, i].astype(value.dtype)[:, None, None]
            column_weight = step.column_weights[:, j].astype(value.dtype)[None, :, None]
            weighted.append(column_weight * row_weight * value[step.rows[:, i]][:, step.columns[:, j]])
    return weighted[0] + weighted[1] + weighted[2] + weighted[3]


def transpose(step: Transpose, operands: Operands) -> np.ndarray:
    """Output axis i is input axis permutation[i]."""
    return np.ascontiguousarray(operands.values[0].transpose(step.permutation))


def reshape(step: Reshape, operands: Operands) -> np.ndarray:  # noqa: ARG001  # every step's function is called alike
    """The same elements under the output's shape."""
    return operands.values[0].reshape(operands.output.shape)

"""Real numbers to codes and back: at the edge of a program, and as steps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.errors import ModelError
from edgebn.program import CODE_RANGES, Buffer, Dequantize, Quantize

if TYPE_CHECKING:
    from edgebn.reference import Operands


def quantize_real(x: np.ndarray, buffer: Buffer) -> np.ndarray:
    """Return the codes of real numbers: clip(rint_half_even(x / float32(scale)) + zero_point, least, most), in float32.

    Raises
    ------
    ModelError
        `x` holds NaN, which no code stands for.
    """
    real = np.asarray(x, np.float32)
    if np.isnan(real).any():
        raise ModelError(f"the value for '{buffer.name}' holds NaN, which no code stands for; clean the input first")
    return _codes(real, buffer)


def _codes(real: np.ndarray, buffer: Buffer) -> np.ndarray:
    with np.errstate(over="ignore"):  # a quotient beyond float32 is infinite, and the clip takes it
        rounded = np.rint(real / np.float32(buffer.scale)) + np.float32(buffer.zero_point)
    return np.clip(rounded, *CODE_RANGES[buffer.dtype]).astype(buffer.dtype)


def quantize_step(step: Quantize, operands: Operands) -> np.ndarray:  # noqa: ARG001  # every step's function is called alike
    """As at the edge, but that NaN becomes the lowest code."""
    (real,) = operands.values
    return _codes(np.where(np.isnan(real), -np.inf, real).astype(np.float32), operands.output)


def dequantize_step(step: Dequantize, operands: Operands) -> np.ndarray:  # noqa: ARG001  # the same
    """As at the edge."""
    return dequantize(operands.values[0], operands.inputs[0])


def dequantize(codes: np.ndarray, buffer: Buffer) -> np.ndarray:
    """Return the real numbers of codes: float32(scale) * (code - zero_point)."""
    return np.float32(buffer.scale) * (np.asarray(codes, np.int32) - buffer.zero_point).astype(np.float32)

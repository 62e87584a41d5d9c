"""Windows over a sample, and the maximum or average of them, for steps of their own and for pools fused into convolutions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgebn.program import IntEpilogue, Pair, Pool, Sides, Window
from edgebn.reference.epilogue import int_epilogue

if TYPE_CHECKING:
    from edgebn.reference import Operands


def windows(x: np.ndarray, kernel: Pair, strides: Pair, dilations: Pair, padding: Sides, fill: float) -> np.ndarray:
    """Return every window of x (H, W, C) after padding with `fill`: a view of shape (OH, OW, C, kh, kw)."""
    top, left, bottom, right = padding
    padded = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    span = tuple(dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True))
    seen = sliding_window_view(padded, span, axis=(0, 1))
    return seen[:: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]


def pool(step: Pool, operands: Operands) -> np.ndarray:
    """Pooling of its own."""
    (value,), (buffer,) = operands.values, operands.inputs
    if value.dtype == np.float32:
        return float_windows(value, step.window)
    if step.epilogue is None:
        return int_windows(value, step.window, buffer.zero_point)
    total, count = sum_and_count(value.astype(np.int64), step.window, buffer.zero_point)
    epilogue = step.epilogue if len(step.epilogue.m) == 1 else _by_count(step.epilogue, count)
    return int_epilogue(total, epilogue, operands.output.dtype)


def _by_count(epilogue: IntEpilogue, count: np.ndarray) -> IntEpilogue:
    """Return the epilogue with its entries where they hold: arrays (OH, OW, 1)."""
    entry = np.maximum(count, 1) - 1
    arrays = {name: getattr(epilogue, name)[entry] for name in ("acc_bias", "lo", "hi", "m", "r", "s")}
    return replace(epilogue, **arrays)


def float_windows(x: np.ndarray, window: Window) -> np.ndarray:
    """Maximum, or average with the sum in float64 and one rounding to float32."""
    if window.function == "max":
        return windows(x, window.kernel, window.strides, window.dilations, window.padding, -np.inf).max(axis=(3, 4))
    total, count = sum_and_count(x.astype(np.float64), window, 0)
    return (total / np.maximum(count, 1)).astype(np.float32)


def int_windows(codes: np.ndarray, window: Window, zero_point: int) -> np.ndarray:
    """Maximum of the codes, or their average with ties as the window says; padding is `zero_point`."""
    least, most = np.iinfo(codes.dtype).min, np.iinfo(codes.dtype).max
    if window.function == "max":
        return windows(codes, window.kernel, window.strides, window.dilations, window.padding, least).max(axis=(3, 4))
    total, count = sum_and_count(codes.astype(np.int64), window, zero_point)
    count = np.maximum(count, 1)
    if window.ties != 0:
        mean = (2 * total + count) // (2 * count)  # floor: ties go up
        mean -= ((2 * total + count) % (2 * count) == 0) & (mean % 2 == window.ties % 2)
        return np.clip(mean, least, most).astype(codes.dtype)
    magnitude = (np.abs(total) + count // 2) // count  # floor of a non-negative number: C's division
    return np.clip(np.sign(total) * magnitude, least, most).astype(codes.dtype)


def sum_and_count(x: np.ndarray, window: Window, fill: float) -> tuple[np.ndarray, np.ndarray]:
    """Return each window's sum (OH, OW, C) and how many positions count (OH, OW, 1), by the window's rules for padding."""
    height, width, _ = x.shape
    top, left, bottom, right = window.padding
    counted = np.zeros((height + top + bottom, width + left + right, 1), np.int64)
    if window.count_padding:  # all padding counts, with the value `fill`, except what ceil mode added at the end
        counted[: len(counted) - window.clipped_end[0], : counted.shape[1] - window.clipped_end[1]] = 1
    else:
        counted[top : top + height, left : left + width] = 1
    padded = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=fill) * counted
    geometry = (window.kernel, window.strides, window.dilations, (0, 0, 0, 0), 0)
    return windows(padded, *geometry).sum(axis=(3, 4)), windows(counted, *geometry).sum(axis=(3, 4))

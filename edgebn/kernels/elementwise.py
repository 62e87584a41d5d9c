"""float32 activation functions that no epilogue can hold. Pixels of a row are adjacent; rows of `count` numbers."""

from __future__ import annotations

import math

import numpy as np

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import ZERO_F32, load_f32, store_f32

ONE = np.float32(1)
HALF = np.float32(0.5)
SIXTH = np.float32(1 / 6)


@kernel
def _sigmoid(x: float) -> np.float32:
    small = np.float32(math.exp(-abs(x)))
    return (ONE if x >= ZERO_F32 else small) / (ONE + small)


@kernel
def clip_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, low: float, high: float) -> None:
    """min(max(x, low), high)."""
    for y in range(rows):
        for i in range(count):
            store_f32(dst + y * dst_row, i, min(max(load_f32(src + y * src_row, i), low), high))


@kernel
def leaky_relu_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, alpha: float) -> None:
    """Alpha * x below zero."""
    for y in range(rows):
        for i in range(count):
            x = load_f32(src + y * src_row, i)
            store_f32(dst + y * dst_row, i, alpha * x if x < ZERO_F32 else x)


@kernel
def prelu_f32(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    slope: int,
    slope_row: int,
    slope_pixel: int,
    slope_channel: int,
) -> None:
    """Slope * x below zero; the slope is broadcast by steps in elements, 0 where it repeats."""
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * channels * 4
            b = dst + y * dst_row + x * channels * 4
            for c in range(channels):
                value = load_f32(a, c)
                factor = load_f32(slope, y * slope_row + x * slope_pixel + c * slope_channel)
                store_f32(b, c, factor * value if value < ZERO_F32 else value)


@kernel
def sigmoid_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """1 / (1 + exp(-x))."""
    for y in range(rows):
        for i in range(count):
            store_f32(dst + y * dst_row, i, _sigmoid(load_f32(src + y * src_row, i)))


@kernel
def tanh_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """Hyperbolic tangent."""
    for y in range(rows):
        for i in range(count):
            store_f32(dst + y * dst_row, i, np.float32(math.tanh(load_f32(src + y * src_row, i))))


@kernel
def hard_sigmoid_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, alpha: float, beta: float) -> None:
    """min(max(alpha * x + beta, 0), 1)."""
    for y in range(rows):
        for i in range(count):
            store_f32(dst + y * dst_row, i, min(max(alpha * load_f32(src + y * src_row, i) + beta, ZERO_F32), ONE))


@kernel
def hard_swish_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """X * min(max(x / 6 + 1 / 2, 0), 1)."""
    for y in range(rows):
        for i in range(count):
            x = load_f32(src + y * src_row, i)
            store_f32(dst + y * dst_row, i, x * min(max(x * SIXTH + HALF, ZERO_F32), ONE))


@kernel
def silu_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """X * sigmoid(x)."""
    for y in range(rows):
        for i in range(count):
            x = load_f32(src + y * src_row, i)
            store_f32(dst + y * dst_row, i, x * _sigmoid(x))

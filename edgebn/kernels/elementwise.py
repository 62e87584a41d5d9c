"""PReLU in float32: a slope a channel or a place. Pixels of a row are adjacent. Functions of one number are in `pointwise.py`."""

from __future__ import annotations

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import ZERO_F32, load_f32, store_f32


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

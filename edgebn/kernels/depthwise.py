"""Depthwise convolution (one input channel a group), any geometry and multiplier: plain loops along the channels.

Weights are (kernel_rows, kernel_columns, channels) here; input channel of output channel c is c // multiplier. Steps are bytes,
as in `convolution.py`. `scratch` holds `channels` accumulators of 32 bits.
"""

from __future__ import annotations

from edgebn.kernels.epilogue import biased, normalize, requantize
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import kept_row
from edgebn.kernels.primitives import (
    ZERO_F32,
    ZERO_I32,
    load_code,
    load_f32,
    load_i8,
    load_i32,
    multiply_add_i32,
    store_code,
    store_f32,
    store_i32,
)


@kernel
def _accumulate_f32(src: int, weight: int, scratch: int, channels: int, multiplier: int) -> None:
    if multiplier == 1:
        for c in range(channels):
            store_f32(scratch, c, load_f32(scratch, c) + load_f32(src, c) * load_f32(weight, c))
    else:
        for c in range(channels):
            store_f32(scratch, c, load_f32(scratch, c) + load_f32(src, c // multiplier) * load_f32(weight, c))


@kernel
def _accumulate_i8(src: int, weight: int, scratch: int, channels: int, multiplier: int) -> None:
    if multiplier == 1:
        for c in range(channels):
            store_i32(scratch, c, multiply_add_i32(load_i32(scratch, c), load_code(src, c), load_i8(weight, c)))
    else:
        for c in range(channels):
            store_i32(scratch, c, multiply_add_i32(load_i32(scratch, c), load_code(src, c // multiplier), load_i8(weight, c)))


@kernel
def depthwise_f32(
    src: int,
    row_step: int,
    column_step: int,
    tap_row_step: int,
    tap_column_step: int,
    weight: int,
    epilogue: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    rows: int,
    columns: int,
    tap_rows: int,
    tap_columns: int,
    channels: int,
    multiplier: int,
    scratch: int,
    raw: int,
    raw_row: int,
    raw_pixel: int,
    marks: int,
    pre_low: float,
    pre_high: float,
    post_low: float,
    post_high: float,
) -> None:
    """float32."""
    for y in range(rows):
        kept = kept_row(raw, raw_row, marks, y)
        for x in range(columns):
            for c in range(channels):
                store_f32(scratch, c, ZERO_F32)
            for i in range(tap_rows):
                for j in range(tap_columns):
                    tap = src + y * row_step + x * column_step + i * tap_row_step + j * tap_column_step
                    _accumulate_f32(tap, weight + (i * tap_columns + j) * channels * 4, scratch, channels, multiplier)
            pixel = dst + y * dst_row + x * dst_pixel
            for c in range(channels):
                acc = load_f32(scratch, c)
                if kept != 0:
                    store_f32(kept + x * raw_pixel, c, acc + load_f32(epilogue, c))
                store_f32(pixel, c, normalize(acc, epilogue, c, channels, pre_low, pre_high, post_low, post_high))


@kernel
def depthwise_i8(
    src: int,
    row_step: int,
    column_step: int,
    tap_row_step: int,
    tap_column_step: int,
    weight: int,
    epilogue: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    rows: int,
    columns: int,
    tap_rows: int,
    tap_columns: int,
    channels: int,
    multiplier: int,
    scratch: int,
    raw: int,
    raw_row: int,
    raw_pixel: int,
    marks: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8."""
    for y in range(rows):
        kept = kept_row(raw, raw_row, marks, y)
        for x in range(columns):
            for c in range(channels):
                store_i32(scratch, c, ZERO_I32)
            for i in range(tap_rows):
                for j in range(tap_columns):
                    tap = src + y * row_step + x * column_step + i * tap_row_step + j * tap_column_step
                    _accumulate_i8(tap, weight + (i * tap_columns + j) * channels, scratch, channels, multiplier)
            pixel = dst + y * dst_row + x * dst_pixel
            for c in range(channels):
                if kept != 0:
                    store_i32(kept + x * raw_pixel, c, biased(load_i32(scratch, c), epilogue, c))
                store_code(pixel, c, requantize(load_i32(scratch, c), epilogue, c, neg, zero_point, qmin, qmax))

"""Convolution and dense, any geometry, from a buffer with a halo: plain loops over dot products of contiguous runs.

Sizes: `run` is how many channels (or, where taps of a row are adjacent, taps times channels) one dot product covers.
Steps are bytes: from one output row or column to the next in the source, and from one kernel row or column to the next.
"""

from __future__ import annotations

import numpy as np

from edgebn.kernels.epilogue import biased, normalize, requantize
from edgebn.kernels.float_dot import dot_f32
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import kept_row
from edgebn.kernels.primitives import (
    ZERO_F32,
    ZERO_I32,
    load_code,
    load_f32,
    load_i8,
    multiply_add_i32,
    store_code,
    store_f32,
    store_i32,
)


@kernel
def _dot_codes(codes: int, weights: int, count: int) -> np.int32:
    total = ZERO_I32
    for i in range(count):
        total = multiply_add_i32(total, load_code(codes, i), load_i8(weights, i))
    return total


@kernel
def convolution_f32(
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
    run: int,
    groups: int,
    group_outputs: int,
    raw: int,
    raw_row: int,
    raw_pixel: int,
    marks: int,
    pre_low: float,
    pre_high: float,
    post_low: float,
    post_high: float,
) -> None:
    """float32; weight (groups * group_outputs, tap_rows, tap_columns, run)."""
    channels = groups * group_outputs
    for y in range(rows):
        kept = kept_row(raw, raw_row, marks, y)
        for x in range(columns):
            origin = src + y * row_step + x * column_step
            pixel = dst + y * dst_row + x * dst_pixel
            taps = weight
            for channel in range(channels):
                window = origin + (channel // group_outputs) * run * 4
                acc = ZERO_F32
                for i in range(tap_rows):
                    for j in range(tap_columns):
                        acc += dot_f32(window + i * tap_row_step + j * tap_column_step, taps, run)
                        taps += run * 4
                if kept != 0:
                    store_f32(kept + x * raw_pixel, channel, acc + load_f32(epilogue, channel))
                store_f32(pixel, channel, normalize(acc, epilogue, channel, channels, pre_low, pre_high, post_low, post_high))


@kernel
def convolution_i8(
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
    run: int,
    groups: int,
    group_outputs: int,
    raw: int,
    raw_row: int,
    raw_pixel: int,
    marks: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8; weight (groups * group_outputs, tap_rows, tap_columns, run)."""
    channels = groups * group_outputs
    for y in range(rows):
        kept = kept_row(raw, raw_row, marks, y)
        for x in range(columns):
            origin = src + y * row_step + x * column_step
            pixel = dst + y * dst_row + x * dst_pixel
            taps = weight
            for channel in range(channels):
                window = origin + (channel // group_outputs) * run
                acc = 0
                for i in range(tap_rows):
                    for j in range(tap_columns):
                        acc += _dot_codes(window + i * tap_row_step + j * tap_column_step, taps, run)
                        taps += run
                if kept != 0:
                    store_i32(kept + x * raw_pixel, channel, biased(acc, epilogue, channel))
                store_code(pixel, channel, requantize(acc, epilogue, channel, neg, zero_point, qmin, qmax))

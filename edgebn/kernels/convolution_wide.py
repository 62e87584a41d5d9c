"""Convolutions of any kind whose weights need int16 (uint8 files), where there are no vector kernels: plain loops.

Steps are bytes, as in `convolution.py`; `sources` holds the first input channel of each output, int64.
"""

from __future__ import annotations

import numpy as np

from edgebn.kernels.epilogue import requantize
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import ZERO_I32, load_code, load_i16, load_i64, multiply_add_i32, store_code


@kernel
def _dot_wide(codes: int, weights: int, count: int) -> np.int32:
    total = ZERO_I32
    for i in range(count):
        total = multiply_add_i32(total, load_code(codes, i), load_i16(weights, i))
    return total


@kernel
def convolution_wide_i8(
    src: int,
    row_step: int,
    column_step: int,
    tap_row_step: int,
    tap_column_step: int,
    weight: int,
    epilogue: int,
    sources: int,
    outputs: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    rows: int,
    columns: int,
    tap_rows: int,
    tap_columns: int,
    run: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8; weight int16 (outputs, tap_rows, tap_columns, run)."""
    for y in range(rows):
        for k in range(outputs):
            origin = src + y * row_step + load_i64(sources, k)
            target = dst + y * dst_row
            for x in range(columns):
                taps = weight + k * tap_rows * tap_columns * run * 2
                acc = 0
                for i in range(tap_rows):
                    for j in range(tap_columns):
                        tap = origin + x * column_step + i * tap_row_step + j * tap_column_step
                        acc += _dot_wide(tap, taps, run)
                        taps += run * 2
                store_code(target + x * dst_pixel, k, requantize(acc, epilogue, k, neg, zero_point, qmin, qmax))

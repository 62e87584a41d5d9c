"""Transposed convolution, any geometry: each output pixel gathers the taps that meet an input pixel.

Only what the vector kernels cannot take comes here (`session/convolution.py`).

Tap (i, j) of output (y, x) meets input ((y + top - i * dilation) / stride, ...) where that is a whole number inside the input.
int8: taps read code less `input_zero_point`; the packer puts the zero point's share, the same for every pixel, into acc_bias.
"""

from __future__ import annotations

from edgebn.kernels.epilogue import biased, normalize, requantize
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import kept_row
from edgebn.kernels.primitives import ZERO_F32, load_code, load_f32, load_i8, store_code, store_f32, store_i32


@kernel
def _met(position: int, stride: int, size: int) -> int:
    """Return the input index that an upsampled position stands for, or -1."""
    if position < 0 or position % stride != 0 or position // stride >= size:
        return -1
    return position // stride


@kernel
def transposed_convolution_f32(
    src: int,
    src_row: int,
    src_pixel: int,
    height: int,
    width: int,
    weight: int,
    epilogue: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    rows: int,
    columns: int,
    kernel_rows: int,
    kernel_columns: int,
    stride_rows: int,
    stride_columns: int,
    dilation_rows: int,
    dilation_columns: int,
    top: int,
    left: int,
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
    """float32; weight (groups * group_outputs, kernel_rows, kernel_columns, run)."""
    channels = groups * group_outputs
    for y in range(rows):
        kept = kept_row(raw, raw_row, marks, y)
        for x in range(columns):
            for channel in range(channels):
                acc = ZERO_F32
                for i in range(kernel_rows):
                    sy = _met(y + top - i * dilation_rows, stride_rows, height)
                    if sy < 0:
                        continue
                    for j in range(kernel_columns):
                        sx = _met(x + left - j * dilation_columns, stride_columns, width)
                        if sx < 0:
                            continue
                        pixel = src + sy * src_row + sx * src_pixel + (channel // group_outputs) * run * 4
                        taps = weight + ((channel * kernel_rows + i) * kernel_columns + j) * run * 4
                        for c in range(run):
                            acc += load_f32(pixel, c) * load_f32(taps, c)
                if kept != 0:
                    store_f32(kept + x * raw_pixel, channel, acc + load_f32(epilogue, channel))
                y_value = normalize(acc, epilogue, channel, channels, pre_low, pre_high, post_low, post_high)
                store_f32(dst + y * dst_row + x * dst_pixel, channel, y_value)


@kernel
def transposed_convolution_i8(
    src: int,
    src_row: int,
    src_pixel: int,
    height: int,
    width: int,
    weight: int,
    epilogue: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    rows: int,
    columns: int,
    kernel_rows: int,
    kernel_columns: int,
    stride_rows: int,
    stride_columns: int,
    dilation_rows: int,
    dilation_columns: int,
    top: int,
    left: int,
    run: int,
    groups: int,
    group_outputs: int,
    input_zero_point: int,
    raw: int,
    raw_row: int,
    raw_pixel: int,
    marks: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8; weight (groups * group_outputs, kernel_rows, kernel_columns, run)."""
    channels = groups * group_outputs
    for y in range(rows):
        kept = kept_row(raw, raw_row, marks, y)
        for x in range(columns):
            for channel in range(channels):
                acc = 0
                for i in range(kernel_rows):
                    sy = _met(y + top - i * dilation_rows, stride_rows, height)
                    if sy < 0:
                        continue
                    for j in range(kernel_columns):
                        sx = _met(x + left - j * dilation_columns, stride_columns, width)
                        if sx < 0:
                            continue
                        pixel = src + sy * src_row + sx * src_pixel + (channel // group_outputs) * run
                        taps = weight + ((channel * kernel_rows + i) * kernel_columns + j) * run
                        for c in range(run):
                            acc += (load_code(pixel, c) - input_zero_point) * load_i8(taps, c)
                if kept != 0:
                    store_i32(kept + x * raw_pixel, channel, biased(acc, epilogue, channel))
                code = requantize(acc, epilogue, channel, neg, zero_point, qmin, qmax)
                store_code(dst + y * dst_row + x * dst_pixel, channel, code)

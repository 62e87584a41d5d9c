"""Transposed convolution, any geometry: each output pixel gathers the taps that meet an input pixel.

Only what the vector kernels cannot take comes here (`session/convolution.py`).

Tap (i, j) of output (y, x) meets input ((y + top - i * dilation) / stride, ...) where that is a whole number inside the input.
int8: taps read code less `input_zero_point`; the packer puts the zero point's share, the same for every pixel, into acc_bias.
"""

from __future__ import annotations

from typing import NamedTuple

from edgebn.kernels.epilogue import FLOAT32_OUTPUT, INT8_OUTPUT
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import row_to_save
from edgebn.kernels.parameters import Clips, Codes, SavedAccumulators
from edgebn.kernels.primitives import ZERO_F32, load_code, load_f32, load_i8

_finish_f32, _finish_i8 = FLOAT32_OUTPUT.finish, INT8_OUTPUT.finish


class Geometry(NamedTuple):
    """Input, weight (groups * group_outputs, kernel_rows, kernel_columns, run) and output of a transposed convolution."""

    src: int
    src_row: int
    src_pixel: int
    height: int
    width: int
    weight: int
    epilogue: int
    dst: int
    dst_row: int
    dst_pixel: int
    rows: int
    columns: int
    kernel_rows: int
    kernel_columns: int
    stride_rows: int
    stride_columns: int
    dilation_rows: int
    dilation_columns: int
    top: int
    left: int
    run: int
    groups: int
    group_outputs: int


@kernel
def _met(position: int, stride: int, size: int) -> int:
    """Return the input index that an upsampled position stands for, or -1."""
    if position < 0 or position % stride != 0 or position // stride >= size:
        return -1
    return position // stride


@kernel
def _operands(geometry: Geometry, sy: int, sx: int, i: int, j: int, channel: int, size: int) -> tuple[int, int]:
    """Return the addresses of the elements and of the weights of a tap, each of `size` bytes."""
    group = channel // geometry.group_outputs
    pixel = geometry.src + sy * geometry.src_row + sx * geometry.src_pixel + group * geometry.run * size
    tap = (channel * geometry.kernel_rows + i) * geometry.kernel_columns + j
    return pixel, geometry.weight + tap * geometry.run * size


@kernel
def transposed_convolution_f32(geometry: Geometry, saved: SavedAccumulators, clips: Clips) -> None:
    """float32."""
    channels = geometry.groups * geometry.group_outputs
    for y in range(geometry.rows):
        row = row_to_save(saved, y)
        for x in range(geometry.columns):
            made = geometry.dst + y * geometry.dst_row + x * geometry.dst_pixel
            for channel in range(channels):
                acc = ZERO_F32
                for i in range(geometry.kernel_rows):
                    sy = _met(y + geometry.top - i * geometry.dilation_rows, geometry.stride_rows, geometry.height)
                    if sy < 0:
                        continue
                    for j in range(geometry.kernel_columns):
                        sx = _met(x + geometry.left - j * geometry.dilation_columns, geometry.stride_columns, geometry.width)
                        if sx < 0:
                            continue
                        pixel, taps = _operands(geometry, sy, sx, i, j, channel, 4)
                        for c in range(geometry.run):
                            acc += load_f32(pixel, c) * load_f32(taps, c)
                _finish_f32(acc, geometry.epilogue, channel, channels, clips, made, row, x * saved.saved_pixel)


@kernel
def transposed_convolution_i8(geometry: Geometry, input_zero_point: int, saved: SavedAccumulators, codes: Codes) -> None:
    """int8."""
    channels = geometry.groups * geometry.group_outputs
    for y in range(geometry.rows):
        row = row_to_save(saved, y)
        for x in range(geometry.columns):
            made = geometry.dst + y * geometry.dst_row + x * geometry.dst_pixel
            for channel in range(channels):
                acc = 0
                for i in range(geometry.kernel_rows):
                    sy = _met(y + geometry.top - i * geometry.dilation_rows, geometry.stride_rows, geometry.height)
                    if sy < 0:
                        continue
                    for j in range(geometry.kernel_columns):
                        sx = _met(x + geometry.left - j * geometry.dilation_columns, geometry.stride_columns, geometry.width)
                        if sx < 0:
                            continue
                        pixel, taps = _operands(geometry, sy, sx, i, j, channel, 1)
                        for c in range(geometry.run):
                            acc += (load_code(pixel, c) - input_zero_point) * load_i8(taps, c)
                _finish_i8(acc, geometry.epilogue, channel, channels, codes, made, row, x * saved.saved_pixel)

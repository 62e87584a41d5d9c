"""Maximum and average pooling from a buffer or from a ring of rows (what a fused convolution writes). Needs no halo.

Pixels of a row are `pixel` bytes apart, in the input and the output. Output row y, tap i stands for input row
y * stride + i * dilation - top. Input row r is stored at row r % ring of `src`.
Padding never wins a maximum. An average counts taps inside the input, or with `count_padding` all taps below `end_row` and
`end_column`, of which those outside the input read `padding_value`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.kernels.elements import FLOAT32, INT8, INT16, Element, named
from edgebn.kernels.epilogue import requantize
from edgebn.kernels.jit import inlined, kernel
from edgebn.kernels.parameters import Codes, CountedTaps, Pooling
from edgebn.kernels.pool_shapes import BLOCK
from edgebn.kernels.primitives import (
    ZERO_F32,
    load_f32,
    load_i16,
    load_i32,
    store_code,
    store_f32,
    store_i16,
)
from edgebn.kernels.window_sum import join_blocks, sum_window

MAX_IN_FLOAT = 1 << 16  # numbers whose codes' sum a float32 holds exactly


def _maximum(element: Element, suffix: str) -> Callable[..., None]:
    """Return the kernel of one type of elements."""
    load, store, least = element.load, element.store, element.least

    @named(f"maximum_{suffix}")
    def maximum(pooling: Pooling) -> None:
        """Of codes, the input and the output share scale and zero point."""
        for y in range(pooling.first_row, pooling.first_row + pooling.rows):
            for x in range(pooling.columns):
                out = pooling.dst + y * pooling.dst_row + x * pooling.pixel
                for c in range(pooling.channels):
                    store(out, c, least)
                for i in range(pooling.kernel_rows):
                    sy = y * pooling.stride_rows + i * pooling.dilation_rows - pooling.top
                    if sy < 0 or sy >= pooling.height:
                        continue
                    for j in range(pooling.kernel_columns):
                        sx = x * pooling.stride_columns + j * pooling.dilation_columns - pooling.left
                        if sx < 0 or sx >= pooling.width:
                            continue
                        tap = pooling.src + (sy % pooling.ring) * pooling.src_row + sx * pooling.pixel
                        for c in range(pooling.channels):
                            store(out, c, max(load(out, c), load(tap, c)))

    return maximum


maximum_f32 = _maximum(FLOAT32, "f32")
maximum_i8 = _maximum(INT8, "i8")
maximum_i16 = _maximum(INT16, "i16")


@inlined
def _joined(before: Any, block: Any, missed: Any) -> tuple[Any, Any]:
    """Return a sum of blocks with one more, and what it lost (Kahan 1965)."""
    added = block - missed
    after = before + added
    lost = (after - before) - added
    return after, ZERO_F32 if np.isnan(lost) else lost  # infinity less infinity


@kernel
def _close_block(scratch: int, channels: int) -> None:
    """Add the sums of a block to those of blocks."""
    for c in range(channels):
        after, lost = _joined(load_f32(scratch, channels + c), load_f32(scratch, c), load_f32(scratch, 2 * channels + c))
        store_f32(scratch, 2 * channels + c, lost)
        store_f32(scratch, channels + c, after)
        store_f32(scratch, c, ZERO_F32)


@kernel
def _average_single(pooling: Pooling, counted: CountedTaps) -> None:
    """`average_f32` of one channel, whose sums stay in registers: the same operations in the same order."""
    for y in range(pooling.first_row, pooling.first_row + pooling.rows):
        for x in range(pooling.columns):
            block = total = missed = ZERO_F32
            count = 0
            closed = 0
            outside = 0
            for i in range(pooling.kernel_rows):
                sy = y * pooling.stride_rows + i * pooling.dilation_rows - pooling.top
                line = pooling.src + (sy % pooling.ring) * pooling.src_row
                for begin in range(0, pooling.kernel_columns, BLOCK):
                    for j in range(begin, min(begin + BLOCK, pooling.kernel_columns)):
                        sx = x * pooling.stride_columns + j * pooling.dilation_columns - pooling.left
                        if sy < 0 or sy >= pooling.height or sx < 0 or sx >= pooling.width:
                            outside += int(sy < counted.end_row and sx < counted.end_column)
                            continue
                        count += 1
                        block += load_f32(line + sx * pooling.pixel, 0)
                    if count - closed >= BLOCK:
                        total, missed = _joined(total, block, missed)
                        block = ZERO_F32
                        closed = count
            if counted.count_padding == 0:
                outside = 0
            if count != closed:
                total, missed = _joined(total, block, missed)
            store_f32(pooling.dst + y * pooling.dst_row + x * pooling.pixel, 0, total / np.float32(max(count + outside, 1)))


@kernel
def average_f32(pooling: Pooling, counted: CountedTaps, scratch: int) -> None:
    """float32; `scratch` holds `channels` float32 sums of a block of taps, as many sums of blocks, and what those lost."""
    channels = pooling.channels
    if channels == 1:
        _average_single(pooling, counted)
        return
    for y in range(pooling.first_row, pooling.first_row + pooling.rows):
        for x in range(pooling.columns):
            for c in range(3 * channels):
                store_f32(scratch, c, ZERO_F32)
            count = 0
            closed = 0
            outside = 0
            for i in range(pooling.kernel_rows):
                sy = y * pooling.stride_rows + i * pooling.dilation_rows - pooling.top
                line = pooling.src + (sy % pooling.ring) * pooling.src_row
                for begin in range(0, pooling.kernel_columns, BLOCK):
                    for j in range(begin, min(begin + BLOCK, pooling.kernel_columns)):
                        sx = x * pooling.stride_columns + j * pooling.dilation_columns - pooling.left
                        if sy < 0 or sy >= pooling.height or sx < 0 or sx >= pooling.width:
                            outside += int(sy < counted.end_row and sx < counted.end_column)
                            continue
                        count += 1
                        tap = line + sx * pooling.pixel
                        for c in range(channels):
                            store_f32(scratch, c, load_f32(scratch, c) + load_f32(tap, c))
                    if count - closed >= BLOCK:
                        _close_block(scratch, channels)
                        closed = count
            if counted.count_padding == 0:
                outside = 0
            out = pooling.dst + y * pooling.dst_row + x * pooling.pixel
            divisor = np.float32(max(count + outside, 1))
            if count != closed:
                _close_block(scratch, channels)
            for c in range(channels):
                store_f32(out, c, load_f32(scratch, channels + c) / divisor)


@kernel
def _store_averages(sums: int, channels: int, extra: int, count: int, dst: int) -> None:
    """Store (sums + extra) / count as codes, rounded half away from zero."""
    half = count // 2
    if count > MAX_IN_FLOAT:
        for c in range(channels):
            total = load_i32(sums, c) + extra
            magnitude = (abs(total) + half) // count
            store_code(dst, c, min(max(-magnitude if total < 0 else magnitude, -128), 127))
        return
    # Of numbers below 2**24 a rounded quotient has the exact one's whole part: that is below an integer by 1 / count at least.
    divisor = np.float32(count)
    for c in range(channels):
        total = np.int32(load_i32(sums, c) + extra)
        magnitude = np.int32(np.float32(np.int32(abs(total) + half)) / divisor)
        store_code(dst, c, min(max(-magnitude if total < 0 else magnitude, -128), 127))


@kernel
def _store_averages_by_parity(sums: int, channels: int, extra: int, count: int, ties: int, dst: int) -> None:
    """Store (sums + extra) / count as codes, ties to the even code where `ties` is 1 and to the odd one where it is 2."""
    for c in range(channels):
        doubled = 2 * (load_i32(sums, c) + extra) + count
        mean = doubled // (2 * count)
        if mean * 2 * count == doubled and (mean + ties) % 2 == 0:
            mean -= 1
        store_code(dst, c, min(max(mean, -128), 127))


@kernel
def average_i8(pooling: Pooling, counted: CountedTaps, scratch: int, padding_value: int, ties: int) -> None:
    """int8 of one scale; `scratch` holds `channels` int32 sums. `ties` is `Window.ties`."""
    for y in range(pooling.first_row, pooling.first_row + pooling.rows):
        for x in range(pooling.columns):
            count, outside = sum_window(pooling, counted, y, x, scratch)
            out = pooling.dst + y * pooling.dst_row + x * pooling.pixel
            divisor = max(count + outside, 1)
            if ties != 0:
                _store_averages_by_parity(scratch, pooling.channels, outside * padding_value, divisor, ties, out)
            else:
                _store_averages(scratch, pooling.channels, outside * padding_value, divisor, out)


@kernel
def average_rescaled_i8(
    pooling: Pooling, counted: CountedTaps, scratch: int, padding_value: int, by_count: int, epilogue: int, codes: Codes
) -> None:
    """int8 through an epilogue: the accumulator is the sum of the codes. Its entry is the first, or that of how many count."""
    for y in range(pooling.first_row, pooling.first_row + pooling.rows):
        for x in range(pooling.columns):
            count, outside = sum_window(pooling, counted, y, x, scratch)
            entry = max(count + outside, 1) - 1 if by_count != 0 else 0
            out = pooling.dst + y * pooling.dst_row + x * pooling.pixel
            for c in range(pooling.channels):
                total = load_i32(scratch, c) + outside * padding_value
                store_code(out, c, requantize(total, epilogue, entry, codes))


@kernel
def average_blocks_i8(src: int, src_row: int, blocks: int, pixels: int, channels: int, dst: int, ties: int) -> None:
    """`average_i8` of `pixels` pixels, whose sums `sum_blocks_i8` has made."""
    join_blocks(src, src_row, blocks, channels)
    if ties != 0:
        _store_averages_by_parity(src, channels, 0, pixels, ties, dst)
    else:
        _store_averages(src, channels, 0, pixels, dst)


@kernel
def average_blocks_rescaled_i8(
    src: int, src_row: int, blocks: int, pixels: int, channels: int, dst: int, by_count: int, epilogue: int, codes: Codes
) -> None:
    """`average_rescaled_i8` of `pixels` pixels, whose sums `sum_blocks_i8` has made."""
    join_blocks(src, src_row, blocks, channels)
    entry = pixels - 1 if by_count != 0 else 0
    for c in range(channels):
        store_code(dst, c, requantize(load_i32(src, c), epilogue, entry, codes))


@kernel
def average_i16(
    pooling: Pooling, counted: CountedTaps, rescaled: int, by_count: int, epilogue: int, codes: Codes, ties: int
) -> None:
    """int16: of one scale, or where `rescaled` through an epilogue, as in int8. Padding reads 0."""
    for y in range(pooling.first_row, pooling.first_row + pooling.rows):
        for x in range(pooling.columns):
            out = pooling.dst + y * pooling.dst_row + x * pooling.pixel
            for c in range(pooling.channels):
                total = 0
                count = 0
                for i in range(pooling.kernel_rows):
                    sy = y * pooling.stride_rows + i * pooling.dilation_rows - pooling.top
                    for j in range(pooling.kernel_columns):
                        sx = x * pooling.stride_columns + j * pooling.dilation_columns - pooling.left
                        if sy < 0 or sy >= pooling.height or sx < 0 or sx >= pooling.width:
                            count += int(counted.count_padding != 0 and sy < counted.end_row and sx < counted.end_column)
                            continue
                        count += 1
                        total += load_i16(pooling.src + (sy % pooling.ring) * pooling.src_row + sx * pooling.pixel, c)
                count = max(count, 1)
                if rescaled != 0:
                    value = requantize(total, epilogue, count - 1 if by_count != 0 else 0, codes)
                elif ties != 0:
                    value = (2 * total + count) // (2 * count)
                    if value * 2 * count == 2 * total + count and (value + ties) % 2 == 0:
                        value -= 1
                else:
                    value = (abs(total) + count // 2) // count
                    value = -value if total < 0 else value
                store_i16(out, c, min(max(value, -32768), 32767))

"""Sums of int8 codes over a pooling window, channel by channel: what every average begins with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgebn.kernels.elements import named
from edgebn.kernels.isa import SELECTED
from edgebn.kernels.jit import inlined, kernel
from edgebn.kernels.parameters import CountedTaps, Pooling
from edgebn.kernels.primitives import ZERO_I32, load_code, load_i32, store_i32
from edgebn.kernels.vectors import I8, I16, I32, I64, constant, load, splat, store, vector

LEAST = 8  # channels whose sums are worth a vector
MAX_COLUMNS = 256  # of unsigned bytes that 16 bits can sum


def _columns_of(width: int) -> Callable[[int, int, int, int], None]:
    """Return what adds `columns` vectors of codes, `step` bytes apart, to the int32 sums of `width` channels; 1 to MAX_COLUMNS."""

    @intrinsic
    def add_columns(typing_context: Any, src: Any, step: Any, columns: Any, sums: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
            src, step, columns, sums = values
            wide = vector(I16, width)
            before, body, after = builder.block, builder.append_basic_block("column"), builder.append_basic_block("columns.done")
            builder.branch(body)
            builder.position_at_end(body)
            index, total = builder.phi(I64), builder.phi(wide)
            stored = load(builder, vector(I8, width), builder.add(src, builder.mul(step, index)))
            unsigned = builder.xor(stored, constant(I8, width, 0x80 ^ SELECTED.code_flip))
            following = builder.add(total, builder.zext(unsigned, wide))
            rest = builder.add(index, ir.Constant(I64, 1))
            for phi, first, then in ((index, ir.Constant(I64, 0), rest), (total, constant(I16, width, 0), following)):
                phi.add_incoming(first, before)
                phi.add_incoming(then, body)
            builder.cbranch(builder.icmp_signed("<", rest, columns), body, after)
            builder.position_at_end(after)
            longs = vector(I32, width)
            excess = builder.trunc(builder.mul(columns, ir.Constant(I64, 128)), I32)
            added = builder.sub(builder.zext(following, longs), splat(builder, excess, width))
            store(builder, builder.add(load(builder, longs, sums), added), sums)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64, types.int64), generate

    return add_columns


@kernel
def _add_codes(src: int, step: int, columns: int, channels: int, sums: int) -> None:
    for x in range(columns):
        for k in range(channels):
            store_i32(sums, k, load_i32(sums, k) + load_code(src + x * step, k))


def _in_vectors(width: int, rest: Callable[..., None]) -> Callable[..., None]:
    """Return what adds the codes of whole vectors of channels, and leaves the other channels to `rest`."""
    add_columns = _columns_of(width)

    @named(f"add_row_by_{width}")
    def add_row(src: int, step: int, columns: int, channels: int, sums: int) -> None:
        whole = channels - channels % width
        for c in range(0, whole, width):
            for begin in range(0, columns, MAX_COLUMNS):
                add_columns(src + c + begin * step, step, min(columns - begin, MAX_COLUMNS), sums + 4 * c)
        if whole < channels:
            rest(src + whole, step, columns, channels - whole, sums + 4 * whole)

    return add_row


def _row_adder() -> Callable[..., None]:
    """Return what adds the codes of a row: by vectors, by halves, quarters and so on of them, and what then is left one by one."""
    adder, width = _add_codes, LEAST
    while width <= SELECTED.vector_bytes:
        adder, width = _in_vectors(width, adder), 2 * width
    return adder


_add_row = _row_adder()


@kernel
def sum_blocks_i8(src: int, pixel: int, pixels: int, per_block: int, channels: int, dst: int, dst_row: int, blocks: int) -> None:
    """Sums of `per_block` pixels each, int32 (blocks, channels) `dst_row` bytes apart; the last block may have fewer."""
    for q in range(blocks):
        begin, sums = q * per_block, dst + q * dst_row
        for c in range(channels):
            store_i32(sums, c, ZERO_I32)
        _add_row(src + begin * pixel, pixel, min(pixels - begin, per_block), channels, sums)


@kernel
def join_blocks(sums: int, row: int, blocks: int, channels: int) -> None:
    """Add to the sums of the first block those of the others, `row` bytes apart."""
    for q in range(1, blocks):
        for c in range(channels):
            store_i32(sums, c, load_i32(sums, c) + load_i32(sums + q * row, c))


@kernel
def _first_at(limit: int, start: int, step: int, count: int) -> int:
    """Return the first i of `count` with start + i * step >= limit, or `count`."""
    return min(max((limit - start + step - 1) // step, 0), count)


@inlined
def sum_window(pooling: Pooling, counted: CountedTaps, row: int, column: int, sums: int) -> tuple[int, int]:
    """Write the sums of an output pixel's window, int32 (channels,); return how many taps lie inside, and how many others count."""
    for c in range(pooling.channels):
        store_i32(sums, c, ZERO_I32)
    first_row = row * pooling.stride_rows - pooling.top
    first_column = column * pooling.stride_columns - pooling.left
    step, taps = pooling.dilation_columns, pooling.kernel_columns
    first = _first_at(0, first_column, step, taps)
    last = max(_first_at(pooling.width, first_column, step, taps), first)
    before_end = _first_at(counted.end_column, first_column, step, taps)
    count = 0
    outside = 0
    for i in range(pooling.kernel_rows):
        y = first_row + i * pooling.dilation_rows
        if y < 0 or y >= pooling.height:
            outside += before_end if y < counted.end_row else 0
            continue
        count += last - first
        if y < counted.end_row:
            outside += before_end - max(min(last, before_end) - first, 0)
        tap = pooling.src + (y % pooling.ring) * pooling.src_row + (first_column + first * step) * pooling.pixel
        _add_row(tap, step * pooling.pixel, last - first, pooling.channels, sums)
    return count, outside if counted.count_padding != 0 else 0

"""int8 elementwise function as a table of 256 codes, one for all channels or one a channel.

One table for all is looked up in whole vectors: a byte shuffle knows 16 codes, 16 of them hold the table, and the upper bits of a
code say which of their answers is its own. NEON's shuffles know 64, or 32 for half a vector where it is of 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.isa import ARM32, SELECTED
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_u8, store_u8
from edgebn.kernels.vectors import I8, I64, call, clamp, concat, constant, load, shuffle, store, vector

VECTOR = SELECTED.vector_bytes
SHUFFLES = {64: "llvm.x86.avx512.pshuf.b.512", 32: "llvm.x86.avx2.pshuf.b"}
IS_OF_32_BITS = bool(set(SELECTED.machines) & set(ARM32))
PART = 16  # codes that one register of a table holds
PARTS = 256 // PART
TABLE_REGISTERS = 2 if IS_OF_32_BITS else 4  # registers of a table that one of NEON's shuffles knows


def _parts(builder: ir.IRBuilder, table: ir.Value) -> list[ir.Value]:
    """Return the table, 16 codes of it in each vector, again and again."""
    found = []
    for i in range(PARTS):
        codes = load(builder, vector(I8, PART), table, i * PART)
        found.append(codes if VECTOR == PART else shuffle(builder, codes, None, [*range(PART)] * (VECTOR // PART)))
    return found


def _by_bits(builder: ir.IRBuilder, parts: list[ir.Value], places: ir.Value) -> ir.Value:
    """Return what stands at `places`: from every part by the low four bits, then one of two by each bit above."""
    low = builder.and_(places, constant(I8, VECTOR, PART - 1))
    found = [call(builder, SHUFFLES[VECTOR], low.type, [part, low]) for part in parts]
    bit = PART
    while len(found) > 1:
        chosen = builder.icmp_unsigned("!=", builder.and_(places, constant(I8, VECTOR, bit)), constant(I8, VECTOR, 0))
        found = [builder.select(chosen, odd, even) for even, odd in zip(found[::2], found[1::2], strict=True)]
        bit *= 2
    return found[0]


def _by_fours(builder: ir.IRBuilder, parts: list[ir.Value], places: ir.Value) -> ir.Value:
    """Return what stands at `places`; a shuffle answers 0 to those that its parts do not hold."""
    found = None
    for first in range(0, PARTS, TABLE_REGISTERS):
        inside = builder.sub(places, constant(I8, VECTOR, first * PART))
        answer = _in_some(builder, parts[first : first + TABLE_REGISTERS], inside)
        found = answer if found is None else builder.or_(found, answer)
    return found


def _in_some(builder: ir.IRBuilder, parts: list[ir.Value], places: ir.Value) -> ir.Value:
    """Return what one of NEON's shuffles finds in some parts."""
    if not IS_OF_32_BITS:
        return call(builder, "llvm.aarch64.neon.tbl4.v16i8", places.type, [*parts, places])
    halves = [[shuffle(builder, whole, None, range(first, first + 8)) for first in (0, 8)] for whole in (*parts, places)]
    lower = [half for both in halves[:-1] for half in both]
    return concat(builder, [call(builder, "llvm.arm.neon.vtbl4", half.type, [*lower, half]) for half in halves[-1]])


def _each_vector(
    builder: ir.IRBuilder,
    parts: list[ir.Value],
    src: ir.Value,
    count: ir.Value,
    visit: Callable[[ir.Value, ir.Value], None],
) -> None:
    """Run `visit` for what vectors of `count` adjacent codes are in the table; the last moves left over the one before it."""
    last = builder.sub(count, ir.Constant(I64, VECTOR))
    vectors = builder.udiv(builder.add(count, ir.Constant(I64, VECTOR - 1)), ir.Constant(I64, VECTOR))
    with cgutils.for_range(builder, vectors) as step:
        at = clamp(builder, builder.mul(step.index, ir.Constant(I64, VECTOR)), ir.Constant(I64, 0), last)
        places = load(builder, vector(I8, VECTOR), src, at)
        visit(at, (_by_fours if VECTOR == PART else _by_bits)(builder, parts, places))


@intrinsic
def _look_up(typing_context: Any, src: Any, dst: Any, count: Any, table: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
    """Look `count` adjacent codes up, at least `VECTOR`, to adjacent ones."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
        src, dst, count, table = values
        _each_vector(builder, _parts(builder, table), src, count, lambda at, found: store(builder, found, dst, at))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def _look_up_apart(typing_context: Any, arguments: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
    """Look adjacent codes up, at least `VECTOR`, to pixels that are not adjacent, of channels that are whole `PART`s.

    `arguments` are the addresses of source and result, the result's bytes a pixel, channels, codes, and the table's address.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
        src, dst, dst_pixel, channels, count, table = cgutils.unpack_tuple(builder, values[0], len(arguments))
        parts = _parts(builder, table)

        def visit(at: ir.Value, found: ir.Value) -> None:
            pixel = builder.udiv(at, channels)
            place = builder.add(dst, builder.mul(pixel, dst_pixel))
            channel = builder.sub(at, builder.mul(pixel, channels))
            for first in range(0, VECTOR, PART):
                some = found if VECTOR == PART else shuffle(builder, found, None, range(first, first + PART))
                store(builder, some, place, channel)
                channel = builder.add(channel, ir.Constant(I64, PART))
                is_next = builder.icmp_unsigned("==", channel, channels)
                place = builder.select(is_next, builder.add(place, dst_pixel), place)
                channel = builder.select(is_next, ir.Constant(I64, 0), channel)

        _each_vector(builder, parts, src, count, visit)
        return context.get_dummy_value()

    return types.void(arguments), generate


@kernel
def lookup_i8(
    src: int,
    src_row: int,
    src_pixel: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    rows: int,
    columns: int,
    channels: int,
    table: int,
    table_step: int,
) -> None:
    """Byte = table[c * table_step + byte]: of codes as they are stored, both ways; steps of rows and pixels are bytes."""
    count = columns * channels
    is_adjacent = dst_pixel == channels
    if VECTOR and table_step == 0 and src_pixel == channels and (is_adjacent or channels % PART == 0):
        if src_row == count and dst_row == columns * dst_pixel:
            count *= rows
            rows = min(rows, 1)
        if count >= VECTOR:
            for y in range(rows):
                if is_adjacent:
                    _look_up(src + y * src_row, dst + y * dst_row, count, table)
                else:
                    _look_up_apart((src + y * src_row, dst + y * dst_row, dst_pixel, channels, count, table))
            return
        columns = count // channels
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * src_pixel
            b = dst + y * dst_row + x * dst_pixel
            for c in range(channels):
                store_u8(b, c, load_u8(table, c * table_step + load_u8(a, c)))

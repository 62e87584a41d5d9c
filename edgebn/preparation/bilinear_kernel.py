"""Pictures of three colours by two by two pixels, in vectors: what `resizing.py` calls bilinear, to the byte.

A pixel's two neighbours along a row stand in six adjacent bytes: one load of 16 bytes a pixel, whatever the sizes are. Sixteen
pixels are a block, as four vectors of every fourth pixel, each with a lane of 32 bits a colour and one to spare. Rows that are
mixed along their length keep 16 bits a colour, two vectors of 32 a block; the second step mixes two such rows and packs them.

All of it is in this file, for the cache; nothing that Python prepares for it hangs on the instruction set.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.vectors import I8, I16, I32, I64, call, concat, constant, load, shuffle, splat, store, vector
from edgebn.preparation.compiling import compiled
from edgebn.preparation.resizing import Taps

BLOCK = 16  # pixels
PART = 4  # pixels of one vector: those of a block whose numbers have one remainder by 4
LANES = 16  # of 32 bits, in one vector: four a pixel, of which the last is spare
LOADED = 16  # bytes at a pixel
USED = 6  # of them: two pixels
MIXED = 2 * BLOCK * PART  # bytes of a block that is mixed along the row: 16 bits a colour and a spare one
ZERO = LOADED * PART  # the index of a byte that is 0, behind those of a vector
PAIRS = (0, ZERO, 3, ZERO, 1, ZERO, 4, ZERO, 2, ZERO, 5, ZERO, *[ZERO] * 4)  # two neighbours' colours, in 16 bits each
PLACES = (0, 2, 1, 3)  # where a pixel of four stands among the bytes of a colour, after `_packed`
CODES, REAL, LISTED = range(3)  # how bytes become an input


@dataclass(frozen=True)
class Blocks:
    """What a row's pixels are mixed from, block by block, in the order in which vectors take them.

    Attributes
    ----------
    starts : ndarray of int64, shape (blocks, 4, 4)
        Byte of the row where a pixel's first neighbour begins.
    weights : ndarray of int32, shape (blocks, 4, 16)
        Weights of both neighbours, 16 bits each, once a colour.
    """

    starts: np.ndarray
    weights: np.ndarray


@functools.lru_cache(maxsize=64)
def _arranged(first: bytes, weights: bytes) -> Blocks:
    starts, pairs = np.frombuffer(first, np.int32).reshape(-1, 2)[:, 0], np.frombuffer(weights, np.int32).reshape(-1, 2)
    count = -(-len(starts) // BLOCK)
    padded, words = np.zeros(count * BLOCK, np.int64), np.zeros(count * BLOCK, np.int32)
    padded[: len(starts)] = 3 * starts.astype(np.int64)
    words[: len(starts)] = pairs[:, 0] | pairs[:, 1] << 16
    order = (0, 2, 1)  # (block, pixel's number by 4, remainder) to vectors of one remainder
    arranged = words.reshape(count, PART, PART).transpose(order)
    return Blocks(
        np.ascontiguousarray(padded.reshape(count, PART, PART).transpose(order)),
        np.ascontiguousarray(np.repeat(arranged, PART, axis=2)),
    )


def blocks(columns: Taps) -> Blocks:
    """Return how the vectors take these columns."""
    return _arranged(columns.first.tobytes(), columns.weights.tobytes())


@contextmanager
def _loop(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    with cgutils.for_range(builder, count) as step:
        yield step.index


def _times(builder: ir.IRBuilder, value: ir.Value, factor: int) -> ir.Value:
    return builder.mul(value, ir.Constant(I64, factor))


def _sum_of_pairs(builder: ir.IRBuilder, pairs: ir.Value, weights: ir.Value) -> ir.Value:
    """Return both halves of every lane times those of the weights, summed: none is negative, and the sum has 20 bits."""
    if SELECTED.vector_bytes == 4 * LANES and SELECTED.dot in {"vpdpbusd", "pmaddwd"}:
        halves = vector(I16, 2 * LANES)
        operands = [builder.bitcast(value, halves) for value in (pairs, weights)]
        return call(builder, "llvm.x86.avx512.pmaddw.d.512", vector(I32, LANES), operands)
    if SELECTED.dot in {"vpdpbusd", "pmaddwd"}:
        half, parts = vector(I16, LANES), []
        for lanes in (range(LANES // 2), range(LANES // 2, LANES)):
            operands = [builder.bitcast(shuffle(builder, value, None, lanes), half) for value in (pairs, weights)]
            parts.append(call(builder, "llvm.x86.avx2.pmadd.wd", vector(I32, LANES // 2), operands))
        return concat(builder, parts)
    low, sixteen = constant(I32, LANES, 0xFFFF), constant(I32, LANES, 16)
    first = builder.mul(builder.and_(pairs, low), builder.and_(weights, low))
    return builder.add(first, builder.mul(builder.lshr(pairs, sixteen), builder.lshr(weights, sixteen)))


def _neighbours(builder: ir.IRBuilder, row: ir.Value, starts: ir.Value) -> ir.Value:
    """Return the colours of four pixels' two neighbours, 16 bits each."""
    loaded = []
    for i in range(PART):
        start = load(builder, I64, starts, 8 * i)
        loaded.append(load(builder, vector(I8, LOADED), builder.add(row, start)))
    lanes = [index if index == ZERO else LOADED * i + index for i in range(PART) for index in PAIRS]
    widened = shuffle(builder, concat(builder, loaded), constant(I8, LOADED * PART, 0), lanes)
    return builder.bitcast(widened, vector(I32, LANES))


@intrinsic
def _across(typing_context: Any, row: Any, starts: Any, weights: Any, count: Any, out: Any) -> Any:  # noqa: ARG001
    """Mix the neighbours along a row of bytes, `count` blocks: (a0 * p0 + a1 * p1) >> 4 in 16 bits."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
        row, starts, weights, count, out = values
        four, twelve, high = constant(I32, LANES, 4), constant(I32, LANES, 12), constant(I32, LANES, -0x10000)
        with _loop(builder, count) as block:
            mixed = []
            for part in range(PART):
                at = builder.add(_times(builder, block, PART * PART * 8), ir.Constant(I64, part * PART * 8))
                pairs = _neighbours(builder, row, builder.add(starts, at))
                at = builder.add(_times(builder, block, PART * LANES * 4), ir.Constant(I64, part * LANES * 4))
                mixed.append(_sum_of_pairs(builder, pairs, load(builder, vector(I32, LANES), builder.add(weights, at))))
            place = builder.add(out, _times(builder, block, MIXED))
            for half in range(2):
                lower = builder.lshr(mixed[2 * half], four)
                upper = builder.and_(builder.shl(mixed[2 * half + 1], twelve), high)
                store(builder, builder.or_(lower, upper), place, half * MIXED // 2)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


def _high_product(builder: ir.IRBuilder, values: ir.Value, factor: ir.Value) -> ir.Value:
    """Return the upper 16 bits of products of 16 bits."""
    wide = vector(I32, values.type.count)
    product = builder.mul(builder.sext(values, wide), builder.sext(factor, wide))
    return builder.trunc(builder.ashr(product, constant(I32, values.type.count, 16)), values.type)


def _packed(builder: ir.IRBuilder, halves: list[ir.Value], added: ir.Value) -> ir.Value:
    """Return a block's bytes plus `added`: of four pixels each, their first colours, then the second, the third, the spare."""
    eight = constant(I16, 2 * LANES, 8)
    joined = builder.bitcast(builder.or_(halves[0], builder.shl(halves[1], eight)), vector(I8, 4 * LANES))
    return builder.add(joined, splat(builder, added, 4 * LANES))


def _downwards(order: tuple[int, int, int]) -> Any:
    """Return an intrinsic that mixes two rows of `_across`: bytes plus `added`, their colours in this order.

    It takes `count` blocks; the last store goes four bytes beyond them.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
        above, below, upper, lower, added, count, out = values
        colours = vector(I16, 2 * LANES)
        factors = [splat(builder, builder.trunc(value, I16), 2 * LANES) for value in (upper, lower)]
        byte = builder.trunc(added, I8)
        with _loop(builder, count) as block:
            halves = []
            for half in range(2):
                at = builder.add(_times(builder, block, MIXED), ir.Constant(I64, half * MIXED // 2))
                rows = [load(builder, colours, builder.add(address, at)) for address in (above, below)]
                total = builder.add(*(_high_product(builder, row, factor) for row, factor in zip(rows, factors, strict=True)))
                rounded = builder.add(total, constant(I16, 2 * LANES, 2))
                halves.append(builder.lshr(rounded, constant(I16, 2 * LANES, 2)))
            joined = _packed(builder, halves, byte)
            place = builder.add(out, _times(builder, block, 3 * BLOCK))
            for four in range(PART):
                kept = [LOADED * four + PART * colour + spot for spot in PLACES for colour in order]
                store(builder, shuffle(builder, joined, None, [*kept, *[kept[-1]] * PART]), place, 3 * PART * four)
        return context.get_dummy_value()

    def typed(typing_context: Any, above: Any, below: Any, upper: Any, lower: Any, added: Any, count: Any, out: Any) -> Any:  # noqa: ARG001
        return types.void(*[types.int64] * 7), generate

    return intrinsic(typed)


_down, _down_turned = _downwards((0, 1, 2)), _downwards((2, 1, 0))


@compiled
def mixed(
    pixels: np.ndarray,
    rows: np.ndarray,
    row_weights: np.ndarray,
    starts: np.ndarray,
    weights: np.ndarray,
    turned: bool,  # a kernel's argument
    finish: int,
    added: int,
    numbers: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` (rows, columns, 3) from adjacent pixels (rows, columns, 3), row by row.

    `turned`: blue, green, red. `finish`: CODES are bytes plus `added`; REAL is byte * numbers[0] + numbers[1], each a whole row;
    LISTED looks bytes up in `numbers` (3, 256).
    """
    count, size = len(starts), pixels.shape[1] * 3
    across = np.empty((2, count * MIXED // 2), np.int16)
    held = np.full(2, -1, np.int64)  # which row of pixels each row of `across` comes from
    line = np.empty(count * 3 * BLOCK + PART, np.uint8)
    beyond = LOADED - USED
    last = np.zeros(size + beyond, np.uint8)  # a row at the end, behind which more can be read
    flat = out.reshape(len(out), -1)
    for y in range(len(rows)):
        for side in range(2):
            row = rows[y, side]
            if held[side] == row:
                continue
            if held[1 - side] == row:
                across[side] = across[1 - side]
            else:
                address = pixels.ctypes.data + row * size
                if (row + 1) * size + beyond > pixels.size:
                    last[:size] = pixels[row].reshape(-1)
                    address = last.ctypes.data
                _across(address, starts.ctypes.data, weights.ctypes.data, count, across[side].ctypes.data)
            held[side] = row
        above, below, place = across[0].ctypes.data, across[1].ctypes.data, line.ctypes.data
        if turned:
            _down_turned(above, below, row_weights[y, 0], row_weights[y, 1], added, count, place)
        else:
            _down(above, below, row_weights[y, 0], row_weights[y, 1], added, count, place)
        if finish == CODES:
            _codes(line, flat[y])
        elif finish == REAL:
            _real(line, numbers[0], numbers[1], flat[y])
        else:
            _listed(line, numbers, flat[y])


@compiled
def _codes(line: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(out)):
        out[i] = np.int8(line[i])


@compiled
def _real(line: np.ndarray, scale: np.ndarray, offset: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(out)):
        out[i] = np.float32(line[i]) * np.float32(scale[i]) + np.float32(offset[i])


@compiled
def _listed(line: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    for x in range(np.uint64(0), np.uint64(len(out)), np.uint64(3)):
        for c in range(np.uint64(3)):
            out[x + c] = table[c, line[x + c]]

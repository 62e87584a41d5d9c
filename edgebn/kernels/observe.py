"""Accumulators of observed rows: saved by the kernels that make them, and gathered into sums right after (docs/adaptation.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.jit import kernel
from edgebn.kernels.parameters import Bounds, SavedAccumulators
from edgebn.kernels.primitives import load_f32, load_i32, load_i64, load_u8, store_f32, store_i32
from edgebn.kernels.vectors import F32, I8, I32, I64, clamp, clamp_float, constant, load, splat, store, vector

# Vectors that are gathered together: what the registers hold.
GROUP = 4 if SELECTED.registers >= 32 else 2


@kernel
def row_to_save(saved: SavedAccumulators, row: int) -> int:
    """Return where the accumulators of a row are to be saved, or 0."""
    if saved.saved == 0 or load_u8(saved.observed_mask, row) == 0:
        return 0
    return saved.saved + row * saved.saved_row


def save_accumulators(
    builder: ir.IRBuilder,
    arguments: dict[str, ir.Value],
    mark: ir.Value,
    place: tuple[ir.Value, ir.Value, ir.Value],
    accumulators: list[list[ir.Value]],
    accumulator_value: Callable[[ir.Value, int], ir.Value] = lambda acc, j: acc,  # noqa: ARG005  # of float32: itself
    steps: Callable[[], list[ir.Value] | None] = lambda: None,
) -> None:
    """Write the code that keeps a tile's accumulators [pixel][vector] where its mark says so.

    Parameters
    ----------
    arguments : dict of str to Value
        Holds the words of `SavedAccumulators`.
    mark : Value
        Index of the tile's mark.
    place : (row, column, bytes)
        Of the first accumulator; bytes from the pixel's beginning.
    accumulator_value : callable (accumulator, index of its vector)
        Gives the sum that an accumulator stands for.
    steps : callable ()
        Gives the bytes from the first pixel to each where they are not in one row, else None.
    """
    size = accumulators[0][0].type.count * 4
    is_observed = builder.icmp_signed("!=", arguments["saved"], ir.Constant(I64, 0))
    with builder.if_then(is_observed, likely=False):
        marked = builder.icmp_signed("!=", load(builder, I8, arguments["observed_mask"], mark), ir.Constant(I8, 0))
        with builder.if_then(marked, likely=False):
            row, column, start = place
            at = builder.add(arguments["saved"], builder.mul(row, arguments["saved_row"]))
            at = builder.add(builder.add(at, start), builder.mul(column, arguments["saved_pixel"]))
            places = steps()
            # In rising order: what reaches beyond the last channel is overwritten by what belongs there.
            for i, line in enumerate(accumulators):
                step = builder.mul(arguments["saved_pixel"], ir.Constant(I64, i)) if places is None else places[i]
                pixel = builder.add(at, step)
                for j, acc in enumerate(line):
                    store(builder, accumulator_value(acc, j), pixel, j * size)


class Gathering(NamedTuple):
    """Saved accumulators and what is made of them; `places` fill whole vectors.

    lines int64 (rows,): bytes from `saved` to each observed row. int8: table int32 (4, places): center, shift, low, high of e;
    sums int32 (3, places): S1, and S2 as the sums of the squares' low and high 16 bits. float32: table float32 (1, places):
    centers; sums float32 (2, places): S1, S2.
    """

    saved: int
    lines: int
    saved_pixel: int
    rows: int
    columns: int
    places: int
    table: int
    sums: int


@kernel
def _plain_gather_i8(of: Gathering) -> None:
    for c in range(of.places):
        center, shift = load_i32(of.table, c), load_i32(of.table, of.places + c)
        low, high = load_i32(of.table, 2 * of.places + c), load_i32(of.table, 3 * of.places + c)
        first = small = large = 0
        for y in range(of.rows):
            for x in range(of.columns):
                e = min(max((load_i32(of.saved + load_i64(of.lines, y) + x * of.saved_pixel, c) - center) >> shift, low), high)
                first += e
                small += (e * e) & 0xFFFF
                large += (e * e) >> 16
        store_i32(of.sums, c, types.int32(first))
        store_i32(of.sums, of.places + c, types.int32(small))
        store_i32(of.sums, 2 * of.places + c, types.int32(large))


@kernel
def _plain_gather_f32(of: Gathering, bounds: Bounds) -> None:
    for c in range(of.places):
        center = load_f32(of.table, c)
        first = second = types.float32(0)
        for y in range(of.rows):
            for x in range(of.columns):
                e = min(max(load_f32(of.saved + load_i64(of.lines, y) + x * of.saved_pixel, c), bounds.low), bounds.high) - center
                first += e
                second += e * e
        store_f32(of.sums, c, first)
        store_f32(of.sums, of.places + c, second)


def _pixels(builder: ir.IRBuilder, values: list[ir.Value], start: ir.Value, body: Any) -> None:
    """Write the loops over all pixels; `body` takes the address of a pixel's vector."""
    saved, lines, saved_pixel, rows, columns = values[:5]
    with cgutils.for_range(builder, rows) as y:
        offset = load(builder, I64, lines, builder.mul(y.index, ir.Constant(I64, 8)))
        line = builder.add(builder.add(saved, start), offset)
        with cgutils.for_range(builder, columns) as x:
            body(builder.add(line, builder.mul(x.index, saved_pixel)))


def _gather_i8_vectors(builder: ir.IRBuilder, values: list[ir.Value], start: ir.Value, count: int) -> None:
    """Write the gathering of `count` vectors of places that begin `start` bytes after the first."""
    places, table, sums = values[5:]
    lanes = SELECTED.lanes
    kind = vector(I32, lanes)
    size = 4 * lanes
    array = builder.mul(places, ir.Constant(I64, 4))  # bytes of one array of the table or of the sums

    def arrays(base: ir.Value, index: int) -> ir.Value:
        return builder.add(builder.add(base, start), builder.mul(array, ir.Constant(I64, index)))

    parts = [[load(builder, kind, arrays(table, i), j * size) for i in range(4)] for j in range(count)]
    slots = [[cgutils.alloca_once_value(builder, constant(I32, lanes, 0)) for _ in range(3)] for _ in range(count)]
    for line in slots:
        for slot in line:
            builder.store(constant(I32, lanes, 0), slot)

    def body(pixel: ir.Value) -> None:
        for j, (center, shift, low, high) in enumerate(parts):
            e = builder.ashr(builder.sub(load(builder, kind, pixel, j * size), center), shift)
            e = clamp(builder, e, low, high)
            square = builder.mul(e, e)
            terms = e, builder.and_(square, constant(I32, lanes, 0xFFFF)), builder.lshr(square, constant(I32, lanes, 16))
            for slot, term in zip(slots[j], terms, strict=True):
                builder.store(builder.add(builder.load(slot), term), slot)

    _pixels(builder, values, start, body)
    for j, line in enumerate(slots):
        for i, slot in enumerate(line):
            store(builder, builder.load(slot), arrays(sums, i), j * size)


@intrinsic
def _vector_gather_i8(typing_context: Any, arguments: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
    """Squares are below 2**31, so their low and high 16 bits are summed apart, each in 32 bits: exact for 65,535 positions."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, packed: Any) -> ir.Value:  # noqa: ARG001
        values = cgutils.unpack_tuple(builder, packed[0], 8)
        size = 4 * SELECTED.lanes
        vectors = builder.udiv(values[5], ir.Constant(I64, SELECTED.lanes))
        groups = builder.udiv(vectors, ir.Constant(I64, GROUP))
        with cgutils.for_range(builder, groups) as group:
            _gather_i8_vectors(builder, values, builder.mul(group.index, ir.Constant(I64, GROUP * size)), GROUP)
        done = builder.mul(groups, ir.Constant(I64, GROUP))
        with cgutils.for_range(builder, builder.sub(vectors, done)) as single:
            start = builder.mul(builder.add(done, single.index), ir.Constant(I64, size))
            _gather_i8_vectors(builder, values, start, 1)
        return context.get_dummy_value()

    return types.void(arguments), generate


@intrinsic
def _vector_gather_f32(typing_context: Any, arguments: Any, bounds: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, packed: Any) -> ir.Value:  # noqa: ARG001
        values = cgutils.unpack_tuple(builder, packed[0], 8)
        places, table, sums = values[5:]
        lanes = SELECTED.lanes
        kind = vector(F32, lanes)
        low, high = (splat(builder, bound, lanes) for bound in cgutils.unpack_tuple(builder, packed[1], 2))
        slots = [cgutils.alloca_once(builder, kind) for _ in range(2)]
        with cgutils.for_range(builder, builder.udiv(places, ir.Constant(I64, lanes))) as block:
            start = builder.mul(block.index, ir.Constant(I64, 4 * lanes))
            center = load(builder, kind, builder.add(table, start))
            for slot in slots:
                builder.store(constant(F32, lanes, 0.0), slot)

            def body(pixel: ir.Value) -> None:
                e = builder.fsub(clamp_float(builder, load(builder, kind, pixel), low, high), center)
                for slot, value in zip(slots, (e, builder.fmul(e, e)), strict=True):
                    builder.store(builder.fadd(builder.load(slot), value), slot)

            _pixels(builder, values, start, body)
            out = builder.add(sums, start)
            store(builder, builder.load(slots[0]), out)
            store(builder, builder.load(slots[1]), builder.add(out, builder.mul(places, ir.Constant(I64, 4))))
        return context.get_dummy_value()

    return types.void(arguments, bounds), generate


_gather_i8 = _vector_gather_i8 if SELECTED.vector_bytes else _plain_gather_i8
_gather_f32 = _vector_gather_f32 if SELECTED.vector_bytes else _plain_gather_f32


@kernel
def reduce_statistics_i8(gathering: Gathering) -> None:
    """Sum deviations of saved accumulators."""
    _gather_i8(gathering)


@kernel
def reduce_statistics_f32(gathering: Gathering, bounds: Bounds) -> None:
    """Sum deviations of saved accumulators."""
    _gather_f32(gathering, bounds)

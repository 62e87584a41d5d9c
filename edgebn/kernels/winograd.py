"""Winograd's convolution F(2x2, 3x3): 4 outputs of a 3 x 3 kernel from 16 products instead of 36, in float32 and of codes.

    Y = A' ((G g G') * (B' d B)) A      d: 4 x 4 inputs, g: 3 x 3 weights, Y: 2 x 2 outputs, *: element by element

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), with the interpolation points 0, 1, -1 and
infinity, where B and A hold 0 and +-1 alone. Three operations: `winograd_input_f32` computes B' d B of many tiles, sixteen
pointwise convolutions (`tile.tile_f32` on sixteen rows) sum over the channels, `winograd_output_f32` computes A' m A and the
epilogue. Between them a transformed tile is 16 planes, each [tile][channel]. Weights are transformed when they are packed.

Of codes (`winograd_input_i8`, `tile.tile_i16`, `winograd_output_i8`) every number is an integer: B' d B of stored codes has 11
bits, weights are transformed by 2 G, which has no halves, and A' m A is then four times the direct sum, bit by bit: what wraps
around on the way does no harm as long as the end fits 32 bits (`session/winograd.py`). The zero point is in the bias, as it is
for the direct tiles.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.int8_epilogue import Int8Epilogue
from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import save_accumulators
from edgebn.kernels.parameters import SavedAccumulators, TileClips, TileCodes
from edgebn.kernels.tile_epilogue import Float32Epilogue
from edgebn.kernels.tile_shapes import takes_pairs_in_turn
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I8, I16, I32, I64, constant, load, store, vector

SIDE, STEP = 4, 2  # of the tile of inputs; of the tile of outputs
SUMS_SHIFT = 2  # sums of codes are four times the direct ones


class Source(NamedTuple):
    """The first tap of the first output pixel, and the bytes to the next row and pixel."""

    src: int
    src_row: int
    src_pixel: int


class Tiles(NamedTuple):
    """Tiles and planes; steps are bytes.

    Tile (j, i) begins at the output pixel (min(2 j, last_y), min(2 i, last_x)): the last ones move up or left instead of reaching
    over the end, and compute some pixels again.
    """

    tile_rows: int
    tile_columns: int
    last_y: int
    last_x: int
    planes: int
    plane_step: int
    tile_step: int
    blocks: int


class Target(NamedTuple):
    """Output and epilogue; the last of the vectors of channels has `valid` that exist."""

    dst: int
    dst_row: int
    dst_pixel: int
    epilogue: int
    valid: int


def _input_line(builder: ir.IRBuilder, d: list[ir.Value]) -> list[ir.Value]:
    """Return B' times a column of four."""
    add, subtract = _arithmetic(builder, d[0])
    return [subtract(d[0], d[2]), add(d[1], d[2]), subtract(d[2], d[1]), subtract(d[1], d[3])]


def _output_line(builder: ir.IRBuilder, m: list[ir.Value]) -> list[ir.Value]:
    """Return A' times a column of four."""
    add, subtract = _arithmetic(builder, m[0])
    total, difference = add(m[1], m[2]), subtract(m[1], m[2])
    return [add(m[0], total), subtract(difference, m[3])]


def _arithmetic(builder: ir.IRBuilder, value: ir.Value) -> tuple[Any, Any]:
    """Return what adds and what subtracts vectors of a type."""
    return (builder.fadd, builder.fsub) if value.type.element == F32 else (builder.add, builder.sub)


def _transposed(lines: list[list[ir.Value]]) -> list[list[ir.Value]]:
    return [list(line) for line in zip(*lines, strict=True)]


class _Tiles:
    """Walks over the tiles of a function and their blocks of channels."""

    def __init__(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value]) -> None:
        self._builder, self._given = builder, arguments

    def origin(self, index: ir.Value, last: str) -> ir.Value:
        """Return the first output row or column of the tiles with an index."""
        twice = self._builder.mul(index, ir.Constant(I64, STEP))
        limit = self._given[last]
        return self._builder.select(self._builder.icmp_signed("<", twice, limit), twice, limit)

    def plane(self, tile: ir.Value, channel: ir.Value, index: int) -> ir.Value:
        """Return the address of a block of channels of one tile in one of the planes."""
        builder, arguments = self._builder, self._given
        place = builder.add(builder.add(arguments["planes"], channel), builder.mul(tile, arguments["tile_step"]))
        return builder.add(place, builder.mul(arguments["plane_step"], ir.Constant(I64, index)))


class Input:
    """Writes the function that transforms the inputs: float32, or codes to int16."""

    arguments = (*Source._fields, *Tiles._fields)

    def __init__(self, isa: InstructionSet, *, real: bool) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.lanes) if real else vector(I8, 2 * isa.lanes)
        self._vector_bytes = 4 * isa.lanes if real else 2 * isa.lanes
        self.variants = ("edgebn_winograd_input_f32" if real else "edgebn_winograd_input_i8",)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write it, and return it."""
        builder, arguments = begin_function(module, self.variants[variant], self.arguments)
        tiles = _Tiles(builder, arguments)
        with (
            cgutils.for_range(builder, arguments["tile_rows"]) as row,
            cgutils.for_range(builder, arguments["tile_columns"]) as column,
        ):
            y, x = tiles.origin(row.index, "last_y"), tiles.origin(column.index, "last_x")
            tile = builder.add(builder.mul(row.index, arguments["tile_columns"]), column.index)
            first = builder.add(arguments["src"], builder.mul(y, arguments["src_row"]))
            first = builder.add(first, builder.mul(x, arguments["src_pixel"]))
            with cgutils.for_range(builder, arguments["blocks"]) as block:
                channel = builder.mul(block.index, ir.Constant(I64, self._isa.vector_bytes))
                place = builder.add(first, builder.mul(block.index, ir.Constant(I64, self._vector_bytes)))
                columns = []
                for j in range(SIDE):
                    at = builder.add(place, builder.mul(arguments["src_pixel"], ir.Constant(I64, j)))
                    taps = []
                    for _ in range(SIDE):
                        taps.append(self._number(builder, load(builder, self._kind, at)))
                        at = builder.add(at, arguments["src_row"])
                    columns.append(_input_line(builder, taps))
                for i, line in enumerate(_transposed(columns)):
                    for j, value in enumerate(_input_line(builder, line)):
                        store(builder, value, tiles.plane(tile, channel, SIDE * i + j))
        builder.ret_void()
        return builder.function

    def _number(self, builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
        """Return float32 as they are, and stored codes in 16 bits."""
        if self._kind.element == F32:
            return value
        widen = builder.zext if self._isa.code_flip else builder.sext
        return widen(value, vector(I16, value.type.count))


class Output:
    """Writes the function that transforms the sums back and finishes them."""

    def __init__(self, isa: InstructionSet, *, real: bool) -> None:
        self._isa = isa
        self._kind = vector(F32 if real else I32, isa.lanes)
        self._epilogue: Any = Float32Epilogue(isa) if real else Int8Epilogue(isa)
        self._writes_tiles = not real  # codes are packed by the four, float32 is written row by row
        self.variants = ("edgebn_winograd_output_f32" if real else "edgebn_winograd_output_i8",)
        self.arguments = (*Tiles._fields, *Target._fields, *SavedAccumulators._fields, *self._epilogue.scalars)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write it, and return it."""
        builder, arguments = begin_function(module, self.variants[variant], self.arguments)
        below, beside = arguments["dst_row"], arguments["dst_pixel"]
        shared = self._epilogue.prepare(builder, arguments, 1)
        if self._writes_tiles:
            shared["steps"] = [ir.Constant(I64, 0), beside, below, builder.add(below, beside)]
        tiles = _Tiles(builder, arguments)
        last_block = builder.sub(arguments["blocks"], ir.Constant(I64, 1))
        whole = ir.Constant(I64, self._isa.lanes)
        record = self._isa.lanes * self._epilogue.bytes_per_channel
        with cgutils.for_range(builder, arguments["blocks"]) as block:
            channel = builder.mul(block.index, ir.Constant(I64, self._isa.vector_bytes))
            written = builder.mul(block.index, ir.Constant(I64, self._isa.lanes * self._epilogue.element))
            epilogue = builder.add(arguments["epilogue"], builder.mul(block.index, ir.Constant(I64, record)))
            bias = load(builder, self._kind, epilogue)
            valid = builder.select(builder.icmp_signed("==", block.index, last_block), arguments["valid"], whole)

            def accumulator_value(acc: ir.Value, j: int, epilogue: ir.Value = epilogue) -> ir.Value:
                return self._epilogue.sum(builder, acc, epilogue, j, 1)

            with (
                cgutils.for_range(builder, arguments["tile_rows"]) as row,
                cgutils.for_range(builder, arguments["tile_columns"]) as column,
            ):
                y, x = tiles.origin(row.index, "last_y"), tiles.origin(column.index, "last_x")
                tile = builder.add(builder.mul(row.index, arguments["tile_columns"]), column.index)
                rows = []
                for i in range(SIDE):
                    line = [load(builder, self._kind, tiles.plane(tile, channel, SIDE * i + j)) for j in range(SIDE)]
                    rows.append(_output_line(builder, line))
                target = builder.add(builder.add(arguments["dst"], written), builder.mul(y, arguments["dst_row"]))
                target = builder.add(target, builder.mul(x, arguments["dst_pixel"]))
                tile_sums: Any = []
                for i, pixels in enumerate(_transposed([_output_line(builder, line) for line in _transposed(rows)])):
                    sums: Any = [[self._sum(builder, pixel, bias)] for pixel in pixels]
                    at = builder.add(y, ir.Constant(I64, i))
                    save_accumulators(builder, arguments, at, (at, x, channel), sums, accumulator_value)
                    tile_sums += sums
                    if not self._writes_tiles:
                        self._epilogue.write(builder, sums, shared, epilogue, target, valid)
                        target = builder.add(target, below)
                if self._writes_tiles:
                    self._epilogue.write(builder, tile_sums, shared, epilogue, target, valid)
        builder.ret_void()
        return builder.function

    def _sum(self, builder: ir.IRBuilder, value: ir.Value, bias: ir.Value) -> ir.Value:
        """Return the accumulator of a transformed sum, whose last bits are zero where it is an integer."""
        if self._kind.element == F32:
            return builder.fadd(value, bias)
        return builder.add(builder.ashr(value, constant(I32, self._isa.lanes, SUMS_SHIFT)), bias)


if SELECTED.vector_bytes:
    _run_input_f32 = runner(Input(SELECTED, real=True))
    _run_output_f32 = runner(Output(SELECTED, real=True))
if takes_pairs_in_turn(SELECTED):
    _run_input_i8 = runner(Input(SELECTED, real=False))
    _run_output_i8 = runner(Output(SELECTED, real=False))


@kernel
def winograd_input_f32(source: Source, tiles: Tiles) -> None:
    """Transform inputs; reads go on to the end of the last vector."""
    _run_input_f32(0, (source, tiles))


@kernel
def winograd_output_f32(tiles: Tiles, target: Target, saved: SavedAccumulators, clips: TileClips) -> None:
    """Transform sums back."""
    _run_output_f32(0, (tiles, target, saved, clips))


@kernel
def winograd_input_i8(source: Source, tiles: Tiles) -> None:
    """Transform codes; reads go on to the end of the last vector."""
    _run_input_i8(0, (source, tiles))


@kernel
def winograd_output_i8(tiles: Tiles, target: Target, saved: SavedAccumulators, codes: TileCodes) -> None:
    """Transform sums back."""
    _run_output_i8(0, (tiles, target, saved, codes))


FLOAT32_WINOGRAD = (winograd_input_f32, winograd_output_f32) if SELECTED.vector_bytes else ()
INT8_WINOGRAD = (winograd_input_i8, winograd_output_i8) if takes_pairs_in_turn(SELECTED) else ()

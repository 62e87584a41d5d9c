"""Winograd's convolution F(2x2, 3x3) in float32: 4 outputs of a 3 x 3 kernel from 16 products instead of 36.

    Y = A' ((G g G') * (B' d B)) A      d: 4 x 4 inputs, g: 3 x 3 weights, Y: 2 x 2 outputs, *: element by element

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), with the interpolation points 0, 1, -1 and
infinity, where B and A hold 0 and +-1 alone. Three operations: `winograd_input_f32` computes B' d B of many tiles, sixteen
pointwise convolutions (`tile.tile_f32` on sixteen rows) sum over the channels, `winograd_output_f32` computes A' m A and the
epilogue. Between them a transformed tile is 16 planes, each [tile][channel]. Weights are transformed when they are packed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import save_accumulators
from edgebn.kernels.parameters import SavedAccumulators, TileClips
from edgebn.kernels.tile_epilogue import Float32Epilogue
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I64, load, store, vector

SIDE, STEP = 4, 2  # of the tile of inputs; of the tile of outputs


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
    return [builder.fsub(d[0], d[2]), builder.fadd(d[1], d[2]), builder.fsub(d[2], d[1]), builder.fsub(d[1], d[3])]


def _output_line(builder: ir.IRBuilder, m: list[ir.Value]) -> list[ir.Value]:
    """Return A' times a column of four."""
    total, difference = builder.fadd(m[1], m[2]), builder.fsub(m[1], m[2])
    return [builder.fadd(m[0], total), builder.fsub(difference, m[3])]


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
    """Writes the function that transforms the inputs."""

    arguments = (*Source._fields, *Tiles._fields)
    variants = ("edgebn_winograd_input_f32",)

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.lanes)

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
                place = builder.add(first, channel)
                columns = []
                for j in range(SIDE):
                    at = builder.add(place, builder.mul(arguments["src_pixel"], ir.Constant(I64, j)))
                    taps = []
                    for _ in range(SIDE):
                        taps.append(load(builder, self._kind, at))
                        at = builder.add(at, arguments["src_row"])
                    columns.append(_input_line(builder, taps))
                for i, line in enumerate(_transposed(columns)):
                    for j, value in enumerate(_input_line(builder, line)):
                        store(builder, value, tiles.plane(tile, channel, SIDE * i + j))
        builder.ret_void()
        return builder.function


class Output:
    """Writes the function that transforms the sums back and finishes them."""

    variants = ("edgebn_winograd_output_f32",)

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.lanes)
        self._epilogue = Float32Epilogue(isa)
        self.arguments = (*Tiles._fields, *Target._fields, *SavedAccumulators._fields, *self._epilogue.scalars)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write it, and return it."""
        builder, arguments = begin_function(module, self.variants[variant], self.arguments)
        shared = self._epilogue.prepare(builder, arguments, 1)
        tiles = _Tiles(builder, arguments)
        last_block = builder.sub(arguments["blocks"], ir.Constant(I64, 1))
        whole = ir.Constant(I64, self._isa.lanes)
        record = self._isa.lanes * self._epilogue.bytes_per_channel
        with cgutils.for_range(builder, arguments["blocks"]) as block:
            channel = builder.mul(block.index, ir.Constant(I64, self._isa.vector_bytes))
            epilogue = builder.add(arguments["epilogue"], builder.mul(block.index, ir.Constant(I64, record)))
            bias = load(builder, self._kind, epilogue)
            valid = builder.select(builder.icmp_signed("==", block.index, last_block), arguments["valid"], whole)
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
                target = builder.add(builder.add(arguments["dst"], channel), builder.mul(y, arguments["dst_row"]))
                target = builder.add(target, builder.mul(x, arguments["dst_pixel"]))
                for i, pixels in enumerate(_transposed([_output_line(builder, line) for line in _transposed(rows)])):
                    sums: Any = [[builder.fadd(pixel, bias)] for pixel in pixels]
                    at = builder.add(y, ir.Constant(I64, i))
                    save_accumulators(builder, arguments, at, (at, x, channel), sums)
                    self._epilogue.write(builder, sums, shared, epilogue, target, valid)
                    target = builder.add(target, arguments["dst_row"])
        builder.ret_void()
        return builder.function


if SELECTED.vector_bytes:
    _run_input = runner(Input(SELECTED))
    _run_output = runner(Output(SELECTED))


@kernel
def winograd_input_f32(source: Source, tiles: Tiles) -> None:
    """Transform inputs; reads go on to the end of the last vector."""
    _run_input(0, (source, tiles))


@kernel
def winograd_output_f32(tiles: Tiles, target: Target, saved: SavedAccumulators, clips: TileClips) -> None:
    """Transform sums back."""
    _run_output(0, (tiles, target, saved, clips))


FLOAT32_WINOGRAD = (winograd_input_f32, winograd_output_f32) if SELECTED.vector_bytes else ()

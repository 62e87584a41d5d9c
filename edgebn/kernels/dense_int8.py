"""A dense layer of codes of one sample, on AVX2: inputs in halves of four bits, so that weights stay bytes.

A dense layer reads every weight once, so that the caches' bandwidth bounds it. Tiles (`tile.py`) want weights that were widened to
16 bits when they were packed: of one sample's that is twice the bytes for nothing. vpmaddubsw multiplies bytes, and saturates sums
of two products at 16 bits; half of an input is at most 15, and sums of `GROUP` quads' products fit: 8 * 2 * 15 * 128 = 30720.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.int8_epilogue import Int8Epilogue
from edgebn.kernels.isa import CACHE_LINE, SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import save_accumulators
from edgebn.kernels.parameters import SavedAccumulators, TileCodes
from edgebn.kernels.tile_shapes import DENSE_INPUTS, int8_dense_widths
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import I8, I16, I32, I64, call, constant, in_turn, load, offset, prefetch, splat, store, vector

HALF_BITS = 4  # of an input
AHEAD = 2  # turns of the loop, whose weights are fetched: they lie in blocks that follow each other
GROUP = DENSE_INPUTS // 4  # quads of inputs whose products are summed in 16 bits


class Geometry(NamedTuple):
    """Input of `depth` codes, at least a turn's; weights and epilogue, and output.

    `halves` is scratch for the inputs' upper halves and then their lower ones, in whole turns.
    """

    src: int
    depth: int
    weight: int
    epilogue: int
    dst: int
    blocks: int
    last_channels: int
    halves: int


class Int8Dense:
    """Writes the functions: one for each number of vectors that a block of output channels has."""

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind, self._pairs, self._bytes = vector(I32, isa.lanes), vector(I16, 2 * isa.lanes), vector(I8, 4 * isa.lanes)
        self._epilogue = Int8Epilogue(isa)
        self.arguments = (*Geometry._fields, *SavedAccumulators._fields, *self._epilogue.scalars)
        self.variants = int8_dense_widths(isa)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`, and return it."""
        nv, isa = self.variants[variant], self._isa
        builder, arguments = begin_function(module, f"edgebn_dense_i8_{nv}", self.arguments)
        shared = self._epilogue.prepare(builder, {**arguments, "dst_pixel": ir.Constant(I64, 0)}, nv)  # there is one pixel
        sums = [cgutils.alloca_once(builder, self._kind) for _ in range(nv)]
        turns = self._split(builder, arguments)
        padded = builder.mul(turns, ir.Constant(I64, DENSE_INPUTS))
        channels = nv * isa.lanes
        turn_bytes = GROUP * nv * isa.vector_bytes
        block_bytes = builder.mul(turns, ir.Constant(I64, turn_bytes))
        last_block = builder.sub(arguments["blocks"], ir.Constant(I64, 1))
        with cgutils.for_range(builder, arguments["blocks"]) as block:
            weights = builder.add(arguments["weight"], builder.mul(block.index, block_bytes))
            record = ir.Constant(I64, channels * self._epilogue.bytes_per_channel)
            epilogue = builder.add(arguments["epilogue"], builder.mul(block.index, record))
            target = builder.add(arguments["dst"], builder.mul(block.index, ir.Constant(I64, channels)))
            is_last = builder.icmp_signed("==", block.index, last_block)
            valid = builder.select(is_last, arguments["last_channels"], ir.Constant(I64, channels))
            for j, slot in enumerate(sums):
                builder.store(load(builder, self._kind, epilogue, j * isa.vector_bytes), slot)
            with cgutils.for_range(builder, turns) as turn:
                at = builder.add(weights, builder.mul(turn.index, ir.Constant(I64, turn_bytes)))
                upper = builder.add(arguments["halves"], builder.mul(turn.index, ir.Constant(I64, DENSE_INPUTS)))
                self._add_turn(builder, at, (upper, builder.add(upper, padded)), sums)
            accumulators: Any = [[builder.load(slot) for slot in sums]]
            nothing = ir.Constant(I64, 0)
            first_saved = builder.mul(block.index, ir.Constant(I64, channels * 4))

            def value_of(acc: ir.Value, j: int, epilogue: ir.Value = epilogue) -> ir.Value:
                return self._epilogue.sum(builder, acc, epilogue, j, nv)

            save_accumulators(builder, arguments, nothing, (nothing, nothing, first_saved), accumulators, value_of)
            self._epilogue.write(builder, accumulators, shared, epilogue, target, valid)
        builder.ret_void()
        return builder.function

    def _add_turn(
        self, builder: ir.IRBuilder, weights: ir.Value, halves: tuple[ir.Value, ir.Value], sums: list[ir.AllocaInstr]
    ) -> None:
        """Add a turn's products to `sums`; `halves` are the addresses of its inputs' upper and lower halves."""
        totals: list[list[ir.Value | None]] = [[None] * len(sums) for _ in halves]
        for quad in range(GROUP):
            inputs = [
                builder.bitcast(splat(builder, load(builder, I32, half, 4 * quad), self._isa.lanes), self._bytes) for half in halves
            ]
            for j in range(len(sums)):
                place = (quad * len(sums) + j) * self._isa.vector_bytes
                if place % CACHE_LINE == 0:
                    ahead = AHEAD * GROUP * len(sums) * self._isa.vector_bytes
                    prefetch(builder, offset(builder, weights, place + ahead), level=1)
                weight = load(builder, self._bytes, weights, place)
                for value, line in zip(inputs, totals, strict=True):
                    product = call(builder, "llvm.x86.avx2.pmadd.ub.sw", self._pairs, [value, weight])
                    line[j] = in_turn(builder, product if line[j] is None else builder.add(line[j], product))
        for line, factor in zip(totals, (1 << HALF_BITS, 1), strict=True):
            for slot, total in zip(sums, line, strict=True):
                scaled = constant(I16, 2 * self._isa.lanes, factor)
                product = call(builder, "llvm.x86.avx2.pmadd.wd", self._kind, [total, scaled])
                builder.store(builder.add(builder.load(slot), product), slot)

    def _split(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value]) -> ir.Value:
        """Write the halves of all inputs, zeros behind them, and return how many turns they are."""
        depth = arguments["depth"]
        turns = builder.udiv(builder.add(depth, ir.Constant(I64, DENSE_INPUTS - 1)), ir.Constant(I64, DENSE_INPUTS))
        padded = builder.mul(turns, ir.Constant(I64, DENSE_INPUTS))
        upper, lower = arguments["halves"], builder.add(arguments["halves"], padded)
        last, last_turn = (builder.sub(end, ir.Constant(I64, DENSE_INPUTS)) for end in (depth, padded))
        for half in (upper, lower):
            store(builder, constant(I8, DENSE_INPUTS, 0), builder.add(half, last_turn))
        with cgutils.for_range(builder, turns) as turn:
            at = builder.mul(turn.index, ir.Constant(I64, DENSE_INPUTS))
            at = builder.select(builder.icmp_signed("<", at, last), at, last)  # the last vector moves left
            codes = load(builder, vector(I8, DENSE_INPUTS), arguments["src"], at)
            store(builder, builder.lshr(codes, constant(I8, DENSE_INPUTS, HALF_BITS)), builder.add(upper, at))
            store(builder, builder.and_(codes, constant(I8, DENSE_INPUTS, (1 << HALF_BITS) - 1)), builder.add(lower, at))
        return turns


HAS_KERNEL = bool(int8_dense_widths(SELECTED))
if HAS_KERNEL:
    _run = runner(Int8Dense(SELECTED))


@kernel
def dense_i8(variant: int, geometry: Geometry, saved: SavedAccumulators, codes: TileCodes) -> None:
    """One sample; `variant` indexes `tile_shapes.int8_dense_widths`."""
    _run(variant, (geometry, saved, codes))


INT8_DENSE = (dense_i8,) if HAS_KERNEL else ()

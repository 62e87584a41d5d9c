"""A dense layer in float32 whose inputs are often zero, as they are behind a ReLU: their weights are not even read.

A dense layer reads every weight once, so that the caches' bandwidth bounds it: half the inputs zero is half the time. Leaving out
terms that are zero changes no sum. The places of the inputs that are not zero are listed first, without a branch, so that nothing
depends on how they are spread.
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
from edgebn.kernels.tile_shapes import dense_widths
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I32, I64, fused_multiply_add, in_registers, load, splat, store, vector

ELEMENT = 4
# Where inputs go by the lane: vectors of weights that are loaded before they are multiplied, and places whose inputs are read in a
# turn. A core that runs in order waits wherever a load, or the end of a turn, follows on a multiplication.
AT_ONCE, MAX_PLACES = 16, 8


class Geometry(NamedTuple):
    """Input, weights and epilogue as `tile.py` wants them, and output; `places` is scratch for `depth` int32."""

    src: int
    depth: int
    weight: int
    epilogue: int
    dst: int
    blocks: int
    last_channels: int
    places: int


class Dense:
    """Writes the functions: one for each number of vectors that a block of output channels has."""

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.lanes)
        self._epilogue = Float32Epilogue(isa)
        self.arguments = (*Geometry._fields, *SavedAccumulators._fields, *self._epilogue.scalars)
        self.variants = dense_widths(isa)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`, and return it."""
        nv, isa = self.variants[variant], self._isa
        builder, arguments = begin_function(module, f"edgebn_dense_f32_{nv}", self.arguments)
        shared = self._epilogue.prepare(builder, {**arguments, "dst_pixel": ir.Constant(I64, 0)}, nv)  # there is one pixel
        sums = [cgutils.alloca_once(builder, self._kind) for _ in range(nv)]
        count = self._list_places(builder, arguments)
        channels = nv * isa.lanes
        step_bytes = ir.Constant(I64, nv * isa.vector_bytes)
        block_bytes = builder.mul(arguments["depth"], step_bytes)
        last_block = builder.sub(arguments["blocks"], ir.Constant(I64, 1))
        with cgutils.for_range(builder, arguments["blocks"]) as block:
            weights = builder.add(arguments["weight"], builder.mul(block.index, block_bytes))
            record = ir.Constant(I64, channels * self._epilogue.bytes_per_channel)
            epilogue = builder.add(arguments["epilogue"], builder.mul(block.index, record))
            target = builder.add(arguments["dst"], builder.mul(block.index, ir.Constant(I64, channels * ELEMENT)))
            is_last = builder.icmp_signed("==", block.index, last_block)
            valid = builder.select(is_last, arguments["last_channels"], ir.Constant(I64, channels))
            for j, slot in enumerate(sums):
                builder.store(load(builder, self._kind, epilogue, j * isa.vector_bytes), slot)

            def add(first: ir.Value, steps: int, weights: ir.Value = weights) -> None:
                """Add the inputs of so many places in turn."""
                values, rows = [], []
                for step in range(steps):
                    at = builder.mul(builder.add(first, ir.Constant(I64, step)), ir.Constant(I64, ELEMENT))
                    place = builder.sext(load(builder, I32, arguments["places"], at), I64)
                    value = load(builder, F32, arguments["src"], builder.mul(place, ir.Constant(I64, ELEMENT)))
                    values.append(splat(builder, value, isa.lanes))
                    rows.append(builder.add(weights, builder.mul(place, step_bytes)))
                parts = [(value, row, j) for value, row in zip(values, rows, strict=True) for j in range(nv)]
                for begin in range(0, len(parts), AT_ONCE):
                    group = parts[begin : begin + AT_ONCE]
                    loaded = [load(builder, self._kind, row, j * isa.vector_bytes) for _, row, j in group]
                    if steps > 1:
                        loaded = in_registers(builder, loaded)
                    for (value, _, j), weight in zip(group, loaded, strict=True):
                        builder.store(fused_multiply_add(builder, value, weight, builder.load(sums[j])), sums[j])

            at_once = min(2 * AT_ONCE // nv, MAX_PLACES) if isa.by_lane else 1
            turns = builder.udiv(count, ir.Constant(I64, at_once))
            with cgutils.for_range(builder, turns) as turn:
                add(builder.mul(turn.index, ir.Constant(I64, at_once)), at_once)
            if at_once > 1:
                done = builder.mul(turns, ir.Constant(I64, at_once))
                with cgutils.for_range(builder, builder.sub(count, done)) as turn:
                    add(builder.add(done, turn.index), 1)
            accumulators: Any = [[builder.load(slot) for slot in sums]]
            nothing = ir.Constant(I64, 0)
            first_saved = builder.mul(block.index, ir.Constant(I64, channels * ELEMENT))
            save_accumulators(builder, arguments, nothing, (nothing, nothing, first_saved), accumulators)
            self._epilogue.write(builder, accumulators, shared, epilogue, target, valid)
        builder.ret_void()
        return builder.function

    def _list_places(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value]) -> ir.Value:
        """Write the indices of the inputs that are not zero (a NaN is not), and return how many there are."""
        found = cgutils.alloca_once_value(builder, ir.Constant(I64, 0))
        with cgutils.for_range(builder, arguments["depth"]) as turn:
            count = builder.load(found)
            place = builder.mul(count, ir.Constant(I64, ELEMENT))
            store(builder, builder.trunc(turn.index, I32), arguments["places"], place)
            value = load(builder, F32, arguments["src"], builder.mul(turn.index, ir.Constant(I64, ELEMENT)))
            counts = builder.fcmp_unordered("!=", value, ir.Constant(F32, 0.0))
            builder.store(builder.add(count, builder.zext(counts, I64)), found)
        return builder.load(found)


if SELECTED.vector_bytes:
    _run = runner(Dense(SELECTED))


@kernel
def dense_f32(variant: int, geometry: Geometry, saved: SavedAccumulators, clips: TileClips) -> None:
    """One sample; `variant` indexes `tile_shapes.dense_widths`."""
    _run(variant, (geometry, saved, clips))


FLOAT32_DENSE = (dense_f32,) if SELECTED.vector_bytes else ()

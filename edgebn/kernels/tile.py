"""The one emitter of register tiles: convolution of MR pixels by NV vectors of output channels, for any instruction set.

A tile keeps MR x NV accumulators in registers. For each step of depth (four codes, or one float32) it loads NV vectors of packed
weights and, for each of its pixels, broadcasts the input and multiplies. Standard, pointwise, dense and first-layer convolutions
are all this kernel: they differ in steps through memory and in how `tile_weights.py` packs. What turns accumulators into
outputs is in `int8_epilogue.py` and `tile_epilogue.py`; products of matrices, whose steps are others, are in `matrix_products.py`.
Everything is written as LLVM code by one function a tile; no source text is generated. Beside codes and float32 there are tiles of
int16 whose sums are stored as they are, for Winograd's convolution of codes (`winograd.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.int8_epilogue import Int8Epilogue
from edgebn.kernels.isa import CACHE_LINE, SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.matrix_products import MatrixProducts
from edgebn.kernels.observe import save_accumulators
from edgebn.kernels.parameters import Extras, SavedAccumulators, TileClips, TileCodes, Walk
from edgebn.kernels.tile_epilogue import Float32Epilogue, Sums
from edgebn.kernels.tile_shapes import function_name, goes_across_rows, shapes, takes_pairs_in_turn
from edgebn.kernels.tile_walks import AcrossRows, RowByRow
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import (
    F32,
    I32,
    I64,
    Dot,
    fused_multiply_add,
    in_own_register,
    in_registers,
    in_turn,
    keep_loads_apart,
    load,
    offset,
    prefetch,
    shuffle,
    splat,
    vector,
)


class Blocks(NamedTuple):
    """Depth and blocks of output channels.

    `depth` counts steps of four codes or one float32; the last block of NV vectors writes `last_channels` channels only. Each row's
    weights begin `weight_row_step` after those of the row before.
    """

    depth: int
    weight_row_step: int
    blocks: int
    last_channels: int


# Share of the registers from which on accumulators leave so few that the order of loads matters.
HIGH_PRESSURE = 0.75
STEP_BYTES = 4  # of a pixel's input in one step of depth


class _Lanes:
    """What products have in common whose accumulators are vectors of channels of one pixel."""

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa

    def begin(self, builder: ir.IRBuilder, mr: int, starts: list[ir.Value]) -> list[list[ir.Value]]:  # noqa: ARG002  # as matrices'
        """Return what the accumulators of `mr` pixels begin from, of vectors of channels."""
        return [starts] * mr

    def finish(self, builder: ir.IRBuilder, mr: int, lines: list[list[ir.Value]]) -> list[list[ir.Value]]:  # noqa: ARG002
        """Return the accumulators [pixel][vector of channels]."""
        return lines

    def add_tap(
        self,
        builder: ir.IRBuilder,
        pixels: list[ir.Value],
        depth: ir.Value,
        taps: ir.Value,
        slots: list[list[ir.Value]],
        ahead: ir.Value | None,  # noqa: ARG002  # as float32's
    ) -> None:
        """Add `depth` steps of one tap: `pixels` are the addresses of their inputs, `taps` holds that of the weights."""
        _add_tap(builder, self._isa, self, pixels, depth, taps, slots)


class Int8Products(_Lanes):
    """How a tile multiplies codes: lanes of four products each, summed into int32.

    Behind all taps it may take `Extras`, of any inputs of the window: what int8 cannot hold of a weight is added so.
    """

    extras = Extras._fields

    def __init__(self, isa: InstructionSet) -> None:
        super().__init__(isa)
        self._dot = Dot(isa.dot, isa.lanes)
        self._lanes, self._registers = isa.lanes, isa.registers
        self.weight_vectors = self._dot.weight_vectors
        self.accumulator = vector(I32, isa.lanes)
        self.epilogue = Int8Epilogue(isa)

    def weights_per_load(self, mr: int, nv: int) -> int:
        """Return how many vectors of weights are loaded before they are multiplied."""
        return _at_once(self._registers, mr, nv)

    def input(self, builder: ir.IRBuilder, address: ir.Value, count: ir.Value) -> Any:
        """Return four codes of one pixel in every lane, prepared for the dot product."""
        return self._dot.prepare(builder, splat(builder, load(builder, I32, address, count), self._lanes))

    def lane(self, builder: ir.IRBuilder, values: ir.Value, index: int) -> Any:
        """Return the four codes in one lane of `values` in every lane, prepared likewise."""
        return self._dot.prepare(builder, shuffle(builder, values, None, [index] * self._lanes))

    def add(self, builder: ir.IRBuilder, acc: ir.Value, value: Any, weights: list[ir.Value]) -> ir.Value:
        """Return acc plus what `input` gave times the weights."""
        return self._dot(builder, acc, value, weights)

    def add_tap(
        self,
        builder: ir.IRBuilder,
        pixels: list[ir.Value],
        depth: ir.Value,
        taps: ir.Value,
        slots: list[list[ir.Value]],
        ahead: ir.Value | None,
    ) -> None:
        """Add `depth` steps of one tap as `_Lanes.add_tap` does.

        Pairs of products in 16 registers go one by one, their weights from memory: LLVM would else compute more of them at
        once than there are registers.
        """
        if not takes_pairs_in_turn(self._isa):
            super().add_tap(builder, pixels, depth, taps, slots, ahead)
            return
        pixels = [in_own_register(builder, pixel) for pixel in pixels]
        with cgutils.for_range(builder, depth) as loop:
            at = builder.load(taps)
            count = builder.mul(loop.index, ir.Constant(I64, STEP_BYTES))
            for pixel, line in zip(pixels, slots, strict=True):
                for half, pairs in enumerate(self.input(builder, pixel, count)):
                    for j, slot in enumerate(line):
                        place = (j * self.weight_vectors + half) * self._isa.vector_bytes
                        weights = load(builder, self.accumulator, at, place)
                        total = self._dot(builder, builder.load(slot), [pairs], [weights])
                        builder.store(in_turn(builder, total), slot)
                keep_loads_apart(builder)
            step_bytes = len(slots[0]) * self.weight_vectors * self._isa.vector_bytes
            builder.store(offset(builder, at, step_bytes), taps)


class _SingleLoads(_Lanes):
    """What products have in common that take an input as it is loaded: loops of theirs can be unrolled."""

    def add_tap(
        self,
        builder: ir.IRBuilder,
        pixels: list[ir.Value],
        depth: ir.Value,
        taps: ir.Value,
        slots: list[list[ir.Value]],
        ahead: ir.Value | None,
    ) -> None:
        """Add `depth` steps of one tap as `_Lanes.add_tap` does; what is `ahead` bytes behind the weights in use is fetched."""
        if ahead is None:
            super().add_tap(builder, pixels, depth, taps, slots, ahead)
        else:
            _add_tap_unrolled(builder, self._isa, self, pixels, depth, taps, slots, ahead)


class Int16Products(_SingleLoads):
    """How a tile multiplies int16: lanes of two products each, summed into int32."""

    extras = ()

    def __init__(self, isa: InstructionSet) -> None:
        super().__init__(isa)
        self._dot = Dot(isa.dot, isa.lanes)
        self._lanes, self._registers = isa.lanes, isa.registers
        self.weight_vectors = 1
        self.accumulator = vector(I32, isa.lanes)
        self.epilogue = Sums(isa)

    def weights_per_load(self, mr: int, nv: int) -> int:
        """Return how many vectors of weights are loaded before they are multiplied."""
        return _at_once(self._registers, mr, nv)

    def input(self, builder: ir.IRBuilder, address: ir.Value, count: ir.Value) -> Any:
        """Return two numbers of one pixel in every lane."""
        return splat(builder, load(builder, I32, address, count), self._lanes)

    def add(self, builder: ir.IRBuilder, acc: ir.Value, value: Any, weights: list[ir.Value]) -> ir.Value:
        """Return acc plus what `input` gave times the weights, one product after the other: LLVM would else first sum products."""
        return in_turn(builder, self._dot(builder, acc, [value], weights))


class Float32Products(_SingleLoads):
    """How a tile multiplies float32: one fused multiply-add a lane."""

    extras = ()

    def __init__(self, isa: InstructionSet) -> None:
        super().__init__(isa)
        self._lanes, self._registers, self._by_lane = isa.lanes, isa.registers, isa.by_lane
        self.weight_vectors = 1
        self.accumulator = vector(F32, isa.lanes)
        self.epilogue = Float32Epilogue(isa)

    def weights_per_load(self, mr: int, nv: int) -> int:
        """Return how many vectors of weights are loaded before they are multiplied.

        By the lane, as many as registers are left, of up to `lanes` steps: a core that runs in order waits wherever a load follows
        on a multiplication.
        """
        if not self._by_lane:
            return _at_once(self._registers, mr, nv)
        loads = -(-self._lanes * nv // max(self._registers - mr * nv - mr, nv))
        return -(-self._lanes * nv // loads)

    def input(self, builder: ir.IRBuilder, address: ir.Value, count: ir.Value) -> Any:
        """Return one number of one pixel in every lane."""
        return splat(builder, load(builder, F32, address, count), self._lanes)

    def lane(self, builder: ir.IRBuilder, values: ir.Value, index: int) -> Any:
        """Return the number in one lane of `values` in every lane."""
        return shuffle(builder, values, None, [index] * self._lanes)

    def add(self, builder: ir.IRBuilder, acc: ir.Value, value: Any, weights: list[ir.Value]) -> ir.Value:
        """Return acc plus what `input` gave times the weights."""
        return fused_multiply_add(builder, value, weights[0], acc)


def _at_once(registers: int, mr: int, nv: int) -> int:
    """Return how many vectors of weights are loaded at once: those of one step, or half where only so many fit beside an input."""
    return nv if mr * nv + nv < registers else nv // 2


def int8_products(isa: InstructionSet) -> Int8Products | MatrixProducts:
    """Return how the int8 tiles of an instruction set multiply."""
    return MatrixProducts(isa) if isa.matrices else Int8Products(isa)


class Tiles:
    """Writes the functions of one kind, one for each tile shape: each convolves whole rows. int16 has the shapes of float32."""

    def __init__(self, isa: InstructionSet, products: Any, kind: str) -> None:
        self._isa, self._products, self._kind = isa, products, kind
        self._real = kind != "i8"
        self._across_rows = goes_across_rows(isa, real=self._real)
        walk = (*Walk._fields, *Blocks._fields, *SavedAccumulators._fields)
        self.arguments = (*walk, *products.extras, *products.epilogue.scalars)
        self.variants = shapes(isa, real=self._real)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of a shape, and return it."""
        (mr, nv), isa, products = self.variants[variant], self._isa, self._products
        builder, arguments = begin_function(module, function_name(self._kind, mr, nv), self.arguments)
        taps = cgutils.alloca_once(builder, I64)
        channels = nv * isa.lanes
        weight_vector_bytes = isa.vector_bytes
        step_bytes = nv * products.weight_vectors * weight_vector_bytes
        steps = builder.mul(builder.mul(arguments["tap_rows"], arguments["tap_columns"]), arguments["depth"])
        if products.extras:
            steps = builder.add(steps, arguments["extras"])
        block_bytes = builder.mul(steps, ir.Constant(I64, step_bytes))
        across_rows = self._across_rows and mr > 1
        walk = AcrossRows(builder, arguments, mr, real=self._real) if across_rows else RowByRow(builder, arguments, mr)
        last_block = builder.sub(arguments["blocks"], ir.Constant(I64, 1))
        walk.prepare()
        scalars = products.epilogue.prepare(builder, arguments, nv)
        unrolls = isa.unroll > 1 and self._real
        if unrolls:  # rows that have weights of their own take them one after the other
            apart = builder.icmp_signed("!=", arguments["weight_row_step"], ir.Constant(I64, 0))
            following = builder.select(apart, arguments["weight_row_step"], block_bytes)

        def pixel_origin(which: str, row_step: str, column_step: str, y: ir.Value, x: ir.Value) -> ir.Value:
            row = builder.add(arguments[which], builder.mul(y, arguments[row_step]))
            return builder.add(row, builder.mul(x, arguments[column_step]))

        with cgutils.for_range(builder, arguments["blocks"]) as block:
            weights = builder.add(arguments["weight"], builder.mul(block.index, block_bytes))
            record = builder.mul(block.index, ir.Constant(I64, channels * products.epilogue.bytes_per_channel))
            epilogue = builder.add(arguments["epilogue"], record)
            is_last = builder.icmp_signed("==", block.index, last_block)
            valid = builder.select(is_last, arguments["last_channels"], ir.Constant(I64, channels))
            first_channel = builder.mul(block.index, ir.Constant(I64, channels * products.epilogue.element))
            with walk.places() as at:
                origin = pixel_origin("src", "row_step", "column_step", at.row, at.column)
                target = builder.add(pixel_origin("dst", "dst_row", "dst_pixel", at.row, at.column), first_channel)
                inputs = walk.inputs(at)
                starts = [load(builder, products.accumulator, epilogue, j * isa.vector_bytes) for j in range(nv)]
                slots = [
                    [cgutils.alloca_once_value(builder, value) for value in line] for line in products.begin(builder, mr, starts)
                ]
                builder.store(builder.add(weights, builder.mul(at.line, arguments["weight_row_step"])), taps)
                ahead = None
                if unrolls:  # a turn's loop fetches one line of the cache, each tile another of those that a turn reads
                    lines = isa.unroll * step_bytes // CACHE_LINE
                    line = builder.urem(at.mark(), ir.Constant(I64, lines))
                    ahead = builder.add(following, builder.mul(line, ir.Constant(I64, CACHE_LINE)))
                with (
                    cgutils.for_range(builder, arguments["tap_rows"]) as tap_row,
                    cgutils.for_range(builder, arguments["tap_columns"]) as tap_column,
                ):
                    tap = builder.add(origin, builder.mul(tap_row.index, arguments["tap_row_step"]))
                    tap = builder.add(tap, builder.mul(tap_column.index, arguments["tap_column_step"]))
                    products.add_tap(builder, inputs(tap), arguments["depth"], taps, slots, ahead)
                if products.extras:
                    with cgutils.for_range(builder, arguments["extras"]) as extra:
                        place = load(builder, I64, arguments["extra"], builder.mul(extra.index, ir.Constant(I64, 8)))
                        products.add_tap(builder, inputs(builder.add(origin, place)), ir.Constant(I64, 1), taps, slots, ahead)
                accumulators = products.finish(builder, mr, [[builder.load(slot) for slot in line] for line in slots])
                mark = at.mark()
                first_saved = builder.mul(block.index, ir.Constant(I64, channels * 4))

                def accumulator_value(acc: ir.Value, j: int, epilogue: ir.Value = epilogue) -> ir.Value:
                    return products.epilogue.sum(builder, acc, epilogue, j, nv)

                where = at.row, at.column, first_saved
                steps_saved = functools.partial(walk.steps, at, "saved_row", "saved_pixel")
                save_accumulators(builder, arguments, mark, where, accumulators, accumulator_value, steps_saved)

                def write(
                    steps: list[ir.Value] | None,
                    accumulators: list[list[ir.Value]] = accumulators,
                    epilogue: ir.Value = epilogue,
                    target: ir.Value = target,
                    valid: ir.Value = valid,
                ) -> None:
                    products.epilogue.write(builder, accumulators, scalars | {"steps": steps}, epilogue, target, valid)

                walk.write(at, write)
        builder.ret_void()
        return builder.function


def _add_tap(
    builder: ir.IRBuilder,
    isa: InstructionSet,
    products: Any,
    pixels: list[ir.Value],
    depth: ir.Value,
    taps: ir.Value,
    slots: list[list[ir.Value]],
) -> None:
    """Add `depth` steps of one tap: `pixels` are the addresses of their inputs, `taps` holds that of the weights."""
    columns, halves = len(slots[0]), products.weight_vectors
    per_load = products.weights_per_load(len(slots), columns)
    fills_registers = len(slots) * columns >= HIGH_PRESSURE * isa.registers and not isa.by_lane

    def step_in_turn(index: ir.Value) -> None:
        """Add a step, each input loaded where it is used: of many accumulators LLVM would else keep some in memory."""
        at = builder.load(taps)
        count = builder.mul(index, ir.Constant(I64, STEP_BYTES))
        for part in _groups([*range(columns)], per_load):
            places = [(j * halves + half) * isa.vector_bytes for j in part for half in range(halves)]
            weights = _groups([load(builder, products.accumulator, at, place) for place in places], halves)
            for pixel, line in zip(pixels, slots, strict=True):
                value = products.input(builder, pixel, count)
                for j, weight in zip(part, weights, strict=True):
                    builder.store(products.add(builder, builder.load(line[j]), value, weight), line[j])
                keep_loads_apart(builder)
        builder.store(offset(builder, at, columns * halves * isa.vector_bytes), taps)

    def steps(count: ir.Value, inputs: Callable[[ir.Value], list[list[Any]]]) -> None:
        with cgutils.for_range(builder, count) as loop:
            if fills_registers:
                step_in_turn(loop.index)
                return
            parts = [(values, j) for values in inputs(loop.index) for j in range(columns)]  # what each vector of weights meets
            for loaded in _groups(parts, per_load):
                at = builder.load(taps)
                places = [i * isa.vector_bytes for i in range(len(loaded) * halves)]
                after = offset(builder, at, len(places) * isa.vector_bytes)
                if per_load == columns:
                    vectors = [load(builder, products.accumulator, at, place) for place in places]
                    order = [(i, j) for i in range(len(slots)) for j in range(columns)]
                else:  # LLVM's scheduler turns the order of the loads round: they shall come in the order in which they are used
                    vectors = [load(builder, products.accumulator, at, place) for place in reversed(places)][::-1]
                    *vectors, after = in_registers(builder, [*vectors, after])
                    order = [(i, j) for j in range(len(loaded)) for i in range(len(slots))]
                weights = _groups(vectors, halves)
                for i, part in order:
                    values, j = loaded[part]
                    builder.store(products.add(builder, builder.load(slots[i][j]), values[i], weights[part]), slots[i][j])
                builder.store(after, taps)

    def one_step(index: ir.Value) -> list[list[Any]]:
        count = builder.mul(index, ir.Constant(I64, STEP_BYTES))
        return [[products.input(builder, pixel, count) for pixel in pixels]]

    def one_load(index: ir.Value) -> list[list[Any]]:
        count = builder.mul(index, ir.Constant(I64, isa.vector_bytes))
        vectors = [load(builder, products.accumulator, pixel, count) for pixel in pixels]
        return [[products.lane(builder, value, lane) for value in vectors] for lane in range(isa.lanes)]

    if not isa.by_lane:
        steps(depth, one_step)
        return
    loads = builder.udiv(depth, ir.Constant(I64, isa.lanes))
    steps(loads, one_load)
    done = builder.mul(loads, ir.Constant(I64, isa.lanes))
    pixels = [builder.add(pixel, builder.mul(done, ir.Constant(I64, STEP_BYTES))) for pixel in pixels]
    steps(builder.sub(depth, done), one_step)


def _add_tap_unrolled(
    builder: ir.IRBuilder,
    isa: InstructionSet,
    products: Any,
    pixels: list[ir.Value],
    depth: ir.Value,
    taps: ir.Value,
    slots: list[list[ir.Value]],
    ahead: ir.Value,
) -> None:
    """Add `depth` steps of one tap as `_add_tap` does, several in one turn of the loop.

    Beside the products there is little else to start: one load a pixel and one a vector of weights. Each pixel's address is a
    register of its own, for LLVM would else compute all from the first at every step. What is `ahead` of the weights is fetched.
    """
    columns = len(slots[0])
    step_bytes = columns * isa.vector_bytes
    pixels = [in_own_register(builder, pixel) for pixel in pixels]

    def steps(first: ir.Value, turns: ir.Value, together: int) -> None:
        with cgutils.for_range(builder, turns) as loop:
            at = builder.load(taps)
            index = builder.add(first, builder.mul(loop.index, ir.Constant(I64, together)))
            count = builder.mul(index, ir.Constant(I64, STEP_BYTES))
            if together > 1:
                prefetch(builder, builder.add(at, ahead))
            for i in range(together):
                weights = [load(builder, products.accumulator, at, i * step_bytes + j * isa.vector_bytes) for j in range(columns)]
                for pixel, line in zip(pixels, slots, strict=True):
                    value = products.input(builder, builder.add(pixel, count), ir.Constant(I64, i * STEP_BYTES))
                    for slot, weight in zip(line, weights, strict=True):
                        builder.store(products.add(builder, builder.load(slot), value, [weight]), slot)
                    keep_loads_apart(builder)  # LLVM would else load all pixels first, and keep some accumulators in memory
            builder.store(offset(builder, at, together * step_bytes), taps)

    turns = builder.udiv(depth, ir.Constant(I64, isa.unroll))
    done = builder.mul(turns, ir.Constant(I64, isa.unroll))
    steps(ir.Constant(I64, 0), turns, isa.unroll)
    steps(done, builder.sub(depth, done), 1)


def _groups(values: list[Any], size: int) -> list[list[Any]]:
    """Return `values` in lists of `size`, the last of which may be shorter."""
    return [values[i : i + size] for i in range(0, len(values), size)]


if SELECTED.dot:
    _run_i8 = runner(Tiles(SELECTED, int8_products(SELECTED), "i8"))
if takes_pairs_in_turn(SELECTED):
    _run_i16 = runner(Tiles(SELECTED, Int16Products(SELECTED), "i16"))
if SELECTED.vector_bytes:
    _run_f32 = runner(Tiles(SELECTED, Float32Products(SELECTED), "f32"))


@kernel
def tile_i8(variant: int, walk: Walk, blocks: Blocks, saved: SavedAccumulators, extras: Extras, codes: TileCodes) -> None:
    """int8. `variant` indexes `tile_shapes.shapes`."""
    _run_i8(variant, (walk, blocks, saved, extras, codes))


@kernel
def tile_i16(variant: int, walk: Walk, blocks: Blocks, saved: SavedAccumulators) -> None:
    """int16 to sums of 32 bits. `variant` indexes `tile_shapes.shapes` of float32; `depth` counts steps of two numbers."""
    _run_i16(variant, (walk, blocks, saved))


@kernel
def tile_f32(variant: int, walk: Walk, blocks: Blocks, saved: SavedAccumulators, clips: TileClips) -> None:
    """float32. `variant` indexes `tile_shapes.shapes`."""
    _run_f32(variant, (walk, blocks, saved, clips))


# The tiles that this instruction set has, for the executor's table.
INT8_TILES = (*((tile_i8,) if SELECTED.dot else ()), *((tile_i16,) if takes_pairs_in_turn(SELECTED) else ()))
FLOAT32_TILES = (tile_f32,) if SELECTED.vector_bytes else ()

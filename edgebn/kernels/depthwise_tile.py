"""Vector depthwise convolution (multiplier 1), int8 and float32: a block of channels, down the rows of a column or tile, or along.

Where a block is half a line of the cache, float32 goes along the rows if kernels are 3 x 3, all channels of a tile before the next.

int8: the taps of one kernel row are interleaved so that each 32-bit lane holds up to four taps of one channel, and one dot product
takes them all. Where the kernel is 3 x 3, an input row is interleaved once and used by every output row that reads it; or, along
the rows, the taps of a kernel column are, and used by every output column. Memory is then read and written in its own order, and
the processor fetches ahead what comes next there. Down the rows it fetches the rows behind a share's last, which another thread
writes: with two threads on Zen 4, shares of MobileNet v2's 3 x 3 layers took up to twice as long as alone.
A block is as many channels as a vector has bytes (int8) or lanes (float32); the last block moves left over the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.depthwise_shapes import (
    ALONG_1,
    ALONG_2,
    ANY,
    FLOAT_TILES,
    INT8_VARIANTS,
    MIDDLE_1,
    MIDDLE_2,
    STRIDES,
    TAPS,
    function_name,
    goes_by_line,
)
from edgebn.kernels.int8_epilogue import Int8Epilogue
from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import save_accumulators
from edgebn.kernels.parameters import SavedAccumulators, TileClips, TileCodes, Walk
from edgebn.kernels.tile_epilogue import Float32Epilogue
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import (
    F32,
    I8,
    I16,
    I32,
    I64,
    Dot,
    Quads,
    concat,
    fused_multiply_add,
    keep_loads_apart,
    load,
    shuffle,
    vector,
)


class Blocks(NamedTuple):
    """Blocks of channels: they begin `block_step` bytes apart, the last at `last_block`, and `valid` channels of a block exist."""

    blocks: int
    block_step: int
    last_block: int
    valid: int


class Taps(NamedTuple):
    """int8: the bytes between the pixels that are gathered, and the kernel column that takes the places behind the last."""

    piece_step: int
    spare: int


class Direction(NamedTuple):
    """The arguments that say how an int8 function goes: line by line, and along each from output to output and from tap to tap.

    `tap_across` is from one of the taps that a dot product takes together to the next.
    """

    lines: str
    line_step: str
    dst_line: str
    outs: str
    dst_out: str
    tap_step: str
    tap_across: str


DOWN = Direction("columns", "column_step", "dst_pixel", "rows", "dst_row", "tap_row_step", "tap_column_step")
ALONG = Direction("rows", "row_step", "dst_row", "columns", "dst_pixel", "tap_column_step", "tap_row_step")

SQUARE_TAPS = 9  # of a 3 x 3 kernel
GEOMETRY = (*Walk._fields, *Blocks._fields, *SavedAccumulators._fields)


def _block_offset(builder: ir.IRBuilder, arguments: dict[str, ir.Value], index: ir.Value) -> ir.Value:
    is_last = builder.icmp_signed("==", builder.add(index, ir.Constant(I64, 1)), arguments["blocks"])
    return builder.select(is_last, arguments["last_block"], builder.mul(index, arguments["block_step"]))


class Int8Depthwise:
    """Writes the int8 functions."""

    variants = INT8_VARIANTS

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._dot = Dot(isa.dot, isa.lanes)
        self._words = vector(I32, isa.lanes)
        self.epilogue = Int8Epilogue(isa)
        self.arguments = (*GEOMETRY, *Taps._fields, *self.epilogue.scalars)
        # One kernel row's weights of a block, for one group of taps.
        self._row_bytes = 4 * self._dot.weight_vectors * isa.vector_bytes

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of a variant, and return it."""
        kind, pieces = self.variants[variant]
        builder, arguments = begin_function(module, function_name("i8", variant), self.arguments)

        def read(address: ir.Value) -> ir.Value:
            part = vector(I8, self._isa.vector_bytes // pieces)
            steps = (builder.mul(arguments["piece_step"], ir.Constant(I64, i)) for i in range(pieces))
            return concat(builder, [load(builder, part, address, step) for step in steps])

        shared = self.epilogue.prepare(builder, arguments, 4, interleaved=True)
        groups = builder.udiv(builder.add(arguments["tap_columns"], ir.Constant(I64, TAPS - 1)), ir.Constant(I64, TAPS))
        rows_of_weights = builder.mul(arguments["tap_rows"], groups)
        block_bytes = builder.mul(rows_of_weights, ir.Constant(I64, self._row_bytes))
        sums = [[cgutils.alloca_once(builder, self._words) for _ in range(4)] for _ in range(2)]
        epilogue_bytes = 4 * self._isa.lanes * self.epilogue.bytes_per_channel
        with cgutils.for_range(builder, arguments["blocks"]) as block:
            channel = _block_offset(builder, arguments, block.index)
            weights = builder.add(arguments["weight"], builder.mul(block.index, block_bytes))
            epilogue = builder.add(arguments["epilogue"], builder.mul(block.index, ir.Constant(I64, epilogue_bytes)))
            biases = [load(builder, self._words, epilogue, j * self._isa.vector_bytes) for j in range(4)]
            walk = ALONG if kind in {ALONG_1, ALONG_2} else DOWN
            with cgutils.for_range(builder, arguments[walk.lines]) as line:
                source = builder.add(builder.add(arguments["src"], channel), builder.mul(line.index, arguments[walk.line_step]))
                target = builder.add(builder.add(arguments["dst"], channel), builder.mul(line.index, arguments[walk.dst_line]))
                first_saved = builder.mul(block.index, ir.Constant(I64, 4 * self._isa.vector_bytes))

                def finish(
                    acc: list[ir.Value],
                    out: ir.Value,
                    *,
                    target: ir.Value = target,
                    epilogue: ir.Value = epilogue,
                    line: ir.Value = line.index,
                    first_saved: ir.Value = first_saved,
                ) -> None:
                    y, x = (line, out) if walk is ALONG else (out, line)
                    where = (y, x, first_saved)
                    save_accumulators(
                        builder, arguments, y, where, [acc], lambda a, j: self.epilogue.sum(builder, a, epilogue, j, 4)
                    )
                    place = builder.add(target, builder.mul(out, arguments[walk.dst_out]))
                    self.epilogue.write(builder, [acc], shared, epilogue, place, arguments["valid"])

                if kind == ANY:
                    with cgutils.for_range(builder, arguments["rows"]) as row:
                        start = builder.add(source, builder.mul(row.index, arguments["row_step"]))
                        finish(self._any_kernel(builder, arguments, read, start, weights, groups, biases, sums[0]), row.index)
                else:
                    taps = [self._weights(builder, weights, i) for i in range(3)]
                    self._rolled(builder, arguments, read, source, taps, biases, sums, kind, finish)
        builder.ret_void()
        return builder.function

    def _rolled(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        read: Callable[[ir.Value], ir.Value],
        source: ir.Value,
        taps: list[list[Quads]],
        biases: list[ir.Value],
        sums: list[list[ir.Value]],
        kind: int,
        finish: Callable[[list[ir.Value], ir.Value], None],
    ) -> None:
        """Go through the input rows, or columns, once; `sums` carry what those read so far give to outputs not yet finished."""
        stride, walk = STRIDES[kind], ALONG if kind in {ALONG_1, ALONG_2} else DOWN

        def step(index: ir.Value) -> list[Quads]:
            place = builder.add(source, builder.mul(index, arguments[walk.tap_step]))
            addresses = [builder.add(place, builder.mul(arguments[walk.tap_across], ir.Constant(I64, i))) for i in range(3)]
            found = [read(address) for address in addresses]
            return self._interleave(builder, [*found, found[1]] if kind in {MIDDLE_1, MIDDLE_2} else found)

        def add(acc: list[ir.Value], quads: list[Quads], weights: list[Quads]) -> list[ir.Value]:
            return [self._dot(builder, a, q, w) for a, q, w in zip(acc, quads, weights, strict=True)]

        def keep(slots: list[ir.Value], values: list[ir.Value]) -> None:
            for slot, value in zip(slots, values, strict=True):
                builder.store(value, slot)

        first = step(ir.Constant(I64, 0))
        keep(sums[0], add(biases, first, taps[0]))
        if stride == 1:
            second = step(ir.Constant(I64, 1))
            keep(sums[0], add([builder.load(slot) for slot in sums[0]], second, taps[1]))
            keep(sums[1], add(biases, second, taps[0]))
        with cgutils.for_range(builder, arguments[walk.outs]) as out:
            done = [builder.load(slot) for slot in sums[0]]
            if stride == 1:
                quads = step(builder.add(out.index, ir.Constant(I64, 2)))
                done = add(done, quads, taps[2])
                keep(sums[0], add([builder.load(slot) for slot in sums[1]], quads, taps[1]))
                keep(sums[1], add(biases, quads, taps[0]))
            else:
                twice = builder.mul(out.index, ir.Constant(I64, 2))
                done = add(done, step(builder.add(twice, ir.Constant(I64, 1))), taps[1])
                quads = step(builder.add(twice, ir.Constant(I64, 2)))
                done = add(done, quads, taps[2])
                keep(sums[0], add(biases, quads, taps[0]))
            finish(done, out.index)

    def _any_kernel(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        read: Callable[[ir.Value], ir.Value],
        source: ir.Value,
        weights: ir.Value,
        groups: ir.Value,
        biases: list[ir.Value],
        sums: list[ir.Value],
    ) -> list[ir.Value]:
        for slot, bias in zip(sums, biases, strict=True):
            builder.store(bias, slot)
        last_tap = builder.sub(arguments["tap_columns"], ir.Constant(I64, 1))
        with cgutils.for_range(builder, arguments["tap_rows"]) as row, cgutils.for_range(builder, groups) as group:
            place = builder.add(source, builder.mul(row.index, arguments["tap_row_step"]))
            loaded = []
            for i in range(TAPS):  # beyond the kernel's width one tap again
                tap = builder.add(builder.mul(group.index, ir.Constant(I64, TAPS)), ir.Constant(I64, i))
                tap = builder.select(builder.icmp_signed("<=", tap, last_tap), tap, arguments["spare"])
                loaded.append(read(builder.add(place, builder.mul(tap, arguments["tap_column_step"]))))
            index = builder.add(builder.mul(row.index, groups), group.index)
            at = builder.add(weights, builder.mul(index, ir.Constant(I64, self._row_bytes)))
            for slot, quads, taps in zip(sums, self._interleave(builder, loaded), self._weights(builder, at, 0), strict=True):
                builder.store(self._dot(builder, builder.load(slot), quads, taps), slot)
        return [builder.load(slot) for slot in sums]

    def _weights(self, builder: ir.IRBuilder, address: ir.Value, row: int) -> list[Quads]:
        size, halves = self._isa.vector_bytes, self._dot.weight_vectors
        start = row * self._row_bytes
        return [[load(builder, self._words, address, start + (j * halves + h) * size) for h in range(halves)] for j in range(4)]

    def _interleave(self, builder: ir.IRBuilder, taps: list[ir.Value]) -> list[Quads]:
        """Return four vectors whose 32-bit lanes hold the taps of a channel: lane 4 l + c of vector j is channel 16 l + 4 j + c."""
        taps = [*taps, *[taps[-1]] * (TAPS - len(taps))]
        pairs = vector(I16, self._isa.vector_bytes // 2)
        quads: list[Quads] = []
        for high in (False, True):
            one = builder.bitcast(self._zip(builder, taps[0], taps[1], high=high), pairs)
            other = builder.bitcast(self._zip(builder, taps[2], taps[3], high=high), pairs)
            for upper in (False, True):
                words = builder.bitcast(self._zip(builder, one, other, high=upper), self._words)
                quads.append(self._dot.prepare(builder, words))
        return quads

    def _zip(self, builder: ir.IRBuilder, a: ir.Value, b: ir.Value, *, high: bool) -> ir.Value:
        """Alternate the elements of the low or high half of each 128 bits of `a` and `b`: one instruction on every machine."""
        count = a.type.count
        each = 16 // (self._isa.vector_bytes // count)  # elements in 128 bits
        order = []
        for begin in range(0, count, each):
            for element in range(begin + (each // 2 if high else 0), begin + (each if high else each // 2)):
                order += [element, count + element]
        return shuffle(builder, a, b, order)


class Float32Depthwise:
    """Writes the float32 functions: tiles of several pixels of a row, 3 x 3 kernels down all rows or by lines of the cache."""

    variants = FLOAT_TILES

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.lanes)
        self.epilogue = Float32Epilogue(isa)
        self.arguments = (*GEOMETRY, *self.epilogue.scalars)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `FLOAT_TILES`."""
        pixels, width, stride = FLOAT_TILES[variant]
        builder, arguments = begin_function(module, function_name("f32", variant), self.arguments)
        if width == 3 and goes_by_line(self._isa):
            self._by_line(builder, arguments, pixels, stride)
            builder.ret_void()
            return builder.function
        shared = self.epilogue.prepare(builder, arguments, 1)
        sums = [[cgutils.alloca_once(builder, self._kind) for _ in range(pixels)] for _ in range(2)]
        tiles = builder.udiv(builder.add(arguments["columns"], ir.Constant(I64, pixels - 1)), ir.Constant(I64, pixels))
        last_column = builder.sub(arguments["columns"], ir.Constant(I64, pixels))
        taps = builder.mul(arguments["tap_rows"], arguments["tap_columns"])
        block_bytes = builder.mul(taps, ir.Constant(I64, self._isa.vector_bytes))
        epilogue_bytes = self._isa.lanes * self.epilogue.bytes_per_channel
        with cgutils.for_range(builder, tiles) as tile:
            x = builder.mul(tile.index, ir.Constant(I64, pixels))
            x = builder.select(builder.icmp_signed("<", x, last_column), x, last_column)
            with cgutils.for_range(builder, arguments["blocks"]) as block:
                channel = _block_offset(builder, arguments, block.index)
                weights = builder.add(arguments["weight"], builder.mul(block.index, block_bytes))
                epilogue = builder.add(arguments["epilogue"], builder.mul(block.index, ir.Constant(I64, epilogue_bytes)))
                bias = load(builder, self._kind, epilogue)
                source = builder.add(builder.add(arguments["src"], channel), builder.mul(x, arguments["column_step"]))
                target = builder.add(builder.add(arguments["dst"], channel), builder.mul(x, arguments["dst_pixel"]))
                first_saved = builder.mul(block.index, ir.Constant(I64, self._isa.vector_bytes))

                def finish(
                    acc: list[ir.Value],
                    y: ir.Value,
                    *,
                    target: ir.Value = target,
                    epilogue: ir.Value = epilogue,
                    x: ir.Value = x,
                    first_saved: ir.Value = first_saved,
                ) -> None:
                    place = builder.add(target, builder.mul(y, arguments["dst_row"]))
                    accumulators = [[value] for value in acc]
                    save_accumulators(builder, arguments, y, (y, x, first_saved), accumulators)
                    self.epilogue.write(builder, accumulators, shared, epilogue, place, arguments["valid"])

                if width == 3:
                    self._rolled(builder, arguments, source, self._weights(builder, weights), bias, sums, stride, finish)
                else:
                    with cgutils.for_range(builder, arguments["rows"]) as row:
                        start = builder.add(source, builder.mul(row.index, arguments["row_step"]))
                        if width:
                            acc = self._rows_of_taps(builder, arguments, start, weights, bias, sums[0], width, stride)
                        else:
                            acc = self._any_kernel(builder, arguments, start, weights, bias, sums[0])
                        finish(acc, row.index)
        builder.ret_void()
        return builder.function

    def _by_line(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], pixels: int, stride: int) -> None:
        """Write the loops over rows, tiles and, innermost, blocks of a 3 x 3 kernel, so that memory is read in its own order.

        A block is half a line of the cache: two are computed together, for the line may be gone before the next.
        """
        shared = self.epilogue.prepare(builder, arguments, 1)
        tiles = builder.udiv(builder.add(arguments["columns"], ir.Constant(I64, pixels - 1)), ir.Constant(I64, pixels))
        last_column = builder.sub(arguments["columns"], ir.Constant(I64, pixels))
        block_bytes = ir.Constant(I64, SQUARE_TAPS * self._isa.vector_bytes)
        epilogue_bytes = ir.Constant(I64, self._isa.lanes * self.epilogue.bytes_per_channel)

        def compute(y: ir.Value, x: ir.Value, blocks: list[ir.Value]) -> None:
            channels = [_block_offset(builder, arguments, block) for block in blocks]
            weights = [builder.add(arguments["weight"], builder.mul(block, block_bytes)) for block in blocks]
            epilogues = [builder.add(arguments["epilogue"], builder.mul(block, epilogue_bytes)) for block in blocks]
            biases = [load(builder, self._kind, epilogue) for epilogue in epilogues]
            origin = builder.add(arguments["src"], builder.mul(y, arguments["row_step"]))
            origin = builder.add(origin, builder.mul(x, arguments["column_step"]))
            sources = [builder.add(origin, channel) for channel in channels]
            sums = self._square(builder, arguments, sources, weights, [[bias] * pixels for bias in biases], stride)
            target = builder.add(arguments["dst"], builder.mul(y, arguments["dst_row"]))
            target = builder.add(target, builder.mul(x, arguments["dst_pixel"]))
            for block, channel, epilogue, line in zip(blocks, channels, epilogues, sums, strict=True):
                first_saved = builder.mul(block, ir.Constant(I64, self._isa.vector_bytes))
                accumulators = [[value] for value in line]
                save_accumulators(builder, arguments, y, (y, x, first_saved), accumulators)
                self.epilogue.write(builder, accumulators, shared, epilogue, builder.add(target, channel), arguments["valid"])

        two = ir.Constant(I64, 2)
        pairs = builder.udiv(arguments["blocks"], two)
        paired = builder.mul(pairs, two)
        with cgutils.for_range(builder, arguments["rows"]) as row, cgutils.for_range(builder, tiles) as tile:
            x = builder.mul(tile.index, ir.Constant(I64, pixels))
            x = builder.select(builder.icmp_signed("<", x, last_column), x, last_column)
            with cgutils.for_range(builder, pairs) as pair:
                first = builder.mul(pair.index, two)
                compute(row.index, x, [first, builder.add(first, ir.Constant(I64, 1))])
            with builder.if_then(builder.icmp_signed("<", paired, arguments["blocks"])):
                compute(row.index, x, [paired])

    def _square(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        sources: list[ir.Value],
        weights: list[ir.Value],
        sums: list[list[ir.Value]],
        stride: int,
    ) -> list[list[ir.Value]]:
        """Return `sums` [block][pixel] plus the products with 3 x 3 kernels; what pixels share is read once."""
        sums = [list(line) for line in sums]
        size = self._isa.vector_bytes
        for i in range(3):
            below = builder.mul(arguments["tap_row_step"], ir.Constant(I64, i))
            rows = [builder.add(source, below) for source in sources]
            kernels = [[load(builder, self._kind, address, (3 * i + j) * size) for j in range(3)] for address in weights]
            for column in range(stride * (len(sums[0]) - 1) + 3):
                step = builder.mul(arguments["tap_column_step"], ir.Constant(I64, column))
                for row, kernel_row, line in zip(rows, kernels, sums, strict=True):
                    value = load(builder, self._kind, row, step)
                    for j, weight in enumerate(kernel_row):
                        pixel, between = divmod(column - j, stride)
                        if not between and 0 <= pixel < len(line):
                            line[pixel] = fused_multiply_add(builder, value, weight, line[pixel])
            keep_loads_apart(builder)  # LLVM would else load all rows first, and keep some accumulators in memory
        return sums

    def _weights(self, builder: ir.IRBuilder, address: ir.Value) -> list[list[ir.Value]]:
        """Return the weights of a 3 x 3 kernel, row by row."""
        size = self._isa.vector_bytes
        return [[load(builder, self._kind, address, (3 * i + j) * size) for j in range(3)] for i in range(3)]

    def _rolled(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        source: ir.Value,
        taps: list[list[ir.Value]],
        bias: ir.Value,
        sums: list[list[ir.Value]],
        stride: int,
        finish: Callable[[list[ir.Value], ir.Value], None],
    ) -> None:
        """Go down the input rows once; `sums` carry what rows read so far give to outputs not yet finished."""
        pixels = len(sums[0])
        begin = [bias] * pixels

        def row(index: ir.Value) -> list[ir.Value]:
            place = builder.add(source, builder.mul(index, arguments["tap_row_step"]))
            count = stride * (pixels - 1) + 3
            return [
                load(builder, self._kind, place, builder.mul(arguments["tap_column_step"], ir.Constant(I64, i)))
                for i in range(count)
            ]

        def add(acc: list[ir.Value], values: list[ir.Value], weights: list[ir.Value]) -> list[ir.Value]:
            for j, weight in enumerate(weights):
                acc = [fused_multiply_add(builder, values[i * stride + j], weight, a) for i, a in enumerate(acc)]
            return acc

        def keep(slots: list[ir.Value], values: list[ir.Value]) -> None:
            for slot, value in zip(slots, values, strict=True):
                builder.store(value, slot)

        def kept(slots: list[ir.Value]) -> list[ir.Value]:
            return [builder.load(slot) for slot in slots]

        keep(sums[0], add(begin, row(ir.Constant(I64, 0)), taps[0]))
        if stride == 1:
            second = row(ir.Constant(I64, 1))
            keep(sums[0], add(kept(sums[0]), second, taps[1]))
            keep(sums[1], add(begin, second, taps[0]))
        with cgutils.for_range(builder, arguments["rows"]) as out:
            if stride == 1:
                values = row(builder.add(out.index, ir.Constant(I64, 2)))
                done = add(kept(sums[0]), values, taps[2])
                keep(sums[0], add(kept(sums[1]), values, taps[1]))
                keep(sums[1], add(begin, values, taps[0]))
            else:
                twice = builder.mul(out.index, ir.Constant(I64, 2))
                done = add(kept(sums[0]), row(builder.add(twice, ir.Constant(I64, 1))), taps[1])
                values = row(builder.add(twice, ir.Constant(I64, 2)))
                done = add(done, values, taps[2])
                keep(sums[0], add(begin, values, taps[0]))
            finish(done, out.index)

    def _rows_of_taps(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        source: ir.Value,
        weights: ir.Value,
        bias: ir.Value,
        sums: list[ir.Value],
        width: int,
        stride: int,
    ) -> list[ir.Value]:
        """Return the sums of one tile of pixels, a row of `width` taps at a time: what pixels share is read once."""
        for slot in sums:
            builder.store(bias, slot)
        with cgutils.for_range(builder, arguments["tap_rows"]) as tap_row:
            first = builder.add(source, builder.mul(tap_row.index, arguments["tap_row_step"]))
            row_of_weights = builder.add(weights, builder.mul(tap_row.index, ir.Constant(I64, width * self._isa.vector_bytes)))
            values = [
                load(builder, self._kind, first, builder.mul(arguments["tap_column_step"], ir.Constant(I64, i)))
                for i in range(stride * (len(sums) - 1) + width)
            ]
            acc = [builder.load(slot) for slot in sums]
            for j in range(width):
                weight = load(builder, self._kind, row_of_weights, j * self._isa.vector_bytes)
                acc = [fused_multiply_add(builder, values[i * stride + j], weight, a) for i, a in enumerate(acc)]
            for slot, value in zip(sums, acc, strict=True):
                builder.store(value, slot)
        return [builder.load(slot) for slot in sums]

    def _any_kernel(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        source: ir.Value,
        weights: ir.Value,
        bias: ir.Value,
        sums: list[ir.Value],
    ) -> list[ir.Value]:
        """Return the sums of one tile of pixels, tap by tap."""
        for slot in sums:
            builder.store(bias, slot)
        with (
            cgutils.for_range(builder, arguments["tap_rows"]) as tap_row,
            cgutils.for_range(builder, arguments["tap_columns"]) as tap,
        ):
            index = builder.add(builder.mul(tap_row.index, arguments["tap_columns"]), tap.index)
            weight = load(builder, self._kind, weights, builder.mul(index, ir.Constant(I64, self._isa.vector_bytes)))
            first = builder.add(source, builder.mul(tap_row.index, arguments["tap_row_step"]))
            first = builder.add(first, builder.mul(tap.index, arguments["tap_column_step"]))
            for i, slot in enumerate(sums):
                value = load(builder, self._kind, first, builder.mul(arguments["column_step"], ir.Constant(I64, i)))
                builder.store(fused_multiply_add(builder, value, weight, builder.load(slot)), slot)
        return [builder.load(slot) for slot in sums]


if SELECTED.dot:
    _run_i8 = runner(Int8Depthwise(SELECTED))
if SELECTED.vector_bytes:
    _run_f32 = runner(Float32Depthwise(SELECTED))


@kernel
def depthwise_tile_i8(variant: int, walk: Walk, blocks: Blocks, saved: SavedAccumulators, taps: Taps, codes: TileCodes) -> None:
    """int8; `variant` indexes `INT8_VARIANTS`."""
    _run_i8(variant, (walk, blocks, saved, taps, codes))


@kernel
def depthwise_tile_f32(variant: int, walk: Walk, blocks: Blocks, saved: SavedAccumulators, clips: TileClips) -> None:
    """float32; `variant` indexes `FLOAT_TILES`."""
    _run_f32(variant, (walk, blocks, saved, clips))


INT8_DEPTHWISE = (depthwise_tile_i8,) if SELECTED.dot else ()
FLOAT32_DEPTHWISE = (depthwise_tile_f32,) if SELECTED.vector_bytes else ()

"""Vector depthwise convolution (multiplier 1) in float32: tiles of several pixels of a row, a block of channels at a time.

Kernels of 3 x 3 go down all rows of a tile; or, where a block is half a line of the cache, along the rows, all channels of a tile
before the next.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.depthwise_blocks import GEOMETRY, Blocks, block_offset
from edgebn.kernels.depthwise_shapes import FLOAT_TILES, function_name, goes_by_line
from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import save_accumulators
from edgebn.kernels.parameters import SavedAccumulators, TileClips, Walk
from edgebn.kernels.tile_epilogue import Float32Epilogue
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I64, fused_multiply_add, keep_loads_apart, load, vector

SQUARE_TAPS = 9  # of a 3 x 3 kernel


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
                channel = block_offset(builder, arguments, block.index)
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
            channels = [block_offset(builder, arguments, block) for block in blocks]
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


if SELECTED.vector_bytes:
    _run = runner(Float32Depthwise(SELECTED))


@kernel
def depthwise_tile_f32(variant: int, walk: Walk, blocks: Blocks, saved: SavedAccumulators, clips: TileClips) -> None:
    """float32; `variant` indexes `FLOAT_TILES`."""
    _run(variant, (walk, blocks, saved, clips))


FLOAT32_DEPTHWISE = (depthwise_tile_f32,) if SELECTED.vector_bytes else ()

"""Vector depthwise convolution (multiplier 1) in int8: a block of channels, down the rows or along them.

The taps of one row of the kernel are interleaved so that each 32-bit lane holds up to four taps of one channel, and one dot product
takes them all. Where the kernel is square, an input row is interleaved once and used by every output row that reads it; or, along
the rows, the taps of a column of the kernel are, and used by every output column. Memory is then read and written in its own
order, and the processor fetches ahead what comes next there. Down the rows it fetches the rows behind a share's last, which another
thread writes: with two threads on Zen 4, shares of MobileNet v2's 3 x 3 layers took up to twice as long as alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.depthwise_blocks import GEOMETRY, Blocks, block_offset
from edgebn.kernels.depthwise_shapes import ANY, INT8_VARIANTS, TAPS, Int8Kind, function_name
from edgebn.kernels.int8_epilogue import Int8Epilogue
from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import save_accumulators
from edgebn.kernels.parameters import SavedAccumulators, TileCodes, Walk
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import I8, I16, I32, I64, Dot, Quads, concat, in_turn, load, shuffle, vector


class Taps(NamedTuple):
    """The bytes between the pixels that are gathered, and the kernel column that takes the places behind the last."""

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
        # Each output's sums are begun as soon as its first taps are read; `ahead` are not finished when the next output begins.
        ahead = -(-kind.taps // kind.stride) - 1 if kind.taps else 1
        sums = [[cgutils.alloca_once(builder, self._words) for _ in range(4)] for _ in range(ahead)]
        epilogue_bytes = 4 * self._isa.lanes * self.epilogue.bytes_per_channel
        with cgutils.for_range(builder, arguments["blocks"]) as block:
            channel = block_offset(builder, arguments, block.index)
            weights = builder.add(arguments["weight"], builder.mul(block.index, block_bytes))
            epilogue = builder.add(arguments["epilogue"], builder.mul(block.index, ir.Constant(I64, epilogue_bytes)))
            biases = [load(builder, self._words, epilogue, j * self._isa.vector_bytes) for j in range(4)]
            walk = ALONG if kind.along else DOWN
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
                    self._rolled(builder, arguments, read, source, weights, biases, sums, kind, finish)
        builder.ret_void()
        return builder.function

    def _rolled(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        read: Callable[[ir.Value], ir.Value],
        source: ir.Value,
        weights: ir.Value,
        biases: list[ir.Value],
        sums: list[list[ir.Value]],
        kind: Int8Kind,
        finish: Callable[[list[ir.Value], ir.Value], None],
    ) -> None:
        """Go through the input rows, or columns, once; `sums` carry what those read so far give to outputs not yet finished."""
        walk = ALONG if kind.along else DOWN
        groups = [range(first, min(first + TAPS, kind.taps)) for first in range(0, kind.taps, TAPS)]

        def load_weights(tap: int, group: int) -> list[Quads]:
            return self._weights(builder, weights, tap * len(groups) + group)

        fit = len(groups) == 1 and self._isa.registers >= 32  # the weights, in registers: else they are read at each use
        kept = [load_weights(tap, 0) for tap in range(kind.taps)] if fit else None

        def add_step(acc: list[list[ir.Value]], index: ir.Value, first: int) -> None:
            """Add what a row or column of the input gives: tap `first` of output 0, less by the stride for each one behind."""
            place = builder.add(source, builder.mul(index, arguments[walk.tap_step]))
            for group, taps in enumerate(groups):
                steps = {i: builder.mul(arguments[walk.tap_across], ir.Constant(I64, i)) for i in taps}
                found = {i: read(builder.add(place, step)) for i, step in steps.items()}
                quads = self._interleave(builder, [*found.values(), *(found[kind.again] for _ in range(TAPS - len(taps)))])
                for output, tap in enumerate(range(first, -1, -kind.stride)):
                    if output == len(acc):
                        acc.append(biases)
                    taken = load_weights(tap, group) if kept is None else kept[tap]
                    acc[output] = [self._dot(builder, a, q, w) for a, q, w in zip(acc[output], quads, taken, strict=True)]
                    if self._isa.dot == "pmaddwd":  # whose sums LLVM would else reorder, and spill
                        acc[output] = [in_turn(builder, a) for a in acc[output]]

        def keep(acc: list[list[ir.Value]]) -> None:
            for slots, values in zip(sums, acc, strict=True):
                for slot, value in zip(slots, values, strict=True):
                    builder.store(value, slot)

        begun: list[list[ir.Value]] = []
        for index in range(kind.taps - kind.stride):
            add_step(begun, ir.Constant(I64, index), index)
        keep(begun)
        with cgutils.for_range(builder, arguments[walk.outs]) as out:
            acc = [[builder.load(slot) for slot in slots] for slots in sums]
            start = builder.mul(out.index, ir.Constant(I64, kind.stride))
            for tap in range(kind.taps - kind.stride, kind.taps):
                add_step(acc, builder.add(start, ir.Constant(I64, tap)), tap)
            keep(acc[1:])
            finish(acc[0], out.index)

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
        """Return four vectors whose 32-bit lanes hold a channel's taps: lane 4 l + c of vector j is channel 16 l + 4 j + c."""
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


if SELECTED.dot:
    _run = runner(Int8Depthwise(SELECTED))


@kernel
def depthwise_tile_i8(variant: int, walk: Walk, blocks: Blocks, saved: SavedAccumulators, taps: Taps, codes: TileCodes) -> None:
    """int8; `variant` indexes `INT8_VARIANTS`."""
    _run(variant, (walk, blocks, saved, taps, codes))


INT8_DEPTHWISE = (depthwise_tile_i8,) if SELECTED.dot else ()

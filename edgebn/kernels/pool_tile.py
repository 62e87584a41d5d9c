"""Maximum and average pooling in float32, maxima of int8: whole vectors of channels at a time; the geometry is that of `pool.py`.

Wants at least one vector of channels, of int8 one of `MIN_VECTOR`: the last vector moves left over the one before it. An average
of more than `BLOCK` taps is a compensated sum (Kahan 1965) of sums of about so many: one float32 that grows over all of them would
lose a bit for each doubling. Of a whole map those sums may be computed first, blocks beside each other, and then joined: in the
same order, to the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import CODE_FLIP, MIN_VECTOR, SELECTED
from edgebn.kernels.jit import inlined, kernel
from edgebn.kernels.parameters import CountedTaps, Pooling
from edgebn.kernels.pool_shapes import BLOCK
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I8, I64, constant, load, offset, splat, store, vector

VECTORS_PER_BLOCK = (4, 2, 1)  # vectors whose taps are read side by side, the most first
UNROLLED = (1, 2, 3, 5)  # columns of the windows that have functions of their own
SHORT = 1 + len(UNROLLED)  # variants of one width of vectors
LONG = SHORT  # the first variant of long averages, behind the others


class Pixels(NamedTuple):
    """Neighbouring output pixels whose windows have as many taps.

    The first tap of the first is column `src` of the row `first_row`, counted before rows repeat; steps are bytes.
    """

    src: int
    src_row: int
    ring: int
    first_row: int
    row_gap: int
    rows: int
    tap_step: int
    columns: int
    channels: int
    dst: int
    divisor: int
    pixels: int
    pixel_step: int
    dst_step: int


class Pool:
    """Writes the functions that reduce the taps of a run of output pixels: to their maximum, their sum or their average.

    A joined average is that of `divisor` numbers, whose sums by blocks are the taps.
    """

    arguments = Pixels._fields

    def __init__(self, element: ir.Type, widths: Sequence[int], function: str) -> None:
        self._element = element
        self._least = float("-inf") if element == F32 else 0 if CODE_FLIP else -128
        self._bytes = 4 if element == F32 else 1
        if function in {"sum", "joined_average"}:
            self.variants = [(function, 0, lanes) for lanes in widths]
            return
        long = [("long_average", columns, widths[0]) for columns in (0, 1)] if function == "average" else []
        self.variants = [*((function, columns, lanes) for lanes in widths for columns in (0, *UNROLLED)), *long]

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`: what it reduces to, how many columns windows have (0: any number), and lanes."""
        function, unrolled, lanes = self.variants[variant]
        kind = "f32" if self._element == F32 else f"i8_{lanes}"
        builder, arguments = begin_function(module, f"edgebn_{function}_{kind}_{unrolled}", self.arguments)
        scale = None  # of an average; for a long one, which is worth a division, the divisor
        if function not in {"maximum", "sum"}:
            count = builder.sitofp(arguments["divisor"], F32)
            number = builder.fdiv(ir.Constant(F32, 1.0), count) if function == "average" else count
            scale = splat(builder, number, lanes)
        slot = builder.urem(arguments["first_row"], arguments["ring"])
        channel: ir.Value = ir.Constant(I64, 0)
        for nv in VECTORS_PER_BLOCK[:-1]:
            wide = ir.Constant(I64, nv * lanes)
            groups = builder.udiv(builder.sub(arguments["channels"], channel), wide)
            with cgutils.for_range(builder, groups) as group:
                at = builder.add(channel, builder.mul(group.index, wide))
                self._reduce(builder, arguments, slot, at, nv, scale, variant)
            channel = builder.add(channel, builder.mul(groups, wide))
        # What is left is one vector, or part of one: that moves left over the one before it.
        left = builder.add(builder.sub(arguments["channels"], channel), ir.Constant(I64, lanes - 1))
        last = builder.sub(arguments["channels"], ir.Constant(I64, lanes))
        with cgutils.for_range(builder, builder.udiv(left, ir.Constant(I64, lanes))) as single:
            at = builder.add(channel, builder.mul(single.index, ir.Constant(I64, lanes)))
            at = builder.select(builder.icmp_signed("<", at, last), at, last)
            self._reduce(builder, arguments, slot, at, 1, scale, variant)
        builder.ret_void()
        return builder.function

    def _reduce(
        self,
        builder: ir.IRBuilder,
        arguments: dict[str, ir.Value],
        first: ir.Value,
        channel: ir.Value,
        nv: int,
        scale: ir.Value | None,
        variant: int,
    ) -> None:
        """Reduce `nv` vectors from a channel on; `first` is where the first row stands in the ring, `scale` an average's."""
        function, unrolled, lanes = self.variants[variant]
        is_long, kind = function in {"long_average", "joined_average"}, vector(self._element, lanes)
        whole_block = 1 if function == "joined_average" else BLOCK
        size = lanes * self._bytes
        place = builder.mul(channel, ir.Constant(I64, self._bytes))
        start = constant(self._element, lanes, self._least if function == "maximum" else 0.0)
        slots = [cgutils.alloca_once(builder, kind) for _ in range(nv)]
        ring = cgutils.alloca_once(builder, I64)
        blocks, lost = ([cgutils.alloca_once(builder, kind) for _ in range(nv if is_long else 0)] for _ in range(2))
        taken = cgutils.alloca_once(builder, I64)  # taps of a long average since the last whole block

        def close_block() -> None:
            for slot, block, error in zip(slots, blocks, lost, strict=True):
                before, added = builder.load(block), builder.fsub(builder.load(slot), builder.load(error))
                after = builder.fadd(before, added)
                missed = builder.fsub(builder.fsub(after, before), added)
                infinite = builder.fcmp_unordered("uno", missed, missed)  # infinity less infinity: nothing that can be made up for
                builder.store(builder.select(infinite, start, missed), error)
                builder.store(after, block)
                builder.store(start, slot)
            builder.store(ir.Constant(I64, 0), taken)

        def count_taps(count: ir.Value) -> None:
            builder.store(builder.add(builder.load(taken), count), taken)
            with builder.if_then(builder.icmp_signed(">=", builder.load(taken), ir.Constant(I64, whole_block))):
                close_block()

        def add_blocks(line: ir.Value) -> None:
            """Add a row's taps, a block at most before the next look at how many there were."""
            whole = ir.Constant(I64, whole_block)
            parts = builder.udiv(builder.add(arguments["columns"], ir.Constant(I64, whole_block - 1)), whole)
            with cgutils.for_range(builder, parts) as part:
                begin = builder.mul(part.index, whole)
                rest = builder.sub(arguments["columns"], begin)
                count = builder.select(builder.icmp_signed("<", rest, whole), rest, whole)
                with cgutils.for_range(builder, count) as column:
                    add(builder.add(line, builder.mul(builder.add(begin, column.index), arguments["tap_step"])))
                count_taps(count)

        def add(tap: ir.Value) -> None:
            for j, slot in enumerate(slots):
                value, so_far = load(builder, kind, tap, j * size), builder.load(slot)
                if function == "maximum" and self._element == I8:
                    compare = builder.icmp_unsigned if CODE_FLIP else builder.icmp_signed  # flipped codes are in the bytes' order
                    joined = builder.select(compare(">", value, so_far), value, so_far)
                elif function == "maximum":
                    joined = builder.select(builder.fcmp_ordered(">", value, so_far), value, so_far)
                else:
                    joined = builder.fadd(so_far, value)
                builder.store(joined, slot)

        with cgutils.for_range(builder, arguments["pixels"]) as pixel:
            source = builder.add(builder.add(arguments["src"], place), builder.mul(pixel.index, arguments["pixel_step"]))
            target = builder.add(builder.add(arguments["dst"], place), builder.mul(pixel.index, arguments["dst_step"]))
            for slot in (*slots, *blocks, *lost):
                builder.store(start, slot)
            builder.store(ir.Constant(I64, 0), taken)
            builder.store(first, ring)
            with cgutils.for_range(builder, arguments["rows"]):
                line = builder.add(source, builder.mul(builder.load(ring), arguments["src_row"]))
                after = builder.add(builder.load(ring), arguments["row_gap"])
                # A window is no higher than the ring: this wraps once.
                wrapped = builder.sub(after, arguments["ring"])
                builder.store(builder.select(builder.icmp_signed("<", wrapped, ir.Constant(I64, 0)), after, wrapped), ring)
                if unrolled:
                    for i in range(unrolled):
                        add(builder.add(line, builder.mul(arguments["tap_step"], ir.Constant(I64, i))))
                    if is_long:
                        count_taps(ir.Constant(I64, unrolled))
                elif is_long:
                    add_blocks(line)
                else:
                    with cgutils.for_range(builder, arguments["columns"]) as column:
                        add(builder.add(line, builder.mul(column.index, arguments["tap_step"])))
            if function == "joined_average":  # a long one closes, at its end, a block that it has just begun
                rest = builder.urem(arguments["divisor"], ir.Constant(I64, BLOCK))
                with builder.if_then(builder.icmp_signed("==", rest, ir.Constant(I64, 0))):
                    close_block()
            elif is_long:
                close_block()
            for j, slot in enumerate(blocks or slots):
                result = builder.load(slot)
                if scale is not None:
                    result = builder.fdiv(result, scale) if is_long else builder.fmul(result, scale)
                store(builder, result, offset(builder, target, j * size))


@kernel
def _first_inside(position: int, dilation: int) -> int:
    """Return the first tap of a window at `position` that is not before the input."""
    return 0 if position >= 0 else (-position + dilation - 1) // dilation


@kernel
def _end_inside(position: int, dilation: int, taps: int, size: int) -> int:
    """Return the end of the taps that are before the end of the input."""
    return min(taps, (size - position + dilation - 1) // dilation)


@kernel
def _variant(columns: int) -> int:
    """Return the variant, of those that are not long, for windows of so many columns."""
    if 0 <= columns <= 3:
        return columns
    return 4 if columns == 5 else 0


@kernel
def _alike(x: int, pooling: Pooling) -> int:
    """Return how many pixels from `x` on have all the taps of their windows inside; 1 where that one has not."""
    if x * pooling.stride_columns < pooling.left:
        return 1
    most = pooling.width - 1 - (pooling.kernel_columns - 1) * pooling.dilation_columns + pooling.left
    return max(min(most // pooling.stride_columns + 1, pooling.columns) - x, 1) if most >= 0 else 1


def _reduction(function: str, element: ir.Type = F32) -> Callable[[Pooling, CountedTaps], None]:
    """Return what reduces the windows of all output pixels; the taps that count are an average's."""
    has_long = function == "average"
    widths = (SELECTED.lanes,) if element == F32 else tuple(dict.fromkeys((SELECTED.vector_bytes, MIN_VECTOR)))
    widest, is_code = widths[0], element == I8
    run = runner(Pool(element, widths, function))

    @inlined
    def reduce(pooling: Pooling, counted: CountedTaps) -> None:
        tap = pooling.dilation_columns * pooling.pixel
        for y in range(pooling.first_row, pooling.first_row + pooling.rows):
            sy = y * pooling.stride_rows - pooling.top
            i = _first_inside(sy, pooling.dilation_rows)
            tap_rows = _end_inside(sy, pooling.dilation_rows, pooling.kernel_rows, pooling.height) - i
            counted_rows = _end_inside(sy, pooling.dilation_rows, pooling.kernel_rows, counted.end_row)
            x = 0
            while x < pooling.columns:
                alike = _alike(x, pooling)
                sx = x * pooling.stride_columns - pooling.left
                j = _first_inside(sx, pooling.dilation_columns)
                tap_columns = _end_inside(sx, pooling.dilation_columns, pooling.kernel_columns, pooling.width) - j
                count = tap_rows * tap_columns
                if counted.count_padding != 0:
                    count = counted_rows * _end_inside(sx, pooling.dilation_columns, pooling.kernel_columns, counted.end_column)
                pixels = Pixels(
                    src=pooling.src + sx * pooling.pixel + j * tap,
                    src_row=pooling.src_row,
                    ring=pooling.ring,
                    first_row=sy + i * pooling.dilation_rows,
                    row_gap=pooling.dilation_rows,
                    rows=tap_rows,
                    tap_step=tap,
                    columns=tap_columns,
                    channels=pooling.channels,
                    dst=pooling.dst + y * pooling.dst_row + x * pooling.pixel,
                    divisor=max(count, 1),
                    pixels=alike,
                    pixel_step=pooling.stride_columns * pooling.pixel,
                    dst_step=pooling.pixel,
                )
                variant = _variant(tap_columns)
                if has_long and tap_rows * tap_columns > BLOCK:
                    variant = LONG + int(tap_columns == 1)
                if is_code and pooling.channels < widest:
                    variant += SHORT
                run(variant, pixels)
                x += alike

    return reduce


if SELECTED.vector_bytes:
    _to_maximum, _to_average = _reduction("maximum"), _reduction("average")
    _to_maximum_of_codes = _reduction("maximum", I8)
    _to_sum = runner(Pool(F32, (SELECTED.lanes,), "sum"))
    _to_joined_average = runner(Pool(F32, (SELECTED.lanes,), "joined_average"))


@kernel
def maximum_tile_f32(pooling: Pooling) -> None:
    """Maximum."""
    _to_maximum(pooling, CountedTaps(0, 0, 0))


@kernel
def average_tile_f32(pooling: Pooling, counted: CountedTaps) -> None:
    """Average."""
    _to_average(pooling, counted)


@inlined
def _of_a_row(src: int, tap_step: int, taps: int, channels: int, dst: int, divisor: int) -> Pixels:
    """Return the one pixel whose window is a row of that many taps."""
    return Pixels(
        src=src,
        src_row=0,
        ring=1,
        first_row=0,
        row_gap=0,
        rows=1,
        tap_step=tap_step,
        columns=taps,
        channels=channels,
        dst=dst,
        divisor=divisor,
        pixels=1,
        pixel_step=0,
        dst_step=0,
    )


@kernel
def sum_blocks_f32(src: int, pixel: int, pixels: int, channels: int, dst: int, dst_row: int, blocks: int) -> None:
    """Sums of `BLOCK` pixels each, of which the last block may have fewer; pixels are `pixel` bytes apart, blocks `dst_row`."""
    for q in range(blocks):
        begin = q * BLOCK
        _to_sum(0, _of_a_row(src + begin * pixel, pixel, min(pixels - begin, BLOCK), channels, dst + q * dst_row, 1))


@kernel
def average_blocks_f32(src: int, src_row: int, blocks: int, pixels: int, channels: int, dst: int) -> None:
    """The average of `pixels` pixels, whose sums `sum_blocks_f32` has made."""
    _to_joined_average(0, _of_a_row(src, src_row, blocks, channels, dst, pixels))


@kernel
def maximum_tile_i8(pooling: Pooling) -> None:
    """Maximum; the input and the output share scale and zero point."""
    _to_maximum_of_codes(pooling, CountedTaps(0, 0, 0))


INT8_POOLS = (maximum_tile_i8,) if SELECTED.vector_bytes else ()
FLOAT32_POOLS = (maximum_tile_f32, average_tile_f32, sum_blocks_f32, average_blocks_f32) if SELECTED.vector_bytes else ()

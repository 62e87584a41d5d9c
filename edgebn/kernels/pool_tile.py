"""Maximum and average pooling in float32, whole vectors of channels at a time; the geometry is that of `pool.py`.

Wants at least one vector of channels: the last vector moves left over the one before it.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I64, constant, load, offset, splat, store, vector

# Of one output pixel, all int64: its first tap is column `src` of the row `first_row`, counted before rows repeat; steps are bytes.
PIXEL = ("src", "src_row", "ring", "first_row", "row_gap", "rows", "tap_step", "columns", "channels", "dst", "count")
MAXIMUM, AVERAGE = 0, 1
TOGETHER = 4  # vectors whose taps are read side by side


class Pool:
    """Writes the functions that reduce the taps of one output pixel."""

    arguments = PIXEL
    variants = ("maximum", "average")

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.lanes)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`, and return it."""
        builder, given = begin_function(module, f"edgebn_{self.variants[variant]}_f32", self.arguments)
        scale = None
        if variant == AVERAGE:
            count = builder.sitofp(given["count"], F32)
            scale = splat(builder, builder.fdiv(ir.Constant(F32, 1.0), count), self._isa.lanes)
        slot = builder.urem(given["first_row"], given["ring"])
        wide = ir.Constant(I64, TOGETHER * self._isa.lanes)
        groups = builder.udiv(given["channels"], wide)
        with cgutils.for_range(builder, groups) as group:
            self._reduce(builder, given, slot, builder.mul(group.index, wide), TOGETHER, scale)
        begun = builder.mul(groups, wide)
        one = ir.Constant(I64, self._isa.lanes)
        left = builder.add(builder.sub(given["channels"], begun), ir.Constant(I64, self._isa.lanes - 1))
        last = builder.sub(given["channels"], one)
        with cgutils.for_range(builder, builder.udiv(left, one)) as single:
            channel = builder.add(begun, builder.mul(single.index, one))
            channel = builder.select(builder.icmp_signed("<", channel, last), channel, last)
            self._reduce(builder, given, slot, channel, 1, scale)
        builder.ret_void()
        return builder.function

    def _reduce(
        self,
        builder: ir.IRBuilder,
        given: dict[str, ir.Value],
        first: ir.Value,
        channel: ir.Value,
        nv: int,
        scale: ir.Value | None,
    ) -> None:
        """Reduce `nv` vectors from a channel on; `first` is where the first row stands in the ring, `scale` an average's."""
        size = self._isa.vector_bytes
        place = builder.mul(channel, ir.Constant(I64, 4))
        start = constant(F32, self._isa.lanes, float("-inf") if scale is None else 0.0)
        slots = [cgutils.alloca_once(builder, self._kind) for _ in range(nv)]
        for slot in slots:
            builder.store(start, slot)
        ring = cgutils.alloca_once_value(builder, first)
        builder.store(first, ring)
        with cgutils.for_range(builder, given["rows"]):
            line = builder.mul(builder.load(ring), given["src_row"])
            line = builder.add(builder.add(given["src"], line), place)
            after = builder.add(builder.load(ring), given["row_gap"])  # a window is no higher than the ring, so this wraps once
            wrapped = builder.sub(after, given["ring"])
            builder.store(builder.select(builder.icmp_signed("<", wrapped, ir.Constant(I64, 0)), after, wrapped), ring)
            with cgutils.for_range(builder, given["columns"]) as column:
                tap = builder.add(line, builder.mul(column.index, given["tap_step"]))
                for j, slot in enumerate(slots):
                    value, so_far = load(builder, self._kind, tap, j * size), builder.load(slot)
                    if scale is None:
                        joined = builder.select(builder.fcmp_ordered(">", value, so_far), value, so_far)
                    else:
                        joined = builder.fadd(so_far, value)
                    builder.store(joined, slot)
        for j, slot in enumerate(slots):
            result = builder.load(slot)
            if scale is not None:
                result = builder.fmul(result, scale)
            store(builder, result, offset(builder, builder.add(given["dst"], place), j * size))


if SELECTED.vector_bytes:
    _run = runner(Pool(SELECTED))


@kernel
def _first_inside(position: int, dilation: int) -> int:
    """Return the first tap of a window at `position` that is not before the input."""
    return 0 if position >= 0 else (-position + dilation - 1) // dilation


@kernel
def _end_inside(position: int, dilation: int, taps: int, size: int) -> int:
    """Return the end of the taps that are before the end of the input."""
    return min(taps, (size - position + dilation - 1) // dilation)


@kernel
def maximum_tile_f32(
    src: int,
    src_row: int,
    ring: int,
    height: int,
    width: int,
    channels: int,
    dst: int,
    dst_row: int,
    first_row: int,
    rows: int,
    columns: int,
    kernel_rows: int,
    kernel_columns: int,
    stride_rows: int,
    stride_columns: int,
    dilation_rows: int,
    dilation_columns: int,
    top: int,
    left: int,
) -> None:
    """Maximum."""
    pixel = channels * 4
    tap = dilation_columns * pixel
    for y in range(first_row, first_row + rows):
        sy = y * stride_rows - top
        i = _first_inside(sy, dilation_rows)
        tap_rows = _end_inside(sy, dilation_rows, kernel_rows, height) - i
        for x in range(columns):
            sx = x * stride_columns - left
            j = _first_inside(sx, dilation_columns)
            tap_columns = _end_inside(sx, dilation_columns, kernel_columns, width) - j
            begin = src + sx * pixel + j * tap
            target = dst + y * dst_row + x * pixel
            where = (begin, src_row, ring, sy + i * dilation_rows, dilation_rows, tap_rows, tap, tap_columns)
            _run(MAXIMUM, (*where, channels, target, 1))


@kernel
def average_tile_f32(
    src: int,
    src_row: int,
    ring: int,
    height: int,
    width: int,
    channels: int,
    dst: int,
    dst_row: int,
    first_row: int,
    rows: int,
    columns: int,
    kernel_rows: int,
    kernel_columns: int,
    stride_rows: int,
    stride_columns: int,
    dilation_rows: int,
    dilation_columns: int,
    top: int,
    left: int,
    count_padding: int,
    end_row: int,
    end_column: int,
) -> None:
    """Average."""
    pixel = channels * 4
    tap = dilation_columns * pixel
    for y in range(first_row, first_row + rows):
        sy = y * stride_rows - top
        i = _first_inside(sy, dilation_rows)
        tap_rows = _end_inside(sy, dilation_rows, kernel_rows, height) - i
        counted_rows = _end_inside(sy, dilation_rows, kernel_rows, end_row)
        for x in range(columns):
            sx = x * stride_columns - left
            j = _first_inside(sx, dilation_columns)
            tap_columns = _end_inside(sx, dilation_columns, kernel_columns, width) - j
            count = tap_rows * tap_columns
            if count_padding != 0:
                count = counted_rows * _end_inside(sx, dilation_columns, kernel_columns, end_column)
            begin = src + sx * pixel + j * tap
            target = dst + y * dst_row + x * pixel
            where = (begin, src_row, ring, sy + i * dilation_rows, dilation_rows, tap_rows, tap, tap_columns)
            _run(AVERAGE, (*where, channels, target, max(count, 1)))


FLOAT32_POOLS = (maximum_tile_f32, average_tile_f32) if SELECTED.vector_bytes else ()

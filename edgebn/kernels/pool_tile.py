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

# Of neighbouring output pixels whose windows have as many taps, all int64: the first tap of the first is column `src` of the row
# `first_row`, counted before rows repeat; steps are bytes.
PIXELS = (
    "src",
    "src_row",
    "ring",
    "first_row",
    "row_gap",
    "rows",
    "tap_step",
    "columns",
    "channels",
    "dst",
    "count",
    "pixels",
    "pixel_step",
    "dst_step",
)
TOGETHER = (4, 2, 1)  # vectors whose taps are read side by side, the most first
UNROLLED = (1, 2, 3, 5)  # columns of the windows that have functions of their own
MAXIMUM, AVERAGE = 0, 1 + len(UNROLLED)  # the first variant of each


class Pool:
    """Writes the functions that reduce the taps of a run of output pixels."""

    arguments = PIXELS
    variants = tuple((function, columns) for function in ("maximum", "average") for columns in (0, *UNROLLED))

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.lanes)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`: what it reduces to, and how many columns windows have (0: any number)."""
        function, unrolled = self.variants[variant]
        builder, given = begin_function(module, f"edgebn_{function}_f32_{unrolled}", self.arguments)
        scale = None
        if function == "average":
            count = builder.sitofp(given["count"], F32)
            scale = splat(builder, builder.fdiv(ir.Constant(F32, 1.0), count), self._isa.lanes)
        slot = builder.urem(given["first_row"], given["ring"])
        lanes = self._isa.lanes
        channel: ir.Value = ir.Constant(I64, 0)
        for nv in TOGETHER[:-1]:
            wide = ir.Constant(I64, nv * lanes)
            groups = builder.udiv(builder.sub(given["channels"], channel), wide)
            with cgutils.for_range(builder, groups) as group:
                at = builder.add(channel, builder.mul(group.index, wide))
                self._reduce(builder, given, slot, at, nv, scale, unrolled)
            channel = builder.add(channel, builder.mul(groups, wide))
        # What is left is one vector, or part of one: that moves left over the one before it.
        left = builder.add(builder.sub(given["channels"], channel), ir.Constant(I64, lanes - 1))
        last = builder.sub(given["channels"], ir.Constant(I64, lanes))
        with cgutils.for_range(builder, builder.udiv(left, ir.Constant(I64, lanes))) as single:
            at = builder.add(channel, builder.mul(single.index, ir.Constant(I64, lanes)))
            at = builder.select(builder.icmp_signed("<", at, last), at, last)
            self._reduce(builder, given, slot, at, 1, scale, unrolled)
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
        unrolled: int,
    ) -> None:
        """Reduce `nv` vectors from a channel on; `first` is where the first row stands in the ring, `scale` an average's."""
        size = self._isa.vector_bytes
        place = builder.mul(channel, ir.Constant(I64, 4))
        start = constant(F32, self._isa.lanes, float("-inf") if scale is None else 0.0)
        slots = [cgutils.alloca_once(builder, self._kind) for _ in range(nv)]
        ring = cgutils.alloca_once(builder, I64)

        def add(tap: ir.Value) -> None:
            for j, slot in enumerate(slots):
                value, so_far = load(builder, self._kind, tap, j * size), builder.load(slot)
                if scale is None:
                    joined = builder.select(builder.fcmp_ordered(">", value, so_far), value, so_far)
                else:
                    joined = builder.fadd(so_far, value)
                builder.store(joined, slot)

        with cgutils.for_range(builder, given["pixels"]) as pixel:
            source = builder.add(builder.add(given["src"], place), builder.mul(pixel.index, given["pixel_step"]))
            target = builder.add(builder.add(given["dst"], place), builder.mul(pixel.index, given["dst_step"]))
            for slot in slots:
                builder.store(start, slot)
            builder.store(first, ring)
            with cgutils.for_range(builder, given["rows"]):
                line = builder.add(source, builder.mul(builder.load(ring), given["src_row"]))
                after = builder.add(builder.load(ring), given["row_gap"])  # a window is no higher than the ring: this wraps once
                wrapped = builder.sub(after, given["ring"])
                builder.store(builder.select(builder.icmp_signed("<", wrapped, ir.Constant(I64, 0)), after, wrapped), ring)
                if unrolled:
                    for i in range(unrolled):
                        add(builder.add(line, builder.mul(given["tap_step"], ir.Constant(I64, i))))
                else:
                    with cgutils.for_range(builder, given["columns"]) as column:
                        add(builder.add(line, builder.mul(column.index, given["tap_step"])))
            for j, slot in enumerate(slots):
                result = builder.load(slot)
                store(builder, result if scale is None else builder.fmul(result, scale), offset(builder, target, j * size))


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
def _variant(function: int, columns: int) -> int:
    """Return the variant of a function, `MAXIMUM` or `AVERAGE`, for windows of `columns`."""
    if 0 <= columns <= 3:
        return function + columns
    return function + 4 if columns == 5 else function


@kernel
def _alike(x: int, columns: int, stride: int, left: int, dilation: int, taps: int, width: int) -> int:
    """Return how many pixels from `x` on have all the taps of their windows inside; 1 where that one has not."""
    if x * stride < left:
        return 1
    most = width - 1 - (taps - 1) * dilation + left
    return max(min(most // stride + 1, columns) - x, 1) if most >= 0 else 1


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
        x = 0
        while x < columns:
            alike = _alike(x, columns, stride_columns, left, dilation_columns, kernel_columns, width)
            sx = x * stride_columns - left
            j = _first_inside(sx, dilation_columns)
            tap_columns = _end_inside(sx, dilation_columns, kernel_columns, width) - j
            begin = src + sx * pixel + j * tap
            target = dst + y * dst_row + x * pixel
            where = (begin, src_row, ring, sy + i * dilation_rows, dilation_rows, tap_rows, tap, tap_columns)
            steps = (alike, stride_columns * pixel, pixel)
            _run(_variant(MAXIMUM, tap_columns), (*where, channels, target, 1, *steps))
            x += alike


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
        x = 0
        while x < columns:
            alike = _alike(x, columns, stride_columns, left, dilation_columns, kernel_columns, width)
            sx = x * stride_columns - left
            j = _first_inside(sx, dilation_columns)
            tap_columns = _end_inside(sx, dilation_columns, kernel_columns, width) - j
            count = tap_rows * tap_columns
            if count_padding != 0:
                count = counted_rows * _end_inside(sx, dilation_columns, kernel_columns, end_column)
            begin = src + sx * pixel + j * tap
            target = dst + y * dst_row + x * pixel
            where = (begin, src_row, ring, sy + i * dilation_rows, dilation_rows, tap_rows, tap, tap_columns)
            steps = (alike, stride_columns * pixel, pixel)
            _run(_variant(AVERAGE, tap_columns), (*where, channels, target, max(count, 1), *steps))
            x += alike


FLOAT32_POOLS = (maximum_tile_f32, average_tile_f32) if SELECTED.vector_bytes else ()

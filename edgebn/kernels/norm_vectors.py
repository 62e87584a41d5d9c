"""Writes the vector code of norms by the sample's own statistics: sums of channels over pixels, and norms of single pixels.

Sums are float64 in one order of operations.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.pointwise import ELEMENT
from edgebn.kernels.row_vectors import Row
from edgebn.kernels.variants import begin_function
from edgebn.kernels.vector_math import VectorMath
from edgebn.kernels.vectors import F32, F64, I32, I64, constant, either, load, splat, store, vector

AT_ONCE = 2  # vectors of float32, which are four of float64: as many sums at least must be in flight


def widths(isa: InstructionSet) -> tuple[int, ...]:
    """Return how many adjacent channels a function of `OverPixels` takes, most first."""
    lanes = isa.pointwise_lanes
    return AT_ONCE * lanes, lanes, 1


class OverPixels:
    """Writes the functions that take adjacent channels along all pixels of a map, with two float64 each in `first` and `second`.

    'sum' writes their sums to `first`, 'squares' to `second` those of squared differences from `first`, 'apply' x * first + second.
    """

    arguments = ("src", "src_row", "dst", "dst_row", "rows", "columns", "pixel", "first", "second")

    def __init__(self, isa: InstructionSet) -> None:
        self.variants = tuple((what, width) for what in ("sum", "squares", "apply") for width in widths(isa))

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`."""
        what, width = self.variants[variant]
        builder, arguments = begin_function(module, f"edgebn_norm_{what}_{width}", self.arguments)
        narrow, wide = vector(F32, width), vector(F64, width)
        total = cgutils.alloca_once_value(builder, constant(F64, width, 0.0))
        first = load(builder, wide, arguments["first"]) if what != "sum" else None
        second = load(builder, wide, arguments["second"]) if what == "apply" else None
        with cgutils.for_range(builder, arguments["rows"]) as row, cgutils.for_range(builder, arguments["columns"]) as column:

            def place(which: str, row: ir.Value = row.index, column: ir.Value = column.index) -> ir.Value:
                start = builder.add(arguments[which], builder.mul(row, arguments[f"{which}_row"]))
                return builder.add(start, builder.mul(column, arguments["pixel"]))

            x = builder.fpext(load(builder, narrow, place("src")), wide)
            if what == "apply":
                value = builder.fadd(builder.fmul(x, first), second)
                store(builder, builder.fptrunc(value, narrow), place("dst"))
            else:
                if what == "squares":
                    x = builder.fsub(x, first)
                    x = builder.fmul(x, x)
                builder.store(builder.fadd(builder.load(total), x), total)
        if what != "apply":
            store(builder, builder.load(total), arguments["first" if what == "sum" else "second"])
        builder.ret_void()
        return builder.function


class SinglePixels:
    """Writes the function that norms adjacent pixels, each by the statistics of its channels."""

    arguments = ("src", "dst", "pixels", "channels", "gamma", "beta", "epsilon_bits", "centred")
    variants = ("pixels",)

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa

    def define(self, module: ir.Module, variant: int) -> ir.Function:  # noqa: ARG002  # there is one
        """Write the function; the normed number is rounded to float32 before gamma and beta."""
        builder, arguments = begin_function(module, "edgebn_norm_pixels", self.arguments)
        channels = arguments["channels"]
        row = Row(builder, self._isa, channels, AT_ONCE)
        math = {size: VectorMath(builder, self._isa, size) for size in row.sizes}
        count = builder.uitofp(channels, F64)
        epsilon = builder.fpext(builder.bitcast(builder.trunc(arguments["epsilon_bits"], I32), F32), F64)
        centred = builder.icmp_signed("!=", arguments["centred"], ir.Constant(I64, 0))
        totals = row.slots(F64)

        def mean_of(source: ir.Value, term: Callable[[ir.Value], ir.Value]) -> ir.Value:
            """Return the mean of a float64 `term` of every number."""
            row.fill(totals, 0.0)

            def term_of(x: ir.Value) -> ir.Value:
                return term(builder.fpext(x, vector(F64, x.type.count)))

            def add(size: int, value: ir.Value) -> None:
                builder.store(builder.fadd(builder.load(totals[size]), value), totals[size])

            def add_rest(at: ir.Value) -> None:
                add(row.lanes, row.or_else(term_of(row.load_rest(source, at)), constant(F64, row.lanes, 0.0)))

            row.every(lambda size, at: add(size, term_of(row.load(size, source, at))), add_rest)
            return builder.fdiv(row.joined(totals, builder.fadd), count)

        with cgutils.for_range(builder, arguments["pixels"]) as pixel:
            moved = builder.mul(pixel.index, builder.mul(channels, ir.Constant(I64, ELEMENT)))
            bases = builder.add(arguments["src"], moved), arguments["gamma"], arguments["beta"]
            source, target = bases[0], builder.add(arguments["dst"], moved)

            def found(source: ir.Value = source) -> list[ir.Value]:
                return [mean_of(source, lambda x: x)]

            (mean,) = either(builder, centred, found, [ir.Constant(F64, 0.0)])

            def squared(x: ir.Value, mean: ir.Value = mean) -> ir.Value:
                difference = builder.fsub(x, splat(builder, mean, x.type.count))
                return builder.fmul(difference, difference)

            variance = builder.fadd(mean_of(source, squared), epsilon)
            root = builder.call(module.declare_intrinsic("llvm.sqrt", [F64]), [variance])
            factor = builder.fdiv(ir.Constant(F64, 1.0), root)
            offset = builder.fneg(builder.fmul(mean, factor))
            by = {size: [splat(builder, value, size) for value in (factor, offset)] for size in row.sizes}

            def normed(values: list[ir.Value], by: dict[int, list[ir.Value]] = by) -> ir.Value:
                x, gamma, beta = values
                size = x.type.count
                value = builder.fadd(builder.fmul(builder.fpext(x, vector(F64, size)), by[size][0]), by[size][1])
                return math[size].multiply_add(builder.fptrunc(value, x.type), gamma, beta)

            def write(size: int, at: ir.Value, bases: tuple[ir.Value, ...] = bases, target: ir.Value = target) -> None:
                store(builder, normed([row.load(size, base, at) for base in bases]), target, at)

            def write_rest(at: ir.Value, bases: tuple[ir.Value, ...] = bases, target: ir.Value = target) -> None:
                row.store_rest(normed([row.load_rest(base, at) for base in bases]), target, at)

            row.every(write, write_rest)
        builder.ret_void()
        return builder.function

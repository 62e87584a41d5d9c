"""Writes the vector code of a float32 softmax of adjacent pixels: the largest number, exponentials and their sum, and quotients."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.pointwise import ELEMENT, TOGETHER
from edgebn.kernels.row_vectors import Row
from edgebn.kernels.variants import begin_function
from edgebn.kernels.vector_math import VectorMath
from edgebn.kernels.vectors import F32, F64, I32, I64, constant, splat, store, vector

SCALED, BARE, NEGATIVE = 0, 1, 2  # the variants: by a positive factor, by 1, by a negative one


class Softmax:
    """Writes one function for each sign of the factor, and one for a factor of 1. Sums are float64."""

    arguments = ("src", "dst", "pixels", "channels", "beta_bits")
    variants = ("scaled", "bare", "negative")

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._together = 2 if isa.unroll > 1 else TOGETHER if isa.by_lane else 1  # as `pointwise.py` does

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`."""
        builder, arguments = begin_function(module, f"edgebn_softmax_{self.variants[variant]}", self.arguments)
        row = Row(builder, self._isa, arguments["channels"], self._together)
        math = {size: VectorMath(builder, self._isa, size) for size in row.sizes}
        beta = builder.bitcast(builder.trunc(arguments["beta_bits"], I32), F32)
        scales = {size: None if variant == BARE else splat(builder, beta, size) for size in row.sizes}
        best, totals = row.slots(F32), row.slots(F64)
        last = cgutils.alloca_once(builder, vector(F32, row.lanes))  # the last exponentials, of fewer than a vector
        # Of numbers times a negative factor the least is the largest.
        order, worst = ("<", np.inf) if variant == NEGATIVE else (">", -np.inf)

        def better(a: ir.Value, b: ir.Value) -> ir.Value:
            return builder.select(builder.fcmp_ordered(order, a, b), a, b)

        def look(size: int, x: ir.Value) -> None:
            builder.store(better(x, builder.load(best[size])), best[size])

        def add(size: int, power: ir.Value) -> None:
            total = builder.load(totals[size])
            builder.store(builder.fadd(total, builder.fpext(power, total.type)), totals[size])

        with cgutils.for_range(builder, arguments["pixels"]) as pixel:
            moved = builder.mul(pixel.index, builder.mul(arguments["channels"], ir.Constant(I64, ELEMENT)))
            source, target = builder.add(arguments["src"], moved), builder.add(arguments["dst"], moved)
            row.fill(best, worst)
            row.fill(totals, 0.0)

            def look_at(size: int, at: ir.Value, source: ir.Value = source) -> None:
                look(size, row.load(size, source, at))

            def look_at_rest(at: ir.Value, source: ir.Value = source) -> None:
                look(row.lanes, row.or_else(row.load_rest(source, at), constant(F32, row.lanes, worst)))

            row.every(look_at, look_at_rest)
            highest = row.joined(best, better)
            less = {size: splat(builder, highest, size) for size in row.sizes}

            def power_of(size: int, x: ir.Value, less: dict[int, ir.Value] = less) -> ir.Value:
                return math[size].exp_of_difference(x, scales[size], less[size])

            def raise_(size: int, at: ir.Value, source: ir.Value = source, target: ir.Value = target) -> None:
                power = power_of(size, row.load(size, source, at))
                store(builder, power, target, at)
                add(size, power)

            def raise_rest(at: ir.Value, source: ir.Value = source, less: dict[int, ir.Value] = less) -> None:
                power = power_of(row.lanes, row.or_else(row.load_rest(source, at), less[row.lanes]))
                power = row.or_else(power, constant(F32, row.lanes, 0.0))
                builder.store(power, last)
                add(row.lanes, power)

            row.every(raise_, raise_rest)
            share = builder.fdiv(ir.Constant(F64, 1.0), row.joined(totals, builder.fadd))
            shares = {size: math[size].parts_of(splat(builder, share, size)) for size in row.sizes}

            def divide(size: int, at: ir.Value, target: ir.Value = target, shares: dict[int, list[ir.Value]] = shares) -> None:
                store(builder, math[size].times_parts(row.load(size, target, at), shares[size]), target, at)

            def divide_rest(at: ir.Value, target: ir.Value = target, shares: dict[int, list[ir.Value]] = shares) -> None:
                row.store_rest(math[row.lanes].times_parts(builder.load(last), shares[row.lanes]), target, at)

            row.every(divide, divide_rest)
        builder.ret_void()
        return builder.function

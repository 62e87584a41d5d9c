"""Bilinear resampling of int8 codes in integers: along each source row once, then down the columns of two such lines.

The sum is exact whatever its order (`program.Resize`), so a line, codes times column weights in 32 bits, is kept for the output
rows that read it. What is left of each output is two products of neighbouring numbers in memory, however few the channels are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.elements import named
from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_i32, store_code, store_i32
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import I8, I32, I64, concat, constant, load, splat, store, vector

GROUP = 4  # vectors of numbers whose codes are stored together
WEIGHT_BITS = 10
SUM_BITS = 2 * WEIGHT_BITS
HALF = 1 << (SUM_BITS - 1)


class Line(NamedTuple):
    """A source row, where its line goes, and the columns of it: pairs of indices and of weights, int32."""

    src: int
    line: int
    columns: int
    channels: int
    column_index: int
    column_weight: int


class Blend(NamedTuple):
    """Two lines of so many numbers with their weights, and where codes go; `zero` and `away` as `bilinear_i8` has them."""

    above: int
    below: int
    above_weight: int
    below_weight: int
    dst: int
    numbers: int
    zero: int
    away: int


class Lines:
    """Writes the function that makes a line, of pixels of at least a vector's channels."""

    arguments = Line._fields
    variants = ("line",)

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write it, and return it."""
        lanes = self._isa.lanes
        builder, arguments = begin_function(module, f"edgebn_bilinear_{self.variants[variant]}", self.arguments)
        channels = arguments["channels"]
        steps = builder.udiv(builder.add(channels, ir.Constant(I64, lanes - 1)), ir.Constant(I64, lanes))
        last = builder.sub(channels, ir.Constant(I64, lanes))
        with cgutils.for_range(builder, arguments["columns"]) as column:
            pair = builder.mul(column.index, ir.Constant(I64, 8))
            sides, weights = [], []
            for side in range(2):
                index = builder.sext(load(builder, I32, builder.add(arguments["column_index"], pair), 4 * side), I64)
                sides.append(builder.add(arguments["src"], builder.mul(index, channels)))
                weights.append(splat(builder, load(builder, I32, builder.add(arguments["column_weight"], pair), 4 * side), lanes))
            line = builder.add(arguments["line"], builder.mul(builder.mul(column.index, channels), ir.Constant(I64, 4)))
            with cgutils.for_range(builder, steps) as step:
                at = builder.mul(step.index, ir.Constant(I64, lanes))
                at = builder.select(builder.icmp_signed("<", at, last), at, last)  # the last vector moves left
                products = [
                    builder.mul(self._codes(builder, builder.add(side, at)), weight)
                    for side, weight in zip(sides, weights, strict=True)
                ]
                store(builder, builder.add(*products), builder.add(line, builder.mul(at, ir.Constant(I64, 4))))
        builder.ret_void()
        return builder.function

    def _codes(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        lanes = self._isa.lanes
        stored, words = load(builder, vector(I8, lanes), address), vector(I32, lanes)
        if not self._isa.code_flip:
            return builder.sext(stored, words)
        return builder.sub(builder.zext(stored, words), constant(I32, lanes, self._isa.code_flip))


class Blends:
    """Writes the functions that make a row of two lines, of at least a group's numbers."""

    arguments = Blend._fields
    variants = (False, True)  # whether halves go to an even number of steps from `zero`

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of a variant, and return it."""
        isa, lanes, to_even = self._isa, self._isa.lanes, self.variants[variant]
        builder, arguments = begin_function(module, f"edgebn_bilinear_blend_{variant}", self.arguments)
        word = {name: splat(builder, builder.trunc(arguments[name], I32), lanes) for name in Blend._fields if name != "numbers"}
        at_once = ir.Constant(I64, GROUP * lanes)
        steps = builder.udiv(builder.add(arguments["numbers"], ir.Constant(I64, GROUP * lanes - 1)), at_once)
        last = builder.sub(arguments["numbers"], at_once)
        shift = constant(I32, lanes, SUM_BITS)

        def code(total: ir.Value) -> ir.Value:
            if not to_even:
                sign = builder.ashr(total, constant(I32, lanes, 31))
                less = builder.and_(sign, word["away"])
                return builder.ashr(builder.sub(builder.add(total, constant(I32, lanes, HALF)), less), shift)
            numbers = builder.sub(total, builder.shl(word["zero"], shift))
            odd = builder.and_(builder.ashr(numbers, shift), constant(I32, lanes, 1))
            rounded = builder.add(builder.add(numbers, constant(I32, lanes, HALF - 1)), odd)
            return builder.add(builder.ashr(rounded, shift), word["zero"])

        with cgutils.for_range(builder, steps) as step:
            at = builder.mul(step.index, at_once)
            at = builder.select(builder.icmp_signed("<", at, last), at, last)  # the last group moves left
            place = builder.mul(at, ir.Constant(I64, 4))
            codes = []
            for part in range(GROUP):
                products = [
                    builder.mul(
                        load(builder, vector(I32, lanes), builder.add(arguments[line], place), part * isa.vector_bytes),
                        word[f"{line}_weight"],
                    )
                    for line in ("above", "below")
                ]
                codes.append(code(builder.add(*products)))
            store(builder, self._stored(builder, codes), builder.add(arguments["dst"], at))
        builder.ret_void()
        return builder.function

    def _stored(self, builder: ir.IRBuilder, codes: Sequence[ir.Value]) -> ir.Value:
        count = GROUP * self._isa.lanes
        packed = builder.trunc(concat(builder, codes), vector(I8, count))
        return builder.xor(packed, constant(I8, count, self._isa.code_flip)) if self._isa.code_flip else packed


HAS_VECTORS = bool(SELECTED.dot)
LANES, AT_ONCE = (SELECTED.lanes, GROUP * SELECTED.lanes) if HAS_VECTORS else (0, 0)
if HAS_VECTORS:
    _make_line, _blend = runner(Lines(SELECTED)), runner(Blends(SELECTED))
else:

    @kernel
    def _make_line(variant: int, arguments: tuple[Line]) -> None:
        """Nothing: no line is long enough."""

    @kernel
    def _blend(variant: int, arguments: tuple[Blend]) -> None:
        """Nothing: no row is long enough."""


@kernel
def _line(line: Line) -> None:
    """Codes of a source row times column weights: left and right of each output column."""
    if HAS_VECTORS and line.channels >= LANES:
        _make_line(0, (line,))
        return
    for x in range(line.columns):
        left, right = load_i32(line.column_index, 2 * x) * line.channels, load_i32(line.column_index, 2 * x + 1) * line.channels
        wl, wr = load_i32(line.column_weight, 2 * x), load_i32(line.column_weight, 2 * x + 1)
        for c in range(line.channels):
            total = wl * load_code(line.src, left + c) + wr * load_code(line.src, right + c)
            store_i32(line.line, x * line.channels + c, total)


def _bilinear(name: str, *, to_even: bool) -> Callable[..., None]:
    """Return the kernel that rounds halves away from zero, or to an even number of steps from `zero`."""

    @named(name)
    def bilinear(
        src: int,
        src_row: int,
        dst: int,
        dst_row: int,
        rows: int,
        columns: int,
        channels: int,
        row_index: int,
        column_index: int,
        row_weight: int,
        column_weight: int,
        zero: int,
        away: int,
        lines: int,
    ) -> None:
        """Weights in 1/1024, int32: sum of weight products times codes / 2**20, rounded; halves go up where `away` is 0.

        `lines` is scratch for two rows of columns times channels, int32.
        """
        count = columns * channels
        first, second = -1, -1  # source rows whose lines are there
        for y in range(rows):
            for side in range(2):
                wanted, other = load_i32(row_index, 2 * y + side), load_i32(row_index, 2 * y + 1 - side)
                if wanted not in (first, second):
                    place = 4 * count if first == other else 0  # of the line that the other row does not need
                    _line(Line(src + wanted * src_row, lines + place, columns, channels, column_index, column_weight))
                    first, second = (first, wanted) if place else (wanted, second)
            above = lines + (0 if load_i32(row_index, 2 * y) == first else 4 * count)
            below = lines + (0 if load_i32(row_index, 2 * y + 1) == first else 4 * count)
            wa, wb = int(np.int64(load_i32(row_weight, 2 * y))), int(np.int64(load_i32(row_weight, 2 * y + 1)))  # words are 64 bits
            if HAS_VECTORS and count >= AT_ONCE:
                _blend(int(to_even), (Blend(above, below, wa, wb, dst + y * dst_row, count, zero, away),))
                continue
            for i in range(count):
                total = wa * load_i32(above, i) + wb * load_i32(below, i)
                if to_even:  # a constant of the kernel
                    steps = total - zero * (1 << SUM_BITS)
                    code = ((steps + HALF - 1 + ((steps >> SUM_BITS) & 1)) >> SUM_BITS) + zero
                else:
                    code = (total + HALF - (away if total < 0 else 0)) >> SUM_BITS
                store_code(dst + y * dst_row, i, code)

    return bilinear


bilinear_i8 = _bilinear("bilinear_i8", to_even=False)
bilinear_even_i8 = _bilinear("bilinear_even_i8", to_even=True)

"""Vector sum of two int8 buffers of one shape: exact for both roundings at nearly the price of float32.

Every operand has 256 values, so what it contributes is a table of integers: total = A[a] + B[b], then
y = (total * multiplier + rounding - (2**31 if neg and total < 0)) >> shift. One pair of multiply-adds gives y in units of 2**-16
within `guard` units; where an integer lies that near (`int8_epilogue.py` explains the test), the tables give the answer.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.int8_epilogue import each_bit, exact_code
from edgebn.kernels.int8_stores import Int8Stores
from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import (
    F32,
    I8,
    I32,
    I64,
    fused_multiply_add,
    load,
    splat,
    store,
    vector,
)


class Operands(NamedTuple):
    """Where rows of codes are."""

    a: int
    a_row: int
    b: int
    b_row: int
    dst: int
    dst_row: int
    rows: int


class Flips(NamedTuple):
    """What turns bytes into stored ones, and back: 0, or `code_flip` where they are codes as the user has them."""

    a_flip: int
    b_flip: int
    dst_flip: int


class Exact(NamedTuple):
    """The exact form; tables are int64 (256,), indexed by the stored byte."""

    a_table: int
    b_table: int
    multiplier: int
    rounding: int
    shift: int
    neg: int
    zero_point: int
    qmin: int
    qmax: int


class Approximation(NamedTuple):
    """The float form, whose reals are bits."""

    a_scale_bits: int
    b_scale_bits: int
    start_bits: int
    safe_mask: int
    bounded: int


class Int8Sum:
    """Writes the functions."""

    arguments = (*Operands._fields, "count", *Flips._fields, *Exact._fields, *Approximation._fields)
    variants = ("stored", "flipped")  # whether any operand is as the user has it

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._stores = Int8Stores(isa, by_fours=True)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function that sums rows, and return it."""
        isa, lanes = self._isa, self._isa.lanes
        builder, arguments = begin_function(module, f"edgebn_add_i8_{self.variants[variant]}", self.arguments)
        exact, shared = self._exact(module), self._stores.prepare(builder, arguments)
        names = ("a", "b", "dst", *Flips._fields, *Exact._fields)
        correction = self._stores.correction(module, "edgebn_add_i8_recompute", names, exact)
        reals = [
            splat(builder, builder.bitcast(builder.trunc(arguments[name], I32), F32), lanes) for name in Approximation._fields[:3]
        ]
        width = ir.Constant(I64, isa.vector_bytes)
        steps = builder.udiv(builder.add(arguments["count"], ir.Constant(I64, isa.vector_bytes - 1)), width)
        last = builder.sub(arguments["count"], width)
        is_short = builder.icmp_signed("<", arguments["count"], width)
        forms = [arguments[name] for name in (*Flips._fields, *Exact._fields)]
        flip_bytes = [builder.trunc(arguments[name], I8) if variant else ir.Constant(I8, 0) for name in Flips._fields]
        from_stored = ir.Constant(I8, 0x80 ^ isa.code_flip)  # to code + 128
        to_unsigned = [splat(builder, builder.xor(flip, from_stored), isa.vector_bytes) for flip in flip_bytes[:2]]
        from_packed = splat(builder, flip_bytes[2], isa.vector_bytes)
        with cgutils.for_range(builder, arguments["rows"]) as row:
            a, b, dst = (
                builder.add(arguments[name], builder.mul(row.index, arguments[f"{name}_row"])) for name in ("a", "b", "dst")
            )
            with builder.if_else(is_short) as (short, whole):
                with short:
                    mask = builder.sub(builder.shl(ir.Constant(I64, 1), arguments["count"]), ir.Constant(I64, 1))
                    builder.call(exact, [mask, a, b, dst, *forms])
                with whole, cgutils.for_range(builder, steps) as step:
                    at = builder.mul(step.index, width)
                    at = builder.select(builder.icmp_signed("<", at, last), at, last)  # the last vector moves left
                    places = [builder.add(base, at) for base in (a, b, dst)]
                    units = self._units(builder, places, to_unsigned, reals)
                    self._stores.write(builder, units, places[2], shared, (correction, [*places, *forms]), from_packed)
        builder.ret_void()
        return builder.function

    def _units(
        self, builder: ir.IRBuilder, places: list[ir.Value], to_unsigned: list[ir.Value], reals: list[ir.Value]
    ) -> list[ir.Value]:
        """Return t of a group of outputs."""
        lanes = self._isa.lanes
        codes = [self._stores.load_fours(builder, *operand) for operand in zip(places[:2], to_unsigned, strict=True)]
        units = []
        for a, b in zip(*codes, strict=True):
            inner = fused_multiply_add(builder, builder.sitofp(b, vector(F32, lanes)), reals[1], reals[2])
            total = fused_multiply_add(builder, builder.sitofp(a, vector(F32, lanes)), reals[0], inner)
            units.append(builder.fptosi(total, vector(I32, lanes)))
        return units

    def _exact(self, module: ir.Module) -> ir.Function:
        """Write (once a module) the function (mask, a, b, dst, flips, exact form) that sums what the mask names by tables."""
        name = "edgebn_add_i8_exact"
        if name in module.globals:
            return module.globals[name]
        builder, arguments = begin_function(module, name, ("mask", "a", "b", "dst", *Flips._fields, *Exact._fields))

        def compute(place: ir.Value) -> None:
            total = None
            for operand in "ab":
                byte = builder.zext(load(builder, I8, arguments[operand], place), I64)
                byte = builder.xor(byte, arguments[f"{operand}_flip"])
                term = load(builder, I64, arguments[f"{operand}_table"], builder.mul(byte, ir.Constant(I64, 8)))
                total = term if total is None else builder.add(total, term)
            stored = builder.xor(exact_code(builder, total, arguments), ir.Constant(I64, self._isa.code_flip))
            byte = builder.trunc(builder.xor(stored, arguments["dst_flip"]), I8)
            store(builder, byte, arguments["dst"], place)

        each_bit(builder, arguments["mask"], compute)
        builder.ret_void()
        return builder.function


if SELECTED.dot:
    _run = runner(Int8Sum(SELECTED))


@kernel
def add_tile_i8(operands: Operands, count: int, flips: Flips, exact: Exact, approximation: Approximation) -> None:
    """Sums of rows of `count` codes."""
    _run(int(flips.a_flip | flips.b_flip | flips.dst_flip != 0), (operands, count, flips, exact, approximation))


INT8_ADD = (add_tile_i8,) if SELECTED.dot else ()

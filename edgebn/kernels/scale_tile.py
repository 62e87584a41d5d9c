"""Vector product of an int8 map and one code for each channel (squeeze-and-excite): exact at nearly the price of float32.

With u = (a - a_zero) (b - b_zero), y = (u * multiplier + rounding - (2**31 if neg and u < 0)) >> shift. The factor of a channel,
(b - b_zero) times the scale, is a float32 in a table, and one multiply-add gives y in units of 2**-16 within `guard` units; where
an integer lies that near (`int8_epilogue.py` explains the test), integers give the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.int8_epilogue import GROUP, each_bit, exact_code
from edgebn.kernels.int8_stores import Int8Stores
from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.parameters import ProductCodes
from edgebn.kernels.primitives import float_from_bits, load_code, store_f32
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import (
    F32,
    I8,
    I32,
    I64,
    constant,
    fused_multiply_add,
    load,
    splat,
    store,
    vector,
)


class Map(NamedTuple):
    """Where pixels of codes are, and the codes that they are multiplied by.

    Pixels are taken `together` at a time, as many as whole vectors hold; the last of a row move left. `table` holds a float32 for
    each code of so many pixels.
    """

    a: int
    a_row: int
    b: int
    dst: int
    dst_row: int
    rows: int
    columns: int
    channels: int
    together: int
    table: int


class Approximation(NamedTuple):
    """The float form, whose reals are bits; `below` is the start of negative products."""

    scale_bits: int
    start_bits: int
    below_bits: int
    safe_mask: int
    bounded: int


class Int8Scaling:
    """Writes the function."""

    arguments = (*Map._fields, *ProductCodes._fields, *Approximation._fields)
    variants = (False, True)  # whether negative products round otherwise

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._stores = Int8Stores(isa)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function that scales rows of pixels, and return it."""
        builder, arguments = begin_function(module, f"edgebn_scale_i8_{variant}", self.arguments)
        together, columns, channels = (arguments[name] for name in ("together", "columns", "channels"))
        turns = builder.udiv(builder.sub(builder.add(columns, together), ir.Constant(I64, 1)), together)
        last = builder.sub(columns, together)
        scale = self._scaling(builder, arguments, rounds_negative=self.variants[variant])
        with cgutils.for_range(builder, arguments["rows"]) as row:
            a, dst = (builder.add(arguments[name], builder.mul(row.index, arguments[f"{name}_row"])) for name in ("a", "dst"))
            with cgutils.for_range(builder, turns) as turn:
                pixel = builder.mul(turn.index, together)
                pixel = builder.select(builder.icmp_signed("<", pixel, last), pixel, last)
                at = builder.mul(pixel, channels)
                scale(builder.add(a, at), builder.add(dst, at))
        builder.ret_void()
        return builder.function

    def _scaling(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], *, rounds_negative: bool) -> Any:
        """Compute what all pixels share, and return what writes the scaling of `together` pixels from an address to another."""
        isa, lanes = self._isa, self._isa.lanes
        shared = self._stores.prepare(builder, arguments)
        names = ("a", "dst", "at", "b", "channels", *ProductCodes._fields)
        correction = self._stores.correction(builder.module, "edgebn_scale_i8_recompute", names, self._exact(builder.module, names))
        start, below = (
            splat(builder, builder.bitcast(builder.trunc(arguments[name], I32), F32), lanes)
            for name in ("start_bits", "below_bits")
        )
        to_unsigned = splat(builder, ir.Constant(I8, 0x80 ^ isa.code_flip), lanes)  # of a stored byte, to code + 128
        zero = splat(builder, builder.trunc(builder.add(arguments["a_zero"], ir.Constant(I64, 128)), I32), lanes)
        width = ir.Constant(I64, isa.vector_bytes)
        count = builder.mul(arguments["together"], arguments["channels"])
        steps = builder.udiv(builder.add(count, ir.Constant(I64, isa.vector_bytes - 1)), width)
        last = builder.sub(count, width)
        rest = [arguments[name] for name in names[3:]]

        def total(number: ir.Value, factor: ir.Value) -> ir.Value:
            if not rounds_negative:
                return fused_multiply_add(builder, number, factor, start)
            product = builder.fmul(number, factor)
            return builder.fadd(
                product, builder.select(builder.fcmp_ordered("<", product, constant(F32, lanes, 0.0)), below, start)
            )

        def scale(source: ir.Value, target: ir.Value) -> None:
            with cgutils.for_range(builder, steps) as step:
                at = builder.mul(step.index, width)
                at = builder.select(builder.icmp_signed("<", at, last), at, last)  # the last vector moves left
                units = []
                for part in range(GROUP):
                    code = load(builder, vector(I8, lanes), builder.add(source, at), part * lanes)
                    number = builder.zext(builder.xor(code, to_unsigned), vector(I32, lanes))
                    number = builder.sitofp(builder.sub(number, zero), vector(F32, lanes))
                    place = builder.add(arguments["table"], builder.mul(at, ir.Constant(I64, 4)))
                    factor = load(builder, vector(F32, lanes), place, 4 * part * lanes)
                    units.append(builder.fptosi(total(number, factor), vector(I32, lanes)))
                self._stores.write(builder, units, builder.add(target, at), shared, (correction, [source, target, at, *rest]))

        return scale

    def _exact(self, module: ir.Module, names: Sequence[str]) -> ir.Function:
        """Write (once a module) the function (mask, *names) that scales what the mask names."""
        name = "edgebn_scale_i8_exact"
        if name in module.globals:
            return module.globals[name]
        builder, arguments = begin_function(module, name, ("mask", *names))
        flip = ir.Constant(I8, self._isa.code_flip)

        def centred(address: ir.Value, place: ir.Value, zero: ir.Value) -> ir.Value:
            return builder.sub(builder.sext(builder.xor(load(builder, I8, address, place), flip), I64), zero)

        def compute(bit: ir.Value) -> None:
            place = builder.add(arguments["at"], bit)
            channel = builder.urem(place, arguments["channels"])
            product = builder.mul(
                centred(arguments["a"], place, arguments["a_zero"]), centred(arguments["b"], channel, arguments["b_zero"])
            )
            y = exact_code(builder, product, arguments)
            store(builder, builder.xor(builder.trunc(y, I8), flip), builder.add(arguments["dst"], place))

        each_bit(builder, arguments["mask"], compute)
        builder.ret_void()
        return builder.function


if SELECTED.dot:
    _run = runner(Int8Scaling(SELECTED))


@kernel
def scale_tile_i8(pixels: Map, scaling: ProductCodes, approximation: Approximation) -> None:
    """Scale each pixel by channel."""
    scale = float_from_bits(approximation.scale_bits)
    for i in range(pixels.together):
        for c in range(pixels.channels):
            store_f32(pixels.table, i * pixels.channels + c, np.float32(load_code(pixels.b, c) - scaling.b_zero) * scale)
    _run(scaling.neg, (pixels, scaling, approximation))


INT8_SCALING = (scale_tile_i8,) if SELECTED.dot else ()

"""Powers of two float32 values with broadcasting, a vector at a time: the formula is in `vector_math.py`."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.jit import kernel
from edgebn.kernels.parameters import Bounds, Operands
from edgebn.kernels.pointwise import ELEMENT, Adjacent
from edgebn.kernels.primitives import bits_of_float
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vector_math import VectorMath
from edgebn.kernels.vectors import F32, I32, I64, load, splat, store


class PowerOfEach(Adjacent):
    """Writes one function for each way that the operands of adjacent results lie: adjacent themselves, or one for all."""

    arguments = ("a", "b", "dst", "count", "low_bits", "high_bits")
    variants = ((0, 0), (0, 1), (1, 0), (1, 1))  # elements from one operand to the next, of base and exponent

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`, and return it."""
        steps, lanes = self.variants[variant], self._lanes
        builder, arguments = begin_function(module, f"edgebn_power_{steps[0]}{steps[1]}", self.arguments)
        math = VectorMath(builder, self._isa, lanes)
        low, high = (
            splat(builder, builder.bitcast(builder.trunc(arguments[name], I32), F32), lanes) for name in ("low_bits", "high_bits")
        )
        ones = {
            name: splat(builder, load(builder, F32, arguments[name]), lanes)
            for name, step in zip("ab", steps, strict=True)
            if not step
        }

        def result(a: ir.Value, b: ir.Value) -> ir.Value:
            found = math.power(a, b)
            return builder.select(builder.fcmp_unordered("uno", found, found), found, math.clip(found, low, high))

        whole = builder.udiv(arguments["count"], ir.Constant(I64, lanes))
        with cgutils.for_range(builder, whole) as turn:
            at = builder.mul(turn.index, ir.Constant(I64, lanes * ELEMENT))
            a, b = (ones[name] if name in ones else load(builder, low.type, arguments[name], at) for name in "ab")
            store(builder, result(a, b), arguments["dst"], at)
        begun = builder.mul(whole, ir.Constant(I64, lanes))
        left = builder.sub(arguments["count"], begun)
        with builder.if_then(builder.icmp_signed("!=", left, ir.Constant(I64, 0))):
            at = builder.mul(begun, ir.Constant(I64, ELEMENT))
            a, b = (
                ones[name] if name in ones else self.load_first(builder, builder.add(arguments[name], at), left) for name in "ab"
            )
            self.store_first(builder, result(a, b), builder.add(arguments["dst"], at), left)
        builder.ret_void()
        return builder.function


_run = runner(PowerOfEach(SELECTED))


@kernel
def power_f32(operands: Operands, bounds: Bounds) -> None:
    """Raise each of the numbers at `a` by that at `b`; what is no number stays none whatever the bounds."""
    low, high = bits_of_float(bounds.low), bits_of_float(bounds.high)
    columns, channels, a_channel, b_channel = operands.columns, operands.channels, operands.a_channel, operands.b_channel
    if channels == 1 and 0 <= operands.a_pixel <= 1 and 0 <= operands.b_pixel <= 1:  # a row is one long pixel
        columns, channels, a_channel, b_channel = 1, columns, operands.a_pixel, operands.b_pixel
    elif operands.a_pixel == a_channel * channels and operands.b_pixel == b_channel * channels:
        columns, channels = 1, columns * channels
    for y in range(operands.rows):
        for x in range(columns):
            a = operands.a + (y * operands.a_row + x * operands.a_pixel) * ELEMENT
            b = operands.b + (y * operands.b_row + x * operands.b_pixel) * ELEMENT
            out = operands.dst + y * operands.dst_row + x * channels * ELEMENT
            _run(2 * a_channel + b_channel, (a, b, out, channels, low, high))

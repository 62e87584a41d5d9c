"""Functions of real numbers on vectors of float32, in a fixed order of rounded operations and without a library call.

So the JIT and ahead-of-time objects give the same bytes. Where the exact value is larger than 1e-35, each is within 2 units in the
last place of it; 2.5 on machines without a fused multiply-add (tests/test_pointwise.py).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.vectors import F32, I32, call, constant, fused_multiply_add, suffix

# exp(x) = 2**n * exp(r), n the integer nearest to x / ln 2 and |r| <= ln(2) / 2. ln 2 is split so that n times its first part is
# exact in float32; exp(r) = 1 + r (1 + r q(r)), with q of least relative error (Remez) over that range.
LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
EXP = (1.97903420e-4, 1.39446597e-3, 8.33349707e-3, 4.16662949e-2, 1.66666659e-1, 5.00000007e-1)
# Added to a number below 2**22 in size, it leaves the nearest integer in the low bits.
ROUNDER = 1.5 * 2**23
CURRENT_ROUNDING = 4  # as an operand of x86 instructions: the rounding that is set
LEAST_EXPONENT = -104.0  # exp of it is rounded to zero
MANTISSA_BITS = 23
SIGMOID_IS_ONE = 32.0  # in float32, from about 17 on
# tanh(x) = x + x**3 t(x**2) below this size (Cephes' tanhf), and 1 - 2 exp(-2 x) / (1 + exp(-2 x)) above it.
TANH_SMALL = 0.625
TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
SIXTH = float(np.float32(1 / 6))


class VectorMath:
    """Writes functions of vectors of `lanes` float32."""

    def __init__(self, builder: ir.IRBuilder, isa: InstructionSet, lanes: int) -> None:
        self._builder = builder
        self._lanes = lanes
        self._fused = bool({"fma", "neon"} & set(isa.features))  # elsewhere a multiply-add rounded once is a library call
        self._scales = "avx512f" in isa.features

    def real(self, value: float) -> ir.Constant:
        """Return a constant in every lane, rounded to float32."""
        return constant(F32, self._lanes, float(np.float32(value)))

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a * b + c, rounded once where the machine can."""
        if self._fused:
            return fused_multiply_add(self._builder, a, b, c)
        return self._builder.fadd(self._builder.fmul(a, b), c)

    def exp_of_negative(self, x: ir.Value) -> ir.Value:
        """Return exp(x) for x <= 0."""
        b, real = self._builder, self.real
        x = self.maximum(x, real(LEAST_EXPONENT))
        n = b.fsub(self.multiply_add(x, real(LOG2_E), real(ROUNDER)), real(ROUNDER))
        r = self.multiply_add(n, real(-LN2_LOW), self.multiply_add(n, real(-LN2_HIGH), x))
        return self._times_power_of_two(self._polynomial((*EXP, 1.0, 1.0), r), n)

    def exp_of_difference(self, x: ir.Value, scale: ir.Value, less: ir.Value) -> ir.Value:
        """Return exp(scale * x - less), where `less` is at least scale * x."""
        b = self._builder
        return self.exp_of_negative(b.fsub(b.fmul(scale, x), less))

    def sigmoid(self, x: ir.Value) -> ir.Value:
        """Return 1 / (1 + exp(-x))."""
        quotient, correction = self._sigmoid_parts(x)
        return self._builder.fadd(quotient, correction)

    def silu(self, x: ir.Value) -> ir.Value:
        """Return x * sigmoid(x)."""
        b = self._builder
        quotient, correction = self._sigmoid_parts(x)
        product = b.fmul(x, quotient)
        lost = self.multiply_add(x, quotient, b.fneg(product))
        result = b.fadd(product, self.multiply_add(x, correction, lost))
        return b.select(b.fcmp_ordered(">", x, self.real(SIGMOID_IS_ONE)), x, result)  # of infinity no product has a remainder

    def _sigmoid_parts(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return a sigmoid as a number and a small one to be added to it."""
        b, one = self._builder, self.real(1.0)
        e = self.exp_of_negative(b.fneg(self._absolute(x)))
        total = b.fadd(one, e)
        lost = b.fsub(e, b.fsub(total, one))  # what rounding left out of the sum, exactly
        positive = b.fcmp_ordered(">=", x, self.real(0.0))
        quotient = b.fdiv(b.select(positive, one, e), total)
        # The correction needs few digits of 1 / total: a straight line through its values at 1 and 2 has them.
        less_reciprocal = self.multiply_add(total, self.real(0.5), self.real(-1.5))
        return quotient, b.fmul(b.fmul(quotient, lost), less_reciprocal)

    def tanh(self, x: ir.Value) -> ir.Value:
        """Return the hyperbolic tangent."""
        b, one = self._builder, self.real(1.0)
        square = b.fmul(x, x)
        small = self.multiply_add(b.fmul(self._polynomial(TANH, square), square), x, x)
        size = self._absolute(x)
        e = self.exp_of_negative(b.fmul(size, self.real(-2.0)))
        large = b.fdiv(b.fsub(one, e), b.fadd(one, e))
        large = b.select(b.fcmp_ordered(">=", x, self.real(0.0)), large, b.fneg(large))
        return b.select(b.fcmp_ordered("<", size, self.real(TANH_SMALL)), small, large)

    def hard_sigmoid(self, x: ir.Value, alpha: ir.Value, beta: ir.Value) -> ir.Value:
        """Return min(max(alpha * x + beta, 0), 1)."""
        b = self._builder
        return self.clip(b.fadd(b.fmul(alpha, x), beta), self.real(0.0), self.real(1.0))

    def hard_swish(self, x: ir.Value) -> ir.Value:
        """Return x * min(max(x / 6 + 1 / 2, 0), 1)."""
        return self._builder.fmul(x, self.hard_sigmoid(x, self.real(SIXTH), self.real(0.5)))

    def leaky_relu(self, x: ir.Value, alpha: ir.Value) -> ir.Value:
        """Return alpha * x below zero, x from there on."""
        b = self._builder
        return b.select(b.fcmp_ordered("<", x, self.real(0.0)), b.fmul(alpha, x), x)

    def clip(self, x: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
        """Return min(max(x, low), high)."""
        above = self.maximum(x, low)
        return self._builder.select(self._builder.fcmp_ordered("<", above, high), above, high)

    def maximum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """Return the larger; `b` where `a` is NaN."""
        return self._builder.select(self._builder.fcmp_ordered(">", a, b), a, b)

    def _absolute(self, x: ir.Value) -> ir.Value:
        return call(self._builder, f"llvm.fabs.{suffix(x.type)}", x.type, [x])

    def _polynomial(self, coefficients: tuple[float, ...], x: ir.Value) -> ir.Value:
        """Return a polynomial of x by Horner's rule, the highest coefficient first."""
        total: ir.Value = self.real(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.multiply_add(total, x, self.real(coefficient))
        return total

    def _times_power_of_two(self, x: ir.Value, n: ir.Value) -> ir.Value:
        """Return x * 2**n for x in 1/2..2 and a whole n in -150..0."""
        b, real = self._builder, self.real
        if self._scales:
            mask, rounding = ir.Constant(ir.IntType(self._lanes), -1), ir.Constant(I32, CURRENT_ROUNDING)
            return call(b, f"llvm.x86.avx512.mask.scalef.ps.{32 * self._lanes}", x.type, [x, n, x, mask, rounding])
        # Two powers of two: one alone could not be a normal number where the result is none.
        half = self.multiply_add(n, real(0.5), real(ROUNDER))
        rest = b.fadd(b.fsub(n, b.fsub(half, real(ROUNDER))), real(ROUNDER))
        return b.fmul(self._with_exponent(x, half), self._with_exponent(real(1.0), rest))

    def _with_exponent(self, x: ir.Value, shifted: ir.Value) -> ir.Value:
        """Return x * 2**n, a normal number, where `shifted` is n + ROUNDER: n is added to the exponent."""
        b, kind = self._builder, ir.VectorType(I32, self._lanes)
        exponent = b.shl(b.bitcast(shifted, kind), constant(I32, self._lanes, MANTISSA_BITS))
        return b.bitcast(b.add(b.bitcast(x, kind), exponent), x.type)

"""Functions of real numbers on vectors of float32, in a fixed order of rounded operations and without a library call.

So the JIT and ahead-of-time objects give the same bytes. Where the exact value is larger than 1e-35, each is within 2 units in the
last place of it, 2.5 on machines without a fused multiply-add, but for those that tests/kernels/test_pointwise.py names.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from edgebn.functions import GELU_CUBE, GELU_TANH, SELU_ALPHA, SELU_SCALE
from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.vectors import F32, F64, I32, I64, call, constant, fused_multiply_add, suffix, vector

# exp(x) = 2**n * exp(r), n the integer nearest to x / ln 2 and |r| <= ln(2) / 2. ln 2 is split so that n times its first part is
# exact in float32; exp(r) = 1 + r (1 + r q(r)), with q of least relative error (Remez) over that range.
LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
EXP = (1.38145985e-3, 8.36871688e-3, 4.16683880e-2, 1.66665206e-1, 4.99999934e-1)
# Added to a number below 2**22 in size, it leaves the nearest integer in the low bits.
ROUNDER = 1.5 * 2**23
CURRENT_ROUNDING = 4  # as an operand of x86 instructions: the rounding that is set
MIN_EXPONENT = -104.0  # exp of it is rounded to zero
MANTISSA_BITS = 23
# 1 / t for 1 <= t <= 2 within 1/99 of it: 1 - t times this is Chebyshev's third polynomial, scaled to be 1 at t = 0.
INVERSE = (32 / 99, -16 / 11, 70 / 33)
SIGMOID_IS_ONE = 32.0  # in float32, from about 17 on
TANH_IS_ONE = 10.0  # in float32, from 9.02 on
HALF_LN2 = 0.5 * 0.69314718055994531  # as a float32 so near that 30 times what it is off counts for nothing beside 2**-30
# (1 - exp(-2 s)) / 2 = s + s**2 t(s) with the same q; its last coefficient moved to where the errors below and above are alike.
TANH = (*(-2.0 * (-2.0) ** (len(EXP) - 1 - place) * value for place, value in enumerate(EXP[:-1])), -1.0 + 2.0**-22)
SIXTH = float(np.float32(1 / 6))
MAX_EXPONENT = 89.0  # exp of it is infinite
WHOLE = 2.0**23  # from here on every float32 is whole
MIN_NORMAL = 2.0**-126
# log(1 + f) = f - f**2 / 2 + f**3 l(f) for sqrt(1/2) <= 1 + f <= sqrt(2). This and the next two by weighted least squares on
# Chebyshev nodes, iterated to the least greatest error (Lawson): 2.2e-8, 1.2e-9 and 1.3e-9.
LOG = (7.3325293e-2, -1.16599292e-1, 1.16346625e-1, -1.23967005e-1, 1.42511556e-1, -1.6669151e-1, 2.00006881e-1, -2.49999812e-1,
       3.33333313e-1)  # fmt: skip
ROOT_HALF_BITS = 0x3F3504F3
# erf(x) = x e(x**2) for |x| <= 1.
ERF = (7.85386119e-5, -8.01019357e-4, 5.18832768e-3, -2.68538119e-2, 1.12835851e-1, -3.76126258e-1, 1.12837917)
# erfc(x) = exp(-x**2) t c(t - ERFC_CENTER) with t = 1 / (1 + x / 2), for 0.5 <= x <= 10.5: fitted as LOG, 1.5e-8.
ERFC_CENTER = 0.390625
ERFC = (-6.04466647e-2, 1.0430938e-1, 3.64808999e-2, -1.49253592e-1, -1.01052538e-1, 2.06407934e-1, 5.00311077e-1, 5.70941031e-1,
        4.42106158e-1)  # fmt: skip
ROOT_HALF = 0.70710678118654752
SOFTPLUS_IS_X = 20.0  # in float32, as tanh of it is 1
# 2 / pi in steps of 24 bits: their products with a float32 are exact in float64. Together they tell any float32's quarter turns.
TWO_OVER_PI = (10680707, 7228996, 1387004, 2578385, 16069853, 12639074, 9804092, 4427841)
STEP_BITS = 24
WHOLE_F64 = 2.0**50  # products beyond it are multiples of four
ROUNDER_F64 = 1.5 * 2**52
# sin and cos of up to an eighth of a turn, in float64, by Taylor's polynomials of x**2.
SIN = (1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1.0)
COS = (-1 / 3628800, 1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1.0)


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
        n, r = self._reduced(x)
        return self._times_power_of_two(self._polynomial((*EXP, 1.0, 1.0), r), n)

    def _reduced(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return a whole n and r with x = n ln 2 + r, x held to where its exponential is above zero."""
        b, real = self._builder, self.real
        x = self.maximum(x, real(MIN_EXPONENT))
        n = b.fsub(self.multiply_add(x, real(LOG2_E), real(ROUNDER)), real(ROUNDER))
        return n, self.multiply_add(n, real(-LN2_LOW), self.multiply_add(n, real(-LN2_HIGH), x))

    def exp_of_difference(self, x: ir.Value, scale: ir.Value, less: ir.Value) -> ir.Value:
        """Return exp(scale * x - less), where `less` is at least scale * x."""
        b = self._builder
        return self.exp_of_negative(b.fsub(b.fmul(scale, x), less))

    def sigmoid(self, x: ir.Value) -> ir.Value:
        """Return 1 / (1 + exp(-x)), which is exp(x) / (1 + exp(x))."""
        part, e = self._parts_of_sigmoid(x)
        return self._quotient(part, 1.0, e)

    def silu(self, x: ir.Value) -> ir.Value:
        """Return x * sigmoid(x)."""
        if not self._fused:
            return self._builder.fmul(x, self.sigmoid(x))
        part, e = self._parts_of_sigmoid(x)
        product = self._builder.fmul(x, part)
        return self._quotient(product, 1.0, e, self._residue(x, part, product))

    def _parts_of_sigmoid(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return p and e, at most 1, with sigmoid(x) = p / (1 + e)."""
        b = self._builder
        e = self.exp_of_negative(b.fneg(self.abs(x)))
        return b.select(b.fcmp_ordered(">=", x, self.real(0.0)), self.real(1.0), e), e

    def _quotient(self, x: ir.Value, whole: float, part: ir.Value, lost: ir.Value | None = None) -> ir.Value:
        """Return (x + lost) / (whole + part) for a sum in 1..2 and a `lost` below the last place of x.

        Where x less `whole` times the quotient is a float32 without rounding; `lost` counts with fused multiply-adds alone.

        With fused multiply-adds by Newton's method, in a third of the time of a division; nearly always the nearest float32. The
        sum's own rounding costs nothing: what the first quotient leaves of x is found from its two parts.
        """
        b, real = self._builder, self.real
        total = b.fadd(real(whole), part)
        if self._fused:
            inverse = self._polynomial(INVERSE, total)
            inverse = self.multiply_add(self.multiply_add(b.fneg(total), inverse, real(1.0)), inverse, inverse)
            quotient = b.fmul(x, inverse)
            rest = self.multiply_add(real(-whole), quotient, x)
            if lost is not None:
                rest = b.fadd(rest, lost)
            rest = self.multiply_add(b.fneg(part), quotient, rest)
            found = self.multiply_add(rest, inverse, quotient)
            return found if lost is None else b.select(b.fcmp_ordered("ord", rest, rest), found, quotient)  # of infinity
        quotient = b.fdiv(x, total)
        less = b.fsub(part, b.fsub(total, real(whole)))  # what rounding left out of the sum, exactly
        # The correction needs few digits of 1 / total: a straight line through its values at 1 and 2 has them.
        less_inverse = b.fsub(b.fmul(total, real(0.5)), real(1.5))
        return b.fadd(quotient, b.fmul(b.fmul(quotient, less), less_inverse))

    def tanh(self, x: ir.Value) -> ir.Value:
        """Return the hyperbolic tangent, (1 - e) / (1 + e) with e = exp(-2 |x|) and the sign of x."""
        b, real = self._builder, self.real
        size, most = self.abs(x), real(TANH_IS_ONE)
        size = b.select(b.fcmp_ordered(">", size, most), most, size)  # NaN stays
        # e = 2**n * exp(-2 s) with |s| <= ln(2) / 4; n is above -30, so that 2**n is a normal number.
        shifted = self.multiply_add(size, real(-2.0 * LOG2_E), real(ROUNDER))
        s = self.multiply_add(b.fsub(shifted, real(ROUNDER)), real(HALF_LN2), size)
        rest = self.multiply_add(b.fmul(s, s), self._polynomial(TANH, s), s)  # (1 - exp(-2 s)) / 2
        twice = self._with_exponent(real(2.0), shifted)
        less = self.multiply_add(twice, rest, self.multiply_add(twice, real(-0.5), real(1.0)))
        found = self._quotient(less, 2.0, b.fneg(less))
        return call(b, f"llvm.copysign.{suffix(x.type)}", x.type, [found, x])

    def exp(self, x: ir.Value) -> ir.Value:
        """Return exp(x)."""
        most = self.real(MAX_EXPONENT)
        power = self.exp_of_negative(self._builder.select(self._builder.fcmp_ordered("<", x, most), x, most))
        return self._or_nan(x, power)

    def log(self, x: ir.Value) -> ir.Value:
        """Return the natural logarithm: minus infinity of 0, NaN below."""
        b, real = self._builder, self.real
        is_small = b.fcmp_ordered("<", x, real(MIN_NORMAL))
        found = self._log_of_normal(b.select(is_small, b.fmul(x, real(WHOLE)), x))
        found = b.select(is_small, b.fsub(found, real(MANTISSA_BITS * np.log(2.0))), found)
        found = b.select(b.fcmp_ordered("<", x, real(np.inf)), found, x)
        found = b.select(b.fcmp_ordered("==", x, real(0.0)), real(-np.inf), found)
        return b.select(b.fcmp_ordered("<", x, real(0.0)), real(np.nan), found)

    def _log_of_normal(self, x: ir.Value) -> ir.Value:
        """Return the logarithm of positive normal numbers."""
        b, kind = self._builder, ir.VectorType(I32, self._lanes)
        bits = b.bitcast(x, kind)
        shift = constant(I32, self._lanes, MANTISSA_BITS)
        exponent = b.ashr(b.sub(bits, constant(I32, self._lanes, ROOT_HALF_BITS)), shift)
        f = b.fsub(b.bitcast(b.sub(bits, b.shl(exponent, shift)), x.type), self.real(1.0))
        n = b.sitofp(exponent, x.type)
        square = b.fmul(f, f)
        rest = self.multiply_add(b.fmul(square, f), self._polynomial(LOG, f), b.fmul(square, self.real(-0.5)))
        low = self.multiply_add(n, self.real(LN2_LOW), rest)
        return self.multiply_add(n, self.real(LN2_HIGH), b.fadd(f, low))

    def softplus(self, x: ir.Value) -> ir.Value:
        """Return log(1 + exp(x))."""
        b = self._builder
        e = self.exp_of_negative(b.fneg(self.abs(x)))
        total = b.fadd(self.real(1.0), e)
        lost = b.fsub(e, b.fsub(total, self.real(1.0)))
        logarithm = b.fadd(self._log_of_normal(total), b.fdiv(lost, total))
        return self._or_nan(x, b.fadd(self.maximum(x, self.real(0.0)), logarithm))

    def mish(self, x: ir.Value) -> ir.Value:
        """Return x * tanh(softplus(x)) = x * (w**2 + 2 w) / (w**2 + 2 w + 2) with w = exp(x)."""
        b, most = self._builder, self.real(SOFTPLUS_IS_X)
        w = self.exp_of_negative(b.select(b.fcmp_ordered("<", x, most), x, most))
        twice = b.fadd(w, w)
        n = self.multiply_add(w, w, twice)
        found = self._times_share(x, n, self.multiply_add(w, w, b.fsub(twice, n)))
        return self._or_nan(x, b.select(b.fcmp_ordered(">", x, most), x, found))

    def _times_share(self, x: ir.Value, n: ir.Value, lost: ir.Value) -> ir.Value:
        """Return x * m / (m + 2) for m = n + lost, n positive and `lost` below its last place (nothing without fused additions)."""
        b, two = self._builder, self.real(2.0)
        total = b.fadd(n, two)
        if not self._fused:
            return b.fmul(x, b.fdiv(n, total))
        missing = b.fadd(b.fsub(n, b.fsub(total, two)), lost)  # of the total
        product = b.fmul(x, n)
        inverse = b.fdiv(self.real(1.0), total)
        quotient = b.fmul(product, inverse)
        less = b.fneg(quotient)
        rest = self.multiply_add(less, missing, self.multiply_add(less, total, product))
        rest = b.fadd(rest, self.multiply_add(x, lost, self._residue(x, n, product)))
        return self.multiply_add(rest, inverse, quotient)

    def elu(self, x: ir.Value, alpha: ir.Value) -> ir.Value:
        """Return alpha * (exp(x) - 1) below zero, x from there on."""
        b = self._builder
        return b.select(b.fcmp_ordered("<", x, self.real(0.0)), b.fmul(alpha, self._expm1_of_negative(x)), x)

    def selu(self, x: ir.Value) -> ir.Value:
        """Return SELU_SCALE * elu(x, SELU_ALPHA)."""
        b = self._builder
        below = b.fmul(self.real(SELU_SCALE * SELU_ALPHA), self._expm1_of_negative(x))
        return b.select(b.fcmp_ordered("<", x, self.real(0.0)), below, b.fmul(self.real(SELU_SCALE), x))

    def _expm1_of_negative(self, x: ir.Value) -> ir.Value:
        """Return exp(x) - 1 for x <= 0."""
        b = self._builder
        n, r = self._reduced(x)
        rest = self.multiply_add(b.fmul(r, r), self._polynomial(EXP, r), r)
        power = self._times_power_of_two(self.real(1.0), n)
        return self.multiply_add(power, rest, b.fsub(power, self.real(1.0)))

    def erf(self, x: ir.Value) -> ir.Value:
        """Return the error function."""
        b, one = self._builder, self.real(1.0)
        size = self.abs(x)
        near = b.fmul(x, self._polynomial(ERF, b.fmul(x, x)))
        far = b.fsub(one, self._times_erfc(one, self.maximum(size, one), self.real(0.0)))
        far = b.select(b.fcmp_ordered(">=", x, self.real(0.0)), far, b.fneg(far))
        return self._or_nan(x, b.select(b.fcmp_ordered("<", size, one), near, far))

    def gelu(self, x: ir.Value) -> ir.Value:
        """Return x * erfc(-x / sqrt(2)) / 2, which is -|x| erfc(|x| / sqrt(2)) / 2 below zero, and x more than that above."""
        b, real = self._builder, self.real
        size = self.abs(x)
        z = b.fmul(size, real(ROOT_HALF))
        # What rounding left out of z, which exp(-z**2) would magnify.
        rest = self.multiply_add(size, real(ROOT_HALF - float(np.float32(ROOT_HALF))), self._residue(size, real(ROOT_HALF), z))
        half = real(0.5)
        signed = b.select(b.fcmp_ordered(">=", x, real(0.0)), z, b.fneg(z))
        near = self.multiply_add(b.fmul(signed, half), self._polynomial(ERF, b.fmul(z, z)), half)
        above = self.maximum(x, real(0.0))
        far = b.fsub(above, self._times_erfc(b.fmul(size, half), self.maximum(z, half), rest))
        product = b.select(b.fcmp_ordered("<", z, half), b.fmul(x, near), far)
        product = b.select(b.fcmp_ordered(">", size, real(SIGMOID_IS_ONE)), above, product)
        return self._or_nan(x, product)

    def gelu_tanh(self, x: ir.Value) -> ir.Value:
        """Return x * sigmoid(GELU_TANH * (x + GELU_CUBE * x**3))."""
        b = self._builder
        cube = b.fmul(b.fmul(x, x), x)
        u = b.fmul(self.real(GELU_TANH), self.multiply_add(self.real(GELU_CUBE), cube, x))
        product = b.fmul(x, self.sigmoid(u))
        size = self.abs(x)
        product = b.select(b.fcmp_ordered(">", size, self.real(SIGMOID_IS_ONE)), self.maximum(x, self.real(0.0)), product)
        return self._or_nan(x, product)

    def _times_erfc(self, factor: ir.Value, z: ir.Value, rest: ir.Value) -> ir.Value:
        """Return factor * erfc(z + rest) for a normal factor, z >= 1/2 and a rest below its last place."""
        b, real = self._builder, self.real
        square = b.fmul(z, z)
        lost = self._residue(z, z, square)
        lost = self.multiply_add(b.fmul(z, real(2.0)), rest, lost)
        n, r = self._reduced(b.fneg(square))
        r = b.fsub(r, lost)
        over_one = self.multiply_add(b.fmul(r, r), self._polynomial(EXP, r), r)  # exp(r) - 1
        total = self.multiply_add(z, real(0.5), real(1.0))
        t = b.fdiv(real(1.0), total)
        less = self._lost_of_inverse(t, total, z, rest)
        offset = b.fadd(b.fsub(t, real(ERFC_CENTER)), less)
        product = b.fmul(self.multiply_add(factor, t, b.fmul(factor, less)), self._polynomial(ERFC, offset))
        found = self._times_power_of_two(self.multiply_add(product, over_one, product), n)
        return b.select(b.fcmp_ordered("<", z, real(SIGMOID_IS_ONE)), found, real(0.0))

    def _lost_of_inverse(self, t: ir.Value, total: ir.Value, z: ir.Value, rest: ir.Value) -> ir.Value:
        """Return what rounding left out of t = 1 / total, where total = 1 + (z + rest) / 2; 0 without fused additions."""
        if not self._fused:
            return self.real(0.0)
        b, one, half = self._builder, self.real(1.0), self.real(0.5)
        missing = self.multiply_add(rest, half, self.multiply_add(z, half, b.fsub(one, total)))
        less = b.fneg(t)
        return b.fmul(t, self.multiply_add(less, missing, self.multiply_add(less, total, one)))

    def _residue(self, a: ir.Value, b: ir.Value, product: ir.Value) -> ir.Value:
        """Return what rounding left out of a product; 0 where the machine has no fused multiply-add."""
        return self.multiply_add(a, b, self._builder.fneg(product)) if self._fused else self.real(0.0)

    def sqrt(self, x: ir.Value) -> ir.Value:
        """Return the square root, correctly rounded; NaN below zero."""
        return call(self._builder, f"llvm.sqrt.{suffix(x.type)}", x.type, [x])

    def rsqrt(self, x: ir.Value) -> ir.Value:
        """Return 1 / sqrt(x)."""
        return self.reciprocal(self.sqrt(x))

    def reciprocal(self, x: ir.Value) -> ir.Value:
        """Return 1 / x."""
        return self._builder.fdiv(self.real(1.0), x)

    def square(self, x: ir.Value) -> ir.Value:
        """Return x * x."""
        return self._builder.fmul(x, x)

    def round(self, x: ir.Value) -> ir.Value:
        """Return the nearest whole number, ties to even; without the instruction that some machines lack."""
        b, whole = self._builder, self.real(WHOLE)
        size = self.abs(x)
        rounded = b.fsub(b.fadd(size, whole), whole)
        signed = call(b, f"llvm.copysign.{suffix(x.type)}", x.type, [rounded, x])
        return b.select(b.fcmp_ordered("<", size, whole), signed, x)

    def floor(self, x: ir.Value) -> ir.Value:
        """Return the largest whole number that is not above x."""
        b, nearest = self._builder, self.round(x)
        return b.select(b.fcmp_ordered(">", nearest, x), b.fsub(nearest, self.real(1.0)), nearest)

    def ceil(self, x: ir.Value) -> ir.Value:
        """Return the least whole number that is not below x."""
        b, nearest = self._builder, self.round(x)
        return b.select(b.fcmp_ordered("<", nearest, x), b.fadd(nearest, self.real(1.0)), nearest)

    def _or_nan(self, x: ir.Value, value: ir.Value) -> ir.Value:
        """Return `value`, NaN where x is."""
        return self._builder.select(self._builder.fcmp_unordered("uno", x, x), x, value)

    def sin(self, x: ir.Value) -> ir.Value:
        """Return the sine of an angle of any size; NaN of infinity."""
        return self._turned(x, 0)

    def cos(self, x: ir.Value) -> ir.Value:
        """Return the cosine of an angle of any size; NaN of infinity."""
        return self._turned(x, 1)

    def _turned(self, x: ir.Value, ahead: int) -> ir.Value:
        """Return the sine of x and `ahead` quarter turns, computed in float64."""
        b, wide = self._builder, vector(F64, self._lanes)

        def real(value: float) -> ir.Constant:
            return constant(F64, self._lanes, value)

        def nearest(value: ir.Value) -> ir.Value:
            return b.fsub(b.fadd(value, real(ROUNDER_F64)), real(ROUNDER_F64))

        def polynomial(coefficients: tuple[float, ...], square: ir.Value) -> ir.Value:
            total: ir.Value = real(coefficients[0])
            for coefficient in coefficients[1:]:
                total = b.fadd(b.fmul(total, square), real(coefficient))
            return total

        angle = b.fpext(x, wide)
        turn, quarters = real(-0.0), real(float(ahead))  # -0, which a sum leaves: the sine of -0 is -0
        for place, bits in enumerate(TWO_OVER_PI, 1):
            product = b.fmul(angle, real(bits * 2.0 ** (-STEP_BITS * place)))
            rest = b.fsub(product, b.fmul(nearest(b.fmul(product, real(0.25))), real(4.0)))
            small = b.and_(b.fcmp_ordered("<", product, real(WHOLE_F64)), b.fcmp_ordered(">", product, real(-WHOLE_F64)))
            turn = b.fadd(turn, b.select(small, rest, real(-0.0)))
            whole = nearest(turn)
            quarters, turn = b.fadd(quarters, whole), b.fsub(turn, whole)
        angle = b.fmul(turn, real(np.pi / 2))
        square = b.fmul(angle, angle)
        sine, cosine = b.fmul(angle, polynomial(SIN, square)), polynomial(COS, square)
        kind = vector(I64, self._lanes)
        number = b.bitcast(b.fadd(quarters, real(ROUNDER_F64)), kind)

        def has(bit: int) -> ir.Value:
            return b.icmp_signed("!=", b.and_(number, constant(I64, self._lanes, bit)), constant(I64, self._lanes, 0))

        found = b.select(has(1), cosine, sine)
        found = b.fptrunc(b.select(has(2), b.fneg(found), found), x.type)
        return b.select(b.fcmp_ordered("<", self.abs(x), self.real(np.inf)), found, self.real(np.nan))

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

    def abs(self, x: ir.Value) -> ir.Value:
        """Return |x|."""
        return call(self._builder, f"llvm.fabs.{suffix(x.type)}", x.type, [x])

    def _polynomial(self, coefficients: tuple[float, ...], x: ir.Value) -> ir.Value:
        """Return a polynomial of x by Horner's rule, the highest coefficient first."""
        total: ir.Value = self.real(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.multiply_add(total, x, self.real(coefficient))
        return total

    def _times_power_of_two(self, x: ir.Value, n: ir.Value) -> ir.Value:
        """Return x * 2**n for x in 1/2..2 and a whole n in -150..129."""
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

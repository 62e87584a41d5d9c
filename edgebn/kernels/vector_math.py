"""Functions of real numbers on vectors of float32, in a fixed order of rounded operations and without a library call.

So the JIT and ahead-of-time objects give the same bytes. Each is within 2 units in the last place of the exact value for every
float32 (tests/kernels/test_pointwise.py). Machines without a fused multiply-add take float64 where a product must be rounded once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir

from edgebn.functions import GELU_CUBE, GELU_TANH, SELU_ALPHA, SELU_SCALE
from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.vectors import F32, F64, I32, I64, any_lane, call, constant, fused_multiply_add, join, seldom, suffix, vector

# exp(x) = 2**n * exp(r), n the integer nearest to x / ln 2 and |r| <= ln(2) / 2. ln 2 is split so that n times its first part is
# exact in float32; exp(r) = 1 + r (1 + r q(r)), with q of least relative error (Remez) over that range.
LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
EXP = (1.38145985e-3, 8.36871688e-3, 4.16683880e-2, 1.66665206e-1, 4.99999934e-1)
# Added to a number below 2**22 in size, it leaves the nearest integer in the low bits.
ROUNDER = 1.5 * 2**23
CURRENT_ROUNDING = 4  # as an operand of x86 instructions: the rounding that is set
MIN_EXPONENT = -110.0  # exp of it is rounded to zero, and so is 110 times that
NORMAL_EXPONENT = -86.0  # exp of it is a normal number
SILU_TAIL = (-80.0, MIN_EXPONENT)  # see `_or_tail`
MANTISSA_BITS = 23
# A float32's bits taken from these are those of its inverse within 8 %. Newton's method squares the error, which is then balanced.
INVERSE_BITS, INVERSE_BALANCE = 0x7EF32000, 0.0013
# 1 / t for 1 <= t <= 2 within 1/99 of it: 1 - t times this is Chebyshev's third polynomial, scaled to be 1 at t = 0.
INVERSE = (32 / 99, -16 / 11, 70 / 33)
SIGMOID_IS_ONE = 32.0  # in float32, from about 17 on
TANH_IS_ONE = 10.0  # in float32, from 9.02 on
HALF_LN2 = 0.5 * 0.69314718055994531  # as a float32 so near that 30 times what it is off counts for nothing beside 2**-30
# (1 - exp(-2 s)) / 2 = s + s**2 t(s) with the same q; its last coefficient moved to where the errors below and above are alike.
TANH = (*(-2.0 * (-2.0) ** (len(EXP) - 1 - place) * value for place, value in enumerate(EXP[:-1])), -1.0 + 2.0**-22)
SIXTH = float(np.float32(1 / 6))
# u = x (GELU_TANH + GELU_LIFT x**2): the first part of GELU_TANH has so few bits that differences to sums up to 16 are exact.
GELU_FIRST = round(GELU_TANH * 2.0**20) / 2.0**20
GELU_LIFT = GELU_TANH * GELU_CUBE
GELU_TANH_TAIL = (-9.6875, -10.875)
MAX_EXPONENT = 89.0  # exp of it is infinite
WHOLE = 2.0**23  # from here on every float32 is whole
MIN_NORMAL = 2.0**-126
LARGEST = float(np.finfo(np.float32).max)
# log(1 + f) = f - f**2 / 2 + f**3 l(f) for sqrt(1/2) <= 1 + f <= sqrt(2). This and the next two by weighted least squares on
# Chebyshev nodes, iterated to the least greatest error (Lawson): 2.2e-8, 1.2e-9 and 1.3e-9.
LOG = (7.3325293e-2, -1.16599292e-1, 1.16346625e-1, -1.23967005e-1, 1.42511556e-1, -1.6669151e-1, 2.00006881e-1, -2.49999812e-1,
       3.33333313e-1)  # fmt: skip
ROOT_HALF_BITS = 0x3F3504F3
# erf(x) = x e(x**2) for |x| <= 1; what float32 leaves out of the last coefficient is added on its own.
ERF = (7.85386119e-5, -8.01019357e-4, 5.18832768e-3, -2.68538119e-2, 1.12835851e-1, -3.76126258e-1, 1.1283791670955126)
# erfc(x) = exp(p(x - 2)) for 1 <= x <= 4, from where on erf is 1; fitted as LOG but coefficient by coefficient, 1.1e-9 of erf.
LOG_ERFC = (1.85307217e-4, -7.12202687e-4, 3.54634831e-3, -1.64845083e-2, -0.923752248, -4.41815948, -5.36494112)
ERF_IS_ONE = 4.0
# x erfc(x / sqrt(2)) / 2 = exp(-x**2 / 2) s g(s - GELU_CENTER) with s = x / (4 + x), up to where it is zero; fitted so, 1.2e-8.
GELU = (-6.76748529e-2, 0.104116604, 0.145179272, -0.341089368, -8.00428316e-2, 1.04425883, -1.8715508, 2.0208838, -1.54875827,
        0.884181798)  # fmt: skip
GELU_CENTER = 0.40625
GELU_IS_CLIP = 14.75
GELU_IS_NORMAL = 12.5  # up to it what is taken from the clip is a normal number, or x is zero
SOFTPLUS_IS_X = 20.0  # in float32, as tanh of it is 1
# 2 / pi in steps of 24 bits: their products with a float32 are exact in float64. Together they tell any float32's quarter turns.
TWO_OVER_PI = (10680707, 7228996, 1387004, 2578385, 16069853, 12639074, 9804092, 4427841)
STEP_BITS = 24
WHOLE_F64 = 2.0**50  # products beyond it are multiples of four
ROUNDER_F64 = 1.5 * 2**52
MANTISSA_BITS_F64 = 52
# sqrt(1/2), 1, and the number whose last place is 1, as bits: between two of these bits in the last are whole numbers.
ROOT_HALF_F64, ONE_F64, WHOLE_BITS_F64 = 0x3FE6A09E667F3BCD, 0x3FF0000000000000, 0x4330000000000000
EXPONENT_BIAS_F64 = 1023
# log2(m) = s l(s**2), s = (m - 1) / (m + 1) and sqrt(1/2) <= m <= sqrt(2); 2**r for |r| <= 1/2. Fitted as LOG: 4.2e-12, 4.0e-11.
LOG2 = (0.3407279932825, 0.4116728277368, 0.5770835832522, 0.9617966733502, 2.88539008179)
EXP2 = (1.520191939264e-5, 1.54692911198e-4, 1.333392257294e-3, 9.618027253745e-3, 5.550410353437e-2, 0.2402265119816,
        0.6931471807285, 0.9999999999617)  # fmt: skip
MAX_DOUBLINGS = 200.0  # of 1: infinite in float32, as so many halvings are zero
LOG2_OF_INFINITY = 2.0**900  # so that any float32 but zero times it is more than that
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

    def rounded_once(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a * b + c, rounded once on every machine."""
        if self._fused:
            return fused_multiply_add(self._builder, a, b, c)
        builder, wide = self._builder, vector(F64, self._lanes)
        a, b, c = (builder.fpext(value, wide) for value in (a, b, c))
        return builder.fptrunc(builder.fadd(builder.fmul(a, b), c), vector(F32, self._lanes))

    def exp_of_negative(self, x: ir.Value) -> ir.Value:
        """Return exp(x) for x <= 0."""
        below = self._builder.fcmp_unordered("<", x, self.real(NORMAL_EXPONENT))
        return self._or_seldom(self._exp_of_normal(x), below, lambda: self._exp_in_two_factors(x))

    def _exp_of_normal(self, x: ir.Value) -> ir.Value:
        """Return exp(x) where |x| is so small that it is a normal number: one power of two does, and nothing is held back."""
        shifted, r = self._reduced_of_normal(x)
        return self._with_exponent(self._exp_of_rest(r), shifted)

    def _exp_in_two_factors(self, x: ir.Value) -> ir.Value:
        """Return exp(x), as small as it may be, for x <= 89."""
        n, r = self._reduced(x)
        return self._times_power_of_two(self._exp_of_rest(r), n)

    def _exp_of_rest(self, r: ir.Value) -> ir.Value:
        """Return exp(r) for |r| <= ln(2) / 2."""
        if self._fused:
            return self._polynomial((*EXP, 1.0, 1.0), r)
        return self._builder.fadd(self._expm1_of_rest(r), self.real(1.0))

    def _expm1_of_rest(self, r: ir.Value) -> ir.Value:
        """Return exp(r) - 1 for |r| <= ln(2) / 2."""
        return self.multiply_add(self._builder.fmul(r, r), self._polynomial(EXP, r), r)

    def _reduced(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return a whole n and r with x = n ln 2 + r, x held to where its exponential is above zero."""
        shifted, r = self._reduced_of_normal(self.maximum(self.real(MIN_EXPONENT), x))  # NaN stays
        return self._builder.fsub(shifted, self.real(ROUNDER)), r

    def _reduced_of_normal(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return n + ROUNDER and r, n and r as `_reduced` has them, for an x that needs not be held."""
        b, real = self._builder, self.real
        shifted = self.multiply_add(x, real(LOG2_E), real(ROUNDER))
        n = b.fsub(shifted, real(ROUNDER))
        return shifted, self.multiply_add(n, real(-LN2_LOW), self.multiply_add(n, real(-LN2_HIGH), x))

    def _or_seldom(self, found: ir.Value, unusual: ir.Value, otherwise: Callable[[], ir.Value]) -> ir.Value:
        """Return `found`, or all that `otherwise` computes where any lane is unusual."""
        b, usual = self._builder, self._builder.block
        with seldom(b, any_lane(b, unusual)):
            mended = otherwise()
            mending = b.block
        value: ir.Value = join(b, [([found], usual), ([mended], mending)])[0]
        return value

    def exp_of_difference(self, x: ir.Value, scale: ir.Value | None, less: ir.Value) -> ir.Value:
        """Return exp(scale * (x - less)), whose exponent is not positive; without a scale it is 1.

        With what rounding leaves out of the difference and of the product: a difference of 80 has its last place at 2**-17.
        """
        b, real = self._builder, self.real
        product = b.fsub(x, less)
        other = b.fadd(product, less)  # what of x is in the difference; the rest, and what of `less` is not, are lost
        lost = b.fsub(b.fsub(x, other), b.fadd(b.fsub(product, other), less))
        if scale is not None:
            difference, product = product, b.fmul(scale, product)
            lost = self.multiply_add(scale, lost, self._residue(scale, difference, product))

        def any_way() -> ir.Value:
            n, r = self._reduced(product)
            counts = b.fcmp_ordered(">=", product, real(MIN_EXPONENT))  # elsewhere it may be infinite
            r = b.fadd(r, b.select(counts, lost, real(0.0)))
            return self._times_power_of_two(self._exp_of_rest(r), n)

        if self._scales:
            return any_way()
        # Where no exponential is below what a normal number is, which is usual, one power of two does, and nothing is held back.
        shifted, r = self._reduced_of_normal(product)
        found = self._with_exponent(self._exp_of_rest(b.fadd(r, lost)), shifted)
        return self._or_seldom(found, b.fcmp_unordered("<", product, real(NORMAL_EXPONENT)), any_way)

    def parts_of(self, value: ir.Value) -> list[ir.Value]:
        """Return what `times_parts` takes of a float64: two float32 that it is the sum of, or itself."""
        b, narrow = self._builder, vector(F32, self._lanes)
        if not self._fused:
            return [value]
        high = b.fptrunc(value, narrow)
        return [high, b.fptrunc(b.fsub(value, b.fpext(high, value.type)), narrow)]

    def times_parts(self, x: ir.Value, parts: list[ir.Value]) -> ir.Value:
        """Return x times a float64, rounded once, or nearly so."""
        b = self._builder
        if not self._fused:
            return b.fptrunc(b.fmul(b.fpext(x, parts[0].type), parts[0]), x.type)
        return self.multiply_add(x, parts[0], b.fmul(x, parts[1]))

    def sigmoid(self, x: ir.Value) -> ir.Value:
        """Return 1 / (1 + exp(-x)), which is exp(x) / (1 + exp(x))."""
        b = self._builder
        e = self.exp_of_negative(b.fneg(self.abs(x)))
        return self._quotient(b.select(b.fcmp_ordered(">=", x, self.real(0.0)), self.real(1.0), e), 1.0, e)

    def silu(self, x: ir.Value) -> ir.Value:
        """Return x * sigmoid(x)."""
        return self._times_sigmoid(x, self._reduced_of_normal, SILU_TAIL)

    def _times_sigmoid(
        self, x: ir.Value, reduced: Callable[[ir.Value], tuple[ir.Value, ir.Value]], tail: tuple[float, float]
    ) -> ir.Value:
        """Return x * sigmoid(u) for a u with the sign of x; see `_or_tail`.

        `reduced` returns n + ROUNDER and r of -|u| = n ln 2 + r for a -|x| that is held to the tail.
        """
        b, real = self._builder, self.real
        minus = b.fneg(self.abs(x))

        def found(e: ir.Value, *, finite: bool) -> ir.Value:
            part = b.select(b.fcmp_ordered(">=", x, real(0.0)), real(1.0), e)
            product = b.fmul(x, part)
            return self._quotient(product, 1.0, e, self._residue(x, part, product), finite=finite)

        def any_way() -> ir.Value:
            shifted, r = reduced(self.maximum(real(tail[-1]), minus))  # NaN stays
            power, scale = self._factors(self._exp_of_rest(r), b.fsub(shifted, real(ROUNDER)))
            return self._or_tail(x, found(self._scaled(power, scale), finite=False), tail, power, scale)

        shifted, r = reduced(minus)
        usual = found(self._with_exponent(self._exp_of_rest(r), shifted), finite=True)
        return self._or_seldom(usual, b.fcmp_unordered("<=", minus, real(tail[0])), any_way)

    def _or_tail(self, x: ir.Value, found: ir.Value, tail: tuple[float, float], power: ir.Value, scale: ir.Value) -> ir.Value:
        """Return x times an exponential in two factors where x is in the tail, which is seldom, else `found`.

        The tail is from where the exponential may be no normal number, for which its second factor is applied last, and ends where
        the product is zero.
        """
        b = self._builder
        first, last = (self.real(bound) for bound in tail)
        below = b.fcmp_ordered("<", x, first)
        return self._or_seldom(
            found, below, lambda: b.select(below, self._scaled(b.fmul(self.maximum(last, x), power), scale), found)
        )

    def _quotient(
        self, x: ir.Value, whole: float, part: ir.Value, lost: ir.Value | None = None, *, finite: bool = False
    ) -> ir.Value:
        """Return (x + lost) / (whole + part) for a sum in 1..2 and a `lost` below the last place of x.

        Where x less `whole` times the quotient is a float32 without rounding; `finite` says that x is no infinity.

        With fused multiply-adds by Newton's method, in a third of the time of a division; nearly always the nearest float32. The
        sum's own rounding costs nothing: what the first quotient leaves of x is found from its two parts.
        """
        b, real = self._builder, self.real
        if not self._fused:
            wide = vector(F64, self._lanes)
            over = b.fpext(x, wide)
            if lost is not None:
                over = b.fadd(over, b.fpext(b.select(b.fcmp_ordered("ord", lost, lost), lost, real(0.0)), wide))
            under = b.fadd(b.fpext(real(whole), wide), b.fpext(part, wide))
            return b.fptrunc(b.fdiv(over, under), x.type)
        total = b.fadd(real(whole), part)
        inverse = self._polynomial(INVERSE, total)
        inverse = self.multiply_add(self.multiply_add(b.fneg(total), inverse, real(1.0)), inverse, inverse)
        quotient = b.fmul(x, inverse)
        rest = self.multiply_add(real(-whole), quotient, x)
        if lost is not None:
            rest = b.fadd(rest, lost)
        rest = self.multiply_add(b.fneg(part), quotient, rest)
        if lost is not None and not finite:
            rest = self.minimum(rest, real(LARGEST))  # of infinity it is NaN
        return self.multiply_add(rest, inverse, quotient)

    def tanh(self, x: ir.Value) -> ir.Value:
        """Return the hyperbolic tangent, (1 - e) / (1 + e) with e = exp(-2 |x|) and the sign of x."""
        b, real = self._builder, self.real
        size, most = self.abs(x), real(TANH_IS_ONE)
        size = b.select(b.fcmp_ordered(">", size, most), most, size)  # NaN stays
        # e = 2**n * exp(-2 s) with |s| <= ln(2) / 4; n is above -30, so that 2**n is a normal number.
        shifted = self.multiply_add(size, real(-2.0 * LOG2_E), real(ROUNDER))
        s = self.multiply_add(b.fsub(shifted, real(ROUNDER)), real(HALF_LN2), size)
        rest = self.rounded_once(b.fmul(s, s), self._polynomial(TANH, s), s)  # (1 - exp(-2 s)) / 2
        twice = self._with_exponent(real(2.0), shifted)
        less = self.multiply_add(twice, rest, self.multiply_add(twice, real(-0.5), real(1.0)))
        found = self._quotient(less, 2.0, b.fneg(less))
        return call(b, f"llvm.copysign.{suffix(x.type)}", x.type, [found, x])

    def exp(self, x: ir.Value) -> ir.Value:
        """Return exp(x)."""
        b, most = self._builder, self.real(MAX_EXPONENT)

        def any_way() -> ir.Value:
            return self._or_nan(x, self._exp_in_two_factors(b.select(b.fcmp_ordered("<", x, most), x, most)))

        return self._or_seldom(self._exp_of_normal(x), b.fcmp_unordered(">", self.abs(x), self.real(-NORMAL_EXPONENT)), any_way)

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
        over_one = b.fsub(total, self.real(1.0))
        inverse = self._polynomial((0.5, -1.0, 1.0), over_one)  # of the total: the nearer 1, the more the rest of it counts
        logarithm = self.multiply_add(b.fsub(e, over_one), inverse, self._log_of_normal(total))
        return self._or_nan(x, b.fadd(self.maximum(x, self.real(0.0)), logarithm))

    def mish(self, x: ir.Value) -> ir.Value:
        """Return x * tanh(softplus(x)) = x * (w**2 + 2 w) / (w**2 + 2 w + 2) with w = exp(x)."""
        b, real, most = self._builder, self.real, self.real(SOFTPLUS_IS_X)
        held = self.minimum(x, most)

        def any_way() -> ir.Value:
            exponent, r = self._reduced(held)
            power, scale = self._factors(self._exp_of_rest(r), exponent)
            return self._or_tail(x, self._mish(x, self._scaled(power, scale)), SILU_TAIL, power, scale)

        if self._scales:
            found = any_way()
        else:
            usual = self._mish(x, self._exp_of_normal(held))
            found = self._or_seldom(usual, b.fcmp_unordered("<=", x, real(SILU_TAIL[0])), any_way)
        return b.select(b.fcmp_ordered(">", x, most), x, found)

    def _mish(self, x: ir.Value, w: ir.Value) -> ir.Value:
        b, two = self._builder, self.real(2.0)
        twice = b.fadd(w, w)
        n = self.rounded_once(w, w, twice)
        lost = self.rounded_once(w, w, b.fsub(twice, n))
        total = b.fadd(n, two)
        missing = b.fadd(b.fsub(n, b.fsub(total, two)), lost)
        product = b.fmul(x, n)
        inverse = b.fdiv(self.real(1.0), total)
        quotient = b.fmul(product, inverse)
        less = b.fneg(quotient)
        rest = self.multiply_add(less, missing, self.rounded_once(less, total, product))
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
        shifted, r = self._reduced_of_normal(self.maximum(self.real(NORMAL_EXPONENT), x))  # NaN stays; below it is -1
        power = self._with_exponent(self.real(1.0), shifted)
        return self.multiply_add(power, self._expm1_of_rest(r), b.fsub(power, self.real(1.0)))

    def erf(self, x: ir.Value) -> ir.Value:
        """Return the error function."""
        b, one, most = self._builder, self.real(1.0), self.real(ERF_IS_ONE)
        size = self.abs(x)
        beyond = b.fsub(self.minimum(size, most), self.real(2.0))
        far = b.fsub(one, self._exp_of_normal(self._polynomial(LOG_ERFC, beyond)))
        far = call(b, f"llvm.copysign.{suffix(x.type)}", x.type, [far, x])
        square, last = b.fmul(x, x), float(np.float32(ERF[-1]))
        rest = self.multiply_add(self._polynomial(ERF[:-1], square), square, self.real(ERF[-1] - last))
        near = self.rounded_once(x, self.real(last), b.fmul(x, rest))
        return self._or_nan(x, b.select(b.fcmp_ordered("<", size, one), near, far))

    def gelu(self, x: ir.Value) -> ir.Value:
        """Return x * erfc(-x / sqrt(2)) / 2, which is max(x, 0) - |x| erfc(|x| / sqrt(2)) / 2."""
        b, real, size = self._builder, self.real, self.abs(x)

        def any_way() -> ir.Value:
            value, shifted = self._gelu_of_size(self.minimum(size, real(GELU_IS_CLIP)))
            return self._times_power_of_two(value, b.fsub(shifted, real(ROUNDER)))

        if self._scales:
            below = any_way()
        else:
            usual = self._with_exponent(*self._gelu_of_size(size))
            below = self._or_seldom(usual, b.fcmp_unordered(">", size, real(GELU_IS_NORMAL)), any_way)
        return b.fsub(self.maximum(real(0.0), x), below)

    def _gelu_of_size(self, size: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return v and n + ROUNDER with |x| erfc(|x| / sqrt(2)) / 2 = v 2**n for `size`, |x|."""
        b, real = self._builder, self.real
        half = b.fmul(size, real(-0.5))
        square = b.fmul(size, half)
        shifted = self.multiply_add(square, real(LOG2_E), real(ROUNDER))
        n = b.fsub(shifted, real(ROUNDER))
        low = self.multiply_add(n, real(-LN2_LOW), self._residue(size, half, square))
        over_one = self._expm1_of_rest(b.fadd(self.multiply_add(n, real(-LN2_HIGH), square), low))
        # s, its polynomial and their product, each with what rounding left out of it.
        quarter = b.fmul(size, real(0.25))
        total = b.fadd(quarter, real(1.0))
        missing = b.fsub(quarter, b.fsub(total, real(1.0)))
        inverse = self._inverse(total)
        s = b.fmul(quarter, inverse)
        less = b.fneg(s)
        s_lost = b.fmul(inverse, self.multiply_add(less, missing, self.rounded_once(less, total, quarter)))
        offset, least = b.fadd(b.fsub(s, real(GELU_CENTER)), s_lost), real(GELU[-1])
        curve, least_slope = self._polynomial(GELU[:-2], offset), real(GELU[-2])
        slope = self.rounded_once(curve, offset, least_slope)
        slope_lost = self.rounded_once(curve, offset, b.fsub(least_slope, slope))
        share = self.rounded_once(slope, offset, least)
        share_lost = self.rounded_once(slope, offset, b.fsub(least, share))
        share_lost = self.multiply_add(slope_lost, offset, share_lost)
        product = b.fmul(s, share)
        lost = self.multiply_add(s, share_lost, self._residue(s, share, product))
        lost = self.multiply_add(s_lost, share, lost)
        lost = self.multiply_add(lost, over_one, lost)
        return b.fadd(product, self.rounded_once(product, over_one, lost)), shifted

    def gelu_tanh(self, x: ir.Value) -> ir.Value:
        """Return x * sigmoid(GELU_TANH * (x + GELU_CUBE * x**3))."""
        return self._times_sigmoid(x, self._reduced_gelu_tanh, GELU_TANH_TAIL)

    def _reduced_gelu_tanh(self, minus: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return n + ROUNDER and r with -|u| = n ln 2 + r, u what `gelu_tanh` takes the sigmoid of, for `minus`, -|x|."""
        b, real = self._builder, self.real
        first, lift = real(GELU_FIRST), real(GELU_LIFT)
        square = b.fmul(minus, minus)
        gain = self.rounded_once(lift, square, first)
        lost = self.rounded_once(lift, square, b.fsub(first, gain))
        lost = self.multiply_add(lift, self._residue(minus, minus, square), lost)
        lift_lost = real(GELU_LIFT - float(np.float32(GELU_LIFT)))
        lost = self.multiply_add(lift_lost, square, b.fadd(lost, real(GELU_TANH - GELU_FIRST)))
        # -|u| = minus * (gain + lost), which is nowhere written down in one number.
        shifted = self.multiply_add(b.fmul(minus, gain), real(LOG2_E), real(ROUNDER))
        n = b.fsub(shifted, real(ROUNDER))
        r = self.rounded_once(minus, gain, b.fmul(n, real(-LN2_HIGH)))
        r = b.fadd(r, self.multiply_add(n, real(-LN2_LOW), b.fmul(minus, lost)))
        return shifted, r

    def _inverse(self, x: ir.Value) -> ir.Value:
        """Return 1 / x of 1 <= x <= 4.7, within 2e-6 of it."""
        b, one = self._builder, self.real(1.0)
        if not self._fused:
            return b.fdiv(one, x)
        kind, less = ir.VectorType(I32, self._lanes), b.fneg(x)
        inverse = b.bitcast(b.sub(constant(I32, self._lanes, INVERSE_BITS), b.bitcast(x, kind)), x.type)
        inverse = self.multiply_add(self.multiply_add(less, inverse, self.real(1.0 + INVERSE_BALANCE)), inverse, inverse)
        return self.multiply_add(self.multiply_add(less, inverse, one), inverse, inverse)

    def _residue(self, a: ir.Value, b: ir.Value, product: ir.Value) -> ir.Value:
        """Return what rounding left out of a product."""
        return self.rounded_once(a, b, self._builder.fneg(product))

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

        real, polynomial = self._wide, self._wide_polynomial

        def nearest(value: ir.Value) -> ir.Value:
            return b.fsub(b.fadd(value, real(ROUNDER_F64)), real(ROUNDER_F64))

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

    def power(self, x: ir.Value, exponent: ir.Value) -> ir.Value:
        """Return x ** exponent as C's powf has it: NaN of a negative x unless the exponent is a whole number."""
        b, real = self._builder, self.real
        given, most = exponent, real(LARGEST)
        exponent = self.maximum(self.minimum(given, most), b.fneg(most))  # infinity times the logarithm of 1 is no number
        half = b.fmul(exponent, real(0.5))
        is_whole = b.fcmp_ordered("==", self.round(exponent), exponent)
        is_odd = b.and_(is_whole, b.fcmp_ordered("!=", self.round(half), half))
        size = self.abs(x)
        found = self._power_of_size(size, exponent)
        found = b.select(is_odd, call(b, f"llvm.copysign.{suffix(x.type)}", x.type, [found, x]), found)
        below = b.and_(b.fcmp_ordered("<", x, real(0.0)), b.fcmp_ordered("<", size, real(np.inf)))
        found = b.select(b.and_(below, b.not_(is_whole)), real(np.nan), found)
        no_base = b.and_(b.fcmp_unordered("uno", x, x), b.fcmp_ordered("!=", exponent, real(0.0)))
        no_exponent = b.and_(b.fcmp_unordered("uno", given, given), b.fcmp_unordered("!=", x, real(1.0)))
        return b.select(b.or_(no_base, no_exponent), real(np.nan), found)

    def _power_of_size(self, size: ir.Value, exponent: ir.Value) -> ir.Value:
        """Return 2**(exponent * log2(size)) for size >= 0, computed in float64."""
        b, real, wide, kind = self._builder, self._wide, vector(F64, self._lanes), vector(I64, self._lanes)

        def word(value: int) -> ir.Constant:
            return constant(I64, self._lanes, value)

        size = b.fpext(size, wide)  # a normal number, or 0
        shifted = b.add(b.bitcast(size, kind), word(ONE_F64 - ROOT_HALF_F64))
        m = b.bitcast(b.add(b.and_(shifted, word((1 << MANTISSA_BITS_F64) - 1)), word(ROOT_HALF_F64)), wide)
        k = b.bitcast(b.or_(b.lshr(shifted, word(MANTISSA_BITS_F64)), word(WHOLE_BITS_F64)), wide)
        k = b.fsub(k, real(2.0**MANTISSA_BITS_F64 + EXPONENT_BIAS_F64))  # size = m 2**k
        k = b.select(b.fcmp_ordered(">", size, real(0.0)), k, real(-LOG2_OF_INFINITY))
        k = b.select(b.fcmp_ordered("<", size, real(np.inf)), k, real(LOG2_OF_INFINITY))
        s = b.fdiv(b.fsub(m, real(1.0)), b.fadd(m, real(1.0)))
        exponent = b.fpext(exponent, wide)
        log2 = self._wide_polynomial_by_pairs(LOG2, b.fmul(s, s))
        doublings = b.fadd(b.fmul(exponent, k), b.fmul(b.fmul(exponent, s), log2))
        doublings = self.minimum(self.maximum(doublings, real(-MAX_DOUBLINGS)), real(MAX_DOUBLINGS))
        whole = b.fadd(doublings, real(ROUNDER_F64))
        rest = b.fsub(doublings, b.fsub(whole, real(ROUNDER_F64)))
        bits = b.bitcast(self._wide_polynomial_by_pairs(EXP2, rest), kind)
        whole = b.shl(b.bitcast(whole, kind), word(MANTISSA_BITS_F64))
        return b.fptrunc(b.bitcast(b.add(bits, whole), wide), vector(F32, self._lanes))

    def hard_sigmoid(self, x: ir.Value, alpha: ir.Value, beta: ir.Value) -> ir.Value:
        """Return min(max(alpha * x + beta, 0), 1)."""
        return self.clip(self.rounded_once(alpha, x, beta), self.real(0.0), self.real(1.0))

    def hard_swish(self, x: ir.Value) -> ir.Value:
        """Return x * min(max(x / 6 + 1 / 2, 0), 1)."""
        b, real, most = self._builder, self.real, self.real(3.0)
        share = self.rounded_once(real(SIXTH), x, real(0.5))
        share = self.multiply_add(real(1 / 6 - SIXTH), x, share)
        product = b.select(b.fcmp_ordered("<=", x, b.fneg(most)), real(0.0), b.fmul(x, share))
        return b.select(b.fcmp_ordered(">", x, most), x, product)

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

    def minimum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """Return the smaller; `b` where `a` is NaN."""
        return self._builder.select(self._builder.fcmp_ordered("<", a, b), a, b)

    def abs(self, x: ir.Value) -> ir.Value:
        """Return |x|."""
        return call(self._builder, f"llvm.fabs.{suffix(x.type)}", x.type, [x])

    def _polynomial(self, coefficients: tuple[float, ...], x: ir.Value) -> ir.Value:
        """Return a polynomial of x by Horner's rule, the highest coefficient first."""
        total: ir.Value = self.real(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.multiply_add(total, x, self.real(coefficient))
        return total

    def _wide(self, value: float) -> ir.Constant:
        """Return a float64 constant in every lane."""
        return constant(F64, self._lanes, value)

    def _wide_polynomial(self, coefficients: tuple[float, ...], x: ir.Value) -> ir.Value:
        """Return a polynomial of a float64 x as `_polynomial` does, every product and sum rounded: the same on every machine."""
        total: ir.Value = self._wide(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self._builder.fadd(self._builder.fmul(total, x), self._wide(coefficient))
        return total

    def _wide_polynomial_by_pairs(self, coefficients: tuple[float, ...], x: ir.Value) -> ir.Value:
        """Return the same by Estrin's rule, in which fewer steps wait for one another."""
        b, terms = self._builder, [self._wide(coefficient) for coefficient in reversed(coefficients)]
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            terms = [b.fadd(b.fmul(second, x), first) for first, second in pairs] + terms[len(terms) & ~1 :]
            x = b.fmul(x, x)
        return terms[0]

    def _times_power_of_two(self, x: ir.Value, n: ir.Value) -> ir.Value:
        """Return x * 2**n for x in 1/2..2 and a whole n in -160..129."""
        return self._scaled(*self._factors(x, n))

    def _factors(self, x: ir.Value, n: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return a normal number and what `_scaled` makes x * 2**n of it by."""
        if self._scales:
            return x, n
        # Two powers of two: one alone could not be a normal number where the result is none.
        b, real = self._builder, self.real
        half = self.multiply_add(n, real(0.5), real(ROUNDER))
        rest = b.fadd(b.fsub(n, b.fsub(half, real(ROUNDER))), real(ROUNDER))
        return self._with_exponent(x, half), self._with_exponent(real(1.0), rest)

    def _scaled(self, x: ir.Value, scale: ir.Value) -> ir.Value:
        """Apply the second of two factors."""
        b = self._builder
        if not self._scales:
            return b.fmul(x, scale)
        mask, rounding = ir.Constant(ir.IntType(self._lanes), -1), ir.Constant(I32, CURRENT_ROUNDING)
        return call(b, f"llvm.x86.avx512.mask.scalef.ps.{32 * self._lanes}", x.type, [x, scale, x, mask, rounding])

    def _with_exponent(self, x: ir.Value, shifted: ir.Value) -> ir.Value:
        """Return x * 2**n, a normal number, where `shifted` is n + ROUNDER: n is added to the exponent."""
        b, kind = self._builder, ir.VectorType(I32, self._lanes)
        exponent = b.shl(b.bitcast(shifted, kind), constant(I32, self._lanes, MANTISSA_BITS))
        return b.bitcast(b.add(b.bitcast(x, kind), exponent), x.type)

"""The integers of docs/integer-contract.md against arithmetic written out here: fractions, and gemmlowp's C++ step by step."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from edgebn.errors import QuantizationError
from edgebn.passes.integer import multipliers
from edgebn.program import Buffer, IntEpilogue, Norm
from edgebn.reference.epilogue import int_epilogue

CASES = 100_000
INT32 = np.iinfo(np.int32)
WIDE = (np.array([-(2**31)]), np.array([2**31 - 1]))


def truncated(a, b):
    """C's integer division."""
    return np.sign(a) * (np.abs(a) // b)


def gemmlowp_high_multiply(a, b):
    """SaturatingRoundingDoublingHighMul: trunc((a * b + nudge) / 2**31)."""
    product = a * b
    return truncated(product + np.where(product >= 0, 2**30, 1 - 2**30), 2**31)


def gemmlowp_rounding_shift(x, exponent):
    """RoundingDivideByPOT: shift, then add one where the remainder is above the threshold."""
    mask = (1 << exponent) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + (remainder > threshold)


def gemmlowp_requantise(x, multiplier, shift):
    """MultiplyByQuantizedMultiplier with TensorFlow Lite's double rounding."""
    left, right = max(shift, 0), max(-shift, 0)
    return gemmlowp_rounding_shift(gemmlowp_high_multiply(x * (1 << left), np.int64(multiplier)), right)


def double_rounded(u, m, r, s, neg):
    return (u * m + r - np.where(u < 0, 2**31 if neg else 0, 0)) >> s


def test_double_rounding_is_gemmlowps():
    rng = np.random.default_rng(1)
    compared = 0
    for _ in range(200):
        real = float(np.exp(rng.uniform(np.log(1e-10), np.log(8.0))))
        q, shift = multipliers.quantize_multiplier(real)
        m, r, s, neg = multipliers.double_rounding(real, "layer 'a'")
        span = 2 ** int(rng.integers(4, 31)) >> max(shift, 0)
        random = rng.integers(-span, span + 1, CASES // 200)
        # near ties: u such that u * real is close to a half-integer
        halves = np.rint((rng.integers(-300, 300, CASES // 200) + 0.5) / real + rng.integers(-1, 2, CASES // 200))
        near = halves[np.abs(halves) < (2**31 - 1) >> max(shift, 0)].astype(np.int64)
        u = np.concatenate([random, near])
        compared += len(u)
        np.testing.assert_array_equal(double_rounded(u, m, r, s, neg), gemmlowp_requantise(u, q, shift))
    assert compared > CASES


@pytest.mark.parametrize("real", [0.0, 2.0**-40, 1.0 - 2.0**-54, 0.5, 0.25, 1.0, 3.7, 2.0**-31])
def test_double_rounding_at_the_edges(real):
    q, shift = multipliers.quantize_multiplier(real)
    m, r, s, neg = multipliers.double_rounding(real, "layer 'a'")
    u = np.arange(-3000, 3000, dtype=np.int64)
    np.testing.assert_array_equal(double_rounded(u, m, r, s, neg), gemmlowp_requantise(u, q, shift))


def test_quantize_multiplier_is_normalised_and_near():
    for real in np.exp(np.random.default_rng(2).uniform(-20, 20, 2000)):
        q, shift = multipliers.quantize_multiplier(float(real))
        assert 2**30 <= q < 2**31
        assert abs(q * 2.0 ** (shift - 31) / real - 1) <= 2.0**-31


def test_channels_above_and_below_one_half_share_a_step():
    """NEG belongs to the step; the channel that must not have it is lifted, and no code changes."""
    real = np.array([0.003, 0.7, 0.0, 2.5, 0.5])
    acc = np.random.default_rng(3).integers(-5000, 5000, (4000, 5))
    bias = np.array([10, -20, 30, -40, 50])
    bounds = (np.full(5, -6000), np.full(5, 6000))
    e = multipliers.double_rounding_epilogue(real, bias, (-5, -100, 100), bounds, "layer 'a'")
    assert e.neg
    got = int_epilogue(acc, e)
    for c, value in enumerate(real):
        y = gemmlowp_requantise(acc[:, c] + bias[c], *multipliers.quantize_multiplier(value))
        np.testing.assert_array_equal(got[:, c], np.clip(y - 5, -100, 100))


def test_neg_is_dropped_where_the_clip_hides_it():
    real = np.array([0.01])
    bounds = (np.array([-(10**6)]), np.array([10**6]))
    u = np.arange(-20000, 20000)[:, None]
    e = multipliers.double_rounding_epilogue(real, np.array([0]), (-128, -128, 127), bounds, "layer 'a'")
    assert not e.neg
    y = gemmlowp_requantise(u, *multipliers.quantize_multiplier(0.01))
    np.testing.assert_array_equal(int_epilogue(u, e), np.clip(y - 128, -128, 127))


def test_single_rounding_is_the_nearest_code():
    """Against exact fractions: the code is the rounded real value wherever that is not within 2**-20 of a tie."""
    rng = np.random.default_rng(4)
    compared = 0
    for _ in range(100):
        channels = 1000
        sign = rng.choice([-1.0, 1.0], channels)
        a = sign * np.exp(rng.uniform(np.log(1e-9), np.log(100.0), channels))
        a[rng.random(channels) < 0.02] = 0.0
        offset = rng.uniform(-400, 400, channels)
        u = np.where(
            a == 0, 5, np.rint(np.clip((rng.uniform(-200, 200, channels) - offset) / np.where(a == 0, 1, a), -(2**24), 2**24))
        )
        u = u.astype(np.int64)
        bounds = (np.full(channels, -(2**24)), np.full(channels, 2**24))
        m, r, s = multipliers.single_rounding(a, offset, *bounds, "layer 'a'")
        y = (u * m + r) >> s.astype(np.int64)
        exact = u * a + offset
        np.testing.assert_array_less(np.abs(y - exact), 0.5 + 1e-6)
        compared += channels
    assert compared >= CASES


def test_single_rounding_normalises_to_31_bits():
    a = np.array([1.0, -0.7, 3e-5, 1e-9, 1e6])
    m, _, s = multipliers.single_rounding(a, np.zeros(5), np.full(5, -1000), np.full(5, 1000), "layer 'a'")
    assert (np.abs(m.astype(np.int64)) >= 2**30).all()
    for value, multiplier, shift in zip(a, m, s, strict=True):
        assert abs(Fraction(int(multiplier), 2 ** int(shift)) - Fraction(value)) <= abs(Fraction(value)) / 2**30


@pytest.mark.parametrize(
    ("a", "offset", "want"),
    [
        (0.0, 3.4, 3),
        (0.0, 1e30, 127),
        (0.0, -1e30, -128),
        (1e-30, -2.6, -3),
        (1e-15, 1e9, 127),
        (2.0**29, -(2.0**60), -128),
        (-1e-3, 0, -1),
    ],
)
def test_extremes_stay_exact(a, offset, want):
    """A gamma of zero, a tiny one, and offsets beyond any integer: the classic folding bugs."""
    m, r, s = multipliers.single_rounding(np.array([a]), np.array([offset]), *WIDE, "layer 'a'")
    y = (1000 * int(m[0]) + int(r[0])) >> int(s[0])
    assert abs(int(r[0])) + 2**31 * abs(int(m[0])) < 2**63
    assert min(max(y, -128), 127) == want


def test_too_large_a_multiplier_is_refused_by_name():
    with pytest.raises(QuantizationError, match=r"layer 'boom'.*variance"):
        multipliers.single_rounding(np.array([2.0**31]), np.zeros(1), *WIDE, "layer 'boom'")
    with pytest.raises(QuantizationError, match="infinite or NaN"):
        multipliers.single_rounding(np.array([np.nan]), np.zeros(1), *WIDE, "layer 'boom'")


def norm(gamma, beta, mean, variance):
    arrays = [np.atleast_1d(np.asarray(value, np.float32)) for value in (gamma, beta, mean, variance)]
    return Norm("bn", *arrays, epsilon=1e-3)


def folded(bias, norms, pre=(-np.inf, np.inf), acc_scale=0.01, scale=0.05, reach=100_000):
    channels = len(bias)
    start = multipliers.identity_epilogue(np.zeros(channels, np.int32), Buffer("y", (1, 1, channels), "int8", scale, -3))
    start = replace(start, bias=np.asarray(bias, np.float64), pre=pre, norms=norms)
    bounds = (np.full(channels, -reach), np.full(channels, reach))
    return multipliers.refold(start, np.full(channels, acc_scale), scale, bounds, "layer 'a'")


@pytest.mark.parametrize("pre", [(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0), (-1.0, 1.0)])
def test_refold_is_clip_norm_round(pre):
    gamma, beta, mean, variance = [1.3, -0.8, 0.0, 2.0], [0.1, 0.2, -0.7, 0], [0.5, -0.4, 3, 0], [1.0, 0.3, 1e-9, 4]
    bias = [0.3, -0.2, 0.05, 1.0]
    e = folded(bias, (norm(gamma, beta, mean, variance),), pre)
    acc = np.random.default_rng(5).integers(-2000, 2000, (5000, 4))
    a, d = multipliers.compose(e.norms, 4)
    real = np.clip(acc * 0.01 + np.array(bias), *pre) * a + d
    codes = np.clip(real / 0.05 - 3, -128, 127)
    # half a code of rounding, and half an accumulator step of the clip's own rounding
    slack = 0.5 + 1e-6 + (np.abs(a) * 0.01 / 0.05 / 2 if np.isfinite(pre).any() else 0)
    assert (np.abs(int_epilogue(acc, e) - codes) <= slack).all()


def test_refold_of_a_clip_that_always_holds_is_its_exact_constant():
    e = folded([1e9], (norm(1.0, 0.25, 0.0, 1.0),), pre=(0.0, 6.0))
    want = np.rint((6.0 / np.sqrt(np.float32(1.0) + 1e-3) + 0.25) / 0.05) - 3
    assert e.m[0] == 0
    assert (int_epilogue(np.array([[-100_000], [100_000]]), e) == want).all()


def test_accumulators_that_could_overflow_are_refused():
    weight = np.full((2, 1, 1, 140_000), 127, np.int8)
    with pytest.raises(QuantizationError, match=r"layer 'big'.*overflow a 32-bit sum"):
        multipliers.accumulator_bounds(weight, np.zeros(2, np.int64), "layer 'big'")


def test_accumulator_bounds_are_reached():
    weight = np.array([[3, -5, 0], [-1, -1, -1]], np.int8).reshape(2, 1, 1, 3)
    low, high = multipliers.accumulator_bounds(weight, np.array([10, -10]), "layer 'a'")
    np.testing.assert_array_equal(low, [10 - 3 * 128 - 5 * 127, -10 - 3 * 127])
    np.testing.assert_array_equal(high, [10 + 3 * 127 + 5 * 128, -10 + 3 * 128])


def test_proof_of_64_bits_refuses_a_forged_epilogue():
    e = folded([0.0], ())
    forged = replace(e, r=np.array([2**63 - 1]))
    with pytest.raises(QuantizationError, match="overflow"):
        multipliers.prove_epilogue(forged, (np.array([-10]), np.array([10])), "layer 'a'")
    with pytest.raises(QuantizationError, match="overflow"):
        multipliers.prove_epilogue(replace(e, s=np.array([63], np.uint8)), (np.array([-10]), np.array([10])), "layer 'a'")


def test_statistics_bound():
    multipliers.prove_statistics(65535, "layer 'a'")
    with pytest.raises(QuantizationError, match="65535"):
        multipliers.prove_statistics(65536, "layer 'a'")


def test_single_add_and_multiply_are_the_nearest_codes():
    a, b = (array.ravel() for array in np.meshgrid(np.arange(-255, 256), np.arange(-255, 256)))
    arithmetic = multipliers.single_rounding_add((0.02, 0.013), 0.03, (4, -128, 127), "layer 'a'")
    y = (a * arithmetic.m[0] + b * arithmetic.m[1] + arithmetic.r) >> arithmetic.s
    assert (np.abs(y - (a * 0.02 + b * 0.013) / 0.03) <= 0.5 + 1e-6).all()
    product = multipliers.single_rounding_multiply((0.02, 0.013), 0.0007, (4, -128, 127), "layer 'a'")
    y = (a * b * product.m + product.r) >> product.s
    assert not product.neg
    assert (np.abs(y - a * b * 0.02 * 0.013 / 0.0007) <= 0.5 + 1e-6).all()


def test_double_add_and_multiply_are_tensorflow_lites():
    a, b = (array.ravel().astype(np.int64) for array in np.meshgrid(np.arange(-255, 256), np.arange(-255, 256)))
    s1, s2, s3 = 0.0213, 0.0171, 0.0297
    arithmetic = multipliers.double_rounding_add((s1, s2), s3, (0, -128, 127), "layer 'a'")

    def scaled(v, m, e):
        if e == 0:
            return (v * m + 2**30) >> 31
        return (v * m + 2**30 + 2 ** (30 + e) - np.where(v < 0, 2**31, 0)) >> (31 + e)

    got = scaled(
        scaled(a << 20, arithmetic.m[0], arithmetic.e[0]) + scaled(b << 20, arithmetic.m[1], arithmetic.e[1]),
        arithmetic.m[2],
        arithmetic.e[2],
    )
    twice = 2 * max(s1, s2)
    terms = [gemmlowp_requantise(v << 20, *multipliers.quantize_multiplier(s / twice)) for v, s in ((a, s1), (b, s2))]
    want = gemmlowp_requantise(terms[0] + terms[1], *multipliers.quantize_multiplier(twice / (2**20 * s3)))
    np.testing.assert_array_equal(got, want)

    product = multipliers.double_rounding_multiply((s1, s2), s3, (0, -128, 127), "layer 'a'")
    got = double_rounded(a * b, product.m, product.r, product.s, product.neg)
    np.testing.assert_array_equal(got, gemmlowp_requantise(a * b, *multipliers.quantize_multiplier(s1 * s2 / s3)))


def test_average_with_its_own_output_scale():
    """Of every sum that each number of codes can have."""
    given, output = Buffer("x", (4, 4, 2), "int8", 0.1, -20), Buffer("y", (1, 1, 2), "int8", 0.03, 7)
    counts = np.array([1, 2, 3, 9, 16])
    e = multipliers.average_epilogue(given, output, tuple(counts), "layer 'a'")
    totals = np.clip(np.arange(-128 * 16, 127 * 16 + 1)[:, None], -128 * counts, 127 * counts)
    real = (totals / counts + 20) * 0.1
    assert (np.abs(int_epilogue(totals, e) - np.clip(real / 0.03 + 7, -128, 127)) <= 0.5 + 1e-6).all()


def test_an_average_of_too_many_codes_is_refused():
    buffer = Buffer("x", (1, 1, 1), "int8", 0.1, -20)
    with pytest.raises(QuantizationError, match=r"layer 'a': a sum of 8388608 codes can overflow 32 bits"):
        multipliers.average_epilogue(buffer, buffer, (1, 1 << 23), "layer 'a'")


def test_lookup_table_rounds_the_real_function():
    given, output = Buffer("x", (1, 1, 1), "int8", 0.05, 3), Buffer("y", (1, 1, 1), "int8", 1 / 128, 0)
    table = multipliers.lookup_table(np.tanh, given, output)
    assert table.shape == (1, 256)
    assert table[0, 3 + 128] == 0
    assert table[0, 128 + 13] == round(np.tanh(10 * 0.05) * 128)
    assert table.dtype == np.int8


def test_clip_codes_hold_the_activation():
    buffer = Buffer("y", (1, 1, 1), "int8", 6 / 255, -128)
    assert multipliers.clip_codes(buffer, (0.0, 6.0)) == (-128, 127)
    assert multipliers.clip_codes(buffer, (-np.inf, 3.0)) == (-128, 0)
    assert isinstance(folded([0.0], ()), IntEpilogue)

"""The refold: new epilogues do what a batch norm with the new statistics would, source numbers stay, nothing overflows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn.adaptation import AdaptedLayer, Observation
from edgebn.program import FloatEpilogue, IntEpilogue
from edgebn.reference.epilogue import int_epilogue
from edgebn.reference.float32 import exp, ln, sequential_sum
from edgebn.reference.refold import HALF_NEGATIVE_ROUNDING, refold_float, refold_int, refusal

CHANNELS = 64


def int_layer(seed, *, neg):
    """Return an epilogue as the passes make them, and its layer: source mean near `center`, sigma 64..128 units of 2**shift."""
    rng = np.random.default_rng(seed)
    shift = rng.integers(0, 8, CHANNELS)
    sigma = rng.uniform(64, 128, CHANNELS)
    center = rng.integers(-20_000, 20_000, CHANNELS)
    real = rng.uniform(5, 40, CHANNELS) / (sigma * 2.0**shift)  # output codes per accumulator step: sigma is 5 to 40 codes
    beta = rng.uniform(-60, 60, CHANNELS)
    wide = np.full(CHANNELS, 2**31 - 1)
    if neg:
        mantissa, exponent = np.frexp(real)
        m, e = np.rint(mantissa * 2.0**31).astype(np.int64), np.maximum(-exponent, 1)
        s = 31 + e
        r = 2**30 + (np.int64(1) << (30 + e).astype(np.int64))
        center = np.rint(beta / (m / 2.0**s)).astype(np.int64)  # TensorFlow Lite has no offset but the bias inside u
    else:
        s = rng.integers(34, 40, CHANNELS)
        real *= rng.choice([-1, 1], CHANNELS)
        m = np.rint(real * 2.0**s).astype(np.int64)
        r = np.rint((beta - real * center) * 2.0**s).astype(np.int64) + (np.int64(1) << (s - 1).astype(np.int64))
    i32 = [values.astype(np.int32) for values in (np.zeros(CHANNELS), -wide - 1, wide, m)]
    epilogue = IntEpilogue(*i32, r, s.astype(np.uint8), neg, 3, -128, 127)
    observation = Observation("step", 0, 1, center.astype(np.int32), shift.astype(np.uint8))
    return epilogue, AdaptedLayer(observation, "norm", sigma.astype(np.float32), np.ones(CHANNELS, np.float32))


@given(st.integers(0, 10**6), st.booleans())
def test_int8_outputs_are_those_of_the_new_statistics(seed, neg):
    epilogue, layer = int_layer(seed, neg=neg)
    rng = np.random.default_rng(seed + 1)
    drift = rng.uniform(-4, 4, CHANNELS).astype(np.float32)
    ratio = np.exp(rng.uniform(np.log(0.02), np.log(50), CHANNELS)).astype(np.float32)
    m, r, s = refold_int(epilogue, layer, drift, ratio)
    acc = rng.integers(-60_000, 60_000, (500, CHANNELS))
    found = int_epilogue(acc, replace(epilogue, m=m, r=r, s=s)).astype(np.float64)
    slope = epilogue.m / 2.0**epilogue.s
    half = 0.5 * 2.0**epilogue.s + (HALF_NEGATIVE_ROUNDING if neg else 0)
    center = layer.observation.center.astype(np.float64)
    at_mean = slope * center + (epilogue.r - half) / 2.0**epilogue.s  # the output, in codes, where the accumulator is the mean
    moved = center + drift * layer.sigma * 2.0**layer.observation.shift
    wanted = np.clip(3 + at_mean + slope / np.sqrt(ratio) * (acc - moved), -128, 127)
    step = np.abs(slope) / np.sqrt(ratio)  # one accumulator step in codes: the drift is rounded to 1/16 of one
    # Double rounding is off by up to half of 2**30 / 2**(s - 1) more.
    nudged = 2.0**31 / 2.0 ** s.astype(np.float64) if neg else 0
    assert (np.abs(found - wanted) <= 0.51 + step / 16 + nudged).all()


@given(st.integers(0, 10**6), st.booleans())
def test_factory_statistics_give_the_factory_numbers(seed, neg):
    epilogue, layer = int_layer(seed, neg=neg)
    rng = np.random.default_rng(seed)
    is_home = rng.random(CHANNELS) < 0.5
    drift = np.where(is_home, 0, rng.uniform(-1, 1, CHANNELS)).astype(np.float32)
    ratio = np.where(is_home, 1, rng.uniform(0.5, 2, CHANNELS)).astype(np.float32)
    for found, source in zip(refold_int(epilogue, layer, drift, ratio), (epilogue.m, epilogue.r, epilogue.s), strict=True):
        assert found.dtype == source.dtype
        np.testing.assert_array_equal(found[is_home], source[is_home])
        assert (found[~is_home] != source[~is_home]).any() or found.dtype == np.uint8


@given(st.integers(0, 10**6), st.sampled_from([1e-30, 1e-4, 0.004, 1e30]), st.sampled_from([0.0, 1e6, -1e30]))
def test_what_leaves_its_range_is_refused_and_never_overflows(seed, ratio, drift):
    epilogue, layer = int_layer(seed, neg=False)
    drifts, ratios = np.full(CHANNELS, drift, np.float32), np.full(CHANNELS, ratio, np.float32)
    with np.errstate(over="ignore"):
        folded = refold_int(epilogue, layer, drifts, ratios)
    if ratio < 0.0039 or abs(drift) > 1e7:
        assert folded is None
    if folded is not None:
        m, r, s = folded
        assert max(abs(int(a)) * 2**31 + abs(int(b)) for a, b in zip(m, r, strict=True)) < 2**63
        assert (s >= 1).all()


def test_a_channel_without_sigma_keeps_its_numbers():
    epilogue, layer = int_layer(5, neg=False)
    sigma = layer.sigma.copy()
    sigma[3] = 0
    drift, ratio = np.full(CHANNELS, 0.5, np.float32), np.full(CHANNELS, 2, np.float32)
    m, r, s = refold_int(epilogue, replace(layer, sigma=sigma), drift, ratio)
    assert (m[3], r[3], s[3]) == (epilogue.m[3], epilogue.r[3], epilogue.s[3])
    assert m[4] != epilogue.m[4]


def test_channels_whose_sums_might_overflow_are_named():
    epilogue, layer = int_layer(6, neg=False)
    m, r = epilogue.m.copy(), epilogue.r.copy()
    r[1] = 2**62
    bounds = np.full(CHANNELS, -(2**20)), np.full(CHANNELS, 2**20)
    refused = refusal(replace(epilogue, m=m, r=r), layer.observation.center, bounds)
    assert refused.tolist() == [i == 1 for i in range(CHANNELS)]


def test_float32_outputs_are_those_of_the_new_statistics():
    rng = np.random.default_rng(1)
    gamma, beta, mean = (rng.standard_normal(CHANNELS).astype(np.float32) for _ in range(3))
    sigma = rng.uniform(0.1, 3, CHANNELS).astype(np.float32)
    a = (gamma / sigma).astype(np.float32)
    epilogue = FloatEpilogue(np.zeros(CHANNELS, np.float32), a, beta - mean * a)
    layer = AdaptedLayer(Observation("step", 0, 1, mean), "norm", sigma, np.ones(CHANNELS, np.float32))
    drift, ratio = rng.uniform(-3, 3, CHANNELS).astype(np.float32), rng.uniform(0.01, 5, CHANNELS).astype(np.float32)
    drift[0], ratio[0] = 0, 1
    new_a, new_d = refold_float(epilogue, layer, drift, ratio)
    x = rng.standard_normal((100, CHANNELS))
    wanted = gamma * (x - (mean + drift * sigma)) / (sigma * np.sqrt(ratio)) + beta
    np.testing.assert_allclose(x * new_a + new_d, wanted, rtol=2e-4, atol=2e-4)
    assert (new_a[0], new_d[0]) == (epilogue.a[0], epilogue.d[0])
    assert refold_float(epilogue, layer, np.full(CHANNELS, np.inf, np.float32), ratio) is None


@pytest.mark.parametrize(("low", "high"), [(-40, 40), (-1, 1), (-1e-3, 1e-3)])
def test_logarithm_and_exponential_are_close_to_exact(low, high):
    x = np.random.default_rng(0).uniform(low, high, 100_000).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.abs(exp(x) / exact - 1).max() < 2.0**-21.5
    rounded = exact.astype(np.float32)
    logarithm = np.log(rounded.astype(np.float64))
    assert (np.abs(ln(rounded) - logarithm) <= np.abs(logarithm) * 2.0**-22).all()


def test_logarithm_and_exponential_are_exact_at_home():
    assert ln(np.float32([1.0]))[0] == 0
    assert exp(np.float32([0.0, -0.0])).tolist() == [1, 1]
    assert np.isfinite(exp(np.float32([-np.inf, np.inf, 1e30]))).all()


def test_the_sum_goes_from_first_to_last():
    values = np.float32([1e8, 1, -1e8, 1])
    assert sequential_sum(values) == 1
    assert sequential_sum(values[:0]) == 0

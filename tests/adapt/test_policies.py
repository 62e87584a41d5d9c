"""The policies of the literature against their published equations, in float64 on real means and variances."""

import numpy as np
import pytest

from edgebn.adapt.policies import POLICIES
from edgebn.adapt.policy import SampleStatistics

CHANNELS, SAMPLES = 5, 230


class FakeSource:
    channels = CHANNELS


def samples():
    """Return per-sample means and variances, and the deviations they are from mean 0 and variance 1."""
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(0.5, 0.4, (SAMPLES, CHANNELS)), rng.uniform(0.2, 1.8, (SAMPLES, CHANNELS))
    return mean, variance, mean.astype(np.float32), (variance + mean**2 - 1).astype(np.float32)


def learned(name):
    policy = POLICIES[name](FakeSource())
    state = policy.start()
    _, _, first, second = samples()
    for d1, d2 in zip(first, second, strict=True):
        policy.update(state, SampleStatistics(d1, d2, 0, np.float32(0), np.float32(0)))
    return policy.estimate(state)


def test_names_and_codes_are_unique():
    assert len({policy.code for policy in POLICIES.values()}) == len(POLICIES) == 8
    assert next(iter(POLICIES)) == "compensated-tracking"


def test_moments_average_raw_moments_exponentially():
    mean, variance, _, _ = samples()
    weights = 0.01 * 0.99 ** np.arange(SAMPLES - 1, -1, -1)
    start = 0.99**SAMPLES
    m1 = weights @ mean
    m2 = weights @ (variance + mean**2) + start * 1
    found = learned("moments")
    np.testing.assert_allclose(found.drift, m1, rtol=1e-4)
    np.testing.assert_allclose(found.ratio, m2 - m1**2, rtol=1e-4)


def test_adabn_takes_the_last_full_batch():
    mean, variance, _, _ = samples()
    batch = slice(100, 200)
    found = learned("adabn")
    total = (variance[batch] + mean[batch] ** 2).mean(axis=0) - mean[batch].mean(axis=0) ** 2
    np.testing.assert_allclose(found.drift, mean[batch].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found.ratio, total, rtol=1e-4)


def test_prior_mixes_the_last_batch_of_32_with_16_source_samples():
    mean, variance, _, _ = samples()
    batch = slice(192, 224)
    m1 = 32 / 48 * mean[batch].mean(axis=0)
    m2 = 16 / 48 * 1 + 32 / 48 * (variance[batch] + mean[batch] ** 2).mean(axis=0)
    found = learned("prior")
    np.testing.assert_allclose(found.drift, m1, rtol=1e-4)
    np.testing.assert_allclose(found.ratio, m2 - m1**2, rtol=1e-4)


def test_dua_decays_its_momentum():
    mean, variance, _, _ = samples()
    m, v, rho = np.zeros(CHANNELS), np.ones(CHANNELS), 0.1
    for mu, var in zip(mean, variance, strict=True):
        rho *= 0.94
        m, v = (1 - rho - 0.005) * m + (rho + 0.005) * mu, (1 - rho - 0.005) * v + (rho + 0.005) * var
    found = learned("dua")
    np.testing.assert_allclose(found.drift, m, rtol=1e-4)
    np.testing.assert_allclose(found.ratio, v, rtol=1e-4)


@pytest.mark.parametrize("name", ["moments", "adabn", "prior", "dua"])
def test_samples_that_equal_the_factory_teach_nothing(name):
    policy = POLICIES[name](FakeSource())
    state = policy.start()
    nothing = np.zeros(CHANNELS, np.float32)
    for _ in range(250):
        policy.update(state, SampleStatistics(nothing, nothing, 0, np.float32(0), np.float32(0)))
    assert (policy.estimate(state).drift == 0).all()
    assert (policy.estimate(state).ratio == 1).all()

"""Rounding for the least output error, against rounding to nearest, on data that the rounding never saw."""

import numpy as np
import pytest

from edgebn.passes.quantization.patch_moments import PatchMoments
from edgebn.passes.quantization.quantize_weights import quantize_weights
from edgebn.passes.quantization.round_weights import lost_mean, round_weights


def correlated(rows, inputs, seed):
    """Inputs as neighbouring pixels are: (rows, inputs), each close to the one before, about a mean of 2."""
    steps = np.random.default_rng(seed).normal(size=(rows, inputs)) * np.r_[1.0, np.full(inputs - 1, 0.2)]
    return np.cumsum(steps, axis=1) + 2.0


def moments_of(*groups):
    return PatchMoments(np.stack([x.mean(axis=0) for x in groups]), np.stack([np.cov(x.T, bias=True) for x in groups]))


def nearest(seed, outputs, inputs):
    weight = np.random.default_rng(seed).normal(size=(outputs, 1, 1, inputs)).astype(np.float32)
    return weight, *quantize_weights(weight, np.zeros(outputs), 1.0)


def errors(weight, codes, scale, x):
    """Return the error of every output of one group, (rows, outputs)."""
    return x @ (weight - codes * scale[:, None, None, None]).reshape(len(weight), -1).T


def test_output_error_falls_on_unseen_data():
    weight, codes, scale = nearest(0, 12, 64)
    better, better_scale = round_weights(weight, codes, scale, moments_of(correlated(2000, 64, 1)))
    unseen = correlated(2000, 64, 2)
    before, after = errors(weight, codes, scale, unseen), errors(weight, better, better_scale, unseen)
    assert after.var(axis=0).sum() < 0.1 * before.var(axis=0).sum()
    assert better.dtype == np.int8
    assert np.abs(better.astype(int)).max() <= 127


def test_groups_use_their_own_moments():
    weight, codes, scale = nearest(3, 6, 16)
    data = correlated(2000, 16, 4), correlated(2000, 16, 5)[:, ::-1] * 3
    both, both_scale = round_weights(weight, codes, scale, moments_of(*data))
    for group, x in enumerate(data):
        part = slice(3 * group, 3 * group + 3)
        alone, alone_scale = round_weights(weight[part], codes[part], scale[part], moments_of(x))
        np.testing.assert_array_equal(both[part], alone)
        np.testing.assert_array_equal(both_scale[part], alone_scale)


def test_lost_mean_is_the_mean_of_the_error():
    weight, codes, scale = nearest(6, 5, 20)
    x = correlated(500, 20, 7)
    np.testing.assert_allclose(lost_mean(weight, codes, scale, moments_of(x)), errors(weight, codes, scale, x).mean(axis=0))


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_dead_inputs_and_dead_channels_are_harmless(spread):
    weight, codes, scale = nearest(8, 4, 8)
    weight[1], codes[1] = 0.0, 0
    x = correlated(50, 8, 9) * spread
    x[:, 3] = 5.0  # never varies
    better, better_scale = round_weights(weight, codes, scale, moments_of(x))
    assert (better[1] == 0).all()
    assert (better_scale > 0).all()
    assert np.isfinite(better_scale).all()
    if spread == 0.0:
        np.testing.assert_array_equal(better, codes)


def test_a_covariance_that_rounding_made_impossible_changes_nothing():
    """E[x x] - E[x] E[x] of inputs near 1e9 that hardly vary: its eigenvalues come out negative."""
    weight, codes, scale = nearest(5, 4, 6)
    impossible = np.diag([1.0, 1, 1, 1, 1, 1]) - 2 * np.ones((6, 6)) / 6
    better, better_scale = round_weights(weight, codes, scale, PatchMoments(np.full((1, 6), 1e9), impossible[None]))
    np.testing.assert_array_equal(better, codes)
    np.testing.assert_array_equal(better_scale, scale)

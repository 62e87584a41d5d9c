"""float32 softmax of the kernels: near to float64 for near and far inputs, few channels and many, on every instruction set."""

import numba
import numpy as np
import pytest

from edgebn.kernels import softmax
from tests.kernels import plain_process, test_pointwise

UNITS = 2  # in the last place
NUMBERS = 60_000  # in each case


@numba.njit
def run(src, dst, rows, channels, beta):
    softmax.softmax_f32(src, channels * 4, dst, channels * 4, rows, 1, channels, beta)


def apply(x, beta=1.0):
    """Apply it to the rows of `x`; vector kernels may read a vector beyond the end."""
    room, out = np.zeros(x.size + 64, np.float32), np.full(x.size + 64, np.float32(7))
    room[: x.size] = x.reshape(-1)
    run(room.ctypes.data, out.ctypes.data, *x.shape, np.float32(beta))
    assert (out[x.size :] == 7).all()
    return out[: x.size].reshape(x.shape)


@pytest.mark.parametrize("beta", [1.0, 0.3, -0.7])
@pytest.mark.parametrize("spread", [1.0, 10.0, 30.0])
@pytest.mark.parametrize("channels", [2, 10, 1001])
def test_two_units_in_the_last_place(channels, spread, beta):
    x = (np.random.default_rng(0).standard_normal((NUMBERS // channels, channels)) * spread).astype(np.float32)
    assert_near(x, beta)


@pytest.mark.parametrize("channels", [2, 71])
def test_two_units_for_every_exponent(channels):
    """Rows whose largest number is 0: what else is in them is of any size, subnormal exponentials with it."""
    x = test_pointwise.arguments()
    x = x[x <= 0]
    x = x[: len(x) // (channels - 1) * (channels - 1)].reshape(-1, channels - 1)
    assert_near(np.hstack([np.zeros((len(x), 1), np.float32), x]), 1.0)


@pytest.mark.parametrize("channels", range(1, 70))
def test_two_units_for_every_length(channels):
    """With what lies behind a row, which may be read, larger than all of it."""
    x = -1 - np.random.default_rng(channels).random((4, channels)).astype(np.float32)
    assert_near(np.vstack([x, np.full((1, channels), np.float32(50)), x]), 1.0)
    assert_near(np.vstack([-x, np.full((1, channels), np.float32(-50)), -x]), -1.0)


def assert_near(x, beta):
    got = apply(x, beta)
    scaled = np.float64(np.float32(beta)) * x.astype(np.float64)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    exact = powers / powers.sum(axis=1, keepdims=True)
    units = np.abs(got - exact) / np.spacing(exact.astype(np.float32)).astype(np.float64)
    assert units.max() <= UNITS


def test_beyond_all_numbers():
    high = np.float32(3e38)
    x = np.array([[-np.inf, 0, 0], [high, -high, 0], [np.inf, 0, 0], [-np.inf] * 3], np.float32)
    masked, far, *unknown = apply(x)
    np.testing.assert_array_equal(masked, [0, 0.5, 0.5])
    np.testing.assert_array_equal(far, [1, 0, 0])
    assert np.isnan(unknown).all()


def test_units_are_those_without_a_fused_multiply_add():
    plain_process.assert_passes(__file__, "two_units")

"""float32 norms of the kernels: near to float64 for every shape and mean, on every instruction set; nothing is written beside."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn.kernels import isa, normalization
from tests.kernels import plain_process

VECTOR = isa.SELECTED.lanes or 4
EPSILON = np.float32(1e-5)
GUARD = np.float32(-77)


@numba.njit
def over_pixels(src, src_row, dst, dst_row, rows, columns, channels, gamma, beta, centred):
    normalization.normalize_pixels_f32(src, src_row, dst, dst_row, rows, columns, channels, gamma, beta, EPSILON, centred)


@numba.njit
def over_groups(src, src_row, dst, dst_row, rows, columns, pixel, channels, groups, gamma, beta, centred, scratch):
    normalization.normalize_groups_f32(
        src, src_row, dst, dst_row, rows, columns, pixel, channels, groups, gamma, beta, EPSILON, centred, scratch
    )


def room(size):
    """Return so many numbers, and a vector behind them that may be read, in one array; the kernels must not write there."""
    return np.full(size + 16, GUARD)


def expected(x, groups, gamma, beta, *, centred):
    x = x.astype(np.float64)
    parts = x.reshape(*x.shape[:2], groups or 1, -1)
    axes = (0, 1, 3) if groups else (3,)
    mean = parts.mean(axes, keepdims=True) if centred else 0.0
    variance = np.square(parts - mean).mean(axes, keepdims=True)
    return ((parts - mean) / np.sqrt(variance + np.float64(EPSILON))).reshape(x.shape) * gamma + beta


def check(shape, groups, *, mean=0.0, centred=True, gap=0, row_gap=0, seed=0):
    """Norm a map whose pixels and rows are so many numbers apart, over itself or elsewhere."""
    rng = np.random.default_rng(seed)
    rows, columns, channels = shape
    pixel, row = channels + gap, columns * (channels + gap) + row_gap
    x = (rng.standard_normal(shape) + mean).astype(np.float32)
    source = room(rows * row)
    np.lib.stride_tricks.as_strided(source, shape, (4 * row, 4 * pixel, 4))[...] = x
    target = source.copy()
    gamma, beta = room(channels), room(channels)
    gamma[:channels], beta[:channels] = rng.standard_normal((2, channels))
    steps = source.ctypes.data, 4 * row, target.ctypes.data, 4 * row, rows, columns
    affine = gamma.ctypes.data, beta.ctypes.data, int(centred)
    if groups:
        scratch = np.full(2 * (channels + 2 * VECTOR) + 1, np.float64(GUARD))
        over_groups(*steps, 4 * pixel, channels, groups, *affine, scratch.ctypes.data)
        assert scratch[-1] == GUARD
    else:
        over_pixels(*steps, channels, *affine)
    found = np.lib.stride_tricks.as_strided(target, shape, (4 * row, 4 * pixel, 4))
    wanted = expected(x, groups, gamma[:channels], beta[:channels], centred=centred)
    # The normed number and the sum are rounded to float32, each at its own size.
    bound = 2.0**-23 * (np.abs(wanted) + 2 * np.abs(beta[:channels])) + 1e-12 * (1 + abs(mean))
    assert (np.abs(found - wanted) <= bound).all()
    found[...] = np.lib.stride_tricks.as_strided(source, shape, (4 * row, 4 * pixel, 4))
    np.testing.assert_array_equal(target, source)  # nothing else was written


CHANNELS = st.one_of(st.integers(1, 5), st.integers(1, 5 * VECTOR), st.sampled_from([VECTOR, 2 * VECTOR, 4 * VECTOR]))
MEANS = st.sampled_from([0.0, 3.0, -1000.0])


@given(st.integers(1, 3), st.integers(1, 5), CHANNELS, MEANS, st.booleans(), st.integers(0, 9), st.integers(0, 99))
def test_norms_of_pixels_are_near(rows, columns, channels, mean, centred, row_gap, seed):
    check((rows, columns, channels), 0, mean=mean, centred=centred, row_gap=row_gap, seed=seed)


@given(st.integers(1, 3), st.integers(1, 40), CHANNELS, MEANS, st.booleans(), st.integers(0, 3), st.data())
def test_norms_of_groups_are_near(rows, columns, channels, mean, centred, gap, data):
    groups = data.draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    row_gap, seed = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 99))
    check((rows, columns, channels), groups, mean=mean, centred=centred, gap=gap, row_gap=row_gap, seed=seed)


@pytest.mark.parametrize("shape", [(1, 200_704, 1), (56, 56, 64)])
def test_norms_of_large_maps_lose_nothing(shape):
    check(shape, 1, mean=1000.0)


def test_norms_are_near_without_vectors():
    plain_process.assert_passes(__file__, "are_near")

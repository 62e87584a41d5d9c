"""Patches against the reference convolution itself, and moments against NumPy on all patches."""

import numpy as np
import pytest

from edgebn import program as p
from edgebn import reference
from edgebn.passes.quantization import patch_moments
from edgebn.passes.quantization.patch_moments import PatchObserver, patches

GEOMETRIES = {
    "plain": {"padding": (1, 1, 1, 1)},
    "strided": {"padding": (0, 1, 1, 0), "strides": (2, 1)},
    "dilated": {"padding": (2, 2, 2, 2), "dilations": (2, 2)},
    "grouped": {"padding": (1, 1, 1, 1), "groups": 2},
    "depthwise": {"padding": (1, 1, 1, 1), "groups": 4},
}


def one_convolution(**geometry):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 3, 3, 4 // geometry.get("groups", 1))).astype(np.float32)
    plain = p.FloatEpilogue(np.zeros(8, np.float32), np.ones(8, np.float32), np.zeros(8, np.float32))
    step = p.Convolution("conv", ("x",), "y", weight, plain, **geometry)
    shape = p.unpooled_shape(step, (6, 7, 4))
    buffers = {"x": p.Buffer("x", (6, 7, 4)), "y": p.Buffer("y", shape)}
    return p.Program("m", "m.keras", "keras", False, buffers, {}, (step,), ("x",), ("y",), {"x": (6, 7, 4), "y": shape})


@pytest.mark.parametrize("name", GEOMETRIES)
def test_weights_times_patches_are_the_convolution(name):
    program = one_convolution(**GEOMETRIES[name])
    (step,) = program.steps
    x = np.random.default_rng(1).normal(size=(2, 6, 7, 4)).astype(np.float32)
    rows = patches(step, x)
    weight = step.weight.reshape(step.groups, 8 // step.groups, -1)
    got = np.concatenate(list(rows @ weight.transpose(0, 2, 1)), axis=1)  # (rows, O)
    want = reference.run(program, x)
    np.testing.assert_allclose(got.reshape(want.shape), want, atol=1e-5)


def test_moments_are_numpys_however_the_data_is_cut():
    program = one_convolution(padding=(1, 1, 1, 1))
    x = np.random.default_rng(2).normal(size=(6, 6, 7, 4)).astype(np.float32) + 1
    seen = PatchObserver(program)
    seen.see({"x": x[:4]})
    seen.see({"x": x[4:]})
    (rows,) = patches(program.steps[0], x).astype(np.float64)
    moments = seen.moments()["conv"]
    np.testing.assert_allclose(moments.mean[0], rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(moments.covariance[0], np.cov(rows.T, bias=True), atol=1e-9)


def test_large_batches_are_thinned_the_same_way_each_time():
    program = one_convolution(padding=(1, 1, 1, 1))
    x = np.random.default_rng(3).normal(size=(4, 6, 7, 4)).astype(np.float32)
    first, second = (patches(program.steps[0], x, most=50) for _ in range(2))
    assert first.shape == (1, 50, 36)
    np.testing.assert_array_equal(first, second)


def test_patches_too_large_for_a_covariance_are_left_out(monkeypatch):
    monkeypatch.setattr(patch_moments, "LARGEST_PATCH", 35)
    seen = PatchObserver(one_convolution(padding=(1, 1, 1, 1)))
    seen.see({"x": np.ones((1, 6, 7, 4), np.float32)})
    assert seen.moments() == {}

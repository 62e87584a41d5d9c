"""Winograd's convolution: exact where every number is, close elsewhere, used where it pays, and off when asked.

That it agrees with the reference on random shapes and stays inside its buffers is in test_contract and test_red_zones.
"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgebn import program as p
from edgebn import reference
from edgebn.kernels import isa
from edgebn.session import Session, winograd
from tests.programs import pooled_shape

pytestmark = pytest.mark.skipif(not isa.SELECTED.vector_bytes, reason="Winograd's kernels are vector kernels")


def convolution(weight, height, width, pool=None, *, padding=(1, 1, 1, 1)):
    """Return a program of one 3 x 3 convolution, and of its pool, without anything else."""
    outputs, _, _, inputs = weight.shape
    x = p.Buffer("x", (height, width, inputs), "float32")
    zeros = np.zeros(outputs, np.float32)
    step = p.Convolution("conv", ("x",), "y", weight, p.FloatEpilogue(zeros, zeros + 1, zeros), padding=padding, pool=pool)
    shape = p.unpooled_shape(step, x.shape)
    y = p.Buffer("y", shape if pool is None else pooled_shape(pool, shape), "float32")
    shapes = {"x": x.shape, "y": y.shape}
    return p.Program("one", "one", "test", False, {"x": x, "y": y}, {}, (step,), ("x",), ("y",), shapes)


def operations(session):
    return {row.operation for row in session._packed._packer.rows}


@given(
    st.sampled_from([16, 24, 33]),
    st.sampled_from([16, 32, 40, 80]),
    st.integers(2, 13),
    st.integers(2, 40),
    st.sampled_from([None, p.Window("max", (2, 2), (2, 2)), p.Window("max", (2, 3), (1, 2))]),
    st.integers(0, 100),
)
def test_it_is_exact_on_small_integers(inputs, outputs, height, width, pool, seed):
    """Transforms only add, subtract and halve: on small integers no float32 operation rounds, so any slip shows."""
    assume(pool is None or (height >= pool.kernel[0] and width >= pool.kernel[1]))
    rng = np.random.default_rng(seed)
    weight = rng.integers(-8, 9, (outputs, 3, 3, inputs)).astype(np.float32)
    program = convolution(weight, height, width, pool)
    assume(winograd.suits(program.steps[0], program))  # of the smallest images it wins too few products
    x = rng.integers(-8, 9, (2, height, width, inputs)).astype(np.float32)
    session = Session(program)
    assert "winograd_input_f32" in operations(session)
    np.testing.assert_array_equal(session.run(x), reference.run(program, x))


def test_its_error_is_what_the_documentation_says():
    rng = np.random.default_rng(3)
    for channels, side in ((16, 32), (32, 16), (64, 8), (128, 16)):
        weight = rng.normal(0, (9 * channels) ** -0.5, (channels, 3, 3, channels)).astype(np.float32)
        program = convolution(weight, side, side)
        x = rng.standard_normal((4, side, side, channels)).astype(np.float32)
        padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        exact = np.einsum("nhwcij,oijc->nhwo", taps, weight.astype(np.float64))
        errors = [np.abs(Session(program, winograd=on).run(x) - exact).max() / np.ptp(exact) for on in (False, True)]
        assert errors[1] <= min(errors[0], 5e-7)
        assert errors[0] <= 1.5e-6


def test_it_is_used_only_where_it_pays_and_is_wanted():
    ones = np.ones((32, 3, 3, 32), np.float32)
    usual = convolution(ones, 16, 16)
    assert {"winograd_input_f32", "winograd_output_f32"} < operations(Session(usual))
    assert not any(name.startswith("winograd") for name in operations(Session(usual, winograd=False)))
    few_channels = convolution(np.ones((32, 3, 3, 3), np.float32), 16, 16)  # the transforms would cost more than they save
    one_row = convolution(ones, 1, 16)
    for program in (few_channels, one_row):
        assert not any(name.startswith("winograd") for name in operations(Session(program)))


def test_weights_are_transformed_in_double_precision():
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((2, 3, 3, 5)).astype(np.float32)
    g = winograd.WEIGHT_TRANSFORM
    wanted = np.array([[(g @ weight[o, :, :, c].astype(np.float64) @ g.T).reshape(16) for c in range(5)] for o in range(2)])
    np.testing.assert_array_equal(winograd.transformed(weight), wanted.transpose(2, 0, 1).astype(np.float32))

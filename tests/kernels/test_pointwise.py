"""Functions of one float32 number: near to float64 over the whole range of float32, and the same however rows are cut."""

import os
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from edgebn.functions import FUNCTIONS
from edgebn.kernels import pointwise
from edgebn.kernels.isa import SELECTED
from edgebn.kernels.records import POINTWISE

STEP = 97 if os.environ.get("EDGEBN_TEST_ALL") else 100_003  # of the bits of float32, a prime
FUSED = bool({"fma", "neon"} & set(SELECTED.features))
UNITS = 2 if FUSED else 2.5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Of these other bounds hold: a square root and a quotient, and what magnifies the rounding of its argument.
OTHER_UNITS = {"gelu_tanh": 256, "mish": UNITS if FUSED else 4, "selu": 3, "gelu": 4 if FUSED else 256, "softplus": 3, "erf": 3}
DOMAIN = {"log": 0.0, "rsqrt": 1e-37, "sqrt": 0.0, "reciprocal": 1e-37}  # the least argument
PARAMETERS = SimpleNamespace(low=-1.0, high=1.0, alpha=1.0, beta=0.5, slope=None)
EXACT = {
    **{
        name: lambda x, function=function: function(x, PARAMETERS)
        for name, function in FUNCTIONS.items()
        if name not in ("clip", "leaky_relu", "prelu", "hard_sigmoid", "hard_swish")
    },
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "silu": lambda x: x * sigmoid(x),
    "exp_of_difference": lambda x: np.exp(np.minimum(x, 0)),
}


@numba.njit
def run(variant, src, src_row, dst, dst_row, rows, count, first, second):
    pointwise.pointwise_f32(variant, src, src_row, dst, dst_row, rows, count, first, second)


def apply(name, x, first=0.0, second=0.0):
    """Apply a function to the rows of `x`, which need not be adjacent; vector kernels may read a vector beyond the end."""
    room = np.zeros(x.size + 64, np.float32)
    room[: x.size] = x.reshape(-1)
    out = np.full(x.size + 64, np.float32(7))
    rows, count = x.shape
    run(
        POINTWISE.index(name),
        room.ctypes.data,
        count * 4,
        out.ctypes.data,
        count * 4,
        rows,
        count,
        np.float32(first),
        np.float32(second),
    )
    assert (out[x.size :] == 7).all()
    return out[: x.size].reshape(x.shape)


@pytest.mark.parametrize("name", EXACT)
def test_two_units_in_the_last_place(name):
    x = np.arange(0, 1 << 32, STEP, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    if name == "exp_of_difference":
        x = x[x <= 0]
    x = x[x > DOMAIN.get(name, -np.inf)]
    got = apply(name, x[None, :], 1.0)[0]
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(np.float64))
    x, got, exact = (array[np.abs(exact) < np.finfo(np.float32).max] for array in (x, got, exact))
    far = np.abs(got - exact) > OTHER_UNITS.get(name, UNITS) * np.spacing(np.abs(exact).astype(np.float32))
    assert not (far & (np.abs(exact) > 1e-35)).any()
    assert (np.abs(got[np.abs(exact) <= 1e-35]) <= 2e-35).all()


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("count", [1, 3, 4, 7, 16, 19, 33])
def test_places_do_not_matter(name, count):
    rng = np.random.default_rng(count)
    x = -np.abs(rng.standard_normal((3, count))).astype(np.float32) if name == "exp_of_difference" else None
    x = (4 * rng.standard_normal((3, count))).astype(np.float32) if x is None else x
    together = apply(name, x, 0.3, 0.5)
    one_by_one = [[apply(name, np.array([[value]], np.float32), 0.3, 0.5)[0, 0] for value in row] for row in x]
    np.testing.assert_array_equal(together, np.array(one_by_one, np.float32))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "hard_swish", "hard_sigmoid"])
def test_infinity(name):
    low, high = apply(name, np.array([[-np.inf, np.inf]], np.float32), 0.2, 0.5)[0]
    if name != "silu" and name != "hard_swish":  # those are -inf * 0 there, which no real number is
        assert low == (-1.0 if name == "tanh" else 0.0)
    assert high == (np.inf if name in ("silu", "hard_swish") else 1.0)

"""Functions of one float32 number: near to float64 over the whole range of float32, and the same however rows are cut."""

import re
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from edgebn.functions import FUNCTIONS
from edgebn.kernels import isa, pointwise
from edgebn.kernels.records import POINTWISE
from tests.conftest import TEST_ALL
from tests.kernels import machine_code, plain_process
from tests.units import assert_within

STEP, DENSE_STEP = (97, 11) if TEST_ALL else (100_003, 1999)  # of the bits of float32, primes
DENSE = (2.0**-12, 2.0**7)  # between them functions bend
UNITS = 2  # in the last place


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


PARAMETERS = SimpleNamespace(low=-1.0, high=1.0, alpha=1.0, beta=0.5, slope=None)
SECOND = {"hard_sigmoid": PARAMETERS.beta}
EXACT = {
    **{
        name: lambda x, function=function: function(x, PARAMETERS)
        for name, function in FUNCTIONS.items()
        if name not in ("clip", "leaky_relu", "prelu")
    },
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "silu": lambda x: x * sigmoid(x),
}
OF_POSITIVE = {"log", "rsqrt", "sqrt"}
BASES = (2.0, 10.0, 1.7, 0.3, 1.0001, 1e-30, 3e38)
# Of powers: of GeM pools, local response norms, PCEN and the gamma of pictures; large, small and whole ones, of either sign.
EXPONENTS = (1 / 16, 0.3, 1 / 2.2, 0.75, -0.75, -0.98, 1.5, 2.2, 3.7, -2.5, 2.0, 5.0, -3.0, 16.4, 17.0, -63.0, 64.0, 1000.5, -1e-3)


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


def arguments():
    """Return float32 numbers of the whole range, subnormal ones with them, and more where functions bend."""
    first, last = (int(np.float32(size).view(np.uint32)) for size in DENSE)
    dense = np.arange(first, last, DENSE_STEP, dtype=np.uint32)
    bits = [np.arange(0, 1 << 32, STEP, dtype=np.uint64).astype(np.uint32), dense, dense | np.uint32(1 << 31)]
    x = np.concatenate(bits).view(np.float32)
    return x[np.isfinite(x)]


@pytest.mark.parametrize("name", EXACT)
def test_two_units_in_the_last_place(name):
    x = arguments()
    if name in OF_POSITIVE:
        x = x[x > 0]
    got = apply(name, x[None, :], 1.0, SECOND.get(name, 0.0))[0]
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(np.float64))
    x, got, exact = (array[np.abs(exact) < np.finfo(np.float32).max] for array in (x, got, exact))
    units = np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    worst = np.argmax(units)  # of NaN too
    assert units[worst] <= UNITS, (x[worst], got[worst], exact[worst])


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_powers_are_the_nearest_float32(exponent):
    """Of two that are nearly as near either: computed in float64 and rounded once, subnormal ones too; NaN of negative numbers."""
    x, exponent = arguments(), np.float32(exponent)
    with np.errstate(all="ignore"):
        exact = np.float_power(x, exponent)
    assert_within(apply("power", x[None, :], exponent)[0], exact, 0.51)


@pytest.mark.parametrize("base", BASES)
def test_powers_of_one_base_are_the_nearest_float32(base):
    x, base = np.append(arguments(), np.float32([-np.inf, np.inf, np.nan])), np.float32(base)
    with np.errstate(all="ignore"):
        exact = np.float_power(base, x)
    assert_within(apply("exp_base", x[None, :], base)[0], exact, 0.51)


def test_units_are_those_without_a_fused_multiply_add():
    plain_process.assert_passes(__file__, "two_units or powers")


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("count", [1, 3, 4, 7, 16, 19, 33])
def test_places_do_not_matter(name, count):
    rng = np.random.default_rng(count)
    x = (4 * rng.standard_normal((3, count))).astype(np.float32)
    together = apply(name, x, 0.3, 0.5)
    one_by_one = [[apply(name, np.array([[value]], np.float32), 0.3, 0.5)[0, 0] for value in row] for row in x]
    np.testing.assert_array_equal(together, np.array(one_by_one, np.float32))


@pytest.mark.parametrize("name", POINTWISE)
def test_unusual_neighbours_do_not_matter(name):
    """A number whose function takes a longer way leaves those in the vectors beside it as they are."""
    usual = (2 * np.random.default_rng(3).standard_normal((1, 37))).astype(np.float32)
    alone = apply(name, usual, 0.3, 0.5)
    for unusual in np.float32([200.0, -200.0, -90.0, -12.0, 1e30, -1e30, 1e-40, np.inf, -np.inf, np.nan]):
        x = usual.copy()
        x[0, [5, 20]] = unusual
        expected = alone.copy()
        expected[0, [5, 20]] = apply(name, np.array([[unusual]]), 0.3, 0.5)[0, 0]
        np.testing.assert_array_equal(apply(name, x, 0.3, 0.5), expected)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "hard_swish", "hard_sigmoid", "gelu", "gelu_tanh", "mish", "erf"])
def test_infinity(name):
    low, high, unknown = apply(name, np.array([[-np.inf, np.inf, np.nan]], np.float32), 0.2, 0.5)[0]
    assert low == (-1.0 if name in ("tanh", "erf") else 0.0)
    assert high == (np.inf if name in ("silu", "hard_swish", "gelu", "gelu_tanh", "mish") else 1.0)
    assert np.isnan(unknown) or name == "hard_sigmoid"


@pytest.mark.parametrize("exponent", [0.0, 0.3, -0.3, 1.0, -1.0, 2.0, -2.0, 3.0, 2.0**23 + 1, 2.0**24, -1e30, 1e-45])
def test_powers_of_what_is_no_usual_number(exponent):
    """As C99's annex F has them, and the infinity or zero of numbers near 1 by a large exponent."""
    below, above = np.nextafter(np.float32(1), np.float32([0, 2]))
    x = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2, below, above, -below, -above]], np.float32)
    with np.errstate(all="ignore"):
        expected = np.float_power(x, np.float32(exponent)).astype(np.float32)
    got = apply("power", x, exponent)
    np.testing.assert_allclose(got, expected, rtol=2.0**-23)
    known = ~np.isnan(expected)
    assert (np.signbit(got) == np.signbit(expected))[known].all()


@pytest.mark.parametrize("name", ["sigmoid", "silu", "exp", "clip"])
def test_several_vectors_go_side_by_side_where_a_core_waits_for_itself(name):
    """AArch64, whose small cores run in order: one vector alone is a chain of steps that each wait for the one before."""
    found = next(one for one in isa.INSTRUCTION_SETS if one.name == "neon")
    text = machine_code.assembly(pointwise.Pointwise(found), name, found, machine_code.ARM64, "generic")
    stores = [
        re.findall(r"\tst[rp]\t(q\d+)(?:, (q\d+))?, \[(?!sp)", loop) for loop in machine_code.innermost_loops_with_branches(text)
    ]
    counts = [sum(bool(register) for pair in loop for register in pair) for loop in stores]
    assert max(counts) % pointwise.TOGETHER == 0
    assert max(counts) >= pointwise.TOGETHER


@pytest.mark.parametrize("name", ["sigmoid", "exp"])
def test_two_short_vectors_are_computed_as_one(name):
    found = next(one for one in isa.INSTRUCTION_SETS if one.name == "avx2")
    text = machine_code.assembly(pointwise.Pointwise(found), name, found, machine_code.X86, "x86-64")
    stores = [
        len(re.findall(r"\tvmov\w+\t%ymm\d+, \d*\((?!%rsp)", loop)) for loop in machine_code.innermost_loops_with_branches(text)
    ]
    assert 2 in stores
    assert 1 in stores

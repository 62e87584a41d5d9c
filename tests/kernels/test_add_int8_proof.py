"""The float form of an int8 sum against its tables, for every pair of codes that there is; NumPy plays the kernel."""

import numpy as np
import pytest

from edgebn.kernels import add_int8_proof
from edgebn.kernels.isa import SELECTED
from edgebn.kernels.records import NEGATIVE_ROUNDING, UNIT_BITS


def case(seed):
    """Return tables, final and bounds as a program's single or double rounding gives them."""
    rng = np.random.default_rng(seed)
    zeros = rng.integers(-128, 128, 2)
    reals = rng.uniform(0.05, 1.9, 2)
    centred = [np.arange(-128, 128, dtype=np.int64) - zero for zero in zeros]
    bounds = int(rng.integers(-128, 128)), int(rng.choice([-128, -20])), int(rng.choice([127, 60]))
    if seed % 2:
        shift = int(rng.integers(12, 21))
        tables = [values * int(real * 2**shift) for values, real in zip(centred, reals, strict=True)]
        return tables, (1, int(rng.integers(-(1 << shift), 1 << shift)), shift, 0), bounds
    e = int(rng.integers(17, 21))
    tables = [(values << 20) * int(real * 2**30) >> 31 for values, real in zip(centred, reals, strict=True)]
    return tables, (int(rng.integers(1 << 30, 1 << 31)), (1 << 30) + (1 << (30 + e)), 31 + e, 1), bounds


def powers_of_two(a, b, zeros=(0, 0), bounds=(0, -128, 127)):
    """Return a case whose operands' scales are 2**a and 2**b times the output's."""
    centred = [np.arange(-128, 128, dtype=np.int64) - zero for zero in zeros]
    return [values << (16 + k) for values, k in zip(centred, (a, b), strict=True)], (1, 1 << 15, 16, 0), bounds


@pytest.mark.parametrize("seed", range(24))
def test_what_is_not_in_doubt_is_exact(seed):
    check(*case(seed))


@pytest.mark.parametrize(
    "given",
    [
        powers_of_two(-1, -1),
        powers_of_two(-1, 0, zeros=(3, -128), bounds=(-128, -128, 60)),
        powers_of_two(-4, 1, zeros=(-7, 9), bounds=(5, -128, 127)),
    ],
)
def test_scales_that_are_powers_of_two_leave_no_doubt(given):
    """Every other sum of the first is a tie: all of those were worked out again from tables, one by one."""
    assert check(*given) == 1.0


def test_ties_at_the_finest_step_are_in_doubt():
    """A step of one unit leaves no room for half of one."""
    tables, final, bounds = powers_of_two(-1, -16)
    assert check(tables, final, bounds) < 1.0


def check(tables, final, bounds):
    """Hold a form to its tables, for every pair of codes that it is not in doubt of, and return their share."""
    form = add_int8_proof.sum_proof(*tables, final, bounds)
    assert form is not None
    multiplier, rounding, shift, neg = final
    zero_point, qmin, qmax = bounds
    total = tables[0][:, None] + tables[1]
    product = total.astype(object) * multiplier + rounding - np.where((total < 0) & bool(neg), NEGATIVE_ROUNDING, 0)
    expected = np.clip((product >> shift) + zero_point, qmin, qmax).astype(np.int64)
    reals = {name: np.int32(form.scalars[f"{name}_bits"]).view(np.float32) for name in ("a_scale", "b_scale", "start")}
    wide = {name: np.longdouble(value) for name, value in reals.items()}
    codes = np.arange(256).astype(np.longdouble)
    inner = (codes * wide["b_scale"] + wide["start"]).astype(np.float32)
    t = (codes[:, None] * wide["a_scale"] + inner.astype(np.longdouble)).astype(np.float32).astype(np.int64)
    is_safe = (t & form.scalars["safe_mask"]) != 0
    found = np.clip(np.clip(t >> UNIT_BITS, 0, 255) - 128, qmin, qmax)
    np.testing.assert_array_equal(found[is_safe], expected[is_safe])
    assert is_safe.mean() > 0.99
    by_byte = np.arange(256) ^ 0x80 ^ SELECTED.code_flip
    np.testing.assert_array_equal(form.a_table, tables[0][by_byte])
    np.testing.assert_array_equal(form.b_table, tables[1][by_byte])
    return is_safe.mean()

"""Int8 sums of equal shapes: the vector kernel against the reference, for every pair of codes, odd lengths and much in doubt."""

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.kernels import executor
from edgebn.session.options import Options
from edgebn.session.tables import Packed

HAS_KERNEL = "add_tile_i8" in executor.operations()


def arithmetic(kind, bounds=(-128, 127), seed=0):
    """Return the form of a sum: one rounding, TensorFlow Lite Micro's two, or steps so fine that one sum in four is in doubt."""
    rng = np.random.default_rng(seed)
    zero_point = int(rng.integers(-128, 128))
    if kind == "two":
        first, second, total = (int(value) for value in rng.integers(1 << 30, 1 << 31, 3))
        return p.IntAdd("double", (first, second, total), (1, 0, 19), 0, 1, zero_point, *bounds)
    if kind == "one":
        first, second = (int(value) for value in rng.integers(9_000, 70_000, 2))
        return p.IntAdd("single", (first, second), (), 1 << 15, 16, zero_point, *bounds)
    # Every fourth sum is a tie or nearly one; a unit of 2**-20 in the first factor spoils what powers of two have.
    return p.IntAdd("single", ((1 << 18) + 1, 1 << 18), (), 1 << 19, 20, zero_point, *bounds)


def network(shape, form, zeros=(3, -7)):
    given = zip("xyz", (*zeros, form.zero_point), strict=True)
    buffers = {name: p.Buffer(name, shape, "int8", 0.1, zero) for name, zero in given}
    step = p.Add("sum", ("x", "y"), "z", arithmetic=form)
    return p.Program("sums", "sums", "native", False, buffers, {}, (step,), ("x", "y"), ("z",), dict.fromkeys("xyz", shape))


def check(shape, form, x, y, **options):
    """Hold a session to the reference."""
    program = network(shape, form)
    names = [executor.by_code()[code].name for code in Packed(program, Options()).codes.words[:, 0]]
    assert ("add_tile_i8" in names) == HAS_KERNEL
    given = {"x": x[None], "y": y[None]}
    np.testing.assert_array_equal(edgebn.Session(program, **options).run(given), reference.run(program, given))


@pytest.mark.parametrize("bounds", [(-128, 127), (-90, 101)])
@pytest.mark.parametrize("kind", ["one", "two", "ties"])
def test_every_pair_of_codes(kind, bounds):
    rng = np.random.default_rng(1)
    pairs = rng.permutation(1 << 16).astype(np.int64)
    x, y = ((part - 128).astype(np.int8).reshape(256, 256, 1) for part in (pairs >> 8, pairs & 255))
    check((256, 256, 1), arithmetic(kind, bounds), x, y)


@pytest.mark.parametrize("kind", ["one", "two", "ties"])
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 127, 129, 1000])
def test_every_length(count, kind):
    rng = np.random.default_rng(count)
    x, y = rng.integers(-128, 128, (2, 1, count, 1)).astype(np.int8)
    check((1, count, 1), arithmetic(kind, seed=count), x, y)


@pytest.mark.parametrize("threads", [1, 2])
def test_codes_as_the_caller_has_them(threads):
    """Large inputs and outputs are not copied: their bytes are codes, not stored ones."""
    rng = np.random.default_rng(5)
    shape = (160, 161, 3)
    x, y = rng.integers(-128, 128, (2, *shape)).astype(np.int8)
    check(shape, arithmetic("ties"), x, y, threads=threads)

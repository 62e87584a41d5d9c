"""Products of two computed int8 values: the specification's bytes for every shape and any codes, however threads share them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import program as p
from edgebn import reference
from edgebn.kernels import executor
from edgebn.kernels.product_shapes import MIN_ROWS
from edgebn.session import Session
from tests.session.test_threads import assert_threads_give_the_same_bytes


def product(sizes, zeros=(0, 0, 0), gain=1.0, *, neg=False, bounds=(-128, 127), repeated=None):
    """Return a program of one product of (stacks, rows, depth, columns); `repeated` is the side of one matrix for all."""
    stacks, rows, depth, columns = sizes
    shapes = {"a": (stacks, rows, depth), "b": (stacks, depth, columns), "y": (stacks, rows, columns)}
    if repeated:
        shapes[repeated] = (1, *shapes[repeated][1:])
    buffers = {
        name: p.Buffer(name, shape, "int8", scale=1.0, zero_point=zero)
        for (name, shape), zero in zip(shapes.items(), zeros, strict=True)
    }
    mantissa, exponent = np.frexp(gain / np.sqrt(depth) / 60)
    m, s = round(mantissa * 2**30), 30 - int(exponent)
    rounding = (1 << 30) + (1 << (s - 1)) if neg else 1 << (s - 1)
    form = p.IntMultiply(m=m, r=rounding, s=s, neg=neg, zero_point=zeros[2], qmin=bounds[0], qmax=bounds[1])
    step = p.MatMul("product", ("a", "b"), "y", form)
    return p.Program("product", "product", "test", False, buffers, {}, (step,), ("a", "b"), ("y",), shapes)


def inputs(program, seed=0, *, extreme=False, samples=1):
    rng = np.random.default_rng(seed)
    shapes = {name: (samples, *program.shapes[name]) for name in program.inputs}
    if extreme:
        return {name: rng.choice(np.array([-128, 127], np.int8), shape) for name, shape in shapes.items()}
    return {name: rng.integers(-128, 128, shape, dtype=np.int8) for name, shape in shapes.items()}


def operations(program):
    return {row.operation for row in Session(program)._packed._packer.rows} & {"matmul_i8", "matmul_tile_i8"}


ZERO = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))


@pytest.mark.usefixtures("eager")
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(1, 70), st.integers(1, 50)),
    st.tuples(ZERO, ZERO, ZERO),
    st.sampled_from([0.01, 0.5, 1.0, 30.0, 1e5]),
    st.booleans(),
    st.sampled_from([(-128, 127), (-5, 100)]),
    st.sampled_from([None, "a", "b"]),
    st.integers(0, 99),
)
def test_codes_are_the_specification_s(sizes, zeros, gain, neg, bounds, repeated, seed):
    program = product(sizes, zeros, gain, neg=neg, bounds=bounds, repeated=repeated)
    x = inputs(program, seed, extreme=seed % 5 == 0)
    np.testing.assert_array_equal(Session(program).run(x), reference.run(program, x))


@pytest.mark.usefixtures("eager")
def test_the_largest_sums_are_exact():
    program = product((1, 9, p.MATMUL_DEPTH, 11), (127, -128, 3), 0.002)
    x = {name: np.full((1, *program.shapes[name]), code, np.int8) for name, code in (("a", -128), ("b", 127))}
    x["a"][:, :, 4, ::2] = 127
    x["b"][..., 5] = -127
    np.testing.assert_array_equal(Session(program).run(x), reference.run(program, x))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("shape", [(1, 97, 64, 97), (3, 60, 300, 70), (40, 49, 20, 49), (1, 7, 90, 600)])
def test_every_number_of_threads_gives_the_same_bytes(shape):
    program = product(shape, (3, -7, 1))
    assert_threads_give_the_same_bytes(program, inputs(program), operations(program))


def test_tiles_take_over_from_few_rows():
    tiled = "matmul_tile_i8" if "matmul_tile_i8" in executor.operations() else "matmul_i8"
    assert operations(product((2, MIN_ROWS - 1, 9, 9))) == {"matmul_i8"}
    assert operations(product((2, MIN_ROWS, 9, 9))) == {tiled}

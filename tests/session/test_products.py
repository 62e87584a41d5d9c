"""Products of two computed float32 values: near to float64 for every shape, and the same bytes however threads share them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import program as p
from edgebn import reference
from edgebn.kernels import executor, isa
from edgebn.kernels.product_shapes import MIN_ROWS, PANEL_BYTES, product_shapes
from edgebn.session import Session, shares
from tests.session.test_threads import assert_threads_give_the_same_bytes

VECTOR = isa.SELECTED.lanes or 4
DEEP = PANEL_BYTES // (4 * VECTOR)  # more than the copy of one vector of columns holds


def product(stacks, rows, depth, columns, *, repeated=None):
    """Return a program of one product; `repeated` is the side of which there is one matrix for all."""
    shapes = {"a": (stacks, rows, depth), "b": (stacks, depth, columns), "y": (stacks, rows, columns)}
    if repeated:
        shapes[repeated] = (1, *shapes[repeated][1:])
    buffers = {name: p.Buffer(name, shape) for name, shape in shapes.items()}
    step = p.MatMul("product", ("a", "b"), "y")
    return p.Program("product", "product", "test", False, buffers, {}, (step,), ("a", "b"), ("y",), shapes)


def inputs(program, seed=0, samples=1):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((samples, *program.shapes[name])).astype(np.float32) for name in program.inputs}


def operations(program):
    return {row.operation for row in Session(program)._packed._packer.rows} & {"matmul_f32", "matmul_tile_f32"}


@st.composite
def shapes(draw):
    columns = draw(st.one_of(st.integers(1, 5 * VECTOR), st.sampled_from([VECTOR, 2 * VECTOR, 6 * VECTOR])))
    depth = draw(st.one_of(st.integers(1, 40), st.integers(DEEP // 2 - 1, DEEP + 2)))
    repeated = draw(st.sampled_from([None, "a", "b"]))
    return draw(st.integers(1, 3)), draw(st.integers(1, 30)), depth, columns, repeated


@pytest.mark.usefixtures("eager")
@given(shapes(), st.integers(0, 99))
def test_products_are_near(shape, seed):
    *sizes, repeated = shape
    program = product(*sizes, repeated=repeated)
    x = inputs(program, seed)
    found = Session(program).run(x)
    expected = reference.run(program, x)
    a, b = np.abs(x["a"].astype(np.float64)), np.abs(x["b"].astype(np.float64))
    bound = (sizes[2] + 1) * 2.0**-24 * (a @ b)  # what rounding each sum may add up to
    assert (np.abs(found.astype(np.float64) - expected).reshape(bound.shape) <= bound).all()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("shape", [(1, 197, 64, 197), (3, 60, 300, 70), (40, 49, 20, 49), (1, 7, 90, 600)])
def test_every_number_of_threads_gives_the_same_bytes(shape):
    program = product(*shape)
    assert_threads_give_the_same_bytes(program, inputs(program), operations(program))


def test_tiles_take_over_from_few_rows():
    tiled = "matmul_tile_f32" if "matmul_tile_f32" in executor.operations() else "matmul_f32"
    assert operations(product(2, MIN_ROWS - 1, 9, 9)) == {"matmul_f32"}
    assert operations(product(2, MIN_ROWS, 9, 9)) == {tiled}


@pytest.mark.skipif(not isa.SELECTED.vector_bytes, reason="tiles are vector kernels")
def test_numbers_that_are_none_stay_in_their_rows_and_columns():
    program = product(1, 11, 300, 2 * VECTOR + 3)
    x = inputs(program)
    clean = Session(program).run(x)
    x["a"][0, 0, 4, 7] = -np.inf
    x["b"][0, 0, 290, 2 * VECTOR + 1] = np.inf
    found = Session(program).run(x)
    touched = np.zeros(clean.shape, bool)
    touched[..., 4, :] = touched[..., 2 * VECTOR + 1] = True
    assert (np.isfinite(found) != touched).all()
    np.testing.assert_array_equal(found[~touched], clean[~touched])


@pytest.mark.parametrize("one", isa.INSTRUCTION_SETS, ids=lambda one: one.name)
def test_any_rows_are_made_up_of_tiles(one):
    for width in {nv for _, nv in product_shapes(one)}:
        tall = [mr for mr, nv in product_shapes(one) if nv == width]
        assert tall == sorted(tall, reverse=True)
        assert tall[-1] == 1


def test_shares_have_copies_of_their_own():
    assert shares.KINDS["matmul_tile_f32"].scratch({}) == {"scratch": PANEL_BYTES}

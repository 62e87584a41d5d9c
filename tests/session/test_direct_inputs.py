"""Large inputs are read where the user has them, others are copied while they are checked or turned: the same bytes either way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgebn
from edgebn import program as p
from edgebn.errors import ModelError
from edgebn.kernels import executor
from edgebn.session import direct_inputs, tables
from tests import programs


@pytest.fixture(autouse=True, scope="module")
def _however_small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct_inputs, "MIN_IN_PLACE", 0)
        patch.setattr(tables, "MIN_DIRECT", 0)
        yield


def read_in_place(session):
    """Return whether an input is, which the table then names as the owner of a row that is no copy."""
    table = session._packed.real
    return bool((table.patches[: len(table.inputs), 0] >= 0).all()) and any(len(place) for place in table.places)


def lists(value, program):
    return value if isinstance(value, dict) else {program.outputs[0]: value}


def check(program, threads=1):
    session = edgebn.Session(program, threads=threads)
    for samples in (1, 3):
        x = programs.inputs_for(program, samples, samples)
        kept = session.run_buffers(x)
        given = x.copy()
        session._packed.arena[...] = 255  # NaN: nothing of an earlier run may be read
        session._packed._fill_lasting_halos()
        made = lists(session.run(given), program)
        np.testing.assert_array_equal(given, x)
        for name, value in made.items():
            if value.dtype == kept[name].dtype:
                np.testing.assert_array_equal(value.reshape(-1), kept[name].reshape(-1))
    return session


@pytest.mark.parametrize("kind", programs.KINDS["float32"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_kind_of_step(kind, data):
    check(data.draw(programs.single(kind, "float32")))


@pytest.mark.parametrize("dtype", ["float32", "mixed"])
@given(data=st.data())
def test_networks(dtype, data):
    check(data.draw(programs.programs(dtype)), threads=data.draw(st.sampled_from([1, 2])))


@pytest.fixture(scope="module")
def plain():
    """A session of one elementwise step, whose input is read in place and whose output is written to the user."""
    maker = programs.Maker(None, "float32", np.random.default_rng(0))
    x = maker.buffer((8, 8, 24))
    y = maker.finish_step(edgebn.program.Elementwise("silu", (x,), maker.buffer((8, 8, 24)), "silu"))
    return edgebn.Session(maker.program((x,), (y,)))


def test_it_is_used(plain):
    assert read_in_place(plain)


@pytest.mark.parametrize("offset", [-40, -1, 0, 1, 40, 1535, 1536])
def test_results_over_the_input(plain, offset):
    """What is written meanwhile may lie anywhere over what is read."""
    x = np.random.default_rng(1).standard_normal((1, 8, 8, 24)).astype(np.float32)
    expected = plain.run(x)
    room = np.full(3 * x.size + 100, 7.0, np.float32)
    given = room[x.size + 50 :][: x.size].reshape(x.shape)
    given[...] = x
    out = room[x.size + 50 + offset :][: x.size].reshape(x.shape)
    plain.run(given, out=out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("end", range(0, 132, 4))
def test_the_end_of_a_page(plain, end):
    """An input that ends at or near the end of a page."""
    x = np.random.default_rng(2).standard_normal((1, 8, 8, 24)).astype(np.float32)
    room = np.zeros(x.nbytes + 3 * 4096, np.uint8)
    start = -(room.ctypes.data + x.nbytes + end) % 4096
    given = room[start : start + x.nbytes].view(np.float32).reshape(x.shape)
    given[...] = x
    np.testing.assert_array_equal(plain.run(given), plain.run(x))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("kind", ["convolution", "elementwise", "pool"])
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_nan_is_told_and_nothing_written(kind, samples, data):
    program = data.draw(programs.single(kind, "float32"))
    session = edgebn.Session(program)
    x = programs.inputs_for(program, samples)
    good = session.run(x)
    bad = x.copy()
    bad.reshape(-1)[data.draw(st.integers(0, x.size - 1))] = np.nan
    out = np.full_like(good, 7.0)
    with pytest.raises(ModelError, match="holds NaN"):
        session.run(bad, out=out)
    assert (out == 7.0).all()
    np.testing.assert_array_equal(session.run(x), good)


def sum_of_codes(shape, *, follows=False):
    """Return an int8 program that sums two inputs; `follows` puts a step behind the sum, so that only inputs are the user's."""
    buffers = {name: p.Buffer(name, shape) for name in ("a", "b", "sum", "twice")}
    steps = [p.Add("add", ("a", "b"), "sum")]
    if follows:
        steps.append(p.Add("again", ("sum", "a"), "twice"))
    output = "twice" if follows else "sum"
    if not follows:
        del buffers["twice"]
    shapes = dict.fromkeys(buffers, shape)
    program = p.Program("m", "m.test", "test", False, buffers, {}, tuple(steps), ("a", "b"), (output,), shapes)
    rng = np.random.default_rng(0)
    return edgebn.quantize(program, {name: rng.standard_normal((50, *shape)).astype(np.float32) for name in "ab"})


def codes(shape, samples=1, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.integers(-128, 128, (samples, *shape)).astype(np.int8) for name in "ab"}


SHAPES = [(1, 1, 3), (1, 1, 64), (3, 5, 7), (9, 8, 24), (128, 128, 1)]  # less than a vector, whole ones, and a rest


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_codes_are_summed_where_the_user_has_them(shape, follows, threads):
    program = sum_of_codes(shape, follows=follows)
    session = edgebn.Session(program, threads=threads)
    table = session._packed.codes
    names = [executor.by_code()[row[0]].name for row in table.words]
    if "add_tile_i8" in executor.operations():
        assert "flip_rows" not in names
    for samples in (1, 3):
        x = codes(shape, samples, samples)
        given = {name: value.copy() for name, value in x.items()}
        session._packed.arena[...] = 77  # nothing of an earlier run may be read
        found = session.run(given)
        expected = edgebn.reference.run(program, x)
        np.testing.assert_array_equal(found, expected)
        assert all((given[name] == x[name]).all() for name in x)
        np.testing.assert_array_equal(session.run_buffers(x)[program.outputs[0]].reshape(-1), expected.reshape(-1))
    reals = {name: value.astype(np.float32) / 50 for name, value in codes(shape).items()}  # the other table has its own rows
    np.testing.assert_array_equal(session.run(reals), edgebn.reference.run(program, reals))
    one = codes(shape)["a"]
    np.testing.assert_array_equal(session.run({"a": one, "b": one}), edgebn.reference.run(program, {"a": one, "b": one}))


@pytest.mark.parametrize("which", "ab")
@pytest.mark.parametrize("offset", [-1000, -130, -64, -1, 0, 1, 63, 64, 130, 1000])
@pytest.mark.parametrize("follows", [False, True])
def test_sums_of_codes_over_what_is_summed(follows, offset, which):
    shape = (3, 11, 7)
    session = edgebn.Session(sum_of_codes(shape, follows=follows))
    x = codes(shape)
    expected = session.run(x)
    size = expected.size
    room = np.full(size + 2200, 7, np.int8)
    given = room[1100:][:size].reshape(expected.shape)
    given[...] = x[which]
    out = room[1100 + offset :][:size].reshape(expected.shape)
    before = room.copy()
    session.run(x | {which: given}, out=out)
    np.testing.assert_array_equal(out, expected)
    before[1100 + offset :][:size] = expected.reshape(-1)
    np.testing.assert_array_equal(room, before)

"""Large float32 outputs go straight to the user's array: the same bytes as through the arena, and nothing beside them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgebn
from edgebn.session import tables
from tests import programs


@pytest.fixture(autouse=True, scope="module")
def _however_small():
    least, tables.MIN_DIRECT = tables.MIN_DIRECT, 0
    yield
    tables.MIN_DIRECT = least


def check(program, threads=1):
    session = edgebn.Session(program, threads=threads)
    x = programs.inputs_for(program, 3)
    kept = session.run_buffers(x)
    made = session.run(x)
    made = made if isinstance(made, dict) else {program.outputs[0]: made}
    rooms = {name: np.full(value.size + 64, 77, value.dtype) for name, value in made.items()}
    out = {name: room[16 : 16 + made[name].size].reshape(made[name].shape) for name, room in rooms.items()}
    session.run(x, out=out if len(out) > 1 else out[program.outputs[0]])
    for name, value in made.items():
        if value.dtype == kept[name].dtype:
            np.testing.assert_array_equal(value.reshape(-1), kept[name].reshape(-1))
        np.testing.assert_array_equal(out[name], value)
        assert (rooms[name][:16] == 77).all()
        assert (rooms[name][16 + value.size :] == 77).all()
    return session


@pytest.mark.parametrize("kind", programs.KINDS["float32"])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_kind_of_step(kind, data):
    check(data.draw(programs.single(kind, "float32")))


@pytest.mark.parametrize("dtype", ["float32", "mixed"])
@given(data=st.data())
def test_networks(dtype, data):
    check(data.draw(programs.programs(dtype)), threads=data.draw(st.sampled_from([1, 2])))


def test_they_are_used():
    @settings(max_examples=5, deadline=None)
    @given(programs.single("elementwise", "float32"))
    def used(program):
        assert check(program)._packed.real.places

    used()

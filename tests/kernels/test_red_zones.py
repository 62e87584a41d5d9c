"""No kernel writes outside its buffers, and nothing that it reads outside them reaches a result.

Every buffer and scratch gets a zone of bytes around it that nobody owns: ones in every bit, which is NaN in float32.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn.memory import Plan
from edgebn.session import Session, layout
from tests.programs import inputs_for, programs, single
from tests.test_contract import GEOMETRIES, convolution_program, expected_values

ZONE = 256  # bytes, four times the widest vector


@pytest.fixture
def spread(monkeypatch):
    """Give every request a place of its own with a zone before and after it; return where they are."""
    taken = []

    def plan(requests, alignment):
        taken.clear()
        offsets, at = {}, ZONE
        for request in requests:
            offsets[request.name] = at
            taken.append((at, at + request.size))
            at += -(-request.size // alignment) * alignment + ZONE
        return Plan(offsets, at, at)

    monkeypatch.setattr(layout, "plan", plan)
    return taken


def assert_stays_inside(program, spread):
    session = Session(program)
    arena = session._packed.arena
    outside = np.ones(len(arena), bool)
    for begin, end in spread:
        outside[begin:end] = False
    arena[outside] = 0xFF
    x = inputs_for(program, 1)
    found = session.run_buffers(x)
    assert (arena[outside] == 0xFF).all(), "a kernel wrote outside its buffers"
    expected = expected_values(program, x[0], {name: value[0] for name, value in found.items()})
    for name, value in found.items():
        bound = 0 if value.dtype == np.int8 else 1e-5 * max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(value[0].astype(np.float64), expected[name].astype(np.float64), rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_convolutions_stay_inside(dtype, spread):
    for seed, geometry in enumerate(GEOMETRIES):
        assert_stays_inside(convolution_program(geometry, dtype, seed), spread)


KINDS_OF_STEPS = [(kind, dtype) for kind in ("programs", "add", "pool", "concat", "resize") for dtype in ("float32", "int8")]


@pytest.mark.parametrize(("kind", "dtype"), [*KINDS_OF_STEPS, ("programs", "mixed")])
def test_steps_stay_inside(kind, dtype, spread):
    @given(programs(dtype) if kind == "programs" else single(kind, dtype), st.none())
    def check(program, _):
        assert_stays_inside(program, spread)

    check()

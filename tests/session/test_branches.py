"""What steps on branches write is kept apart so that they can run at once, and the arena is as large as for one after the other."""

import numpy as np
import pytest
from hypothesis import given

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.session import Session, branches
from edgebn.session.layout import lay_out
from edgebn.session.options import Options
from edgebn.session.steps import scratch_of
from tests.programs import Maker
from tests.session.test_independent import branching, convolution, made, together

pytestmark = pytest.mark.usefixtures("eager")


def laid_out(program, threads, options=None):
    """Return the layout for so many threads, with the scratch that those of `options` want."""
    options = options or Options(threads=threads)
    return lay_out(program, lambda step: scratch_of(step, program, options), isa.SELECTED.vector_bytes, threads)


def roots_of(program):
    return {name: name for name in program.buffers if name not in program.constants}


def test_steps_of_branches_have_their_turn_together():
    program, _ = made(["a from x:64", "b from a:64", "c from x:64", "d from c:64", "e from d:64"], size=4)
    assert branches.turns(program, roots_of(program), 2) == [0, 1, 0, 1, 4]
    chain, _ = made(["a from x:64", "b from a:64", "c from b:64"], size=4)
    assert branches.turns(chain, roots_of(chain), 2) == [0, 1, 2]


def heads(size=16, scales=3):
    """Return the program of a detector: two large steps, a step for each scale, and two heads of three steps on each."""
    maker = Maker(None, "float32", np.random.default_rng(0))
    given_to = maker.buffer((size, size, 32))
    x = convolution(maker, convolution(maker, given_to, 256), 256)
    ends = []
    for _ in range(scales):
        x = convolution(maker, x, 32)
        for channels in (16, 24):
            ends += [convolution(maker, convolution(maker, convolution(maker, x, 32), 32), channels)]
    return maker.program((given_to,), tuple(ends))


def phases_of(program, threads):
    return len(Session(program, threads=threads)._packed.real.tasks[0])


@pytest.mark.usefixtures("everything")
def test_heads_of_a_detector_share_phases(request):
    program = heads()
    found, count = together(program), phases_of(program, 2)
    assert len(found) >= 4
    assert max(map(len, found)) > 2  # steps of several scales
    request.getfixturevalue("in_order")
    assert count < phases_of(program, 2)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_arena_is_as_large_as_for_one_step_after_the_other(dtype):
    differ = []

    @given(branching(dtype))
    def check(program):
        for threads in (2, 3):
            apart, usual = laid_out(program, threads), laid_out(program, 1, Options(threads=threads))
            assert apart.plan.size <= usual.plan.size
            assert set(apart.places) == set(usual.places)
            differ.append(apart.places != usual.places or apart.scratch != usual.scratch)

    check()
    assert any(differ)


def test_the_plan_of_one_thread_does_not_look_at_branches(monkeypatch):
    program = heads()
    usual = Session(program)._packed.layout.plan
    monkeypatch.setattr(branches, "kept_apart", None)
    assert Session(program)._packed.layout.plan == usual


def test_what_would_make_the_arena_larger_is_not_kept_apart():
    """Beside the step that needs most there is no room for another's output."""
    maker = Maker(None, "float32", np.random.default_rng(0))
    x = maker.buffer((16, 16, 32))
    large = convolution(maker, x, 256)
    small = convolution(maker, large, 8)
    other = convolution(maker, x, 256)
    second = convolution(maker, other, 8)
    program = maker.program((x,), (small, second))
    assert branches.turns(program, roots_of(program), 2)[2] == 0
    apart, usual = laid_out(program, 2), laid_out(program, 1, Options(threads=2))
    assert apart.plan.size <= usual.plan.size
    assert apart.places[large] == apart.places[other]


def test_renamed_buffers_and_states_have_no_turn_of_their_own():
    maker = Maker(None, "float32", np.random.default_rng(0))
    x = maker.buffer((4, 4, 64))
    a = convolution(maker, x, 64)
    flat = maker.buffer((1, 1, 1024))
    maker.finish_step(p.Reshape("flat", (a,), flat))
    b = convolution(maker, x, 64)
    c = convolution(maker, flat, 8)
    program = maker.program((x,), (b, c))
    roots = {**roots_of(program), flat: a}
    found = branches.turns(program, roots, 2)
    assert found[1] == 1
    assert found[2] == 0

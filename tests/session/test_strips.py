"""Two steps go strip by strip: the same bytes as one after the other, and nothing of a strip is left out or read too late."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgebn
from benchmarks.models.architectures import Stack
from edgebn import program as p
from edgebn.session import strip_pairs, strips
from tests import programs
from tests.test_contract import GEOMETRIES, assert_equals_reference, convolution_program


@pytest.fixture(autouse=True, scope="module")
def _however_small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strip_pairs, "MIN_MAP", 0)
        patch.setattr(strips, "STRIP", 1)
        yield


def goes_by_strips(session):
    """Whether some step of a session has rows in its neighbour's place."""
    packed = session._packed
    table = packed.codes if p.takes_codes(session.program) else packed.real
    return not {step.name for step in session.program.steps} <= set(table.owners)


def check(program):
    """Compare with the reference, and byte for byte with a run step by step; a second run finds what the first left behind."""
    assert_equals_reference(program, programs.inputs_for(program, 2))  # of the memory's plan, which strips change
    session = edgebn.Session(program)
    for seed in (0, 1):
        x = programs.inputs_for(program, 2, seed)
        kept = session.run_buffers(x)
        made = session.run(x)
        made = made if isinstance(made, dict) else {program.outputs[0]: made}
        for name, value in made.items():
            if value.dtype == kept[name].dtype:
                np.testing.assert_array_equal(value.reshape(-1), kept[name].reshape(-1))
    return goes_by_strips(session)


SECOND = {
    "float32": ["elementwise", "add", "multiply", "binary", "affine", "quantize"],
    "int8": ["lookup", "add", "multiply", "affine", "dequantize"],
}


@st.composite
def pairs(draw, dtype, kind):
    """A convolution of the contract's, what follows it element by element, and perhaps a reader of the result with a halo."""
    seed = draw(st.integers(0, 2**32 - 1))
    program = convolution_program(draw(st.sampled_from(GEOMETRIES)), dtype, seed)
    given = {"buffers": dict(program.buffers), "steps": list(program.steps)}
    maker = programs.Maker(draw, dtype, np.random.default_rng(seed), **given)
    last = getattr(maker, f"step_{kind}")(program.outputs[0])
    if draw(st.booleans()):
        maker.dtype = maker.buffers[last].dtype
        last = maker.step_convolution(last)
    return maker.program(program.inputs, (last,))


@pytest.mark.parametrize(("dtype", "kind"), [(dtype, kind) for dtype, kinds in SECOND.items() for kind in kinds])
def test_every_kind_of_second_step(dtype, kind):
    used = []

    @given(pairs(dtype, kind))
    def same_bytes(program):
        used.append(check(program))

    same_bytes()
    assert any(used)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_every_geometry(dtype):
    """The geometries of the contract's convolutions, with a function behind each."""
    used = [check(behind(convolution_program(geometry, dtype, seed), dtype)) for seed, geometry in enumerate(GEOMETRIES)]
    assert sum(used) > len(used) / 2


def behind(program, dtype):
    """Return a program with an elementwise step behind its last."""
    rng = np.random.default_rng(3)
    buffer = program.buffers[program.outputs[0]]
    made = p.Buffer("behind", buffer.shape, dtype, buffer.scale, buffer.zero_point)
    if dtype == "int8":
        step = p.Lookup("second", program.outputs, "behind", rng.integers(-128, 128, (1, 256)).astype(np.int8))
    else:
        step = p.Elementwise("second", program.outputs, "behind", "silu")
    shapes = {program.inputs[0]: program.shapes[program.inputs[0]], "behind": buffer.shape}
    buffers, steps = {**program.buffers, "behind": made}, (*program.steps, step)
    return replace(program, buffers=buffers, steps=steps, outputs=("behind",), shapes=shapes)


@pytest.mark.parametrize("dtype", ["float32", "int8", "mixed"])
@given(data=st.data())
def test_networks(dtype, data):
    check(data.draw(programs.programs(dtype)))


def test_what_a_pair_reads_stays_for_a_later_reader(monkeypatch):
    """A shortcut past a pair: the pair once ended the life of what it reads, and the addition then read what came in its place."""
    net = Stack("a shortcut past a pair", 28)
    kept = net.convolution(net.input, 16, act="")
    wide = net.depthwise(net.convolution(kept, 96, act="hard_swish"), 3, 1, act="hard_swish")
    program = net.finish(net.add(kept, net.convolution(wide, 16, act="")))
    assert any(program.steps[pair.first].inputs[0] in program.steps[-1].inputs for pair in strip_pairs.found(program))
    x = programs.inputs_for(program, 1, 0)
    made = edgebn.Session(program).run(x)
    monkeypatch.setattr(strip_pairs, "found", lambda _program: [])
    np.testing.assert_array_equal(made, edgebn.Session(program).run(x))

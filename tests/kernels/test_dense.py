"""Dense layers behind a ReLU skip what is zero and give what the reference gives; others read every weight."""

import re

import numpy as np
import pytest

from edgebn import program as p
from edgebn import reference
from edgebn.kernels import dense, isa
from edgebn.session import Session
from tests.kernels import machine_code

pytestmark = pytest.mark.skipif(not isa.SELECTED.vector_bytes, reason="plain kernels skip nothing")


def layers(inputs, hidden, outputs, low=0.0):
    """Return a program of two dense layers; the first clips at `low`."""
    rng = np.random.default_rng(inputs + hidden + outputs)
    buffers = {name: p.Buffer(name, (1, 1, size), "float32") for name, size in (("x", inputs), ("h", hidden), ("y", outputs))}
    steps = []
    for source, target, post in (("x", "h", (low, np.inf)), ("h", "y", (-np.inf, np.inf))):
        rows, columns = buffers[target].shape[2], buffers[source].shape[2]
        weight = rng.normal(0, columns**-0.5, (rows, 1, 1, columns)).astype(np.float32)
        bias, a, d = (rng.standard_normal(rows).astype(np.float32) for _ in range(3))
        steps.append(p.Convolution(target, (source,), target, weight, p.FloatEpilogue(bias, a, d, post=post)))
    shapes = {name: buffer.shape for name, buffer in buffers.items()}
    return p.Program("two", "two", "test", False, buffers, {}, tuple(steps), ("x",), ("y",), shapes)


def operations(program):
    return [row.operation for row in Session(program)._packed._packer.rows]


@pytest.mark.parametrize(("hidden", "outputs"), [(128, 128), (640, 10), (64, 200), (33, 640), (1000, 5), (130, 65)])
def test_it_equals_the_reference(hidden, outputs):
    program = layers(20, hidden, outputs)
    assert operations(program).count("dense_f32") > 0
    x = np.random.default_rng(0).standard_normal((4, 1, 1, 20)).astype(np.float32)
    found = Session(program).run_buffers(x)
    assert 0.2 < np.mean(found["h"] == 0) < 0.8
    expected = reference.run(program, x)
    np.testing.assert_allclose(found["y"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_nothing_but_zeros_leaves_the_epilogue():
    program = layers(20, 128, 128, low=0.0)
    silent = program.steps[0].weight * 0 - np.float32(1)
    program.steps[0].weight[:] = silent
    program.steps[0].epilogue.bias[:], program.steps[0].epilogue.a[:], program.steps[0].epilogue.d[:] = 0, 1, 0
    x = np.ones((1, 1, 1, 20), np.float32)
    found = Session(program).run_buffers(x)
    assert not found["h"].any()
    epilogue = program.steps[1].epilogue
    np.testing.assert_allclose(found["y"].reshape(-1), epilogue.bias * epilogue.a + epilogue.d, rtol=1e-6, atol=1e-6)


def test_what_is_seldom_zero_reads_every_weight():
    assert "dense_f32" not in operations(layers(20, 128, 128, low=-np.inf))


def test_weights_are_loaded_together_where_a_core_waits_between_loads_and_products():
    """AArch64, whose small cores run in order: in a turn loads give way to multiplications as often as registers ask for, twice."""
    found = next(one for one in isa.INSTRUCTION_SETS if one.name == "neon")
    text = machine_code.assembly(dense.Dense(found), max(dense.Dense(found).variants), found, machine_code.ARM64, "generic")
    (loop, *_) = [body for body in machine_code.innermost_loops(text) if body.count("fmla") == 2 * dense.AT_ONCE]
    assert "[sp" not in loop
    kinds = "".join("m" if name == "fmla" else "l" for name in re.findall(r"^\t(fmla|ldp?r?)\t(?:q|v)", loop, re.MULTILINE))
    assert re.sub(r"(.)\1+", r"\1", kinds) == "lmlm"

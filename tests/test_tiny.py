"""Smoke test: a network of every common layer, float32 and int8, in the reference and in a session. Fails within seconds."""

import numpy as np
import pytest

import edgebn
from edgebn import layers, passes, reference
from edgebn.graph import GraphBuilder


def network():
    rng = np.random.default_rng(1)

    def draw(*shape):
        return rng.normal(0, 0.4, shape).astype(np.float32)

    graph = GraphBuilder("tiny", "tiny", "test")
    x = graph.add_input("x", (8, 8, 3))
    x = graph.add(layers.Convolution("conv", (x,), "conv", draw(8, 3, 3, 3), draw(8), padding=(1, 1, 1, 1)))
    x = graph.add(
        layers.BatchNorm("norm", (x,), "norm", draw(8), draw(8), draw(8), rng.uniform(0.2, 2, 8).astype(np.float32), 1e-3, 2)
    )
    x = graph.add(layers.Activation("relu", (x,), "relu", "clip", 0.0))
    x = graph.add(layers.Pool("pool", (x,), "pool"))
    branch = graph.add(layers.Convolution("depthwise", (x,), "depthwise", draw(8, 3, 3, 1), None, padding=(1, 1, 1, 1), groups=8))
    x = graph.add(layers.Add("add", (x, branch), "add"))
    x = graph.add(layers.Reshape("flatten", (x,), "flatten", (128,)))
    x = graph.add(layers.Dense("dense", (x,), "dense", draw(5, 128), draw(5)))
    return graph.finish([graph.add(layers.Softmax("softmax", (x,), "softmax", 0))])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).normal(0, 1, (20, 8, 8, 3)).astype(np.float32)


def test_float32_session_agrees_with_the_reference(images):
    program = passes.lower(network())
    assert [step.kind for step in program.steps][:1] == ["Convolution"]
    np.testing.assert_allclose(edgebn.Session(program).run(images), reference.run(program, images), atol=1e-5)


def test_int8_session_gives_the_reference_bytes_and_stays_near_float32(images):
    program = passes.lower(network())
    int8 = edgebn.quantize(program, images)
    session = edgebn.Session(int8)
    np.testing.assert_array_equal(session.run(images), reference.run(int8, images))
    assert np.abs(session.run(images) - edgebn.Session(program).run(images)).max() < 0.1

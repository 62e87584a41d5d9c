"""What onnxruntime's quantizer makes of a transformer's layers: norms between codes, and a GELU that the file spells out."""

import numpy as np

from edgebn import passes, reference
from edgebn.formats.onnx import from_proto
from edgebn.program import Lookup
from tests.formats.onnx.qdq_networks import QdqNetwork
from tests.formats.onnx.test_qdq import assert_agrees

SHAPE = (1, 70, 6)


def begun():
    net = QdqNetwork(np.random.default_rng(0))
    return net, net.input("x", SHAPE, (0.02, 3))


def gelu(net, x):
    """x * (1 + erf(x / sqrt(2))) * 0.5, every value quantised."""
    by = {name: net.constant(np.float32(number)) for name, number in (("root", 2**0.5), ("one", 1), ("half", 0.5))}
    scaled = net.quantized(net.node("Div", x, by["root"], shape=SHAPE), (0.015, 2))
    erf = net.quantized(net.node("Erf", scaled, shape=SHAPE), (2 / 255, 0))
    raised = net.quantized(net.node("Add", erf, by["one"], shape=SHAPE), (2 / 255, -128))
    product = net.quantized(net.node("Mul", x, raised, shape=SHAPE), (0.021, -110))
    return net.quantized(net.node("Mul", product, by["half"], shape=SHAPE), (0.0105, -110))


def test_a_spelled_gelu_is_one_table():
    net, x = begun()
    y = gelu(net, x)
    assert_agrees(net, y, codes=1)
    program = passes.join_tables(passes.lower(from_proto(net.model(y), "net.onnx")), reference.run_step)
    assert [type(step) for step in program.steps] == [Lookup]


def test_norms_cost_no_further_attempt(monkeypatch):
    """Each float32 layer between codes was found by lowering the whole network once more."""
    net, x = begun()
    for _ in range(3):
        scale = net.constant(net.rng.uniform(0.5, 1, SHAPE[-1]).astype(np.float32))
        x = net.quantized(net.node("LayerNormalization", x, scale, shape=SHAPE), (0.03, 1))
    assert_agrees(net, x, codes=1, dtype=None)
    attempts = []
    lowered = passes._lowered
    monkeypatch.setattr(passes, "_lowered", lambda *arguments: attempts.append(1) or lowered(*arguments))
    passes.lower(from_proto(net.model(x), "net.onnx"))
    assert len(attempts) == 1

"""Gradient policies: slopes against finite differences, descent of their losses, guards and refusals."""

from dataclasses import replace

import numpy as np
import pytest

import edgebn
from edgebn import layers, passes, reference
from edgebn.adapt.backward import BACKWARD, Backward
from edgebn.adapt.engines import ReferenceEngine
from edgebn.adapt.policies import POLICIES
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.errors import ModelError
from edgebn.graph import GraphBuilder

CLASSES = 4
POOLS = {
    "max": {"function": "max", "kernel": (3, 3), "padding": (1, 1, 0, 0)},
    "average": {"function": "average", "kernel": (3, 2), "padding": (1, 0, 1, 0)},
    "counted": {"function": "average", "kernel": (3, 3), "padding": (1, 1, 1, 1), "count_padding": True},
}


def network(pool="max", function="clip", seed=1):
    """Return a graph with every kind of step that has a derivative; the pool follows the first batch norm."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(0, 0.5, shape).astype(np.float32)

    graph = GraphBuilder("tiny", "tiny", "test")

    def norm(x, name, channels):
        numbers = draw(channels), draw(channels), draw(channels), rng.uniform(0.2, 2, channels).astype(np.float32)
        return graph.add(layers.BatchNorm(name, (x,), name, *numbers, 1e-3, 2))

    x = graph.add_input("x", (11, 12, 3))
    x = graph.add(layers.Convolution("conv", (x,), "conv", draw(4, 3, 3, 3), draw(4), padding=(1, 1, 0, 1)))
    x = graph.add(layers.Activation("relu", (norm(x, "norm", 4),), "relu", "clip", 0.0, 2.0))
    x = graph.add(layers.Pool("pool", (x,), "pool", **POOLS[pool]))
    branch = graph.add(layers.Convolution("deep", (x,), "deep", draw(4, 3, 3, 1), None, padding=(1, 1, 1, 1), groups=4))
    branch = graph.add(layers.Activation("bend", (norm(branch, "norm2", 4),), "bend", "clip", -1.5, 1.0))
    x = norm(graph.add(layers.Add("add", (x, branch), "add", -2.0, 3.0)), "norm3", 4)
    x = graph.add(layers.Softmax("middle", (x,), "middle", 2, 1.5))
    x = graph.add(layers.Activation("squeeze", (x,), "squeeze", function, 0.1, 0.6))
    x = graph.add(layers.Pool("window", (x,), "window", "average", (2, 2), (1, 1)))
    x = graph.add(layers.Convolution("wide", (x,), "wide", draw(6, 2, 2, 2), draw(6), strides=(1, 2), dilations=(1, 1), groups=2))
    x = graph.add(layers.Activation("relu2", (x,), "relu2", "clip", 0.0))
    x = norm(x, "norm4", 6)
    height, width, _ = graph.tensors[x].shape
    assert min(height, width) > 1
    mean = graph.add(layers.Pool("global", (x,), "global", "average", (height, width), (1, 1)))
    x = graph.add(layers.Add("spread", (x, mean), "spread"))
    x = graph.add(layers.Reshape("line", (x,), "line", (height * width * 2, 3)))
    x = graph.add(layers.Dense("each", (x,), "each", draw(5, 3), draw(5)))
    size = int(np.prod(graph.tensors[x].shape))
    x = graph.add(layers.Reshape("flatten", (x,), "flatten", (size,)))
    x = graph.add(layers.Dense("dense", (x,), "dense", draw(CLASSES, size), draw(CLASSES)))
    return graph.finish([graph.add(layers.Softmax("softmax", (x,), "softmax", 0))])


def images(count, seed):
    return np.random.default_rng(seed).normal(0, 1, (count, 11, 12, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=POOLS)
def model(request):
    return edgebn.adaptable(passes.lower(network(request.param)), images(60, 2))


def cross_entropy(program, sample, label):
    logits = reference.run_steps(program, {"x": sample[0]})[program.adaptation.logits].astype(np.float64).reshape(-1)
    return -(logits[label] - logits.max() - np.log(np.exp(logits - logits.max()).sum()))


def with_norm(program, source, channel, scale, offset):
    """Return `program` with one adapted channel's z = scale * n + offset changed by that much, n at source statistics."""
    at = next(i for i, where in enumerate(source.slices) if where.start <= channel < where.stop)
    layer, c = source.adaptation.layers[at], channel - source.slices[at].start
    steps = list(program.steps)
    place = next(i for i, step in enumerate(steps) if step.name == layer.observation.step)
    folded = steps[place].epilogue
    a, d = folded.a.copy(), folded.d.copy()
    a[c] += scale / layer.sigma[c]
    d[c] += offset - scale * layer.observation.center[c] / layer.sigma[c]
    steps[place] = replace(steps[place], epilogue=replace(folded, a=a, d=d))
    return replace(program, steps=tuple(steps))


def test_slopes_are_those_of_finite_differences(model):
    source = SourceStatistics(model)
    backward = Backward(model, "supervised")
    assert {type(step) for step in backward._path} == set(BACKWARD)
    assert len(source.names) == 4
    rng = np.random.default_rng(3)
    drift, ratio = rng.normal(0, 0.3, source.channels).astype(np.float32), rng.uniform(0.6, 1.6, source.channels).astype(np.float32)
    backward.fold(drift, ratio)
    engine = ReferenceEngine(model)
    engine.fold(drift, ratio)
    policy = POLICIES["supervised"](source)
    sample, label, size = images(1, 4), 2, 2e-3
    logits = engine.observe({"x": sample}).logits
    found = backward.slopes({"x": sample}, policy.loss_slope(logits, label))
    for which, slopes in ((0, found.scale), (1, found.offset)):
        wanted = []
        for channel in range(source.channels):
            moved = [
                cross_entropy(with_norm(engine.current, source, channel, *np.roll((sign * size, 0), which)), sample, label)
                for sign in (1, -1)
            ]
            wanted.append((moved[0] - moved[1]) / (2 * size))
        largest = np.abs(wanted).max()
        assert largest > 1e-2
        np.testing.assert_allclose(slopes, wanted, atol=2e-3 * largest)


@pytest.mark.parametrize(("name", "loss"), [
    ("supervised", lambda q: -np.log(q[1])),
    ("tent", lambda q: -(q * np.log(q)).sum()),
])  # fmt: skip
def test_the_losses_have_their_slopes(model, name, loss):
    policy = POLICIES[name](SourceStatistics(model))
    logits = np.random.default_rng(5).normal(0, 2, CLASSES)

    def at(z):
        return loss(np.exp(z) / np.exp(z).sum())

    wanted = [(at(logits + step) - at(logits - step)) / 2e-5 for step in 1e-5 * np.eye(CLASSES)]
    np.testing.assert_allclose(policy.loss_slope(logits, 1), wanted, atol=1e-8)


@pytest.mark.parametrize("name", ["supervised", "tent"])
def test_gamma_and_beta_are_what_the_epilogues_get(model, name):
    source = SourceStatistics(model)
    policy = POLICIES[name](source)
    state = policy.start()
    rng = np.random.default_rng(6)
    state.values[0] = source.gamma * rng.uniform(-0.5, 0.5, source.channels)
    state.values[1] = rng.normal(0, 0.1, source.channels)
    if name == "tent":
        state.values[6], state.values[7] = rng.normal(0, 0.2, source.channels), rng.uniform(-0.3, 0.3, source.channels)
    s1, v = policy.statistics(state)
    estimate = policy.estimate(state)
    engine = ReferenceEngine(model)
    assert not engine.fold(estimate.drift, estimate.ratio)
    steps, source_steps = ({step.name: step for step in program.steps} for program in (engine.current, model))
    x = 0.7
    for layer, where in zip(source.adaptation.layers, source.slices, strict=True):
        folded, before = (one[layer.observation.step].epilogue for one in (steps, source_steps))
        center = layer.observation.center
        beta = before.a * center + before.d + state.values[1][where]
        normalised = ((x - center) / layer.sigma - s1[where]) / np.sqrt(v[where])
        wanted = (source.gamma[where] + state.values[0][where]) * normalised + beta
        np.testing.assert_allclose(folded.a * x + folded.d, wanted, atol=2e-4)


def test_a_few_labels_teach_and_are_forgotten(model, tmp_path):
    session = edgebn.Session(model)
    adapter = edgebn.Adapter(session, "supervised")
    x, labels = images(12, 7), np.arange(12) % CLASSES
    source_outputs = session.run(x)
    adapter.run(x)
    np.testing.assert_array_equal(session.run(x), source_outputs)  # nothing is learned without labels
    adapter.teach(x, labels, passes=40)
    taught = session.run(x)

    def loss(outputs):
        return -np.log(outputs[np.arange(12), labels]).mean()

    assert loss(taught) < 0.9 * loss(source_outputs)
    assert adapter.report().accepted == 12 * 40
    adapter.save(tmp_path / "a.bnstate")
    adapter.reset()
    np.testing.assert_array_equal(session.run(x), source_outputs)
    adapter.load(tmp_path / "a.bnstate")
    np.testing.assert_array_equal(session.run(x), taught)
    adapter.freeze()
    adapter.teach(x, labels)
    np.testing.assert_array_equal(session.run(x), taught)


def test_tent_lowers_entropy_under_a_shift_and_takes_no_step_behind_a_shut_gate(model):
    shifted = images(300, 8) * 2 + 0.8

    def entropy(policy):
        session = edgebn.Session(model)
        adapter = edgebn.Adapter(session, policy, watchdog=False)
        adapter.run(shifted)
        q = session.run(shifted).astype(np.float64)
        return -(q * np.log(np.maximum(q, 1e-30))).sum(axis=1).mean()

    assert entropy("tent") < entropy("moments")
    adapter = edgebn.Adapter(edgebn.Session(model), "tent")
    adapter.run(images(3, 9))
    assert adapter.report().layers[0].gate == 0
    assert not adapter.state.values[:6].any()
    assert adapter.state.values[6:].all()


@pytest.mark.parametrize("name", ["supervised", "tent"])
def test_they_refuse_what_they_cannot_differentiate(model, name):
    int8 = edgebn.adaptable(edgebn.quantize(passes.lower(network()), images(40, 1)), images(60, 2))
    with pytest.raises(ModelError, match=f"'{name}' needs gradients.*int8.*compensated-tracking"):
        edgebn.Adapter(edgebn.Session(int8), name)
    bent = edgebn.adaptable(passes.lower(network(function="tanh")), images(60, 2))
    with pytest.raises(ModelError, match=r"through step 'squeeze' \(Elementwise tanh\).*compensated-tracking"):
        edgebn.Adapter(edgebn.Session(bent), name)


def test_labels_are_checked(model):
    adapter = edgebn.Adapter(edgebn.Session(model), "supervised")
    for labels in ([0, 1], [0, 1, CLASSES], [0, 1, -1], [0.0, 1.0, 2.0]):
        with pytest.raises(ModelError, match="labels must be 3 integers"):
            adapter.teach(images(3, 0), labels)
    with pytest.raises(ModelError, match="passes=0"):
        adapter.teach(images(3, 0), [0, 1, 2], passes=0)
    with pytest.raises(ModelError, match="NaN"):
        adapter.teach(np.full((1, 11, 12, 3), np.nan, np.float32), [0])
    assert adapter.report().seen == 0
    with pytest.raises(ModelError, match="learns without labels"):
        edgebn.Adapter(edgebn.Session(model), "tent").teach(images(3, 0), [0, 1, 2])

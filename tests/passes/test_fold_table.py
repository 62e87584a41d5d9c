"""Every row of the fold table, held against the unfolded network on random shapes, strides, paddings and parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import layers as nn
from edgebn.errors import UnsupportedLayerError
from edgebn.graph import Graph
from edgebn.passes import lower
from edgebn.passes.batch_norm.fold_table import FOLDED, KEPT, REFUSED, TABLE
from tests.passes.networks import Net, assert_same


def _same_value_twice(net: Net) -> list[str]:
    x = net.convolution(net.image())
    return [net.norm(x), net.norm(x, "other")]


def _padded_reader(net: Net, *, padded: bool) -> list[str]:
    x = net.even(net.image())
    gated = net.add(nn.Multiply, x, net.add(nn.Activation, x, function="sigmoid"))
    tail = net.add(nn.Add, gated, x)
    return [net.convolution(net.norm(tail), padded=padded)]


def _reshaped(net: Net, *, same_channels: bool) -> list[str]:
    x = net.convolution(net.image())
    height, width, channels = net.shape(x)
    shape = (height * width, channels) if same_channels else (height * width * channels,)
    flat = net.add(nn.Reshape, x, shape=shape)
    if not same_channels and height * width == 1:
        flat = net.add(nn.Reshape, x, shape=(channels, 1))
    return [net.norm(flat)]


def _cropped(net: Net) -> list[str]:
    x = net.even(net.image())
    height, width, channels = net.shape(x)
    return [net.norm(net.add(nn.Crop, x, starts=(1, 2, 0), sizes=(height - 2, width - 2, channels)))]


def _concatenated(net: Net, *, shared: bool) -> list[str]:
    x = net.image()
    a, b = net.relu(net.even(x)), net.even(x)
    outputs = [net.norm(net.add(nn.Concat, a, b, axis=2))]
    return [*outputs, net.relu(a)] if shared else outputs


def _two_before(net: Net) -> list[str]:
    """Rows for a conv behind two batch norms: the second one is 'norm'."""
    return [net.norm(net.norm(net.convolution(net.image()), "earlier"))]


def _channels_first(net: Net) -> list[str]:
    x = net.norm(net.convolution(net.image()), "norm")
    return [net.convolution(net.relu(x), groups=net.pick(1, net.shape(x)[0]))]


def _without_center_or_scale(net: Net) -> list[str]:
    x = net.convolution(net.image())
    channels = net.shape(x)[-1]
    gamma, beta = net.pick((np.ones(channels), net.normal(channels)), (net.normal(channels), np.zeros(channels)))
    arrays = {"gamma": gamma.astype(np.float32), "beta": beta.astype(np.float32)}
    arrays |= {"mean": net.normal(channels), "variance": net.rng.uniform(0.1, 2, channels).astype(np.float32)}
    return [net.add(nn.BatchNorm, x, name="norm", axis=2, **arrays)]


# By the beginning of the row's place: a function that builds a network whose batch norm 'norm' stands there.
CASES: dict[str, Callable[[Net], list[str]]] = {
    "a channels-first model": _channels_first,
    "center=False": _without_center_or_scale,
    "along an axis other": lambda net: [net.norm(net.even(net.image()), axis=net.pick(0, 1))],
    "after a value that others read": _same_value_twice,
    "two in a row": _two_before,
    "after an activation that follows another": lambda net: [
        net.norm(net.relu(net.norm(net.convolution(net.image()), "earlier", plain=True)))
    ],
    "after the activation": lambda net: [net.norm(net.relu(net.convolution(net.image())))],
    "after a dense": lambda net: [net.norm(net.dense(net.vector()))],
    "after a depthwise": lambda net: [
        net.norm(net.convolution(x := net.image(), groups=net.shape(x)[-1], multiplier=net.size(1, 2)))
    ],
    "after a grouped": lambda net: [net.norm(net.convolution(net.convolution(net.image(), outputs=6), groups=net.pick(2, 3)))],
    "after a 1-D": lambda net: [net.norm(net.convolution(net.sequence()))],
    "after a convolution": lambda net: [net.norm(net.convolution(net.image()))],
    "after a transposed": lambda net: [net.norm(net.transposed(net.image()))],
    "after max pooling, no": lambda net: [
        net.norm(net.pool(net.even(net.image()), "max", padded=net.pick(True, False)), sign="positive")
    ],
    "after max pooling, a scale": lambda net: [net.norm(net.pool(net.even(net.image()), "max"), sign="negative")],
    "after average pooling that counts no": lambda net: [
        net.norm(net.pool(net.relu(net.even(net.image())), "average", padded=net.pick(True, False)))
    ],
    "after average pooling that counts padding": lambda net: [
        net.norm(net.pool(net.even(net.image()), "average", padded=True, counted=True))
    ],
    "after a flatten or reshape that keeps": lambda net: _reshaped(net, same_channels=True),
    "after a flatten or reshape that moves": lambda net: _reshaped(net, same_channels=False),
    "after upsampling": lambda net: [net.norm(net.sampled(net.convolution(net.image())))],
    "after cropping": _cropped,
    "after concatenation of values that only": lambda net: _concatenated(net, shared=False),
    "after concatenation of values that others": lambda net: _concatenated(net, shared=True),
    "on the network's input": lambda net: [net.convolution(net.norm(net.image()))],
    "before a convolution with padding": lambda net: _padded_reader(net, padded=True),
    "before a convolution without padding": lambda net: _padded_reader(net, padded=False),
    "after an addition": lambda net: [net.relu(net.norm(net.add(nn.Add, x := net.image(), net.even(x))))],
    "after an activation that is a step": lambda net: [
        net.norm(net.add(nn.Activation, net.convolution(net.image()), function=net.pick("sigmoid", "tanh", "silu")))
    ],
    "anywhere else": lambda net: [net.norm(net.add(nn.Softmax, net.convolution(net.image()), axis=2))],
}

RUNNING_ROWS = [row for row in TABLE if row.outcome != REFUSED]


def case_of(place: str) -> Callable[[Net], list[str]]:
    (case,) = [case for beginning, case in CASES.items() if place.startswith(beginning)]
    return case


def build(place: str, seed: int) -> Graph:
    net = Net(np.random.default_rng(seed), first=place.startswith("a channels-first"))
    outputs = case_of(place)(net)
    return net.builder.finish(outputs)


@pytest.mark.parametrize("row", RUNNING_ROWS, ids=lambda row: row.place)
@given(seed=st.integers(0, 2**32 - 1))
def test_row_holds_against_the_unfolded_network(row, seed):
    graph = build(row.place, seed)
    assert_same(graph, np.random.default_rng(seed))
    (became,) = {record.became for record in lower(graph).records if record.name == "norm"}
    assert became.startswith(row.outcome)
    if row.applies is not None:
        assert row.place in became


@pytest.mark.parametrize("row", RUNNING_ROWS, ids=lambda row: row.place)
@given(seed=st.integers(0, 2**32 - 1))
def test_outcome_is_what_the_program_shows(row, seed):
    """A folded batch norm is in the epilogue of a weighted step, a kept one makes an Affine step."""
    program = lower(build(row.place, seed))
    holders = [
        step
        for step in program.steps
        for norm in getattr(getattr(step, "epilogue", None), "norms", ())
        if norm.layer.startswith("norm")
    ]
    assert holders
    affine = [step for step in holders if step.kind == "Affine"]
    assert (affine == holders) if row.outcome == KEPT else (not affine and row.outcome == FOLDED)


def test_every_row_has_a_case():
    places = [row.place for row in RUNNING_ROWS]
    assert all(case_of(place) for place in places)
    assert len(CASES) == len(places)


def test_first_rows_of_a_kind_do_not_hide_later_ones():
    """Each row that a graph can show is reached: the property test above names it in the record."""
    assert len({row.place for row in TABLE}) == len(TABLE)
    assert TABLE[-1].place == "anywhere else"


def test_weights_are_never_touched():
    graph = build("after a convolution", 3)
    (convolution,) = [layer for layer in graph.layers if layer.kind == "Convolution"]
    (step,) = [step for step in lower(graph).steps if step.kind == "Convolution"]
    assert np.array_equal(step.weight, convolution.weight)
    assert np.array_equal(step.epilogue.norms[0].gamma, graph.layers[-1].gamma)


@pytest.mark.parametrize(("gamma", "variance"), [(3e38, 1e-12), (1e30, 1e-30)])
def test_overflowing_scale_is_refused(gamma, variance):
    net = Net(np.random.default_rng(0))
    x = net.convolution(net.image(), outputs=2)
    arrays = {"gamma": np.full(2, gamma, np.float32), "variance": np.full(2, variance, np.float32)}
    x = net.add(nn.BatchNorm, x, name="norm", beta=np.zeros(2), mean=np.zeros(2), epsilon=0.0, axis=2, **arrays)
    with pytest.raises(UnsupportedLayerError, match=r"case\.file: layer 'norm' \(BatchNorm\).*raise epsilon"):
        lower(net.builder.finish([x]))


def test_overflow_of_two_batch_norms_together_is_refused():
    net = Net(np.random.default_rng(0))
    x = net.convolution(net.image(), outputs=2)
    for name in ("one", "norm"):
        arrays = {"gamma": np.full(2, 1e30, np.float32), "variance": np.ones(2, np.float32)}
        x = net.add(nn.BatchNorm, x, name=name, beta=np.zeros(2), mean=np.zeros(2), epsilon=0.0, axis=2, **arrays)
    with pytest.raises(UnsupportedLayerError, match=r"layer 'norm'.*overflows float32 together"):
        lower(net.builder.finish([x]))


def test_statistics_of_each_sample_are_kept():
    """A norm by the sample's own statistics is a step of its own beside a convolution, and no batch norm passes it."""
    net = Net(np.random.default_rng(0))
    x = net.add(nn.Normalization, net.convolution(net.image(), outputs=2), name="own", axes=(2,), axis=2)
    program = lower(net.builder.finish([x]))
    assert [step.kind for step in program.steps] == ["Convolution", "Normalization"]


def test_batch_norm_without_statistics_is_refused_by_the_reader(tmp_path: Path):
    onnx = pytest.importorskip("onnx", reason="the onnx package is not installed")
    from edgebn import formats

    tensor = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("BatchNormalization", list("xsbmv"), ["y", "m2", "v2"], name="bn1", training_mode=1)
    constants = [onnx.numpy_helper.from_array(np.ones(3, np.float32), name) for name in "sbmv"]
    inputs = [tensor("x", onnx.TensorProto.FLOAT, (1, 3, 8, 8))]
    outputs = [tensor("y", onnx.TensorProto.FLOAT, (1, 3, 8, 8))]
    graph = onnx.helper.make_graph([node], "g", inputs, outputs, constants)
    path = tmp_path / "training.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)]), path)
    with pytest.raises(UnsupportedLayerError, match=r"bn1.*BatchNormalization"):
        formats.read(path)


def test_the_page_in_docs_has_every_row():
    page = (Path(__file__).parents[2] / "docs" / "fold-table.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    for row in TABLE:
        assert any(row.place in line and row.outcome in line and row.into in line and row.reason in line for line in rows), (
            row.place
        )

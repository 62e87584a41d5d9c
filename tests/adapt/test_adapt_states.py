"""Networks that keep states and say one probability adapt: the same bytes in NumPy, in Python's kernels and in C; shut at home."""

import numpy as np
import pytest

import edgebn
from edgebn.adapt.engines import ReferenceEngine
from edgebn.errors import ModelError
from edgebn.formats import native
from tests.codegen import adapting_c

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FEATURES, NEW, KEPT, CHANNELS = 8, 2, 3, 12
POLICIES = ("compensated-tracking", "compensated")


def listener():
    """Return a float32 network like microWakeWord's: new windows of features, behind those it kept, to one probability."""
    rng = np.random.default_rng(3)
    constants = {
        "w": rng.normal(0, 0.3, (CHANNELS, FEATURES, NEW + KEPT)).astype(np.float32),
        "gamma": rng.uniform(0.5, 1.5, CHANNELS).astype(np.float32),
        "beta": rng.normal(0, 0.3, CHANNELS).astype(np.float32),
        "mean": rng.normal(0, 0.3, CHANNELS).astype(np.float32),
        "variance": rng.uniform(0.5, 2, CHANNELS).astype(np.float32),
        "v": rng.normal(0, 0.5, (1, CHANNELS, 1)).astype(np.float32),
        "bias": np.float32([-1.5]),
        "begin": np.int64([-KEPT]), "end": np.int64([2**40]), "axis": np.int64([2]), "flat": np.int64([1, 1]),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Concat", ["past", "x"], ["window"], axis=2),
        node("Slice", ["window", "begin", "end", "axis"], ["past_out"]),
        node("Conv", ["window", "w"], ["c"], kernel_shape=[NEW + KEPT]),
        node("BatchNormalization", ["c", "gamma", "beta", "mean", "variance"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("Conv", ["r", "v", "bias"], ["logit"], kernel_shape=[1]),
        node("Reshape", ["logit", "flat"], ["flattened"]),
        node("Sigmoid", ["flattened"], ["y"]),
    ]
    shapes = {"x": (1, FEATURES, NEW), "past": (1, FEATURES, KEPT), "past_out": (1, FEATURES, KEPT), "y": (1, 1)}
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    given = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "listener", [ends["past"], ends["x"]], [ends["y"], ends["past_out"]], given)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def source():
    """Return what is heard at home: a slow walk, as neighbouring windows are alike."""
    rng = np.random.default_rng(4)
    walk = np.zeros((600, FEATURES, NEW), np.float32)
    for i in range(1, len(walk)):
        walk[i] = 0.7 * walk[i - 1] + 0.7 * rng.normal(0, 1, walk.shape[1:])
    return walk


@pytest.fixture(scope="module")
def models(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("listener") / "listener.onnx"
    onnx.save(listener(), path)
    network = edgebn.load(path, states={"past": "past_out"})
    given = (
        source.reshape(len(source), *network.shapes["x"]) if network.shapes["x"] == (FEATURES, NEW) else np.moveaxis(source, 1, 2)
    )
    plain = {"float32": network, "int8": edgebn.quantize(network, given)}
    return {name: edgebn.adaptable(model, given) for name, model in plain.items()}, np.ascontiguousarray(given)


@pytest.fixture(scope="module")
def elsewhere(models):
    """Return codes of what is heard in another room."""
    model, given = models[0]["int8"], models[1]
    buffer = model.buffers[model.inputs[0]]
    louder = given[:150] * np.float32(1.6) + np.float32(0.8)
    return np.clip(np.rint(louder / buffer.scale) + buffer.zero_point, -128, 127).astype(np.int8)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_one_probability_is_two_classes(dtype, models):
    given = models[0][dtype].adaptation
    assert (given.classes, given.tables[0].first.shape) == (2, (3, CHANNELS))
    assert models[0][dtype].buffers[given.logits].shape == (1, 1, 1)
    again = native.from_bytes(native.to_bytes(models[0][dtype]), "again")
    assert (again.adaptation.classes, again.adaptation.logits) == (2, given.logits)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_reference_learns_what_the_kernels_learn(policy, models, elsewhere):
    model = models[0]["int8"]
    adapter, fast = adapting_c.in_python(model, elsewhere, policy)
    _, slow = adapting_c.in_python(model, elsewhere, policy, ReferenceEngine(model))
    adapting_c.same(fast, slow)
    assert adapter.report().layers[0].gate > 0


def test_states_go_on_while_learning_as_they_do_without(models):
    """A shut gate changes no byte: an adapter's outputs are then the session's, over a whole sequence."""
    model, given = models[0]["int8"], models[1]
    adapter = edgebn.Adapter(edgebn.Session(model))
    np.testing.assert_array_equal(adapter.run(given[:200]), edgebn.Session(model).run(given[:200]))
    fresh = np.concatenate([edgebn.Session(model).run(one[None]) for one in given[:20]])
    assert not np.array_equal(fresh, edgebn.Session(model).run(given[:20]))  # the states matter


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_gate_stays_shut_at_home(dtype, models):
    model, given = models[0][dtype], models[1]
    adapter = edgebn.Adapter(edgebn.Session(model))
    opened = []
    for part in np.array_split(given, 30):
        adapter.run(part)
        opened.append(adapter.report().layers[0].gate > 0)
    assert np.mean(opened) <= 0.05


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("board", ["host", "mps2-an386", "qemu-riscv32-virt"])
def test_boards_learn_what_python_learns(board, policy, models, elsewhere, tmp_path):
    model = models[0]["int8"]
    found = adapting_c.on_board(model, elsewhere, tmp_path, board, policy)
    _, wanted = adapting_c.in_python(model, elsewhere, policy)
    adapting_c.same(found, wanted)


def test_labels_of_a_sequence_keep_its_order(models):
    model, given = models[0]["int8"], models[1]
    labels = (edgebn.Session(model).run(given).reshape(-1) > 0.5).astype(int)
    assert 0 < labels.sum() < len(labels)
    assert edgebn.adaptable(model, given, labels).adaptation.classes == 2
    with pytest.raises(ModelError, match="label"):
        edgebn.adaptable(model, given, labels + 1)

"""MaxPool with the places of its maxima, and MaxUnpool of them: against onnxruntime."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebn import reference
from edgebn.errors import UnsupportedLayerError
from edgebn.formats.onnx import from_proto
from edgebn.passes import lower

node = helper.make_node
POOLS = {
    "tiles": {"kernel_shape": [2, 3], "strides": [2, 3]},
    "overlapping": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 0, 1]},
    "dilated": {"kernel_shape": [2, 2], "strides": [1, 2], "dilations": [2, 3]},
}


def network(nodes, constants, output):
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 7, 9])],
        [helper.make_tensor_value_info("y", output, None)], held,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def both(model, x):
    """Return what the specification and onnxruntime make of x."""
    wanted = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    graph = from_proto(model, "net")
    found = np.asarray(reference.run(lower(graph), np.moveaxis(x, 1, -1)))
    return (found if found.shape == wanted.shape else np.moveaxis(found, -1, 1)), wanted


def sample(seed):
    """Values of which several are equal."""
    return np.random.default_rng(seed).integers(-3, 4, (1, 3, 7, 9)).astype(np.float32)


@pytest.mark.parametrize("pool", POOLS)
def test_places_are_those_of_the_first_maxima(pool):
    nodes = [node("MaxPool", ["x"], ["p", "i"], **POOLS[pool]), node("Cast", ["i"], ["c"], to=1), node("Flatten", ["c"], ["y"])]
    for seed in range(4):
        found, wanted = both(network(nodes, {}, TensorProto.FLOAT), sample(seed))
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("sized", [False, True])
def test_maxima_go_back_to_their_places(sized):
    """As SegNet does between them: values that were computed stand where the maxima stood."""
    settings = POOLS["tiles"]
    nodes = [
        node("MaxPool", ["x"], ["p", "i"], **settings),
        node("Tanh", ["p"], ["t"]),
        node("MaxUnpool", ["t", "i", *(["size"] if sized else [])], ["u"], **settings),
        node("Add", ["u", "one"], ["a"]),
        node("Flatten", ["a"], ["y"]),
    ]
    held = {"one": np.float32(1), **({"size": np.array([1, 3, 7, 9])} if sized else {})}
    for seed in range(4):
        model = network(nodes, held, TensorProto.FLOAT)
        if not sized:
            model = network([node("Slice", ["x", "b", "e", "b"], ["z"]), *nodes], held | {"b": np.array([2]), "e": np.array([6])},
                            TensorProto.FLOAT)  # fmt: skip
            model.graph.node[1].input[0] = "z"
        found, wanted = both(model, sample(seed))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("pool", "words"), [("overlapping", "overlap"), ("dilated", "leave gaps|overlap")])
def test_windows_that_meet_are_refused(pool, words):
    settings = {key: value for key, value in POOLS[pool].items() if key != "dilations"}
    nodes = [
        node("MaxPool", ["x"], ["p", "i"], **POOLS[pool]),
        node("MaxUnpool", ["p", "i"], ["y"], **settings),
    ]
    with pytest.raises(UnsupportedLayerError, match=f"{words}|are not those"):
        from_proto(network(nodes, {}, TensorProto.FLOAT), "net")


def test_places_of_no_pool_are_refused():
    nodes = [node("ArgMax", ["x"], ["i"], axis=1), node("MaxUnpool", ["x", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2])]
    with pytest.raises(UnsupportedLayerError, match="come from elsewhere"):
        from_proto(network(nodes, {}, TensorProto.FLOAT), "net")

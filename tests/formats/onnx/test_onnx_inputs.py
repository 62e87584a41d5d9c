"""Inputs of every type that ONNX files have, as the file has them and as real numbers: against onnxruntime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgebn
from edgebn.errors import UnsupportedLayerError

node = helper.make_node
WEIGHT = np.random.default_rng(1).normal(0, 0.2, (4, 3, 3, 3))
TYPES = {
    "uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL, "float16": TensorProto.FLOAT16, "float64": TensorProto.DOUBLE, "float32": TensorProto.FLOAT,
}  # fmt: skip


def save(path, nodes, kind, shape, constants, output=TensorProto.FLOAT):
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("x", TYPES[kind], shape)]
    graph = helper.make_graph(nodes, "net", inputs, [helper.make_tensor_value_info("y", output, None)], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


def onnxruntimes(path, x):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


@pytest.mark.parametrize("kind", TYPES)
def test_a_cast_behind_the_input(kind, tmp_path):
    """As a network that takes a camera's pixels: cast, scaled, convolved."""
    nodes = [node("Cast", ["x"], ["c"], to=1), node("Div", ["c", "d"], ["f"]), node("Conv", ["f", "w"], ["y"], pads=[1, 1, 1, 1])]
    save(tmp_path / "net.onnx", nodes, kind, ("N", 3, 8, 6), {"w": WEIGHT.astype(np.float32), "d": np.float32(255)})
    x = np.random.default_rng(2).integers(0, 120, (2, 3, 8, 6)).astype(kind)
    wanted = np.moveaxis(onnxruntimes(tmp_path / "net.onnx", x), 1, -1)
    session = edgebn.Session(edgebn.load(tmp_path / "net.onnx"))
    for given in (x, x.astype(np.float32)):
        np.testing.assert_allclose(session.run(np.moveaxis(given, 1, -1)), wanted, rtol=0, atol=1e-6)


def test_double_precision_runs_in_float32(tmp_path):
    held = {"w": WEIGHT.reshape(12, 9)}
    save(tmp_path / "net.onnx", [node("MatMul", ["x", "w"], ["y"])], "float64", ("N", 12), held, TensorProto.DOUBLE)
    x = np.random.default_rng(3).normal(0, 1, (2, 12))
    wanted = onnxruntimes(tmp_path / "net.onnx", x)
    found = edgebn.Session(edgebn.load(tmp_path / "net.onnx")).run(x.astype(np.float32))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_whole_numbers_stay_whole(kind, tmp_path):
    nodes = [node("Add", ["x", "three"], ["a"]), node("Mod", ["a", "seven"], ["y"])]
    numbers = {"three": np.array(3, kind), "seven": np.array(7, kind)}
    save(tmp_path / "net.onnx", nodes, kind, ("N", 6), numbers, TYPES[kind])
    x = np.array([[0, 1, -5, 2**23, -(2**23), 41]], kind)
    wanted = onnxruntimes(tmp_path / "net.onnx", x)
    session = edgebn.Session(edgebn.load(tmp_path / "net.onnx"))
    for given in (x, x.astype(np.float32)):
        found = session.run(given)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, wanted)


def test_tokens_are_refused(tmp_path):
    table = np.random.default_rng(4).normal(0, 1, (10, 4)).astype(np.float32)
    save(tmp_path / "net.onnx", [node("Gather", ["table", "x"], ["y"])], "int64", (1, 5), {"table": table})
    with pytest.raises(UnsupportedLayerError, match="holds tokens"):
        edgebn.load(tmp_path / "net.onnx")

"""The types of codes that onnxruntime's static quantizer writes, other than int8 and uint8: against onnxruntime, code by code."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_static

import edgebn

TYPES = ("QUInt8", "QInt8", "QInt16", "QUInt16")
WEIGHTS = ("QInt8", "QInt4")
IMAGES = np.random.default_rng(0).normal(0, 1, (8, 3, 12, 12)).astype(np.float32)


def network(path):
    """Write a network of convolutions, a sum, an activation with negative values and pools."""
    rng, node = np.random.default_rng(1), helper.make_node
    shapes = {"a": (8, 3, 3, 3), "d": (8, 1, 3, 3), "c": (8, 8, 1, 1)}
    held = {f"{name}w": rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape) for name, shape in shapes.items()}
    held |= {f"{name}b": rng.normal(0, 0.2, shape[0]) for name, shape in shapes.items()}
    nodes = [
        node("Conv", ["x", "aw", "ab"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("LeakyRelu", ["a"], ["l"], alpha=0.2),
        node("Conv", ["l", "dw", "db"], ["d"], pads=[1, 1, 1, 1], group=8),
        node("Relu", ["d"], ["r"]),
        node("Conv", ["r", "cw", "cb"], ["c"]),
        node("Add", ["l", "c"], ["s"]),
        node("MaxPool", ["s"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in held.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


class Images:
    def __init__(self):
        self.left = iter([{"x": image[None]} for image in IMAGES])

    def get_next(self):
        return next(self.left, None)


@pytest.mark.parametrize("per_channel", [False, True], ids=["a scale a tensor", "a scale a channel"])
@pytest.mark.parametrize("symmetric", [False, True], ids=["zero point", "symmetric"])
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("activation", TYPES)
def test_qdq(activation, weight, symmetric, per_channel, tmp_path):
    path, quantized = tmp_path / "float.onnx", tmp_path / "codes.onnx"
    network(path)
    quantize_static(
        path, quantized, Images(), activation_type=QuantType[activation], weight_type=QuantType[weight], per_channel=per_channel,
        extra_options={"ActivationSymmetric": symmetric},
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # as the file says
    session = onnxruntime.InferenceSession(quantized.read_bytes(), options, providers=["CPUExecutionProvider"])
    wanted = np.moveaxis(session.run(None, {"x": IMAGES})[0], 1, -1)
    found = edgebn.Session(edgebn.load(quantized)).run(np.moveaxis(IMAGES, 1, -1))
    codes = np.rint(np.abs(found - wanted) / np.diff(np.unique(wanted)).min())
    assert codes.max() <= 1
    assert (codes > 0).mean() <= 0.02


def test_activations_of_four_bits_are_refused(tmp_path):
    """Their codes end at 7, where int8 goes on."""
    node = helper.make_node
    held = [numpy_helper.from_array(np.array(0.1, np.float32), "s"), helper.make_tensor("z", TensorProto.INT4, [], [0])]
    graph = helper.make_graph(
        [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], held,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "net.onnx")
    with pytest.raises(edgebn.EdgebnError, match="quantises to int4"):
        edgebn.load(tmp_path / "net.onnx")

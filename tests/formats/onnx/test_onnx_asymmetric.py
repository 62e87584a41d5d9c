"""uint8 weights with a zero point whose differences have a common divisor: the bias is in the scale of what is left."""

import numpy as np
import pytest

import edgebn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto

WEIGHT = np.array([[0, 255, 90], [66, 66, 66], [63, 67, 66], [255, 66, 66]], np.uint8)  # less 66: by 3, 66, 1 and 189
ZERO = np.uint8(66)


def model(kind, bias, per_channel):
    scales = np.float32([0.01, 0.02, 0.03, 0.04]) if per_channel else np.float32(0.02)
    zeros = np.full(4, ZERO) if per_channel else ZERO
    init = {"xs": np.float32(0.05), "xz": np.uint8(120), "ws": scales, "wz": zeros, "b": bias}
    init |= {"ys": np.float32(0.04), "yz": np.uint8(128), "w": WEIGHT if kind == "QGemm" else WEIGHT[:, :, None, None]}
    node = helper.make_node
    if kind == "QGemm":
        names, domain, options = ["x", "xs", "xz", "w", "ws", "wz", "b", "ys", "yz"], "com.microsoft", {"transB": 1}
    else:
        names, domain, options = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], "", {}
    nodes = [
        node("QuantizeLinear", ["real", "xs", "xz"], ["x"]),
        node(kind, names, ["y"], domain=domain, **options),
        node("DequantizeLinear", ["y", "ys", "yz"], ["out"]),
    ]
    shape = [1, 3] if kind == "QGemm" else [1, 3, 1, 1]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("real", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in init.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.mark.parametrize("kind", ["QGemm", "QLinearConv"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bias", [[300, -600, 31, 189], [301, 599, -31, 100], [0, 0, 0, 0]])
def test_bias_beside_divided_weights(tmp_path, kind, bias, per_channel):
    path = tmp_path / "model.onnx"
    onnx.save(model(kind, np.array(bias, np.int32), per_channel), path)
    theirs, ours = onnxruntime.InferenceSession(str(path)), edgebn.Session(edgebn.load(path))
    for seed in range(8):
        x = (4 * np.random.default_rng(seed).standard_normal((1, 3))).astype(np.float32)
        given = x if kind == "QGemm" else x[:, :, None, None]
        expected = theirs.run(None, {"real": given})[0].reshape(-1)
        np.testing.assert_array_equal(ours.run(x if kind == "QGemm" else x[:, None, None, :]).reshape(-1), expected)


@pytest.mark.parametrize("kind", ["QGemm", "QLinearConv"])
def test_each_input_is_read_once(tmp_path, kind):
    """Weights of 9 bits were two weights side by side, which met every input twice."""
    path = tmp_path / "model.onnx"
    onnx.save(model(kind, np.array([301, 599, -31, 100], np.int32), per_channel=False), path)
    program = edgebn.load(path)
    (step,) = program.steps
    assert (step.weight.dtype, step.weight.size) == (np.int16, WEIGHT.size)
    assert program.shapes[program.inputs[0]][-1] == WEIGHT.shape[1]

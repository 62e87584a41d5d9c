"""Constants of one number without axes in QOperator files, as attention scales are: held against onnxruntime."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

import edgebn  # noqa: E402


@pytest.mark.parametrize("operator", ["QLinearMul", "QLinearAdd"])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_a_constant_without_axes_beside_codes(operator, kind, tmp_path):
    middle = 128 if kind is np.uint8 else 0
    held = {
        "xs": np.float32(0.02), "xz": kind(middle + 3), "c": kind(middle + 101), "cs": np.float32(0.01), "cz": kind(middle - 5),
        "ys": np.float32(0.03), "yz": kind(middle + 7),
    }  # fmt: skip
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        onnx.helper.make_node("Transpose", ["xq"], ["xt"]),  # the batch behind
        onnx.helper.make_node(operator, ["xt", "xs", "xz", "c", "cs", "cz", "ys", "yz"], ["yt"], domain="com.microsoft"),
        onnx.helper.make_node("Transpose", ["yt"], ["yq"]),
        onnx.helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 40]) for name in ("x", "y")]
    constants = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()]
    graph = onnx.helper.make_graph(nodes, "scalar", values[:1], values[1:], constants)
    domains = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "scalar.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=domains, ir_version=8), path)
    x = np.random.default_rng(3).normal(0, 1, (5, 40)).astype(np.float32)
    (wanted,) = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    assert np.ptp(wanted) > 1
    np.testing.assert_allclose(edgebn.Session(edgebn.load(path)).run(x), wanted, rtol=0, atol=0.031)


@pytest.mark.parametrize(("kind", "middle"), [(np.int8, 0), (np.uint8, 128)])
def test_every_code_of_a_sum_whose_scales_make_it_a_tie_is_onnxruntimes(kind, middle, tmp_path):
    """1 + erf(x), as quantised GELUs have it: every sum lies halfway between two codes."""
    scale = np.float32(2 / 255)
    held = {
        "scale": scale, "zero": kind(middle), "c": kind(middle + 127), "cs": np.float32(1 / 255), "low": kind(middle - 128),
    }  # fmt: skip
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        onnx.helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["a"]),
        onnx.helper.make_node("DequantizeLinear", ["c", "cs", "low"], ["b"]),
        onnx.helper.make_node("Add", ["a", "b"], ["sum"]),
        onnx.helper.make_node("QuantizeLinear", ["sum", "scale", "low"], ["yq"]),
        onnx.helper.make_node("DequantizeLinear", ["yq", "scale", "low"], ["y"]),
    ]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 256]) for name in ("x", "y")]
    constants = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()]
    graph = onnx.helper.make_graph(nodes, "tie", values[:1], values[1:], constants)
    path = tmp_path / "tie.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    x = (np.arange(-128, 128) * scale).astype(np.float32)[None]
    options = ort.SessionOptions()  # as the file says it: fused into QLinearAdd, uint8 ties go to the even code
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    (wanted,) = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    assert len(np.unique(wanted)) > 200
    np.testing.assert_array_equal(edgebn.Session(edgebn.load(path)).run(x), wanted)

"""Attention in windows that a file folds into its open batch (Swin, MobileViT, TinyViT): held against onnxruntime."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

import edgebn  # noqa: E402

FOUR_AXES = ((-1, 4, 2, 6, 5), (0, 1, 2, 4, 3))
FOLDED = ((-1, 6, 5), (0, 2, 1))
FOLDED_IN_PART = ((-1, 2, 6, 5), (0, 1, 3, 2))


@pytest.mark.parametrize(("shape", "turned"), [FOUR_AXES, FOLDED, FOLDED_IN_PART])
def test_windows_of_all_samples_are_multiplied_sample_by_sample(shape, turned, tmp_path):
    make = onnx.helper.make_node
    nodes = [
        make("Reshape", ["x", "windows"], ["w"]),
        make("Transpose", ["w"], ["t"], perm=turned),
        make("MatMul", ["w", "t"], ["products"]),
        make("Softmax", ["products"], ["weights"], axis=-1),
        make("MatMul", ["weights", "w"], ["attended"]),
        make("Reshape", ["attended", "together"], ["y"]),
    ]
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 8, 6, 5]) for name in ("x", "y"))
    sizes = {"windows": shape, "together": (-1, 8, 6, 5)}
    constants = [onnx.numpy_helper.from_array(np.array(size, np.int64), name) for name, size in sizes.items()]
    graph = onnx.helper.make_graph(nodes, "windows", [x], [y], constants)
    path = tmp_path / "windows.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    given = np.random.default_rng(5).normal(0, 1, (3, 8, 6, 5)).astype(np.float32)
    (wanted,) = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": given})
    np.testing.assert_allclose(edgebn.Session(edgebn.load(path)).run(given), wanted, rtol=0, atol=2e-6 * np.ptp(wanted))

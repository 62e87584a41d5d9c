"""Files that onnxruntime optimised and saved, in half precision, or with nodes in another order: as what they were made of."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgebn import Session, UnsupportedLayerError, load  # noqa: E402

SIZE, CHANNELS = 8, 16
RNG = np.random.default_rng(5)
LEVELS = ort.GraphOptimizationLevel


def network() -> "onnx.ModelProto":
    """Convolutions with all their activations, a sum, an attention and a layer norm, a gelu written out, a matrix product."""
    constants: dict[str, np.ndarray] = {}
    nodes = []

    def add(operator: str, *inputs: str, outputs: int = 1, **attributes) -> str:
        name = f"v{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def held(array: np.ndarray) -> str:
        name = f"c{len(constants)}"
        constants[name] = array
        return name

    def normal(*shape: int) -> str:
        return held((RNG.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))

    def conv(x: str, inputs: int, kernel: int = 3) -> str:
        return add("Conv", x, normal(CHANNELS, inputs, kernel, kernel), normal(CHANNELS), pads=[kernel // 2] * 4)

    x = add("Relu", conv("x", 3))
    x = add("Clip", conv(x, CHANNELS), held(np.float32(0)), held(np.float32(6)))
    x = add("Relu", add("Add", conv(x, CHANNELS), x))
    x = add("LeakyRelu", conv(x, CHANNELS, 1), alpha=0.1)
    x = add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = add("Transpose", add("Reshape", x, held(np.array([1, CHANNELS, -1], np.int64))), perm=[0, 2, 1])
    skip = x
    query, key, value = (add("MatMul", x, normal(CHANNELS, CHANNELS)) for _ in range(3))
    shares = add("Mul", add("MatMul", query, add("Transpose", key, perm=[0, 2, 1])), held(np.float32(0.25)))
    x = add("Add", add("MatMul", add("Softmax", shares, axis=-1), value), skip)
    x = add("LayerNormalization", x, held(np.linspace(0.5, 1, CHANNELS, dtype=np.float32)), normal(CHANNELS), axis=-1, epsilon=1e-5)
    x = add("Add", add("MatMul", x, normal(CHANNELS, CHANNELS)), normal(CHANNELS))
    grown = add("Add", add("Erf", add("Div", x, held(np.float32(np.sqrt(2))))), held(np.float32(1)))
    x = add("Mul", add("Mul", x, grown), held(np.float32(0.5)))
    x = add("Gemm", add("ReduceMean", x, axes=[1], keepdims=0), normal(CHANNELS, 5), normal(5))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, SIZE, SIZE))],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, (1, 5))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def image() -> np.ndarray:
    return np.random.default_rng(6).normal(0, 1, (1, 3, SIZE, SIZE)).astype(np.float32)


def run(path: Path, level: "ort.GraphOptimizationLevel" = LEVELS.ORT_DISABLE_ALL) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    return session.run(None, {entry.name: image()})[0]


def optimised(source: Path, made: Path, level: "ort.GraphOptimizationLevel") -> set[str]:
    """Let onnxruntime save what it makes of a file; return the operators in it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(made)
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(made).graph.node}


def ours(path: Path) -> np.ndarray:
    return Session(load(path)).run(image().transpose(0, 2, 3, 1))


def assert_near(got: np.ndarray, wanted: np.ndarray, part: float) -> None:
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= part * np.ptp(wanted)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    onnx.save(network(), path)
    return path


@pytest.mark.parametrize("level", ["BASIC", "EXTENDED"])
def test_saved_optimised(saved: Path, tmp_path: Path, level: str) -> None:
    made = tmp_path / "optimised.onnx"
    operators = optimised(saved, made, getattr(LEVELS, f"ORT_ENABLE_{level}"))
    if level == "EXTENDED":
        assert {"FusedConv", "FusedMatMul", "Gelu"} <= operators
    assert_near(ours(made), run(saved), 1e-5)


def quantised(source: Path, made: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.images = iter([{"x": image()}])

        def get_next(self):
            return next(self.images, None)

    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(source, made, Images(), quant_format=QuantFormat.QDQ, **kinds)


@pytest.mark.parametrize("level", ["EXTENDED", "ALL"])
def test_quantised_and_saved_optimised(saved: Path, tmp_path: Path, level: str) -> None:
    codes, made = tmp_path / "codes.onnx", tmp_path / "optimised.onnx"
    quantised(saved, codes)
    operators = optimised(codes, made, getattr(LEVELS, f"ORT_ENABLE_{level}"))
    assert "QLinearConv" in operators
    assert_near(ours(made), run(made), 0.02)


def test_weights_arranged_for_a_processor_are_refused(saved: Path, tmp_path: Path) -> None:
    model = onnx.load(saved)
    next(node for node in model.graph.node if node.op_type == "Conv").domain = "com.microsoft.nchwc"
    model.opset_import.append(helper.make_opsetid("com.microsoft.nchwc", 1))
    onnx.save(model, tmp_path / "arranged.onnx")
    with pytest.raises(UnsupportedLayerError, match=r"one kind of processor.*ORT_ENABLE_EXTENDED"):
        load(tmp_path / "arranged.onnx")


def test_nodes_in_any_order(saved: Path, tmp_path: Path) -> None:
    model = onnx.load(saved)
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "turned.onnx")
    np.testing.assert_array_equal(ours(tmp_path / "turned.onnx"), ours(saved))


@pytest.mark.parametrize("keep_io_types", [True, False])
def test_half_precision(saved: Path, tmp_path: Path, keep_io_types: bool) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    path = tmp_path / "half.onnx"
    onnx.save(convert_float_to_float16(onnx.load(saved), keep_io_types=keep_io_types), path)
    assert_near(ours(path), run(saved), 0.005)  # the weights have 11 bits

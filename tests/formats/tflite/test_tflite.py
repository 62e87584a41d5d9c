"""The TensorFlow Lite reader: what it makes of real and of damaged files, and the float32 edges of int8 networks."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT's schema, which writes the files, is not installed")

from edgebn import reference
from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError
from edgebn.formats.tflite import read
from edgebn.passes import lower
from tests.formats.tflite.tflite_models import FileBuilder


def saved(tmp_path, content: bytes):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return path


def small_network(**changes) -> bytes:
    """QUANTIZE, CONV_2D with RELU6, AVERAGE_POOL_2D, DEQUANTIZE: float32 outside, int8 inside."""
    rng = np.random.default_rng(0)
    files = FileBuilder()
    shape = changes.get("shape", (1, 4, 4, 2))
    image = files.value(shape, np.float32, name="image")
    x = files.value(shape, np.int8, changes.get("scale", 0.05), 3)
    files.operator("QUANTIZE", [image], [x], "QuantizeOptions")
    weight = files.constant(rng.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8), [0.01, 0.02, 0.03], 0, 0)
    bias = files.constant(rng.integers(-100, 100, 3).astype(np.int32), np.float32(0.05) * np.float32([0.01, 0.02, 0.03]))
    y = files.value((1, 4, 4, 3), np.int8, 0.04, -128, name="conv;bias")
    files.operator("CONV_2D", [x, weight, bias], [y], "Conv2DOptions", padding=0, strideH=1, strideW=1, fusedActivationFunction=3)
    pooled = files.value((1, 2, 2, 3), np.int8, 0.04, -128)
    settings = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": 1}
    files.operator("AVERAGE_POOL_2D", [y], [pooled], "Pool2DOptions", **settings)
    out = files.value((1, 2, 2, 3), np.float32, name="scores")
    files.operator(changes.get("last", "DEQUANTIZE"), [pooled], [out], "DequantizeOptions")
    return files.bytes([image], [out])


def test_names_shapes_and_activation(tmp_path) -> None:
    graph = read(saved(tmp_path, small_network()))
    assert graph.inputs == ("image",)
    assert graph.outputs == ("scores",)
    assert graph.integer_rounding == "double"
    assert [layer.kind for layer in graph.layers] == ["Quantize", "Convolution", "Activation", "Pool", "Dequantize"]
    conv, clip = graph.layers[1:3]
    assert (conv.name, clip.output, clip.low, clip.high) == ("conv", "conv", 0.0, 6.0)
    assert conv.padding == (1, 1, 1, 1)
    assert conv.weight.dtype == np.int8
    assert graph.tensors["conv"].quantization.zero_point[0] == -128


def test_float_edges_are_absorbed(tmp_path) -> None:
    pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")
    from tflite_micro.python.tflite_micro import runtime

    content = small_network()
    program = lower(read(saved(tmp_path, content)))
    assert program.dtype == "int8"
    assert [step.kind for step in program.steps] == ["Convolution"]  # the pool is fused
    assert program.inputs == ("image",)
    x = np.random.default_rng(1).normal(0, 3, (5, 4, 4, 2)).astype(np.float32)
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 18)
    for i, sample in enumerate(x):
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.run(program, x[i : i + 1]), interpreter.get_output(0))


def test_float_island_stays_float32(tmp_path) -> None:
    files = FileBuilder()
    x, y = files.value((1, 4), np.int8, 0.1, 0), files.value((1, 4), np.int8, 0.01, -20)
    a, b = files.value((1, 4), np.float32), files.value((1, 4), np.float32, name="island")
    files.operator("DEQUANTIZE", [x], [a], "DequantizeOptions")
    files.operator("SOFTMAX", [a], [b], "SoftmaxOptions", beta=1.0)
    files.operator("QUANTIZE", [b], [y], "QuantizeOptions")
    program = lower(read(saved(tmp_path, files.bytes([x], [y]))))
    assert [step.kind for step in program.steps] == ["Dequantize", "Softmax", "Quantize"]
    codes = np.array([[3, -7, 12, 0]], np.int8)
    powers = np.exp(0.1 * codes)
    expected = np.rint(powers / powers.sum() / 0.01) - 20
    np.testing.assert_array_equal(reference.run(program, codes), expected.astype(np.int8))


def test_unknown_operator_is_named_with_a_hint(tmp_path) -> None:
    files = FileBuilder()
    x, y = files.value((1, 4), np.float32), files.value((1,), np.int32, name="label")
    files.operator("EMBEDDING_LOOKUP", [x, files.constant(np.array([1], np.int32))], [y])
    with pytest.raises(UnsupportedLayerError, match=r"model\.tflite: layer 'label' \(EMBEDDING_LOOKUP\).*look values up outside"):
        read(saved(tmp_path, files.bytes([x], [y])))


def test_other_batch_sizes_are_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"input 'image' has shape \(8, 4, 4, 2\).*batch size of 1"):
        read(saved(tmp_path, small_network(shape=(8, 4, 4, 2))))


@pytest.mark.parametrize("scale", [float("nan"), 0.0, -1.0, float("inf")])
def test_scales_must_be_positive_numbers(scale, tmp_path) -> None:
    with pytest.raises(ModelError, match="model"):
        lower(read(saved(tmp_path, small_network(scale=scale))))


def test_value_nobody_makes(tmp_path) -> None:
    files = FileBuilder()
    x, ghost, y = (files.value((1, 4), np.float32, name=name) for name in ("x", "ghost", "y"))
    files.operator("RELU", [ghost], [y])
    files.operator("RELU", [y], [ghost])
    with pytest.raises(ModelError, match="'ghost', which no operator before it makes"):
        read(saved(tmp_path, files.bytes([x], [y])))


def test_constant_shorter_than_its_shape(tmp_path) -> None:
    files = FileBuilder()
    x, y = files.value((1, 4), np.float32), files.value((1, 3), np.float32)
    weight = files.constant(np.ones((3, 4), np.float32), name="kernel")
    files.tensors[weight].shape = [3, 400]
    files.operator("FULLY_CONNECTED", [x, weight, -1], [y], "FullyConnectedOptions")
    with pytest.raises(ModelError, match=r"'kernel'.*holds 48 bytes"):
        read(saved(tmp_path, files.bytes([x], [y])))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\x03\x04" * 100, b"\xff" * 4 + b"TFL3" + b"\xff" * 100])
def test_no_file_of_this_format(content, tmp_path) -> None:
    with pytest.raises(ModelError, match=r"model\.tflite"):
        read(saved(tmp_path, content))


def test_missing_file(tmp_path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "nothing.tflite")


def test_damaged_bytes_end_in_our_errors(tmp_path) -> None:
    content = small_network()
    rng = np.random.default_rng(2)
    read_well = 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            damaged[int(rng.integers(8, len(damaged)))] = int(rng.integers(256))
        end = int(rng.integers(9, len(damaged))) if rng.random() < 0.2 else len(damaged)
        try:
            lower(read(saved(tmp_path, bytes(damaged[:end]))))
            read_well += 1
        except EdgebnError as error:
            assert "model.tflite" in str(error)  # noqa: PT017  # which error it is does not matter
    assert 0 < read_well < 300


# What takes longer to import than most files take to read: the standard library's, other packages, and what other files need.
NOT_FOR_A_PLAIN_FILE = {"dataclasses", "flatbuffers", "inspect", "json", "re", "tflite", "threading", "zipfile",
                        "edgebn.preparation", "edgebn.reference", "edgebn.formats.keras", "edgebn.formats.onnx",
                        "edgebn.formats.torch"}  # fmt: skip


def test_reading_imports_only_what_a_plain_file_needs(tmp_path) -> None:
    script = """
import sys
import numpy as np
before = set(sys.modules)
import edgebn
edgebn.load(sys.argv[1])
print(*sorted(set(sys.modules) - before))
"""
    path = saved(tmp_path, small_network())
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "edgebn.formats.tflite.tables" in imported
    assert not imported & NOT_FOR_A_PLAIN_FILE

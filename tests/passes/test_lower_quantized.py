"""Quantised graphs to int8 programs: single rounding beside TensorFlow Lite Micro's, refusals, records."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT's schema, which writes the files, is not installed")

from edgebn import reference
from edgebn.errors import QuantizationError, UnsupportedLayerError
from edgebn.formats.tflite import read
from edgebn.graph import GraphBuilder
from edgebn.layers import Activation, Convolution, Dense, Quantization
from edgebn.passes import lower
from tests.conftest import TEST_ALL
from tests.formats.tflite import tflite_operators
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(20 if TEST_ALL else 3)
CODES = Quantization.per_tensor(0.05, 3)
# TensorFlow Lite's 16-bit hard-swish is that coarse; its mean cuts the multiplier instead of rounding it; its bilinear
# steps are multiples of 1/1024. The last three are several operators, which magnify a code by the ratio of scales.
FURTHER = {"hard_swish": 2, "mean": 2, "resize_bilinear": 5, "shuffled": 20, "add": 20, "mul": 20}


@pytest.mark.parametrize("make", tflite_operators.BOTH + tflite_operators.INT8_ONLY, ids=lambda make: make.__name__)
def test_single_rounding_is_within_one_code_of_double(make, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=True)
        path.write_bytes(content)
        graph = read(path)
        codes = rng.integers(-128, 128, (2, *shape[1:])).astype(np.int8)
        double = reference.run(lower(graph), codes).astype(np.int16)
        single = reference.run(lower(replace(graph, integer_rounding="single")), codes).astype(np.int16)
        assert np.abs(double - single).max() <= FURTHER.get(make.__name__, 1), f"seed {seed}"


def one_layer(layer, shape=(4, 4, 2), rounding="single", output=CODES):
    builder = GraphBuilder("net", "net.onnx", "onnx", integer_rounding=rounding)
    builder.add_input("x", shape, CODES)
    builder.add(layer, output)
    return builder.finish([layer.output])


def test_weights_with_a_zero_point_are_refused() -> None:
    how = Quantization(np.array([0.1]), np.array([5]))
    layer = Dense("dense", ("x",), "y", np.ones((3, 2), np.int8), None, how)
    with pytest.raises(UnsupportedLayerError, match=r"layer 'dense' .*zero point 0"):
        lower(one_layer(layer, (2,)))


def test_float_weights_between_codes_are_refused() -> None:
    layer = Convolution("conv", ("x",), "y", np.ones((3, 1, 1, 2), np.float32))
    with pytest.raises(UnsupportedLayerError, match=r"layer 'conv' .*float32"):
        lower(one_layer(layer))


def test_overflow_is_proved_not_hoped_against() -> None:
    how = Quantization.per_tensor(0.01, 0)
    bias = np.array([2**31 - 1], np.int32)
    layer = Dense("dense", ("x",), "y", np.full((1, 64), 127, np.int8), bias, how)
    with pytest.raises(QuantizationError, match=r"layer 'dense'.*overflow"):
        lower(one_layer(layer, (64,), "double"))


@pytest.mark.parametrize("function", ["sigmoid", "tanh", "hard_sigmoid", "hard_swish", "silu", "leaky_relu"])
def test_functions_by_table_are_within_half_a_code(function) -> None:
    layer = Activation("f", ("x",), "y", function, alpha=0.2, beta=0.5)
    output = Quantization.per_tensor(0.06, -20)
    program = lower(one_layer(layer, (16, 16, 1), output=output))
    codes = np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16, 1)
    x = 0.05 * (codes.astype(np.float64) - 3)
    sigmoid = 1 / (1 + np.exp(-x))
    real = {
        "sigmoid": sigmoid,
        "tanh": np.tanh(x),
        "hard_sigmoid": np.clip(0.2 * x + 0.5, 0, 1),
        "hard_swish": x * np.clip(x / 6 + 0.5, 0, 1),
        "silu": x * sigmoid,
        "leaky_relu": np.where(x < 0, 0.2 * x, x),
    }[function]
    expected = np.clip(real / 0.06 - 20, -128, 127)
    assert np.abs(reference.run(program, codes) - expected).max() <= 0.5 + 1e-9


def test_records_name_every_layer(tmp_path) -> None:
    content, _, _ = tflite_operators.build(tflite_operators.pad_before_conv, 1, integer=True)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    graph = read(path)
    program = lower(graph)
    assert [step.kind for step in program.steps] == ["Convolution"]
    assert [record.name for record in program.records] == [layer.name for layer in graph.layers]
    conv = next(record for record in program.records if record.kind == "Convolution")
    assert conv.step == program.steps[0].name
    assert conv.macs == 4 * 4 * 27 * program.steps[0].weight.shape[0]


def test_outputs_that_are_one_value(tmp_path) -> None:
    """A value that is an output, and also read on."""
    files = FileBuilder()
    x, y, z = (files.value((1, 4), np.int8, 0.1, 0, name=name) for name in "xyz")
    files.operator("RELU", [x], [y])
    files.operator("RELU6", [y], [z])
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([x], [y, z]))
    program = lower(read(path))
    codes = np.array([[-100, 20, 61, 127]], np.int8)
    result = reference.run(program, codes)
    np.testing.assert_array_equal(result["y"], [[0, 20, 61, 127]])
    np.testing.assert_array_equal(result["z"], [[0, 20, 60, 60]])


def test_outputs_keep_their_names(tmp_path) -> None:
    """A reshape that is no work, two float32 outputs of one value, and an input that is an output."""
    files = FileBuilder()
    x, y = files.value((1, 1, 1, 4), np.int8, 0.1, 0, name="x"), files.value((1, 1, 1, 4), np.int8, 0.1, 0, name="y")
    flat = files.value((1, 4), np.int8, 0.1, 0, name="flat")
    real, again = (files.value((1, 1, 1, 4), np.float32, name=name) for name in ("real", "again"))
    files.operator("RELU", [x], [y])
    files.operator("RESHAPE", [y, files.constant(np.array([1, 4], np.int32))], [flat], "ReshapeOptions", newShape=[1, 4])
    files.operator("DEQUANTIZE", [y], [real], "DequantizeOptions")
    files.operator("DEQUANTIZE", [y], [again], "DequantizeOptions")
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([x], [flat, real, again, x]))
    program = lower(read(path))
    assert program.inputs == ("x",)
    assert program.outputs == ("flat", "real", "again", "x")
    codes = np.array([[[[-100, 20, 61, 127]]]], np.int8)
    result = reference.run(program, codes)
    np.testing.assert_array_equal(result["flat"], [[0, 20, 61, 127]])
    np.testing.assert_array_equal(result["real"], [[[[0, 20, 61, 127]]]])
    np.testing.assert_array_equal(result["again"], result["real"])
    np.testing.assert_array_equal(result["x"], codes)


@pytest.mark.parametrize(
    ("scale", "zero_point", "runs"), [(0.1, 0, True), (0.1 + 5e-7, 0, True), (0.11, 0, False), (0.1, 1, False)]
)
def test_a_reshape_between_scales_is_what_tensorflow_lite_forbids(scale, zero_point, runs, tmp_path) -> None:
    """Its kernels copy the codes and look at no scale: the file has no right answer."""
    files = FileBuilder()
    x, y = files.value((1, 2, 2, 4), np.int8, 0.1, 0, name="x"), files.value((1, 16), np.int8, scale, zero_point, name="y")
    files.operator("RESHAPE", [x, files.constant(np.array([1, 16], np.int32))], [y], "ReshapeOptions", newShape=[1, 16])
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([x], [y]))
    if runs:
        codes = np.arange(-128, 128, 16, dtype=np.int64).astype(np.int8).reshape(1, 2, 2, 4)
        np.testing.assert_array_equal(reference.run(lower(read(path)), codes), codes.reshape(1, 16))
        return
    with pytest.raises(UnsupportedLayerError, match=r"layer 'y' \(Reshape\): its input has scale .* forbids"):
        lower(read(path))


def test_a_padding_beyond_its_outputs_codes_is_refused(tmp_path) -> None:
    """TensorFlow Lite Micro refuses a constant of another scale; one that is no code can only be damage."""
    files = FileBuilder()
    x, y = files.value((1, 2, 2, 4), np.int8, 1 / 256, -128, name="x"), files.value((1, 4, 2, 4), np.int8, 1 / 256, -128, name="y")
    pads = files.constant(np.array([[0, 0], [1, 1], [0, 0], [0, 0]], np.int32))
    files.operator("PADV2", [x, pads, files.constant(np.array([20], np.int8), 0.1, 0)], [y], "PadV2Options")
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match=r"layer 'y' \(Pad\): it pads with 2, which is no code of its output"):
        lower(read(path))

"""float32 files against LiteRT: real networks, random files of each operator, float16 and dynamic-range weights."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgebn import UnsupportedLayerError, reference
from edgebn.formats.tflite import read
from edgebn.passes import lower
from edgebn.session import Session
from tests.conftest import TEST_ALL
from tests.formats.tflite import tflite_operators
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(40 if TEST_ALL else 4)
FLOAT_OPERATORS = tflite_operators.BOTH + tflite_operators.FLOAT_ONLY + tflite_operators.LITERT_ONLY
TOLERANCE = 1e-5  # of the output's range


def litert_runs(content: bytes, x: np.ndarray, resolver: OpResolverType = OpResolverType.AUTO) -> np.ndarray:
    """Run one sample after the other; returns (N, ...)."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    outputs = []
    for sample in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    return np.concatenate(outputs)


def relative_error(result: np.ndarray, expected: np.ndarray) -> float:
    """Largest error as a part of the output's range (at least 0.1: inputs are of size 2)."""
    assert result.shape == expected.shape
    return float(np.abs(result - expected).max() / max(np.ptp(expected), 0.1))


def real_inputs(name: str, data) -> np.ndarray:
    if name == "kws_float":
        return (np.load(data / "kws_dev.npz")["x"][:100].astype(np.float32) - 83) * np.float32(0.5847029)
    if name == "resnet8_float":
        return np.load(data / "cifar10_dev.npz")["x_test"][:100].astype(np.float32)
    return np.random.default_rng(0).normal(0, 10, (100, 640)).astype(np.float32)


@pytest.mark.parametrize("name", ["kws_float", "resnet8_float", "ad01_fp32"])
def test_real_networks(name, shared_models, shared_data) -> None:
    path = shared_models / f"{name}.tflite"
    program = lower(read(path))
    x = real_inputs(name, shared_data)
    expected = litert_runs(path.read_bytes(), x)
    assert relative_error(reference.run(program, x[:20]), expected[:20]) <= TOLERANCE
    assert relative_error(Session(program).run(x), expected) <= TOLERANCE


@pytest.mark.parametrize("make", FLOAT_OPERATORS, ids=lambda make: make.__name__)
def test_operators(make, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=False)
        path.write_bytes(content)
        x = rng.normal(0, 2, (2, *shape[1:])).astype(np.float32)
        expected = litert_runs(content, x)
        assert relative_error(reference.run(lower(read(path)), x), expected) <= TOLERANCE, f"seed {seed}"


@pytest.mark.parametrize("make", tflite_operators.LITERT_ONLY, ids=lambda make: make.__name__)
def test_int8_dilation_by_batches_pads_real_zeros(make, tmp_path) -> None:
    """Where TensorFlow Lite Micro is at fault (see formats/tflite/dilated.py), LiteRT's plain kernels decide."""
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=True)
        path.write_bytes(content)
        codes = rng.integers(-128, 128, (2, *shape[1:])).astype(np.int8)
        expected = litert_runs(content, codes, OpResolverType.BUILTIN_REF)
        np.testing.assert_array_equal(reference.run(lower(read(path)), codes), expected)


def convolution_file(weight_form: str, rng: np.random.Generator) -> tuple[bytes, np.ndarray]:
    """A float32 convolution whose weight is stored as float16, int8 or float32; also the weight's real numbers."""
    codes = rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    scales = rng.uniform(0.01, 0.1, 4).astype(np.float32)
    real = codes.astype(np.float32) * scales[:, None, None, None]
    files = FileBuilder()
    x, y = files.value((1, 6, 6, 2), np.float32), files.value((1, 6, 6, 4), np.float32)
    if weight_form == "float16":
        real = real.astype(np.float16).astype(np.float32)
        stored = files.constant(real.astype(np.float16))
        weight = files.value(real.shape, np.float32)
        files.operator("DEQUANTIZE", [stored], [weight], "DequantizeOptions")
    elif weight_form == "int8":
        weight = files.constant(codes, scales, 0, 0)
    else:
        weight = files.constant(real)
    bias = files.constant(rng.normal(0, 1, 4).astype(np.float32))
    files.operator("CONV_2D", [x, weight, bias], [y], "Conv2DOptions", padding=0, strideH=1, strideW=1)
    return files.bytes([x], [y]), real


@pytest.mark.parametrize("weight_form", ["float16", "int8", "float32"])
def test_weights_are_stored_in_fewer_bits(weight_form, tmp_path) -> None:
    """LiteRT runs dynamic-range weights with quantised activations; edgebn dequantises them, so float32 weights are compared."""
    path = tmp_path / "model.tflite"
    content, real = convolution_file(weight_form, np.random.default_rng(3))
    path.write_bytes(content)
    graph = read(path)
    np.testing.assert_array_equal(graph.layers[0].weight, real)
    plain, _ = convolution_file("float32" if weight_form == "int8" else weight_form, np.random.default_rng(3))
    x = np.random.default_rng(4).normal(0, 1, (2, 6, 6, 2)).astype(np.float32)
    assert relative_error(reference.run(lower(graph), x), litert_runs(plain, x)) <= TOLERANCE


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.bool_])
def test_inputs_of_whole_numbers_stay_whole(dtype, tmp_path) -> None:
    """A sum and a rest of integers, or a choice by truth: real numbers would be read as such."""
    rng = np.random.default_rng(5)
    files = FileBuilder()
    shape = (1, 4, 5)
    x, y = files.value(shape, dtype), files.value(shape, np.float32 if dtype is np.bool_ else dtype)
    if dtype is np.bool_:
        values = [files.constant(rng.normal(0, 1, shape).astype(np.float32)) for _ in range(2)]
        files.operator("SELECT_V2", [x, *values], [y], "SelectV2Options")
    else:
        divided = files.value(shape, dtype)
        files.operator("FLOOR_MOD", [x, files.constant(np.array([3], dtype))], [divided], "FloorModOptions")
        files.operator("ADD", [divided, x], [y], "AddOptions")
    content = files.bytes([x], [y])
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    numbers = rng.integers(-50, 50, (2, *shape[1:])).astype(dtype)
    result = Session(lower(read(path))).run(numbers)
    assert result.dtype == (np.float32 if dtype is np.bool_ else np.int32)
    np.testing.assert_array_equal(result, litert_runs(content, numbers))


def test_inputs_of_16_bits_without_a_scale(tmp_path) -> None:
    files = FileBuilder()
    x, y = files.value((1, 4, 5), np.int16), files.value((1, 4, 5), np.float32)
    files.operator("CAST", [x], [y], "CastOptions")
    content = files.bytes([x], [y])
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    numbers = np.random.default_rng(6).integers(-(2**15), 2**15, (2, 4, 5)).astype(np.int16)
    np.testing.assert_array_equal(Session(lower(read(path))).run(numbers), litert_runs(content, numbers))


def test_an_average_with_another_scale_is_refused(tmp_path) -> None:
    """LiteRT averages the codes and overlooks the output's scale; a converter writes one scale."""
    files = FileBuilder()
    x, y = files.value((1, 4, 4, 3), scale=0.05), files.value((1, 2, 2, 3), scale=0.07)
    files.operator("AVERAGE_POOL_2D", [x], [y], "Pool2DOptions", filterHeight=2, filterWidth=2, strideH=2, strideW=2, padding=1)
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match="which TensorFlow Lite forbids here"):
        lower(read(path))

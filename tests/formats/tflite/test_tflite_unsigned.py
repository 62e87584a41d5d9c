"""uint8 TensorFlow Lite files: the bytes of LiteRT's reference kernels, from the specification, the kernels and the C."""

import numpy as np
import pytest

from benchmarks import places

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import OpResolverType

import edgebn
from edgebn import reference
from edgebn.errors import ModelError
from edgebn.formats.tflite import read
from edgebn.passes import lower
from edgebn.program import Convolution
from edgebn.session import Session
from tests import emitted
from tests.conftest import SHARED, TEST_ALL
from tests.formats.tflite import tflite_operators
from tests.formats.tflite.test_litert import litert_runs
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(40 if TEST_ALL else 4)
NOT_UNSIGNED = (tflite_operators.squared_difference, tflite_operators.batch_matmul)  # LiteRT has no such kernels
OPERATORS = [
    make for make in tflite_operators.BOTH + tflite_operators.INT8_ONLY + tflite_operators.LITERT_ONLY if make not in NOT_UNSIGNED
]
MOBILENET = SHARED / "zoo" / "coral_mobilenet_v1_025_128_quant.tflite"


@pytest.mark.parametrize("make", OPERATORS, ids=lambda make: make.__name__)
def test_operators(make, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=True, unsigned=True)
        path.write_bytes(content)
        codes = rng.integers(0, 256, (2, *shape[1:])).astype(np.uint8)
        expected = litert_runs(content, codes, OpResolverType.BUILTIN_REF)
        program = lower(read(path))
        ours = (expected ^ 0x80).view(np.int8) if expected.dtype == np.uint8 else expected
        np.testing.assert_array_equal(reference.run(program, codes), ours, f"seed {seed}")
        np.testing.assert_array_equal(Session(program).run(codes), expected, f"seed {seed}")


def test_concatenation_gives_its_inputs_one_scale(tmp_path) -> None:
    """Which it may do in uint8 alone, in float32."""
    path = tmp_path / "model.tflite"
    for seed in range(20):
        rng = np.random.default_rng(seed)
        files = FileBuilder()
        quantizations = [(float(np.float32(rng.uniform(0.01, 0.2))), int(rng.integers(0, 256))) for _ in range(3)]
        x, second = (files.value((1, 4, 8, 8), np.uint8, *quantization) for quantization in quantizations[:2])
        y = files.value((1, 4, 8, 16), np.uint8, *quantizations[2])
        files.operator("RELU", [x], [second])
        files.operator("CONCATENATION", [x, second], [y], "ConcatenationOptions", axis=3)
        path.write_bytes(files.bytes([x], [y]))
        codes = rng.permutation(256).astype(np.uint8).reshape(1, 4, 8, 8)
        expected = litert_runs(path.read_bytes(), codes, OpResolverType.BUILTIN_REF)
        np.testing.assert_array_equal(Session(lower(read(path))).run(codes), expected, f"seed {seed}")


@pytest.mark.parametrize("name", ["SOFTMAX", "RELU"])
def test_int8_network_between_uint8_values(name, tmp_path) -> None:
    """As TensorFlow converts a model of Keras with `inference_output_type=tf.uint8`: a QUANTIZE of the same codes at each end."""
    files = FileBuilder()
    given, (scale, zero_point) = (0.05, 3), (1 / 256, -128) if name == "SOFTMAX" else (0.05, 3)
    x, z = files.value((1, 20), np.uint8, given[0], given[1] + 128), files.value((1, 20), np.uint8, scale, zero_point + 128)
    inside = files.value((1, 20), np.int8, *given), files.value((1, 20), np.int8, scale, zero_point)
    files.operator("QUANTIZE", [x], [inside[0]])
    files.operator(name, [inside[0]], [inside[1]], **({"options": "SoftmaxOptions", "beta": 1.0} if name == "SOFTMAX" else {}))
    files.operator("QUANTIZE", [inside[1]], [z])
    content = files.bytes([x], [z])
    (tmp_path / "model.tflite").write_bytes(content)
    codes = np.random.default_rng(0).integers(0, 256, (4, 20)).astype(np.uint8)
    expected = litert_runs(content, codes, OpResolverType.BUILTIN_REF)
    ours = Session(edgebn.load(tmp_path / "model.tflite")).run(codes)
    assert ours.dtype == expected.dtype == np.uint8
    np.testing.assert_array_equal(ours, expected)


@pytest.fixture
def mobilenet():
    if not MOBILENET.exists():
        pytest.skip(places.missing("zoo"))
    return edgebn.load(MOBILENET)


def test_a_network_with_asymmetric_weights(mobilenet, tmp_path) -> None:
    assert any(step.weight.dtype == np.int16 for step in mobilenet.steps if isinstance(step, Convolution))
    edgebn.save(mobilenet, tmp_path / "net.edgebn")
    codes = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3)).astype(np.uint8)
    expected = litert_runs(MOBILENET.read_bytes(), codes, OpResolverType.BUILTIN_REF)
    assert len(np.unique(expected)) > 5
    session = Session(edgebn.load(tmp_path / "net.edgebn"))
    np.testing.assert_array_equal(session.run(codes), expected)
    np.testing.assert_array_equal(Session(mobilenet, threads=2).run(codes[:1]), expected[:1])
    np.testing.assert_array_equal(session.run((codes ^ 0x80).view(np.int8)), (expected ^ 0x80).view(np.int8))


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_a_network_with_asymmetric_weights_in_c(mobilenet, board, tmp_path) -> None:
    """All of its layers: the function that calls them has to leave a board's stack some room."""
    emitted.check(mobilenet, tmp_path / "c", board)


def test_results_go_where_the_caller_wants_them(mobilenet) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    session = Session(mobilenet)
    out = np.empty((2, 1001), np.uint8)
    assert session.run(codes, out=out) is out
    np.testing.assert_array_equal(out, session.run(codes))
    with pytest.raises(ModelError, match="give a uint8 array"):
        session.run(codes, out=out.view(np.int8))
    real = (codes.astype(np.float32) - 128) * np.float32(mobilenet.buffers[mobilenet.inputs[0]].scale)
    assert session.run(real).dtype == np.float32

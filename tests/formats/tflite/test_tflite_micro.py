"""int8 files against TensorFlow Lite Micro from PyPI, byte for byte: real networks, and random files of each operator."""

import numpy as np
import pytest

pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")

from tflite_micro.python.tflite_micro import runtime

from edgebn import reference
from edgebn.formats.tflite import read
from edgebn.passes import lower
from edgebn.session import Session
from tests.conftest import TEST_ALL
from tests.formats.tflite import tflite_operators
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(60 if TEST_ALL else 8)
ARENA = 1 << 20


def interpreter_runs(interpreter, codes: np.ndarray) -> np.ndarray:
    """Run one sample after the other; returns (N, ...)."""
    outputs = []
    for sample in codes:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return np.concatenate(outputs)


def real_inputs(name: str, data) -> np.ndarray:
    if name == "kws_int8":
        return np.load(data / "kws_dev.npz")["x"]
    if name == "resnet8_int8":  # scale 1, zero point -128: the code of a pixel is pixel - 128
        return (np.load(data / "cifar10_dev.npz")["x_test"].astype(np.int16) - 128).astype(np.int8)
    return np.random.default_rng(0).integers(-128, 128, (500, 640)).astype(np.int8)


@pytest.mark.parametrize("name", ["kws_int8", "resnet8_int8", "ad01_int8"])
def test_real_networks(name, shared_models, shared_data) -> None:
    path = shared_models / f"{name}.tflite"
    program = lower(read(path))
    codes = real_inputs(name, shared_data)
    expected = interpreter_runs(runtime.Interpreter.from_file(str(path)), codes)
    session = Session(program)
    assert (session.run(codes) != expected).sum() == 0
    few = codes[:20]
    assert (reference.run(program, few) != expected[:20]).sum() == 0
    values = session.run_buffers(few[:5])
    for i in range(5):
        inputs = {program.inputs[0]: few[i].reshape(program.buffers[program.inputs[0]].shape)}
        for buffer, expected_codes in reference.run_steps(program, inputs).items():
            if buffer in values:
                np.testing.assert_array_equal(values[buffer][i], expected_codes, err_msg=buffer)


@pytest.mark.parametrize("make", tflite_operators.BOTH + tflite_operators.INT8_ONLY, ids=lambda make: make.__name__)
def test_operators(make, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=True)
        path.write_bytes(content)
        codes = rng.integers(-128, 128, (2, *shape[1:])).astype(np.int8)
        codes[1].flat[0], codes[1].flat[-1] = -128, 127
        expected = interpreter_runs(runtime.Interpreter.from_bytes(content, arena_size=ARENA), codes)
        result = reference.run(lower(read(path)), codes)
        assert result.shape == expected.shape
        np.testing.assert_array_equal(result, expected, err_msg=f"seed {seed}")


def test_dense_multiplier_is_a_double_product(tmp_path) -> None:
    """Sums for which a float32 product of the two scales would round the other way (found in ad01_int8)."""
    scale, weight_scale, output_scale = (np.float32(text) for text in ("0.02479089", "0.019556683", "0.36449847"))
    sums = np.arange(-99000, 99000)
    files = FileBuilder()
    x = files.value((1, 1), scale=scale)
    weight = files.constant(np.zeros((len(sums), 1), np.int8), weight_scale)
    bias = files.constant(sums.astype(np.int32), scale * weight_scale)
    y = files.value((1, len(sums)), scale=output_scale)
    files.operator("FULLY_CONNECTED", [x, weight, bias], [y], "FullyConnectedOptions")
    content = files.bytes([x], [y])
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    codes = np.zeros((1, 1), np.int8)
    expected = interpreter_runs(runtime.Interpreter.from_bytes(content, arena_size=1 << 23), codes)
    np.testing.assert_array_equal(reference.run(lower(read(path)), codes), expected)


def test_two_inputs(tmp_path) -> None:
    files = FileBuilder()
    a, b = (
        files.value((1, 3, 3, 2), scale=0.05, zero_point=4, name="a"),
        files.value((1, 3, 3, 2), scale=0.07, zero_point=-9, name="b"),
    )
    y = files.value((1, 3, 3, 2), scale=0.1, zero_point=1)
    files.operator("ADD", [b, a], [y], "AddOptions")
    content = files.bytes([a, b], [y])
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    rng = np.random.default_rng(0)
    codes = {name: rng.integers(-128, 128, (1, 3, 3, 2)).astype(np.int8) for name in "ab"}
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA)
    for index, name in enumerate("ab"):
        interpreter.set_input(codes[name], index)
    interpreter.invoke()
    np.testing.assert_array_equal(reference.run(lower(read(path)), codes), interpreter.get_output(0))

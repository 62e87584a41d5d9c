"""int16 activations with int8 weights (16x8) against TensorFlow Lite Micro, byte for byte: each operator, in every engine."""

import numpy as np
import pytest

pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")

from tflite_micro.python.tflite_micro import runtime

import codegen
import edgebn
from edgebn import reference
from edgebn.errors import QuantizationError, UnsupportedLayerError
from edgebn.formats import native
from edgebn.formats.tflite import read
from edgebn.passes import lower
from tests import emitted
from tests.conftest import TEST_ALL
from tests.formats.tflite import tflite_operators
from tests.formats.tflite.test_tflite_micro import ARENA, interpreter_runs
from tests.formats.tflite.tflite_maker import Maker
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(40 if TEST_ALL else 4)
# What TensorFlow Lite Micro has no int16 kernel for.
WITHOUT_ORACLE = {
    "hard_swish", "prelu", "reduce_max", "reduce_min", "resize_bilinear", "gather", "mirror_pad", "space_to_depth",
    "depth_to_space", "arg_max", "arg_min",
}  # fmt: skip
REFUSED = {"hard_swish"}
OPERATORS = [*tflite_operators.BOTH, *tflite_operators.INT8_ONLY]


def draw(rng, count, shape):
    """Return codes, the least and the greatest among them."""
    codes = rng.integers(-32768, 32768, (count, *shape)).astype(np.int16)
    codes[-1].flat[0], codes[-1].flat[-1] = -32768, 32767
    return codes


def expected_of(content, codes):
    return interpreter_runs(runtime.Interpreter.from_bytes(content, arena_size=ARENA), codes)


def program_of(content, folder):
    path = folder / "model.tflite"
    path.write_bytes(content)
    return lower(read(path))


@pytest.mark.parametrize(
    "make", [make for make in OPERATORS if make.__name__ not in WITHOUT_ORACLE | REFUSED], ids=lambda m: m.__name__
)
def test_operators(make, tmp_path) -> None:
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=True, wide=True)
        codes = draw(rng, 2, shape[1:])
        expected = expected_of(content, codes)
        program = program_of(content, tmp_path)
        result = edgebn.Session(program).run(codes)
        assert result.dtype == expected.dtype == np.int16
        np.testing.assert_array_equal(result, expected, err_msg=f"seed {seed}")
        np.testing.assert_array_equal(reference.run(program, codes), expected, err_msg=f"seed {seed}")


@pytest.mark.parametrize("make", [make for make in OPERATORS if make.__name__ in REFUSED], ids=lambda make: make.__name__)
def test_what_has_no_int16_form_is_refused_by_name(make, tmp_path) -> None:
    content, _, _ = tflite_operators.build(make, 0, integer=True, wide=True)
    with pytest.raises((UnsupportedLayerError, QuantizationError), match=r"layer 'value_.*int16 form"):
        program_of(content, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bias_of_32_bits_rounds_twice(seed, tmp_path) -> None:
    """Multipliers on either side of 1/2 in one layer, and sums far beyond the codes."""
    rng = np.random.default_rng(seed)
    files, scale = FileBuilder(), np.float32(0.001)
    x = files.value((1, 4, 5, 3), np.int16, scale)
    scales = (10.0 ** rng.uniform(-4, 0, 6)).astype(np.float32)
    weight = files.constant(rng.integers(-127, 128, (6, 2, 2, 3)).astype(np.int8), scales, 0, 0)
    bias = files.constant(rng.integers(-(2**20), 2**20, 6).astype(np.int32), scale * scales)
    y = files.value((1, 3, 4, 6), np.int16, np.float32(0.001))
    files.operator("CONV_2D", [x, weight, bias], [y], "Conv2DOptions", strideH=1, strideW=1, padding=1)
    content = files.bytes([x], [y])
    codes = draw(rng, 3, (4, 5, 3)) // np.array([1, 16, 256], np.int16)[:, None, None, None]
    program = program_of(content, tmp_path)
    assert program.steps[0].epilogue.neg
    np.testing.assert_array_equal(edgebn.Session(program).run(codes), expected_of(content, codes))


@pytest.mark.parametrize(("before", "after"), [(np.int8, np.int16), (np.int16, np.int8)])
def test_quantize_changes_the_type(before, after, tmp_path) -> None:
    files = FileBuilder()
    scales = {np.int8: 0.05, np.int16: 0.0003}
    x, y = files.value((1, 700), before, scales[before]), files.value((1, 700), after, scales[after])
    files.operator("QUANTIZE", [x], [y], "QuantizeOptions")
    content = files.bytes([x], [y])
    info = np.iinfo(before)
    codes = np.random.default_rng(0).integers(info.min, info.max + 1, (3, 700)).astype(before)
    result = edgebn.Session(program_of(content, tmp_path)).run(codes)
    assert result.dtype == after
    np.testing.assert_array_equal(result, expected_of(content, codes))


def network(seed=0):
    """Return a file of a small network: convolutions of every kind, a shortcut, pools, functions and a softmax."""
    m = Maker(np.random.default_rng(seed), integer=True, wide=True)
    values = [m.value((1, 8, 8, 3), (0.002, 0))]

    def step(kind, shape, inputs, quantization=None, options=None, **settings):
        values.append(m.value(shape, quantization or (0.001, 0)))
        m.file.operator(kind, inputs, [values[-1]], options, **settings)
        return values[-1]

    weight, bias, scale = m.weight((8, 3, 3, 3), 0, 0.002)
    conv = step("CONV_2D", (1, 8, 8, 8), [values[0], weight, bias], (scale, 0), "Conv2DOptions", strideH=1, strideW=1, padding=0)
    weight, bias, other = m.weight((1, 3, 3, 8), 3, scale)
    settings = {"strideH": 1, "strideW": 1, "padding": 0, "depthMultiplier": 1}
    dw = step("DEPTHWISE_CONV_2D", (1, 8, 8, 8), [conv, weight, bias], (other, 0), "DepthwiseConv2DOptions", **settings)
    leaky = step("LEAKY_RELU", (1, 8, 8, 8), [dw], (other, 0), "LeakyReluOptions", alpha=0.125)
    both = step("ADD", (1, 8, 8, 8), [conv, leaky], (max(scale, other), 0), "AddOptions")
    settings = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": 0}
    pooled = step("AVERAGE_POOL_2D", (1, 4, 4, 8), [both], (max(scale, other), 0), "Pool2DOptions", **settings)
    gate = step("LOGISTIC", (1, 4, 4, 8), [pooled], (1 / 256, -128))
    gated = step("MUL", (1, 4, 4, 8), [pooled, gate], (max(scale, other), 0), "MulOptions")
    weight, bias, wide = m.weight((6, 3, 3, 8), 0, max(scale, other))
    inputs = [m.integers(1, 8, 8, 6), weight, gated, bias]
    up = step("TRANSPOSE_CONV", (1, 8, 8, 6), inputs, (wide, 0), "TransposeConvOptions", strideH=2, strideW=2, padding=0)
    weight, bias, last = m.weight((10, 8 * 8 * 6), 0, wide)
    scores = step("FULLY_CONNECTED", (1, 10), [up, weight, bias], (last, 0), "FullyConnectedOptions")
    step("SOFTMAX", (1, 10), [scores], (1 / 256, -128), "SoftmaxOptions", beta=float(np.float32(8.0 / (last * 32768))))
    return m.finish([values[0]], [values[-1], up])


def test_a_network_saves_and_emits(tmp_path) -> None:
    """Reference, session, native file, and C on the host and an emulated Cortex-M4."""
    content = network()
    program = program_of(content, tmp_path)
    codes = draw(np.random.default_rng(1), 4, (8, 8, 3))
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA)
    expected = {name: [] for name in program.outputs}
    for sample in codes:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        for index, name in enumerate(program.outputs):
            expected[name].append(interpreter.get_output(index)[0].copy())
    assert len(np.unique(expected[program.outputs[0]])) > 10
    native.save(program, tmp_path / "a.edgebn")
    for one in (program, native.load(tmp_path / "a.edgebn")):
        for name, values in edgebn.Session(one).run(codes).items():
            np.testing.assert_array_equal(values, np.stack(expected[name]), err_msg=name)
    for name in ("host", "mps2-an386"):
        board = emitted.board_or_skip(name)
        project = codegen.emit(program, tmp_path / name, board=name, name="wide")
        outcome = emitted.outcome(board, emitted.build(project, board, trace=True))
        assert (outcome.status, outcome.differ) == (0, 0), outcome.text


def test_real_numbers_and_codes_say_the_same(tmp_path) -> None:
    program = program_of(network(), tmp_path)
    codes = draw(np.random.default_rng(2), 2, (8, 8, 3))
    session = edgebn.Session(program)
    raw, real = session.run(codes), session.run(codes.astype(np.float32) * np.float32(program.buffers[program.inputs[0]].scale))
    for name in program.outputs:
        assert raw[name].dtype == np.int16
        np.testing.assert_array_equal(real[name], raw[name] * np.float32(program.buffers[name].scale))

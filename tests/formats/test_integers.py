"""Whole numbers in networks: files against LiteRT, and every engine against the reference."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

import edgebn
from edgebn import program as p
from edgebn import reference
from tests import emitted
from tests.formats.tflite import tflite_operators, tflite_whole_numbers
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(4)
CODES = (*tflite_whole_numbers.CODES_TOO, tflite_whole_numbers.gather_nd)
ONE_OF_MANY = (tflite_whole_numbers.gather_nd, tflite_whole_numbers.casts, tflite_whole_numbers.gather_computed)


def litert(content, x):
    """Return what LiteRT's reference kernels make of one sample, output by output."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(entry["index"]) for entry in interpreter.get_output_details()]


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("make", CODES, ids=lambda make: make.__name__)
def test_codes_as_litert(make, unsigned, tmp_path):
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=True, unsigned=unsigned)
        path.write_bytes(content)
        x = rng.integers(0, 256, shape).astype(np.uint8)
        x = x if unsigned else x.view(np.int8)
        (wanted,) = litert(content, x)
        got = edgebn.Session(edgebn.load(path)).run(x)
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("make", "integer"), [*((make, False) for make in ONE_OF_MANY), (tflite_whole_numbers.gather_nd, True)])
def test_saved_run_and_emitted(make, integer, tmp_path):
    """Through a file of our own, a session, and C on the host."""
    content, shape, rng = tflite_operators.build(make, 1, integer=integer)
    (tmp_path / "model.tflite").write_bytes(content)
    program = edgebn.load(tmp_path / "model.tflite")
    edgebn.save(program, tmp_path / "model.edgebn")
    loaded = edgebn.load(tmp_path / "model.edgebn")
    x = (
        rng.integers(-128, 128, (3, *shape[1:])).astype(np.int8)
        if integer
        else rng.normal(0, 2, (3, *shape[1:])).astype(np.float32)
    )
    wanted = reference.run(program, x)
    for found in (reference.run(loaded, x), edgebn.Session(program).run(x), edgebn.Session(loaded, threads=2).run(x)):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    emitted.check(loaded, tmp_path / "c", "host")


def test_a_batch_and_results_of_the_callers(tmp_path):
    """int32 results go to arrays of that type, whatever comes in."""
    content, shape, rng = tflite_operators.build(tflite_whole_numbers.arg_max_int64, 0, integer=False)
    (tmp_path / "model.tflite").write_bytes(content)
    program = edgebn.load(tmp_path / "model.tflite")
    session = edgebn.Session(program)
    x = rng.normal(0, 2, (4, *shape[1:])).astype(np.float32)
    out = np.empty((4, *shape[1:3]), np.int32)
    assert session.run(x, out=out) is out or (session.run(x) == out).all()
    np.testing.assert_array_equal(out, x.argmax(-1))
    with pytest.raises(edgebn.EdgebnError, match="int32"):
        session.run(x, out=out.astype(np.float32))
    assert p.result_dtype(program, program.outputs[0], as_codes=False) == "int32"


def test_pixels_without_a_scale(tmp_path):
    """A uint8 input that is cast to float32, as MoveNet has it: sessions take pixels as codes or as real numbers."""
    files = FileBuilder()
    x, real, y = (files.value((1, 4, 4, 3), dtype) for dtype in (np.uint8, np.float32, np.float32))
    files.operator("CAST", [x], [real], "CastOptions")
    files.operator("RSQRT", [real], [y])
    content = files.bytes([x], [y])
    (tmp_path / "model.tflite").write_bytes(content)
    pixels = np.random.default_rng(0).integers(1, 256, (1, 4, 4, 3)).astype(np.uint8)
    session = edgebn.Session(edgebn.load(tmp_path / "model.tflite"))
    (wanted,) = litert(content, pixels)
    for given in (pixels, pixels.astype(np.float32)):
        np.testing.assert_allclose(session.run(given), wanted, rtol=1e-6)


@pytest.mark.parametrize(("kind", "reason"), [("RELU", "whole numbers"), ("EXP", "whole numbers")])
def test_real_functions_of_whole_numbers_are_refused(kind, reason, tmp_path):
    files = FileBuilder()
    x, whole, y = (files.value((1, 4, 4, 3), dtype) for dtype in (np.float32, np.int32, np.int32))
    files.operator("CAST", [x], [whole], "CastOptions")
    files.operator(kind, [whole], [y])
    (tmp_path / "model.tflite").write_bytes(files.bytes([x], [y]))
    with pytest.raises(edgebn.EdgebnError, match=reason):
        edgebn.load(tmp_path / "model.tflite")


def test_key_points_of_a_real_network(shared_zoo):
    """Coral's MoveNet: byte for byte what LiteRT's reference kernels give."""
    path = shared_zoo / "coral_movenet_lightning_ptq.tflite"
    session = edgebn.Session(edgebn.load(path))
    rng = np.random.default_rng(0)
    x = np.kron(rng.integers(0, 256, (1, 8, 8, 3)), np.ones((1, 24, 24, 1))).astype(np.uint8)
    (wanted,) = litert(path.read_bytes(), x)
    np.testing.assert_array_equal(session.run(x), wanted)


def test_classes_of_a_real_network(shared_zoo):
    """Coral's DeepLab: the scores of every pixel, and which is the largest."""
    path = shared_zoo / "coral_deeplabv3_dm05.tflite"
    program = edgebn.load(path)
    rng = np.random.default_rng(1)
    x = np.kron(rng.integers(0, 256, (1, 27, 27, 3)), np.ones((1, 19, 19, 1))).astype(np.uint8)
    interpreter = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = edgebn.Session(program).run_buffers(x)
    arg = next(step for step in program.steps if isinstance(step, p.ArgExtreme))
    (scores,) = (entry for entry in interpreter.get_tensor_details() if entry["name"] == "ResizeBilinear_2")
    np.testing.assert_array_equal(p.flipped(found[arg.inputs[0]]), interpreter.get_tensor(scores["index"]))
    classes = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(found[program.outputs[0]].reshape(classes.shape), classes)


def test_kernels_of_every_type_meet_in_one_file(tmp_path):
    """Sums and products of codes, real and whole numbers in one network, whose kernels one C file includes."""
    files = FileBuilder()
    x = files.value((1, 4, 4, 3), np.int8, 0.05, 3)
    squares, real, whole = (
        files.value((1, 4, 4, 3), np.int8, 0.1, -9),
        *(files.value((1, 4, 4, 3), d) for d in (np.float32, np.int32)),
    )
    tens, products, back = (files.value((1, 4, 4, 3), dtype) for dtype in (np.int32, np.float32, np.float32))
    files.operator("MUL", [x, x], [squares], "MulOptions")
    files.operator("DEQUANTIZE", [squares], [real], "DequantizeOptions")
    files.operator("CAST", [real], [whole], "CastOptions")
    files.operator("MUL", [whole, files.constant(np.int32(10))], [tens], "MulOptions")
    files.operator("CAST", [tens], [back], "CastOptions")
    files.operator("MUL", [back, real], [products], "MulOptions")
    content = files.bytes([x], [products])
    (tmp_path / "model.tflite").write_bytes(content)
    program = edgebn.load(tmp_path / "model.tflite")
    codes = np.random.default_rng(0).integers(-128, 128, (1, 4, 4, 3)).astype(np.int8)
    np.testing.assert_allclose(edgebn.Session(program).run(codes), litert(content, codes)[0], rtol=1e-6)
    emitted.check(program, tmp_path / "c", "host")


def test_quantised_networks_count_as_they_did(tmp_path):
    """Behind an argmax nothing becomes codes, and what it reads are codes that are dequantised."""
    rng = np.random.default_rng(0)
    files = FileBuilder()
    x, scores = (files.value((1, 8, 8, channels), np.float32) for channels in (3, 6))
    place, y = files.value((1, 8, 8), np.int32), files.value((1, 8, 8), np.float32)
    weight = files.constant(rng.normal(0, 1, (6, 3, 3, 3)).astype(np.float32))
    bias = files.constant(np.zeros(6, np.float32))
    files.operator("CONV_2D", [x, weight, bias], [scores], "Conv2DOptions", padding=0, strideH=1, strideW=1)
    files.operator("ARG_MAX", [scores, files.constant(np.int32(3))], [place], "ArgMaxOptions", outputType=2)
    files.operator("CAST", [place], [y], "CastOptions")
    (tmp_path / "model.tflite").write_bytes(files.bytes([x], [place, y]))
    program = edgebn.load(tmp_path / "model.tflite")
    assert program.dtype == "float32"
    images = rng.normal(0, 1, (20, 8, 8, 3)).astype(np.float32)
    quantised = edgebn.quantize(program, calibration=images)
    assert quantised.dtype == "mixed"
    types = {step.kind: quantised.buffers[step.output].dtype for step in quantised.steps}
    assert types["Convolution"] == "int8"
    assert types["ArgExtreme"] == "int32"
    real, coded = edgebn.Session(program).run(images), edgebn.Session(quantised).run(images)
    first, second = program.outputs
    assert coded[first].dtype == np.int32
    np.testing.assert_array_equal(coded[second], coded[first])
    assert (coded[first] == real[first]).mean() > 0.95

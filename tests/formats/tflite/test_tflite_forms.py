"""Forms of operators that are several steps, or steps of their own: cases of the survey that `make test` always takes.

Each gives a peer's numbers in the session and in the specification, and in C on this computer.
"""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")

from ai_edge_litert.interpreter import OpResolverType
from tflite_micro.python.tflite_micro import runtime

import codegen
import edgebn
from edgebn import reference
from edgebn.errors import UnsupportedLayerError
from edgebn.formats import native
from edgebn.formats.tflite import read
from edgebn.program import signed_codes
from tests import emitted
from tests.formats.tflite.test_litert import litert_runs
from tests.formats.tflite.test_tflite_micro import interpreter_runs
from tests.formats.tflite.test_tflite_survey import outcome
from tests.formats.tflite.tflite_models import FileBuilder
from tests.formats.tflite.tflite_survey import FAMILIES

NAMES = (
    "PRELU (4, 3, 5): int8",  # Keras' own slopes, where shared_axes is not given
    "PRELU (3, 1): uint8",
    "PRELU (5,): int16",
    "PRELU (4, 3, 5): int16",
    "MEAN (((1, 4, 3, 5), (1, 2)), False): int32",
    "SUM (((1, 2, 3, 2, 4), (2, 4)), True): int64",
    "REDUCE_MIN (((1, 4, 3, 5), (0, 1, 2, 3)), False): int32",
    "REDUCE_MAX (((1, 4, 3, 5), (1, 3)), False): bool",
    "REDUCE_PROD (((1, 4, 3, 5), (1, 2)), False): int32",
    "REDUCE_PROD (((1, 4, 3, 5), (0,)), False): float32",
    "SUM (((1, 4, 3, 5), ()), True): int8",
    "DIV (((1, 4, 3, 5), (1, 1, 1, 5)), 'values', 1): int32",
    "DIV (((1, 4, 3, 5), (5,)), 'constant', 0): int32",
    "MUL (((1, 2, 3, 2, 4), (1, 1, 3, 1, 4)), 'values', 0): int32",
    "ADD (((1, 5), (1, 5)), 'values', 3): int64",
    "SQUARED_DIFFERENCE (((1, 4, 3, 5), (5,)), 'constant', 0): int32",
    "ABS ((1, 4, 3, 5), False): int32",
    "NEG ((1,), False): float32",
    "CAST uint8: float32",
    "CAST int8: int32",
    "CAST int8: uint8",
    "PADV2 [[0, 0], [1, 2], [0, 1], [0, 0]]: int32",
    "PAD ((1, 4, 3, 5), ([[1, 0], [0, 0], [0, 0], [0, 0]],), {}): int8",
    "CONCATENATION (0, 'constant'): uint8",
    "ARG_MAX ((1, 4, 3, 5), 0, 'int32'): float32",
    "ONE_HOT (3, -1): uint8",
    "L2_NORMALIZATION ((1, 4, 3, 5), False): int8",
    "L2_NORMALIZATION ((1, 2, 3, 2, 3), False): uint8",
    "RESIZE_BILINEAR ((8, 6), False, False): int16",
    "BATCH_MATMUL (((1, 2, 4, 5), (1, 2, 5, 3)), 'values', (False, True)): int16",
    "CUMSUM (1, True, False): float32",
    "CUMSUM (-1, False, True): int32",
    "POW (((1, 4, 3, 5), (3, 1)), 'constant first', 0): float32",
    "RSQRT ((1, 4, 3, 5), True): int16",
    "EXP ((1, 4, 3, 5), True): int16",
    "LOG ((1, 4, 3, 5), True): int16",
    "GELU (('GeluOptions', {'approximate': True}), (1, 4, 3, 5)): int16",
    "REDUCE_MIN (((1, 4, 3, 5), (1, 2)), False): int16",
    "LESS_EQUAL (((1, 4, 3, 5), (1, 1, 1, 5)), 'values', 1): int16",
    "EQUAL (((1, 4, 3, 5), (5,)), 'constant', 0): int16",
)


@pytest.fixture(scope="module")
def cases():
    return {case.name: case for make in FAMILIES.values() for case in make()}


@pytest.mark.filterwarnings("ignore")  # LiteRT warns of its own future
@pytest.mark.parametrize("name", NAMES)
def test_every_engine(name, cases, tmp_path):
    case, path = cases[name], tmp_path / "model.tflite"
    assert outcome(case, path) == "right"
    program = edgebn.load(path)
    samples = dict(zip(program.inputs, case.samples(), strict=True))
    native.save(program, tmp_path / "a.edgebn")
    result, expected = edgebn.Session(native.load(tmp_path / "a.edgebn")).run(samples), reference.run(program, samples)
    for output in program.outputs:
        ours, theirs = (one[output] if isinstance(one, dict) else one for one in (result, expected))
        ours = signed_codes(program.buffers[output], ours)  # the specification's uint8 codes are int8 ones
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5 if theirs.dtype == np.float32 else 0)
    board = emitted.board_or_skip("host")
    project = codegen.emit(program, tmp_path / "c", board="host", name="form")
    said = emitted.outcome(board, emitted.build(project, board, trace=True))
    assert (said.status, said.differ) == (0, 0), said.text


def test_int16_slopes_of_int16_codes_are_refused(tmp_path):
    """LiteRT reads the bytes of such slopes as int8."""
    files = FileBuilder()
    x, y = (files.value((1, 4, 5), np.int16, 0.001) for _ in range(2))
    files.operator("PRELU", [x, files.constant(np.arange(5, dtype=np.int16), 0.001)], [y])
    (tmp_path / "model.tflite").write_bytes(files.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match="slopes are INT16, which TensorFlow Lite reads as INT8"):
        read(tmp_path / "model.tflite")


def test_whole_numbers_of_8_bits_wrap_and_move(tmp_path):
    """The mask of a segmentation network: the place of the largest, cast to uint8, under another shape; places beyond 255."""
    files = FileBuilder()
    x, place = files.value((1, 3, 4, 300), np.float32), files.value((1, 3, 4), np.int64)
    narrow, y = files.value((1, 3, 4), np.uint8), files.value((1, 3, 4, 1), np.uint8)
    files.operator("ARG_MAX", [x, files.constant(np.int32(3))], [place], "ArgMaxOptions", outputType=4)
    files.operator("CAST", [place], [narrow], "CastOptions", inDataType=4, outDataType=3)
    files.operator("EXPAND_DIMS", [narrow, files.constant(np.int32(3))], [y], "ExpandDimsOptions")
    content = files.bytes([x], [y])
    (tmp_path / "model.tflite").write_bytes(content)
    values = np.random.default_rng(0).normal(0, 1, (2, 3, 4, 300)).astype(np.float32)
    result = edgebn.Session(edgebn.load(tmp_path / "model.tflite")).run(values)
    np.testing.assert_array_equal(result, values.argmax(axis=3)[..., None] % 256)
    np.testing.assert_array_equal(result, litert_runs(content, values))


COMPARED = {"EQUAL": "EqualOptions", "NOT_EQUAL": "NotEqualOptions", "GREATER": "GreaterOptions", "LESS": "LessOptions",
            "GREATER_EQUAL": "GreaterEqualOptions", "LESS_EQUAL": "LessEqualOptions"}  # fmt: skip
CODES = 4096


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize("function", COMPARED)
def test_codes_are_compared_as_litert_compares_them(function, kind, tmp_path):
    """Codes and near ones of a scale below 1/256, of the same and of another scale: neighbours are equal where LiteRT says so."""
    rng, ends = np.random.default_rng(1), np.iinfo(kind)
    middle = 0 if kind is np.int16 else 3 + 128 * (kind is np.uint8)
    for scale in (0.0031, 0.0021):
        codes = rng.integers(ends.min, ends.max + 1, (1, CODES)).astype(kind)
        near = np.clip(codes.astype(np.int64) + rng.integers(-3, 4, codes.shape), ends.min, ends.max).astype(kind)
        files = FileBuilder()
        x, y = files.value(codes.shape, kind, np.float32(0.0031), middle), files.value(codes.shape, np.bool_)
        files.operator(function, [x, files.constant(near, np.float32(scale), middle)], [y], COMPARED[function])
        content, path = files.bytes([x], [y]), tmp_path / "model.tflite"
        path.write_bytes(content)
        ordered = kind is np.int16 and function not in ("EQUAL", "NOT_EQUAL")
        if ordered and scale != 0.0031:
            with pytest.raises(UnsupportedLayerError, match="it compares int16 codes"):
                read(path)
            continue
        result = edgebn.Session(edgebn.load(path)).run(codes)
        expected = litert_runs(content, codes, OpResolverType.BUILTIN_REF)
        assert 0 < expected.sum() < CODES
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("channels", [1, 3, 128, 2048])
def test_codes_over_their_norm(channels, kind, tmp_path):
    """Sums of squares of every size: nothing, one, single codes, and all of the largest."""
    rng, ends = np.random.default_rng(channels), np.iinfo(kind)
    middle = 5 + 128 * (kind is np.uint8)
    codes = rng.integers(ends.min, ends.max + 1, (1, 40, channels)).astype(kind)
    spans = 2 ** rng.integers(0, 8, (40, 1))
    near = middle + rng.integers(-1, 2, (30, channels)) * rng.random((30, channels)) * spans[:30]
    codes[0, :30] = np.clip(near, ends.min, ends.max)
    codes[0, 0], codes[0, 1], codes[0, 2], codes[0, 3] = middle, ends.max, ends.min, middle
    codes[0, 3, 0] += 1
    files = FileBuilder()
    x, y = files.value(codes.shape, kind, 0.05, middle), files.value(codes.shape, kind, 1 / 128, 128 * (kind is np.uint8))
    files.operator("L2_NORMALIZATION", [x], [y], "L2NormOptions")
    content, path = files.bytes([x], [y]), tmp_path / "model.tflite"
    path.write_bytes(content)
    program = edgebn.load(path)
    expected = litert_runs(content, codes, OpResolverType.BUILTIN_REF)
    np.testing.assert_array_equal(edgebn.Session(program).run(codes), expected)
    np.testing.assert_array_equal(reference.run(program, codes), signed_codes(program.buffers[program.outputs[0]], expected))
    if kind is np.int8:
        micro = runtime.Interpreter.from_bytes(content, arena_size=1 << 20)
        np.testing.assert_array_equal(interpreter_runs(micro, codes), expected)


@pytest.mark.parametrize("scales", [(0.0002, 0.001), (0.003, 0.02), (0.0005, 0.0002), (4.42e-05, 4.11e-05), (1e-9, 3e-5)])
def test_reciprocal_roots_of_all_int16_codes(scales, tmp_path):
    files = FileBuilder()
    x, y = (files.value((1, 8192), np.int16, np.float32(scale)) for scale in scales)
    files.operator("RSQRT", [x], [y])
    content, path = files.bytes([x], [y]), tmp_path / "model.tflite"
    path.write_bytes(content)
    codes = np.arange(32768, dtype=np.int16).reshape(4, 8192)  # the two stop below 0
    program = edgebn.load(path)
    expected = interpreter_runs(runtime.Interpreter.from_bytes(content, arena_size=1 << 20), codes)
    np.testing.assert_array_equal(edgebn.Session(program).run(codes), expected)
    np.testing.assert_array_equal(reference.run(program, codes[:1]), expected[:1])
    if scales[0] < 1e-4:  # the product is shifted left
        emitted.check(program, tmp_path / "c", "host", codes[:1])


@pytest.mark.filterwarnings("ignore")  # the same
def test_several_exponents(cases, tmp_path):
    """Not in C, whose drawn inputs are below 0 too, where there is no number."""
    assert outcome(cases["POW (((1, 4, 3, 5), (5,)), 'constant', 0): float32"], tmp_path / "model.tflite") == "right"

"""Files of other makers (zoo/ of the models): each that loads agrees with its own runtime, others are refused in one line.

int8 byte for byte with TensorFlow Lite Micro, uint8 with LiteRT's reference kernels, float32 within 1e-5 of the output's range with
LiteRT.
"""

import numpy as np
import pytest

from benchmarks import places

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime

import edgebn
from edgebn.errors import EdgebnError
from edgebn.program import CODE_RANGES
from tests.conftest import SHARED

FILES = sorted((SHARED / "zoo").glob("*.tflite"))
LOADING = {
    "mww_v2_okay_nabu", "mww_v2_vad",
    "basic_pitch_tfl",
    "coral_deeplabv3_dm05", "coral_mobilenet_v1_025_128_quant", "coral_movenet_lightning_ptq", "coral_split_concat",
    "mp_face_back", "omv_face_landmarks", "omv_fomo_face", "omv_yolov8n_192", "tflm_micro_speech", "tflm_person_detect",
    "tflm_seanet_conv0",
    "tflm_pt_mobilenet_v2_q", "tflm_simple_add", "tm_mbnet128_q", "tm_mnist_dw_f", "tm_mnist_dw_q", "ulfg_rfb320_tfl",
}  # fmt: skip
TOLERANCE = 1e-5
ARENA = 1 << 24


def _loaded(path):
    """Return the program, or None and why there is none."""
    try:
        return edgebn.load(path), ""
    except EdgebnError as error:
        return None, str(error)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_other_makers(path) -> None:
    program, message = _loaded(path)
    if program is None:
        assert path.stem not in LOADING, message
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        assert len(message) - len(str(path)) < 350
        assert "damaged" not in message
        return
    rng = np.random.default_rng(0)
    inputs = {name: _drawn(program, name, rng) for name in program.inputs}
    got = edgebn.Session(program).run(inputs)
    got = got if isinstance(got, dict) else {program.outputs[0]: got}
    is_micro = program.dtype in CODE_RANGES and not _is_unsigned(program)
    wanted = _micro(path, inputs, program) if is_micro else _litert(path, inputs, program)
    assert len(wanted) == len(got)
    for array, reported in zip(got.values(), wanted, strict=True):
        expected = reported if reported.dtype != np.uint8 else (reported ^ 0x80).view(np.int8)
        assert array.shape == expected.shape
        if program.dtype in CODE_RANGES or array.dtype == np.int32:
            np.testing.assert_array_equal(array, expected)
        else:
            assert np.abs(array - expected).max() <= TOLERANCE * np.ptp(expected)


def _is_unsigned(program) -> bool:
    """Whether a network works on uint8 codes, which TensorFlow Lite Micro does not run."""
    buffers = program.buffers
    return any(buffers[step.output].unsigned and buffers[name].unsigned for step in program.steps for name in step.inputs)


def _drawn(program, name, rng) -> np.ndarray:
    shape = (1, *program.shapes[name])
    if program.dtype == "int16":
        return rng.integers(-32768, 32768, shape).astype(np.int16)
    if program.dtype == "int8" or program.buffers[name].unsigned:
        return rng.integers(-128, 128, shape).astype(np.int8)
    return rng.uniform(-1, 1, shape).astype(np.float32)


def _micro(path, inputs, program) -> list[np.ndarray]:
    """TensorFlow Lite Micro wants the file's own order of inputs, which is the program's, of the type that the file has."""
    interpreter = runtime.Interpreter.from_file(str(path), arena_size=ARENA)
    for place, (name, codes) in enumerate(inputs.items()):
        interpreter.set_input(_as_file(codes, program.buffers[name], interpreter.get_input_details(place)["dtype"]), place)
    interpreter.invoke()
    arrays = [interpreter.get_output(place) for place in range(len(program.outputs))]
    return [_codes(array, program.buffers[name]) for array, name in zip(arrays, program.outputs, strict=True)]


def _as_file(codes, buffer, dtype) -> np.ndarray:
    """Return an input's codes in the file's type, real numbers where a QUANTIZE makes codes of them."""
    if dtype == np.float32:
        return (codes.astype(np.float32) - buffer.zero_point) * np.float32(buffer.scale)
    return codes if dtype == codes.dtype else (codes.astype(np.int16) + 128).astype(np.uint8)


def _codes(array, buffer) -> np.ndarray:
    """Return an output as the codes that it has, or that a DEQUANTIZE made it of."""
    if array.dtype == np.float32:
        return (np.rint(array / np.float32(buffer.scale)) + buffer.zero_point).astype(np.int8)
    return array if array.dtype == buffer.dtype else (array.astype(np.int16) - 128).astype(np.int8)


def _litert(path, inputs, program) -> list[np.ndarray]:
    """Its kernels for int8 differ from its reference ones by codes; of float32 networks, they agree and are faster."""
    holds_codes = any(buffer.dtype == "int8" for buffer in program.buffers.values())
    resolver = OpResolverType.BUILTIN_REF if holds_codes else OpResolverType.AUTO
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        is_unsigned = detail["dtype"] == np.uint8
        interpreter.set_tensor(detail["index"], array.view(np.uint8) ^ 0x80 if is_unsigned else array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


@pytest.mark.skipif(not FILES, reason=places.missing("zoo"))
def test_what_loads_is_there() -> None:
    assert {path.stem for path in FILES} >= LOADING

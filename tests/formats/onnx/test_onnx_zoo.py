"""Trained ONNX files of other people, as they ship them, against onnxruntime; skipped where they are not beside this checkout."""

import numpy as np
import pytest

from benchmarks import places

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

import edgebn  # noqa: E402

# Sizes for those that leave them open, in the file's layout.
SHAPES = {"mtcnn_pnet": (40, 56, 3), "ppocr_cls": (3, 48, 192), "ppocr_det_v4": (3, 64, 128)}
RUN = ("esp_streaming", "fastestdet", "mtcnn_onet", "mtcnn_pnet", "ppocr_cls", "ppocr_det_v4")
# The sigmoid behind ppocr_det_v4 is so steep that a rounding of float32 before it is 1e-5 of the range behind it.
TOLERANCE = {"ppocr_det_v4": 3e-5}
NAMES = (*RUN, "basic_pitch_onnx", "ulfg_rfb320")
SAMPLES = 2


def letters(shape):
    """Something like lines of print, channels-last, in the units of a text detector."""
    rng = np.random.default_rng(0)
    height, width, _ = shape
    x = np.ones((SAMPLES, *shape), np.float32)
    for column in range(8, width - 8, 8):
        x[:, height // 3 : height // 3 + 14, column : column + 6][:, rng.random((14, 6)) < 0.6] = -2
    return x


@pytest.fixture(scope="module")
def zoo(shared_models):
    folder = shared_models.parent / "zoo"
    if not folder.is_dir():
        pytest.skip(places.missing("zoo"))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_file(zoo, name):
    path = zoo / f"{name}.onnx"
    try:
        program = edgebn.load(path, input_shape=SHAPES.get(name))
    except edgebn.EdgebnError as error:
        message = str(error)
    else:
        check(path, name, program)
        return
    assert name not in RUN, message
    assert message.startswith(f"{path}: layer '")
    assert "\n" not in message
    assert len(message.removeprefix(str(path))) < 250


def check(path, name, program):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    shape = program.shapes[entry.name]
    x = letters(shape) if name == "ppocr_det_v4" else np.random.default_rng(0).uniform(-1, 1, (SAMPLES, *shape)).astype(np.float32)
    turned = len(shape) > 1 and shape != tuple(SHAPES.get(name, entry.shape[1:]))
    theirs = np.moveaxis(x, -1, 1) if turned else x
    runs = [session.run(None, {entry.name: theirs[place : place + 1]}) for place in range(SAMPLES)]
    found = edgebn.Session(program).run(x)
    for place, output in enumerate(session.get_outputs()):
        expected = np.concatenate([run[place] for run in runs])
        ours = found[output.name] if isinstance(found, dict) else found
        ours = ours if ours.shape == expected.shape else np.moveaxis(ours, -1, 1)
        assert ours.shape == expected.shape
        assert np.abs(ours - expected).max() <= TOLERANCE.get(name, 1e-5) * np.ptp(expected)


def test_the_zoo_is_named(zoo):
    assert {path.stem for path in zoo.glob("*.onnx")} == set(NAMES)

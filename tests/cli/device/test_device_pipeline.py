"""`edgebn device verify` the whole way: frames and samples in, preparation, every layer, the answer; on the host and on a core."""

import json
from dataclasses import replace

import numpy as np
import pytest

import codegen
import edgebn
from boards import emulator
from edgebn.cli.device import target
from edgebn.cli.main import main
from edgebn.preparation.data import Anomaly, Boxes, Classes, Frame, KeyPoints, Mask, MicroFrontEnd, Picture, Sound, WakeWord
from edgebn.preparation.frames import packed, unpacked
from tests import emitted
from tests.codegen.test_pipeline_in_c import ANCHORS
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images, demo_int8
from tests.preparation.test_answers import network

FRAME = Frame(12, 18, "rgb565")
ANSWERS = {  # outputs, and what they are
    "classes": (((12,),), {"answer": Classes()}),
    "logits": (((12,),), {"answer": Classes(logits=True)}),
    "one score": (((1,),), {"answer": Classes()}),
    "boxes": (((18, 4), (18, 2)), {"boxes": Boxes(("a", "b"), "anchors", logits=True, score=0.6, overlap=0.3, anchors=ANCHORS)}),
    "poses": (((13, 14),), {"boxes": Boxes(("a", "b", "c"), score=0.6, overlap=0.3, points=2)}),
    "key points": (((1, 9, 3),), {"answer": KeyPoints(tuple("abcdefghi"), score=1.0)}),
    "mask": (((5, 6, 4),), {"answer": Mask()}),
    "anomaly": (((8, 8, 3),), {"answer": Anomaly(0.1)}),
}


def eye(kind="boxes", dtype="int8", frame=FRAME):
    shapes, what = ANSWERS[kind]
    picture = Picture(fit="letterbox", border=114, scale=(1 / 128,), offset=(-0.5,), frame=frame)
    model = network(*shapes, dtype=dtype)
    return edgebn.prepare(model, image=picture, **what)


def ear(dtype="int8"):
    """A network that hands its first feature on, and a wake word of it."""
    base = network((1,), dtype=dtype)
    buffers = {name: replace(buffer, scale=1 / 256, zero_point=-128) for name, buffer in base.buffers.items()}
    buffers |= {name: replace(buffers[name], shape=(1, 3, 40) if name == "x" else (1, 1, 120)) for name in ("x", "flat")}
    model = replace(base, buffers=buffers, shapes={"x": (3, 40), "y0": (1,)})
    return edgebn.prepare(model, sound=Sound(MicroFrontEnd(), scale=1 / 700, stride=2), answer=WakeWord("hey", 3, 0.3, 4))


def verified(capsys, model, folder, *more, status=0):
    edgebn.save(model, folder / "model.edgebn")
    assert main(["device", "verify", str(folder / "model.edgebn"), *map(str, more), "--json"]) == status
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", ANSWERS if TEST_ALL else ["logits", "one score", "poses", "key points", "mask"])
def test_pictures(kind, tmp_path, capsys):
    emitted.board_or_skip("host")
    dtype = ("int8", "float32")[[*ANSWERS].index(kind) % 2]
    model = eye(kind, dtype)
    report = verified(capsys, model, tmp_path, "--board", "host", "--samples", 3)
    assert (report["samples"], report["mismatches"], report["first_difference"]) == (3, 0, None)
    assert report["preparation"]["bytes"] == 8 * 8 * 3 * (1 if dtype == "int8" else 4)
    assert report["layers_compared"] == len(report["layers"]) > 0


def test_sounds(tmp_path, capsys):
    emitted.board_or_skip("host")
    for dtype in ("int8", "float32"):
        report = verified(capsys, ear(dtype), tmp_path, "--board", "host", "--samples", 12)
        assert (report["samples"], report["mismatches"]) == (12, 0)
        assert report["preparation"]["bytes"] == 120 * (1 if dtype == "int8" else 4)


@pytest.mark.parametrize("made", [eye, ear])
def test_an_emulated_core(made, tmp_path, capsys):
    emitted.board_or_skip("mps2-an386")
    report = verified(capsys, made(), tmp_path, "--board", "mps2-an386", "--samples", 3)
    assert (report["samples"], report["mismatches"]) == (3, 0)
    assert 1000 < report["preparation"]["instructions"] < report["instructions"]


@pytest.mark.skipif(not TEST_ALL, reason="adaptation behind the whole way: EDGEBN_TEST_ALL=1")
@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_it_learns_behind_the_whole_way(board, tmp_path, capsys):
    emitted.board_or_skip(board)
    images, _ = demo_images()
    picture = Picture("grey", fit="crop", scale=(1 / 255,), frame=Frame(30, 42, "yuyv"))
    model = edgebn.prepare(edgebn.adaptable(demo_int8(), images[:100]), image=picture, labels=[str(one) for one in range(10)])
    report = verified(capsys, model, tmp_path, "--board", board, "--samples", 2)
    assert (report["mismatches"], report["learns_as_python"]) == (0, True)
    assert report["preparation"]


def test_a_recording_and_a_photo(tmp_path, capsys):
    emitted.board_or_skip("host")
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    report = verified(capsys, eye(), tmp_path, tmp_path / "photo.png", "--board", "host")
    assert (report["samples"], report["mismatches"]) == (1, 0)
    assert report["preparation"]
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: it writes the recording")
    samples = np.random.default_rng(1).normal(0, 3000, 16000).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", samples, 16000)
    report = verified(capsys, ear(), tmp_path, tmp_path / "noise.wav", "--board", "host")
    assert (report["samples"], report["mismatches"]) == (48, 0)


@pytest.mark.parametrize(
    ("file", "right", "wrong", "layer"),
    [
        ("eye_picture.c", "table[values", "(int8_t)~table[values", "preparation"),
        ("eye_answer.c", "0.300000012f", "0.6f", "answer"),
    ],
)
def test_what_differs_is_named(file, right, wrong, layer, tmp_path, monkeypatch, capsys):
    emitted.board_or_skip("host")
    emit = codegen.emit

    def emit_wrongly(program, *arguments, **options):
        project = emit(program, *arguments, name="eye", **options)
        path = project.folder / file
        assert right in path.read_text()
        path.write_text(path.read_text().replace(right, wrong))
        return project

    monkeypatch.setattr(target.codegen, "emit", emit_wrongly)
    report = verified(capsys, eye("poses"), tmp_path, "--board", "host", "--samples", 2, status=1)
    assert report["first_difference"]["layer"] == layer
    assert report["mismatches"] > 0


def test_sounds_are_heard_once_where_a_host_asks_twice(tmp_path):
    """The same run again, layers and all, on a line that loses frames: nothing that was heard is heard twice."""
    board = emitted.board_or_skip("host")
    elf = target.build(ear(), board, tmp_path, pipeline=True)
    pieces = np.random.default_rng(3).normal(0, 2000, (9, 320)).astype("<i2")
    answers = []
    with emulator.start(board, elf) as running, target.connect(running.url, booting=True) as device:
        for times in (1, 3):
            device.begin_sequence()
            outputs = []
            for piece in pieces:
                run = device.run(piece.tobytes())
                again = [device.run_layers(piece.tobytes(), run) for _ in range(times)]
                assert {one.output for one in again} == {run.output}
                outputs.append((run.output, [layer.data for layer in again[-1].layers]))
            answers.append(outputs)
    assert answers[0] == answers[1]
    assert any(data for _, data in answers[0])


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_port_says_what_it_serves(is_whole, tmp_path, capsys):
    board = emitted.board_or_skip("host")
    model = eye("mask")
    elf = target.build(model, board, tmp_path, pipeline=is_whole)
    np.save(tmp_path / "codes.npy", np.zeros((1, 8, 8, 3), np.int8))

    def said(model, *more, status=0):
        with emulator.start(board, elf) as running:
            return verified(capsys, model, tmp_path, *more, "--port", running.url, status=status)

    report = said(model, "--samples", 1)
    assert report["mismatches"] == 0
    assert (report["preparation"] is not None) == is_whole
    if not is_whole:
        assert "the device's program has neither" in report["not_compared"]
        assert "has what the network takes" in said(model, tmp_path / "codes.npy")["not_compared"]
        return
    assert report["not_compared"] is None
    assert "the device takes frames or samples" in said(model, tmp_path / "codes.npy", status=1)["error"]
    other = said(eye("mask", frame=Frame(10, 10)), status=1)["error"]
    assert "takes 432 bytes" in other
    assert "--main link --pipeline" in other


def test_links_of_networks_alone_are_as_small_as_before(tmp_path):
    """Their C is the same to the byte whether the model keeps a preparation or not."""
    texts = []
    for name, model in (("plain", replace(eye(), preparation=None)), ("kept", eye())):
        project = codegen.emit(model, tmp_path / name, main="link", name="eye")
        texts.append([(project.folder / file).read_text() for file in ("link.c", "service/edgebn_link.c", "service/edgebn_link.h")])
    assert texts[0] == texts[1]
    assert "preparation" not in texts[0][1]


@pytest.mark.parametrize("layout", ["grey", "rgb888", "bgr888", "rgb565", "rgb565_swapped", "yuyv"])
def test_frames_are_packed_as_cameras_do(layout):
    smooth = np.add.outer(np.arange(10) * 9, np.arange(16) * 7)[..., None] + np.array([0, 20, 10])
    pixels = smooth.astype(np.uint8)
    frame = Frame(10, 16, layout)
    wanted = pixels.mean(axis=2, keepdims=True) if layout == "grey" else pixels
    near = np.abs(unpacked(packed(pixels, frame), frame).astype(int) - wanted)
    assert near.max() <= {"grey": 1, "yuyv": 12}.get(layout, 8 if "565" in layout else 0)

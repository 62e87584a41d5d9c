"""Answers beside classes: heads of detectors, masks, key points, wake words, anomalies; kept, told, and drawn."""

import json
from collections import deque
from dataclasses import replace

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.preparation.check import HEADS as KNOWN
from edgebn.preparation.data import Anchors, Anomaly, Boxes, KeyPoints, Mask, Picture, WakeWord
from edgebn.preparation.decoding import Decoder
from edgebn.preparation.detections import box_answers
from edgebn.preparation.heads import _HEADS, anchor_boxes
from edgebn.preparation.masks import mask_answer
from edgebn.preparation.resizing import boxes as placed
from edgebn.preparation.resizing import resized
from edgebn.preparation.run_lengths import run_lengths
from edgebn.preparation.score_maps import MaskMap
from edgebn.preparation.wake_words import WakeWordStream, probability_code


def network(*shapes, dtype="float32", side=8):
    """Return a network whose outputs are the first elements of its picture, (side, side, 3), each from the beginning."""
    buffers = {
        "x": p.Buffer("x", (side, side, 3), dtype, 1 / 8, 0),
        "flat": p.Buffer("flat", (1, 1, side * side * 3), dtype, 1 / 8, 0),
    }
    steps = [p.Reshape("flat", ("x",), "flat")]
    for number, shape in enumerate(shapes):
        size = int(np.prod(shape))
        buffers |= {
            name: p.Buffer(name, form, dtype, 1 / 8, 0)
            for name, form in ((f"part{number}", (1, 1, size)), (f"y{number}", p.hwc(shape)))
        }
        steps += [p.Crop(f"part{number}", ("flat",), f"part{number}"), p.Reshape(f"y{number}", (f"part{number}",), f"y{number}")]
    outputs = tuple(f"y{number}" for number in range(len(shapes)))
    told = {"x": (side, side, 3), **dict(zip(outputs, shapes, strict=True))}
    return p.Program("eye", "eye.onnx", "made", False, buffers, {}, tuple(steps), ("x",), outputs, told)


PICTURE = Picture(scale=(1 / 8,))


def told(answers):
    return [(box.name, round(box.score, 4), box.left, box.top, box.right, box.bottom) for box in answers]


def test_the_heads_are_those_that_are_checked():
    assert tuple(_HEADS) == KNOWN


def test_a_yolov5_head():
    rows = np.array([[4, 4, 2, 4, 0.5, 0.5, 1], [4, 4, 2, 3.75, 0.5, 1, 0.25], [1, 1, 1, 1, 0.25, 1, 1]], np.float32)
    model = edgebn.prepare(network(rows.shape), image=PICTURE, boxes=Boxes(("a", "b"), "yolov5", overlap=0.5))
    assert told(box_answers(rows, model, (8, 8))) == [("b", 0.5, 3, 2, 5, 6), ("a", 0.5, 3, 2.125, 5, 5.875)]


@pytest.mark.parametrize("head", ["yolov5", "yolov8", "corners"])
def test_shares_that_are_said_to_be_pixels_are_refused(head):
    """Boxes of two pixels, all in one corner, were the silent answer."""
    rng = np.random.default_rng(0)
    boxes, scores = rng.uniform(0, 1, (100, 4)), rng.uniform(0.6, 1, (100, 2))
    parts = {"yolov5": (boxes, scores[:, :1], scores), "yolov8": (boxes, scores), "corners": (boxes,)}[head]
    rows = np.concatenate(parts, axis=1).astype(np.float32)
    outputs = [rows, scores.astype(np.float32)] if head == "corners" else [rows]
    program = network(*(output.shape for output in outputs), side=64)
    answers = outputs if head == "corners" else rows
    for shares in (False, True):
        model = edgebn.prepare(program, image=PICTURE, boxes=Boxes(("a", "b"), head, shares=shares))
        given = dict(zip(program.outputs, outputs, strict=True)) if head == "corners" else answers
        if shares:
            assert max(box.right for box in box_answers(given, model, (64, 64))) > 32
        else:
            with pytest.raises(ModelError, match="prepare the model with --shares"):
                box_answers(given, model, (64, 64))


def test_a_pose_has_points():
    row = np.array([[4, 4, 2, 4, 0.5, 3, 3, 0.9, 5, 6, 0.1]], np.float32)
    model = edgebn.prepare(network((11, 1)), image=PICTURE, boxes=Boxes(("person",), points=2))
    (box,) = box_answers(row.T, model, (16, 8))
    assert box.points == ((3, 6), (5, 12))
    assert (box.left, box.top, box.right, box.bottom) == (3, 4, 5, 12)


def test_anchors_of_two_maps_find_their_outputs_by_size():
    anchors = Anchors(((2, 2, 1), (1, 1, 2)), scales=(8.0, 8.0, 8.0, 8.0), order="xywh", exponential=False)
    assert anchor_boxes(anchors)[:, :2].tolist() == [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75], [0.5, 0.5], [0.5, 0.5]]
    boxes = Boxes(("face",), "anchors", logits=True, score=0.5, points=1, anchors=anchors)
    model = edgebn.prepare(network((2, 6), (4, 1), (2, 1), (4, 6)), image=PICTURE, boxes=boxes)
    outputs = {
        "y0": np.array([[0, 0, 4, 2, 1, -1], [0] * 6]),
        "y1": np.full((4, 1), -1),
        "y2": np.array([[1], [-1]]),
        "y3": np.zeros((4, 6)),
    }
    outputs["y1"][1], outputs["y3"][1] = 2, [1, 0, 2, 2, 0, 0]
    found = box_answers({name: values.astype(np.float32) for name, values in outputs.items()}, model, (8, 8))
    assert told(found) == [("face", 0.8808, 6, 1, 8, 3), ("face", 0.7311, 2, 3, 6, 5)]
    assert [box.points for box in found] == [((6, 2),), ((5, 3),)]


def test_anchors_by_exponentials_in_the_usual_order():
    anchors = Anchors((), ((0.5, 0.5, 0.25, 0.5), (0.5, 0.5, 0.5, 0.5)))
    model = edgebn.prepare(network((2, 4), (2, 3)), image=PICTURE, boxes=Boxes(("a", "b"), "anchors", anchors=anchors))
    codes = np.array([[10, 0, 5 * np.log(2), 0], [0, 0, 0, 0]], np.float32)
    scores = np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.2]], np.float32)  # the background first
    assert told(box_answers({"y0": codes, "y1": scores}, model, (8, 8))) == [("b", 0.5, 2, 4, 6, 8)]


def test_what_post_process_says_are_boxes(tmp_path):
    """TFLite_Detection_PostProcess in a model of our own: one box of two classes."""
    step = p.DetectionPostProcess(
        "found",
        ("codes", "scores"),
        "row",
        np.array([[0.5, 0.5, 0.5, 0.25]] * 3, np.float32),
        (1.0,) * 4,
        2,
        2,
        1,
        5,
        True,
        0.1,
        0.9,
    )
    base = network((3, 4), (3, 2))
    outputs = {"boxes": (2, 4), "classes": (2,), "scores_": (2,), "count": ()}
    buffers = {name: buffer for name, buffer in base.buffers.items() if name not in base.outputs}
    buffers |= {"codes": p.Buffer("codes", (1, 3, 4)), "scores": p.Buffer("scores", (1, 3, 2)), "row": p.Buffer("row", (1, 1, 13))}
    steps = [replace(one, output={"y0": "codes", "y1": "scores"}.get(one.output, one.output)) for one in base.steps] + [step]
    start = 0
    for name, shape in outputs.items():
        size = int(np.prod(shape))
        buffers |= {f"{name}/part": p.Buffer(f"{name}/part", (1, 1, size)), name: p.Buffer(name, p.hwc(shape))}
        steps += [p.Crop(f"{name}/part", ("row",), f"{name}/part", (0, 0, start)), p.Reshape(name, (f"{name}/part",), name)]
        start += size
    shapes = {"x": (8, 8, 3), **outputs}
    order = ("scores_", "count", "boxes", "classes")  # whatever the file's order is
    model = replace(base, buffers=buffers, steps=tuple(steps), outputs=order, shapes=shapes)
    model = edgebn.prepare(model, image=PICTURE, boxes=Boxes(("a", "b"), "post_process", score=0.2))
    edgebn.save(model, tmp_path / "ssd.edgebn")
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels.reshape(-1)[:6] = 2, 4, 0, 0, 0, 0  # scores of 2/8 and 4/8; codes move the first box
    found = edgebn.Pipeline(edgebn.load(tmp_path / "ssd.edgebn"))(pixels)
    assert told(found) == [("b", 0.5, 4, 3, 6, 7), ("a", 0.25, 4, 3, 6, 7)]


def test_a_mask(tmp_path):
    model = edgebn.prepare(network((2, 3, 2)), image=PICTURE, answer=Mask(("ground", "sky")))
    edgebn.save(model, tmp_path / "mask.edgebn")
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels.reshape(-1)[:12] = 1, 0, 0, 1, 5, 5, 0, 9, 3, 4, 2, 1
    answer = edgebn.Pipeline(edgebn.load(tmp_path / "mask.edgebn"))(pixels)
    assert answer.classes.tolist() == [[0, 1, 0], [1, 1, 0]]
    assert answer.shares == (0.5, 0.5)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(48, 96), (100, 50), (33, 31), (5, 400)])
def test_a_mask_lies_in_the_picture(fit, size):
    """A picture that is dark on the left and bright on the right, drawn to the input, gives a mask with the edge where it was."""
    pixels = np.where(np.arange(size[1]) < size[1] // 2, 0, 255).astype(np.uint8) * np.ones((*size, 1), np.uint8).transpose(2, 0, 1)
    picture, wanted = Picture("grey", "nearest", fit, border=128), (64, 96)
    where = placed(picture, size, wanted)
    (top, left, height, width), (to_top, to_left, to_height, to_width) = where.source, where.target
    seen = np.full(wanted, 128)
    part = pixels[0, top : top + height, left : left + width, None]
    seen[to_top : to_top + to_height, to_left : to_left + to_width] = resized(part, (to_height, to_width), "nearest")[..., 0]
    cells = seen[2::4, 2::4] if to_height > 4 and to_width > 4 else seen
    output = np.stack([cells == value for value in (0, 255, 128)], axis=2).astype(np.float32)
    answer = mask_answer(output, Mask(), MaskMap(*output.shape, has_numbers=False, is_sure=True), picture, size, wanted)
    assert answer.shares[2] == 0  # no border
    assert sum(answer.shares) == pytest.approx(1)
    whole = answer.whole()
    assert whole.shape == size
    assert (whole[:, :left] == -1).all()
    assert (whole[:, left + width :] == -1).all()
    assert (whole[:top] == -1).all()
    inside = whole[top : top + height, left : left + width]
    edge = size[1] // 2 - left
    near = 4 * 4 * width // to_width + 1  # as far as a cell goes
    assert (inside[:, : max(edge - near, 0)] == 0).all()
    assert (inside[:, edge + near :] == 1).all()
    assert answer.shares[0] == pytest.approx(edge / width, abs=near / width)


def test_key_points():
    model = edgebn.prepare(network((1, 2, 3)), image=PICTURE, answer=KeyPoints(("nose", "eye"), 0.25))
    output = np.array([[[0.5, 0.25, 0.5], [0.1, 0.1, 0.125]]], np.float32)
    (answers,) = Decoder(model).answers(output[None], np.zeros((1, 8, 8, 3)), [(16, 32)])
    assert [(point.name, point.score, point.x, point.y) for point in answers] == [("nose", 0.5, 8, 8)]


def heard_plainly(codes, window, cutoff, refractory):
    """Return when the word is heard: the sum of the last codes above the cutoff's, and then silence for a time."""
    kept, silent, heard = deque([0] * window, window), 0, []
    for place, code in enumerate(codes):
        kept.append(code)
        if silent:
            silent -= 1
        elif sum(kept) > int(cutoff * 255) * window:
            heard.append(place)
            kept.extend([0] * window)
            silent = refractory
    return heard


def test_wake_words():
    rng = np.random.default_rng(0)
    for settings in (WakeWord("hey", 5, 0.85, 10), WakeWord("hey", 1, 0.5, 0), WakeWord("hey", 10, 0.6, 3)):
        codes = np.clip(np.convolve(rng.normal(100, 300, 2000), np.ones(8) / 8, "same"), 0, 255).astype(int).tolist()
        stream = WakeWordStream(settings)
        answers = [stream.feed(code) for code in codes]
        heard = [place for place, answer in enumerate(answers) if answer.is_heard]
        assert heard == heard_plainly(codes, settings.window, settings.cutoff, settings.refractory)
        assert len(heard) > 5
        assert max(answer.score for answer in answers) <= 1
        stream.reset()
        assert stream.feed(255).score == 1 / settings.window


def test_codes_of_probabilities():
    model = network((1,), dtype="int8")
    assert probability_code(np.array([-128], np.int8), model) == 0
    assert probability_code(np.array([127], np.int8), model) == 255
    assert probability_code(np.array([-16.0], np.float32), model) == 0  # -128 / 8
    real = network((1,))
    assert [probability_code(np.array([value], np.float32), real) for value in (-1, 0, 0.5, 1, 7)] == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_anomalies(dtype, tmp_path, capsys):
    model = edgebn.prepare(network((8, 8, 3), dtype=dtype), image=PICTURE, answer=Anomaly(0.5))
    x = np.random.default_rng(0).integers(-100, 100, (2, 8, 8, 3)).astype(np.int8)
    given = x if dtype == "int8" else x.astype(np.float32) / 8
    wrong = given.copy()
    wrong[1, 0, 0, 0] += 8 if dtype == "int8" else 1
    same, other = Decoder(model).answers(wrong, given)
    assert (same.score, same.is_anomaly) == (0, False)
    assert other.score == pytest.approx(1 / 192)
    assert not other.is_anomaly
    edgebn.save(model, tmp_path / "machine.edgebn")
    np.save(tmp_path / "x.npy", given)
    assert main(["run", str(tmp_path / "machine.edgebn"), str(tmp_path / "x.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"] == [{"score": 0.0, "is_anomaly": False}] * 2


@pytest.mark.parametrize(
    ("shapes", "answer"),
    [
        (((4, 4, 1),), Mask()),
        (((4, 4, 3),), Mask(("a",))),
        (((5, 3),), KeyPoints(("a",))),
        (((2,),), WakeWord("hey")),
        (((1,),), WakeWord("hey", cutoff=1.5)),
        (((1,),), WakeWord("hey", window=0)),
        (((5,),), Anomaly(1.0)),
        (((8, 8, 3),), Anomaly(0.0)),
        (((1,), (1,)), WakeWord("hey")),
        (((4, 6),), Boxes(("a",), "anchors")),
        (((4, 6),), Boxes(("a",), "anchors", anchors=Anchors())),
        (((4, 4), (4, 1)), Boxes(("a",), "anchors", anchors=Anchors(((1, 1, 3),)))),
        (((4, 4), (4, 1)), Boxes(("a",), "anchors", anchors=Anchors(((2, 2, 1),), order="yx"))),
        (((4, 4), (4, 1)), Boxes(("a",), "corners", anchors=Anchors(((2, 2, 1),)))),
        (((4, 4), (5, 1)), Boxes(("a",), "corners")),
        (((2, 4), (2,), (2,), ()), Boxes(("a",), "post_process")),
        (((2, 9),), Boxes(("a",), "yolov5", points=1)),
    ],
)
def test_what_does_not_fit_is_refused(shapes, answer):
    how = {"boxes": answer} if isinstance(answer, Boxes) else {"answer": answer}
    with pytest.raises(ModelError, match=r"^eye\.onnx: ."):
        edgebn.prepare(network(*shapes), image=PICTURE, **how)


def test_one_kind_of_answer():
    with pytest.raises(ModelError, match="one kind of answer"):
        edgebn.prepare(network((2,)), image=PICTURE, labels=["a", "b"], answer=Mask())


def test_the_command_line_prepares_and_tells(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels.reshape(-1)[:12] = 4, 4, 6, 0, 0, 0, 0, 9, 3, 4, 2, 1
    image.fromarray(pixels).save(tmp_path / "photo.png")
    photo, kept = str(tmp_path / "photo.png"), str(tmp_path / "kept.edgebn")
    image_options = ["--image", "rgb", "--scale", "1/8", "-o", kept]

    def run(shape, *options):
        edgebn.save(network(shape), tmp_path / "plain.edgebn")
        assert main(["prepare", str(tmp_path / "plain.edgebn"), *image_options, *options]) == 0
        assert main(["run", kept, photo]) == 0
        drawn = capsys.readouterr().out
        assert main(["run", kept, photo, "--json"]) == 0
        return drawn, json.loads(capsys.readouterr().out)

    drawn, found = run((2, 2, 3), "--mask", "--labels", "a,b,c")
    (answer,) = found["answers"]
    assert answer["shares"] == [0.5, 0.25, 0.25]
    pixels = np.kron([[2, 0], [1, 0]], np.ones((4, 4)))
    assert answer["masks"] == [{"class": index, **run_lengths(pixels == index)} for index in range(3)]
    assert "50.0%" in drawn
    drawn, found = run((1, 3), "--key-points", "nose", "--score", "0.5")
    assert found["answers"] == [[{"name": "nose", "score": 0.75, "x": 4.0, "y": 4.0}]]
    assert "nose" in drawn
    drawn, found = run((1,), "--wake-word", "hey")
    assert found["answers"] == [{"name": "hey", "score": pytest.approx(128 / 255 / 5), "is_heard": False}]
    assert main(["prepare", str(tmp_path / "plain.edgebn"), *image_options, "--overlap", "0.5"]) == 2
    assert "--overlap does nothing here" in capsys.readouterr().err

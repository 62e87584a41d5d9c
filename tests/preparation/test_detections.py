"""Boxes: suppression as onnxruntime's, heads, the way back to the picture, and the whole way from a file to a box."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import edgebn
from edgebn import program as p
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.preparation.data import Boxes, Picture
from edgebn.preparation.detections import box_answers, in_picture, suppressed


def onnxruntimes(corners, scores, classes, overlap):
    """Return which boxes onnxruntime's NonMaxSuppression keeps, class by class."""
    names = ["boxes", "scores", "most", "overlap"]
    node = helper.make_node("NonMaxSuppression", names, ["kept"])
    given = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, None, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, None, None]),
        helper.make_tensor_value_info("most", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("overlap", TensorProto.FLOAT, [1]),
    ]
    graph = helper.make_graph([node], "nms", given, [helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    kept = []
    for index in np.unique(classes):
        mine = np.flatnonzero(classes == index)
        values = corners[mine][:, [1, 0, 3, 2]].astype(np.float32)[None], scores[mine].astype(np.float32)[None, None]
        (found,) = session.run(None, dict(zip(names, (*values, np.array([1000]), np.array([overlap], np.float32)), strict=True)))
        kept += mine[found[:, 2]].tolist()
    return sorted(kept)


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.45, 0.7])
def test_suppression_is_onnxruntimes(overlap):
    rng = np.random.default_rng(3)
    for count in (1, 2, 20, 200):
        begin = rng.uniform(0, 80, (count, 2))
        corners = np.concatenate([begin, begin + rng.uniform(1, 60, (count, 2))], axis=1)
        scores, classes = rng.permutation(count) / count, rng.integers(0, 3, count)
        kept = suppressed(corners, scores, classes, overlap)
        assert sorted(kept.tolist()) == onnxruntimes(corners, scores, classes, overlap)
        assert (np.diff(scores[kept]) < 0).all()


def test_boxes_go_back_the_way_that_the_picture_came():
    box = np.array([[0.0, 40.0, 320.0, 280.0]])
    assert in_picture(box, Picture(fit="letterbox"), (480, 640), (320, 320)).tolist() == [[0, 0, 640, 480]]
    whole = np.array([[0.0, 0.0, 320.0, 320.0]])
    assert in_picture(whole, Picture(fit="crop"), (480, 640), (320, 320)).tolist() == [[80, 0, 560, 480]]
    assert in_picture(whole / 2, Picture(fit="stretch"), (480, 640), (320, 320)).tolist() == [[0, 0, 320, 240]]
    assert in_picture(whole * 2, Picture(fit="stretch"), (480, 640), (320, 320)).tolist() == [[0, 0, 640, 480]]


def detector(shape, boxes, dtype="float32"):
    """Return a network whose output is the first part of its picture, (8, 8, 3)."""
    size = int(np.prod(shape))
    buffers = {
        "x": p.Buffer("x", (8, 8, 3), dtype, 1 / 8, 0),
        "flat": p.Buffer("flat", (1, 1, 192), dtype, 1 / 8, 0),
        "part": p.Buffer("part", (1, 1, size), dtype, 1 / 8, 0),
        "y": p.Buffer("y", p.hwc(shape), dtype, 1 / 8, 0),
    }
    steps = (p.Reshape("a", ("x",), "flat"), p.Crop("b", ("flat",), "part"), p.Reshape("c", ("part",), "y"))
    model = p.Program("eye", "eye.onnx", "made", False, buffers, {}, steps, ("x",), ("y",), {"x": (8, 8, 3), "y": shape})
    return edgebn.prepare(model, image=Picture(scale=(1 / 8,)), boxes=boxes)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("is_turned", [False, True])
def test_a_yolov8_head(is_turned, dtype):
    rows = np.array([[4, 4, 2, 4, 0.25, 0.5], [4, 4, 2, 3.75, 0.75, 0.5], [2, 2, 1, 1, 0.125, 0.25], [6, 2, 2, 2, 0, 0.875]])
    values = rows.T if is_turned else rows
    model = detector(values.shape, Boxes(("a", "b"), overlap=0.5), dtype)
    output = values.astype(np.float32) if dtype == "float32" else np.rint(values * 8).astype(np.int8)
    found = [(box.name, box.score, box.left, box.top, box.right, box.bottom) for box in box_answers(output, model, (16, 8))]
    assert found == [("b", 0.875, 5, 2, 7, 6), ("a", 0.75, 3, 4.25, 5, 11.75), ("b", 0.5, 3, 4, 5, 12)]


def test_shares_are_of_the_input():
    model = detector((1, 5), Boxes(("a",), shares=True))
    (box,) = box_answers(np.array([[0.5, 0.25, 0.5, 0.5, 0.9]], np.float32), model, (8, 8))
    assert (box.left, box.top, box.right, box.bottom) == (2, 0, 6, 4)


def test_neighbouring_cells_are_one_object():
    model = detector((4, 4, 2), Boxes(("face",), "fomo", score=0.5))
    cells = np.zeros((4, 4, 2), np.float32)
    cells[0, 0, 1], cells[1, 1, 1], cells[3, 3, 1], cells[0, 3, 1] = 0.6, 0.9, 0.7, 0.5
    found = [(round(box.score, 3), box.left, box.top, box.right, box.bottom) for box in box_answers(cells, model, (8, 8))]
    assert found == [(0.9, 0, 0, 4, 4), (0.7, 6, 6, 8, 8)]
    assert box_answers(np.zeros((4, 4, 2), np.float32), model, (8, 8)) == []


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ((4, 6), Boxes(("a",))),
        ((4, 6), Boxes(())),
        ((4, 4, 2), Boxes(("a", "b"), "fomo")),
        ((4, 6), Boxes(("a", "b"), "ssd")),
        ((4, 6), Boxes(("a", "b"), score=1.5)),
        ((4, 6), Boxes(("a", "b"), most=0)),
    ],
)
def test_what_does_not_fit_is_refused(shape, boxes):
    with pytest.raises(ModelError, match=r"eye\.onnx: "):
        detector(shape, boxes)


def test_from_a_photo_to_boxes(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    model = detector((2, 6), Boxes(("a", "b")))
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels.reshape(-1)[:12] = 32, 32, 16, 32, 1, 6, 16, 16, 8, 8, 3, 0
    edgebn.save(model, tmp_path / "eye.edgebn")
    loaded = edgebn.load(tmp_path / "eye.edgebn")
    found = edgebn.Pipeline(loaded)(pixels)
    assert [(box.name, box.score, box.left, box.bottom) for box in found] == [("b", 0.75, 3, 6), ("a", 0.375, 1.5, 2.5)]
    image.fromarray(pixels).save(tmp_path / "photo.png")
    assert main(["run", str(tmp_path / "eye.edgebn"), str(tmp_path / "photo.png"), "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)["boxes"]
    assert [(box["name"], box["score"], box["left"], box["bottom"]) for box in said] == [("b", 0.75, 3, 6), ("a", 0.375, 1.5, 2.5)]
    assert main(["run", str(tmp_path / "eye.edgebn"), str(tmp_path / "photo.png")]) == 0
    assert "0.750" in capsys.readouterr().out


def test_a_turned_photo_has_its_upright_size(tmp_path):
    image = pytest.importorskip("PIL.Image")
    from edgebn.cli.prepared import picture_size, read_8_bits

    for orientation in range(1, 9):
        exif = image.Exif()
        exif[0x0112] = orientation
        image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "photo.jpg", exif=exif)
        assert picture_size(tmp_path / "photo.jpg") == read_8_bits(tmp_path / "photo.jpg", Picture()).shape[:2]


def test_a_detector_of_ultralytics_needs_nothing_said(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("MaxPool", ["images"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2], name="pool"),
         helper.make_node("Reshape", ["pooled", "shape"], ["output0"], name="reshape")],
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 8])],
        [helper.make_tensor("shape", TensorProto.INT64, [3], [1, 6, 8])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"author": "Ultralytics", "task": "detect", "names": "{0: 'cat', 1: 'dog'}"})
    onnx.save(model, tmp_path / "net.onnx")
    kept = edgebn.load(tmp_path / "net.onnx").preparation
    assert kept.before == Picture("rgb", "bilinear", "letterbox", 114, (1 / 255,))
    assert kept.after == Boxes(("cat", "dog"))

"""Detectors of other makers find what is in pictures of scikit-image: LiteRT's or onnxruntime's outputs, decoded plainly."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import places

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("skimage", reason="scikit-image is not installed")

import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from skimage import data

import edgebn
from edgebn.preparation.data import Anchors, Boxes, Picture
from edgebn.preparation.heads import blazeface
from edgebn.preparation.pictures import pictured
from edgebn.preparation.prepare import plain_pixels

ZOO = places.models_folder() / "zoo"
PICTURES = ("astronaut", "coffee", "chelsea")
FACE = (180, 65, 270, 175)  # the astronaut's


def load(name):
    if not (ZOO / name).exists():
        pytest.skip(f"{name} is not here")
    return edgebn.load(ZOO / name)


def litert(name, given, buffer):
    """Return LiteRT's outputs as real numbers, by shape; codes become what the file takes."""
    interpreter = Interpreter(str(ZOO / name), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    if given.dtype == np.int8 and detail["dtype"] == np.float32:
        given = np.float32(buffer.scale) * (given.astype(np.float32) - buffer.zero_point)
    if detail["dtype"] == np.uint8:
        given = (given.astype(np.int16) + 128).astype(np.uint8)
    interpreter.set_tensor(detail["index"], given[None])
    interpreter.invoke()
    found = {}
    for detail in interpreter.get_output_details():
        values, (scale, zero) = interpreter.get_tensor(detail["index"])[0], detail["quantization"]
        found[values.shape] = (values.astype(np.float64) - zero) * scale if scale else values.astype(np.float64)
    return found


def greedy(boxes, limit):
    """Return boxes (score, left, top, right, bottom), the surest first, without those that overlap a surer one too much."""
    kept = []
    for box in sorted(boxes, reverse=True):
        for other in kept:
            width = min(box[3], other[3]) - max(box[1], other[1])
            height = min(box[4], other[4]) - max(box[2], other[2])
            common = max(width, 0) * max(height, 0)
            areas = sum((b[3] - b[1]) * (b[4] - b[2]) for b in (box, other))
            if common > limit * (areas - common):
                break
        else:
            kept.append(box)
    return kept


def in_square(boxes, side, shape):
    """Return boxes in shares of a letterbox as boxes of the picture: whole pixels of borders, as ultralytics has them."""
    height, width = shape[:2]
    ratio = side / max(height, width)
    left, top = (round((side - round(size * ratio)) / 2 - 0.1) for size in (width, height))
    limits = [width, height, width, height]
    return [(score, *np.clip((np.array(sides) * side - [left, top, left, top]) / ratio, 0, limits)) for score, *sides in boxes]


def assert_near(found, wanted):
    """Same boxes, in the same order, within one pixel."""
    assert len(found) == len(wanted)
    for box, (score, *sides) in zip(found, wanted, strict=True):
        assert abs(box.score - score) < 1e-3
        assert np.abs(np.array([box.left, box.top, box.right, box.bottom]) - sides).max() < 1


def assert_face(box):
    left, top, right, bottom = FACE
    width = min(box.right, right) - max(box.left, left)
    height = min(box.bottom, bottom) - max(box.top, top)
    assert width * height > 0.5 * max((right - left) * (bottom - top), (box.right - box.left) * (box.bottom - box.top))


@pytest.mark.parametrize("picture", PICTURES)
def test_blazeface(picture):
    model = load("omv_blazeface.tflite")
    scale, offset = plain_pixels(model.buffers[model.inputs[0]])
    model = edgebn.prepare(model, image=Picture(fit="letterbox", scale=scale, offset=offset), boxes=blazeface(model))
    pixels = getattr(data, picture)()
    found = edgebn.Pipeline(model)(pixels)
    buffer = model.buffers[model.inputs[0]]
    outputs = litert("omv_blazeface.tflite", pictured(pixels, model.preparation.before, buffer), buffer)
    wanted = []
    for rows, each in ((16, 2), (8, 6)):
        count = rows * rows * each
        for place, (code, score) in enumerate(zip(outputs[count, 16], outputs[count, 1][:, 0], strict=True)):
            cell = place // each
            x, y = code[0] / 128 + (cell % rows + 0.5) / rows, code[1] / 128 + (cell // rows + 0.5) / rows
            w, h = code[2:4] / 128
            if 1 / (1 + np.exp(-score)) > 0.5:
                wanted.append((1 / (1 + np.exp(-score)), x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    assert_near(found, in_square(greedy(wanted, 0.3), 128, pixels.shape))
    if picture == "astronaut":
        assert_face(found[0])
        assert all(found[0].left <= x <= found[0].right and found[0].top <= y for x, y in found[0].points)
        eyes, mouth = np.mean([found[0].points[0], found[0].points[1]], axis=0), found[0].points[3]
        assert eyes[1] < mouth[1]


def priors():
    """Return the anchors of the detector for 320 x 240 pixels: middle y and x, height, width in shares."""
    made = []
    for stride, sizes in ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256))):
        for row in range(-(-240 // stride)):
            for column in range(-(-320 // stride)):
                for size in sizes:
                    box = ((row + 0.5) * stride / 240, (column + 0.5) * stride / 320, size / 240, size / 320)
                    made.append(tuple(min(number, 1.0) for number in box))
    return tuple(made)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("name", ["ulfg_rfb320.onnx", "ulfg_rfb320_tfl.tflite"])
def test_ulfg(picture, name):
    """The ONNX file decodes its boxes itself, the other against anchors."""
    model = load(name)
    boxes = Boxes(("face",), "corners", shares=True, score=0.7, overlap=0.3)
    if name.endswith(".tflite"):
        boxes = replace(boxes, head="anchors", anchors=Anchors((), priors(), order="xywh"))
    model = edgebn.prepare(model, image=Picture(scale=(1 / 128,), offset=(-127 / 128,)), boxes=boxes)
    pixels = getattr(data, picture)()
    found = edgebn.Pipeline(model)(pixels)
    buffer = model.buffers[model.inputs[0]]
    x = pictured(pixels, model.preparation.before, buffer)
    if name.endswith(".onnx"):
        session = onnxruntime.InferenceSession(str(ZOO / name), providers=["CPUExecutionProvider"])
        scores, corners = (values[0] for values in session.run(["scores", "boxes"], {"input": x.transpose(2, 0, 1)[None]}))
    else:
        outputs = litert(name, x, buffer)
        scores, corners = outputs[4420, 2], []
        for (dx, dy, dw, dh), (y, x, h, w) in zip(outputs[4420, 4], priors(), strict=True):
            cx, cy, half_w, half_h = x + dx * 0.1 * w, y + dy * 0.1 * h, w * np.exp(dw * 0.2) / 2, h * np.exp(dh * 0.2) / 2
            corners.append((cx - half_w, cy - half_h, cx + half_w, cy + half_h))
    height, width = pixels.shape[:2]
    limits = [width, height, width, height]
    wanted = [(score, *box) for score, box in zip(scores[:, 1], np.array(corners) * limits, strict=True) if score > 0.7]
    assert_near(found, [(score, *np.clip(box, 0, limits)) for score, *box in greedy(wanted, 0.3)])
    if picture == "astronaut":
        assert_face(found[0])


@pytest.mark.parametrize("picture", PICTURES)
def test_yolov8(picture):
    """OpenMV's YOLOv8 knows persons."""
    model = load("omv_yolov8n_192.tflite")
    scale, offset = plain_pixels(model.buffers[model.inputs[0]])
    image = Picture(fit="letterbox", border=114, scale=scale, offset=offset)
    model = edgebn.prepare(model, image=image, boxes=Boxes(("person",), shares=True, score=0.4))
    pixels = getattr(data, picture)()
    found = edgebn.Pipeline(model)(pixels)
    buffer = model.buffers[model.inputs[0]]
    x, y, w, h, scores = litert("omv_yolov8n_192.tflite", pictured(pixels, image, buffer), buffer)[5, 756]
    corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
    wanted = [(s, *box) for s, box in zip(scores, corners, strict=True) if s > 0.4]
    kept = in_square(greedy(wanted, 0.7), 192, pixels.shape)
    assert len(found) == len(kept)
    for box in found:  # codes give equal scores, whose order is nobody's
        assert min(np.abs(np.array([box.left, box.top, box.right, box.bottom]) - sides).max() for _, *sides in kept) < 1
    if picture == "astronaut":
        assert found[0].name == "person"
        assert found[0].right - found[0].left > 250
        assert found[0].bottom - found[0].top > 400

"""Masks of single objects: the pixels that ultralytics finds, and the runs that pycocotools writes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgebn
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.preparation.data import Boxes, Picture
from edgebn.preparation.detections import box_answers
from edgebn.preparation.object_masks import ObjectMask, _drawn, finer, map_taps, object_mask
from edgebn.preparation.resizing import boxes as placed
from edgebn.preparation.run_lengths import run_lengths
from tests.preparation.test_answers import network

RECORDED = Path(__file__).resolve().parents[1] / "recorded" / "object_masks.npz"
INPUT = (64, 96)
LETTERBOX = Picture("rgb", fit="letterbox", border=114, scale=(1 / 255,))
# How many times finer the map is drawn, and the picture's size.
SIZES = {"same": (1, 64, 96), "filled": (1, 100, 150), "beside": (1, 120, 150), "half": (2, 160, 230), "quarter": (4, 90, 150)}
SIZES["tiny"] = (4, 9, 14)
TIE = 1e-5  # of a value in float32


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as arrays:
        return dict(arrays)


def unpacked(bits, count, size):
    return np.unpackbits(bits)[: count * size[0] * size[1]].reshape(count, *size).astype(bool)


@pytest.mark.parametrize("name", list(SIZES))
def test_pixels_are_those_of_ultralytics(name, recorded):
    times, *size = SIZES[name]
    where = placed(LETTERBOX, tuple(size), INPUT)
    assert finer(4, where.target) == times
    prototypes = recorded["prototypes"].transpose(1, 2, 0)
    taps = map_taps(prototypes.shape[:2], INPUT, where)
    corners, coefficients = recorded[f"{name}/corners"], recorded[f"{name}/coefficients"]
    wanted = unpacked(recorded[f"{name}/masks"], len(corners), size)
    for row, box, mask, counts in zip(coefficients, corners.tolist(), wanted, recorded[f"{name}/counts"], strict=True):
        found = object_mask(row, prototypes, tuple(box), taps, where, tuple(size))
        values = _drawn(row, prototypes, *taps)
        differing = found.whole() != mask
        assert mask.any()
        assert not (differing & (np.abs(values) > TIE)).any()
        assert differing.sum() <= 1
        if not differing.any():
            assert found.as_json() == {"size": size, "counts": counts.decode()}


def detector(rows, size=INPUT, picture=LETTERBOX, **settings):
    """Return a program with the outputs of a -seg network: elements of its picture."""
    made = network(rows, (size[0] // 4, size[1] // 4, 8), side=size[0])
    wide = {
        "x": replace(made.buffers["x"], shape=(*size, 3)),
        "flat": replace(made.buffers["flat"], shape=(1, 1, 3 * size[0] * size[1])),
    }
    made = replace(made, buffers=made.buffers | wide, shapes=made.shapes | {"x": (*size, 3)})
    return edgebn.prepare(made, image=picture, boxes=Boxes(("a", "b", "c"), masks=8, **settings))


@pytest.mark.parametrize("order", [("y0", "y1"), ("y1", "y0")])
def test_objects_are_those_of_ultralytics(order, recorded):
    """Boxes freed of overlaps and their masks, whichever output the file has first."""
    rows, size = recorded["way/output0"], SIZES["beside"][1:]
    model = replace(detector(rows.shape, score=0.3, overlap=0.4), outputs=order)
    outputs = {"y0": rows, "y1": recorded["prototypes"].transpose(1, 2, 0)}
    found = box_answers(outputs, model, size)
    wanted = recorded["way/boxes"]
    assert len(found) == len(wanted) > 3
    sides = [(box.left, box.top, box.right, box.bottom, box.score, box.index) for box in found]
    np.testing.assert_allclose(sides, wanted, atol=1e-4)
    for box, mask in zip(found, unpacked(recorded["way/masks"], len(wanted), size), strict=True):
        assert (box.mask.whole() != mask).sum() <= 1
        assert mask.any()


def test_a_crop_has_no_object_outside():
    where = placed(Picture(fit="crop"), (40, 100), (32, 32))
    assert where.source == (0, 30, 40, 40)
    taps = map_taps((8, 8), (32, 32), where)
    found = object_mask(np.ones(1, np.float32), np.ones((8, 8, 1), np.float32), (0.0, 10.5, 100.0, 30.0), taps, where, (40, 100))
    assert np.argwhere(found.whole()).min(axis=0).tolist() == [11, 30]
    assert np.argwhere(found.whole()).max(axis=0).tolist() == [29, 69]
    outside = object_mask(np.ones(1, np.float32), np.ones((8, 8, 1), np.float32), (0.0, 0.0, 20.0, 30.0), taps, where, (40, 100))
    assert not outside.whole().any()
    assert outside.as_json()["counts"] == run_lengths(np.zeros((40, 100), bool))["counts"]


def test_codes_and_files(tmp_path):
    """int8 codes are the real numbers that they stand for, and the file keeps how many coefficients there are."""
    model = detector((20, 15), (32, 32), Picture(scale=(1 / 8,)), score=0.5, overlap=0.5)
    edgebn.save(model, tmp_path / "eye.edgebn")
    again = edgebn.load(tmp_path / "eye.edgebn")
    assert again.preparation == model.preparation
    pixels = np.random.default_rng(3).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    found = edgebn.Pipeline(again)(pixels)
    assert found
    codes = {name: replace(buffer, dtype="int8", scale=1 / 8, zero_point=3) for name, buffer in model.buffers.items()}
    rng = np.random.default_rng(4)
    outputs = {name: rng.integers(-128, 128, model.shapes[name]).astype(np.int8) for name in model.outputs}
    reals = {name: (values.astype(np.float32) - 3) / 8 for name, values in outputs.items()}
    assert box_answers(outputs, replace(model, buffers=codes), (50, 40)) == box_answers(reals, model, (50, 40)) != []


def test_masks_are_equal_by_their_pixels():
    one, same = (ObjectMask(1, 2, np.ones((2, 2), bool), (5, 5)) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != ObjectMask(1, 2, np.zeros((2, 2), bool), (5, 5))
    assert one != ObjectMask(0, 2, np.ones((2, 2), bool), (5, 5))
    assert one != "a mask"


@pytest.mark.parametrize("name", ["noise", "all", "none"])
def test_runs_are_those_of_pycocotools(name, recorded):
    mask = recorded[f"coco/{name}"]
    assert run_lengths(mask) == {"size": list(mask.shape), "counts": recorded[f"coco/{name}/counts"].item().decode()}


@pytest.mark.parametrize(
    ("shapes", "boxes", "message"),
    [
        (((4, 15), (8, 8, 8)), Boxes(("a", "b", "c"), masks=4), "no yolov8 head with 3 classes and 4 masks"),
        (((4, 15), (7, 8, 8)), Boxes(("a", "b", "c"), masks=8), "no yolov8 head"),
        (((4, 15), (8, 8, 8)), Boxes(("a", "b", "c"), "corners", masks=8), "masks are for a yolov8 head"),
        (((4, 15), (8, 8, 8)), Boxes(("a", "b", "c"), masks=8, points=2), "masks are for a yolov8 head"),
        (((4, 15), (8, 8, 8)), Boxes(("a", "b", "c"), masks=-1), "masks are for a yolov8 head"),
        (((4, 15),), Boxes(("a", "b", "c"), masks=8), "no yolov8 head"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, boxes, message):
    with pytest.raises(ModelError, match=message):
        edgebn.prepare(network(*shapes, side=32), image=Picture(), boxes=boxes)


def test_the_command_line_prepares_and_tells(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(3).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    image.fromarray(pixels).save(tmp_path / "photo.png")
    model = detector((20, 15), (32, 32), Picture(scale=(1 / 8,)), score=0.5, overlap=0.5)
    edgebn.save(replace(model, preparation=None), tmp_path / "plain.edgebn")
    kept, photo = str(tmp_path / "kept.edgebn"), str(tmp_path / "photo.png")
    options = ["--image", "rgb", "--scale", "1/8", "--boxes", "yolov8", "--labels", "a,b,c", "--score", "0.5", "--overlap", "0.5"]
    assert main(["prepare", str(tmp_path / "plain.edgebn"), *options, "-o", kept]) == 0
    capsys.readouterr()
    assert main(["run", kept, photo, "--json"]) == 0
    (boxes,) = json.loads(capsys.readouterr().out)["boxes"]
    wanted = edgebn.Pipeline(model)(pixels)
    assert [box["mask"] for box in boxes] == [box.mask.as_json() for box in wanted]
    assert main(["run", kept, photo, photo, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][1]["answers"] == [boxes]

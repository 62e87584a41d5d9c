"""`<name>_answer`: from frames and samples to answers in C, bit for bit those of `edgebn.Pipeline`."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import codegen
import edgebn
from boards import emulator
from codegen.constants import declarations, definition
from codegen.stepcode import CArray
from edgebn import program as p
from edgebn.errors import ModelError, UsageError
from edgebn.preparation.anomalies import AnomalyAnswer
from edgebn.preparation.data import (
    Anchors,
    Anomaly,
    Boxes,
    Classes,
    Frame,
    KeyPoints,
    Mask,
    MicroFrontEnd,
    Picture,
    Preparation,
    Sound,
    WakeWord,
)
from edgebn.preparation.key_points import PointAnswer
from edgebn.preparation.masks import MaskAnswer
from edgebn.preparation.prepare import plain_pixels
from edgebn.preparation.wake_words import WakeAnswer
from tests import emitted
from tests.conftest import TEST_ALL
from tests.preparation.test_answers import network
from tests.preparation.test_sound import SANITIZERS

MAIN = """
#include "board/board.h"
#include "eye.h"
#include "eye_answer.h"

#include <string.h>

{arrays}
static edgebn_found found[EYE_ANSWERS];
{memory}

static int differs(float a, float b) {{
    return a < b || a > b;
}}

int main(void) {{
    int32_t i, number, wrong = 0;

    eye_init();
    number = eye_answer(frame, found{more});
    wrong += number != {number};
    for (i = 0; i < number && i < {number}; i++) {{
        const float *side = sides + 5 * i;
        wrong += found[i].index != classes[i] || differs(found[i].score, side[0]) || differs(found[i].left, side[1]);
        wrong += differs(found[i].top, side[2]) || differs(found[i].right, side[3]) || differs(found[i].bottom, side[4]);
    }}
{check}
    board_put((uint8_t)(wrong == 0 ? '1' : '0'));
    return wrong != 0;
}}
"""
POINTS = """\
    for (i = 0; i < number * EYE_POINTS; i++) {{
        wrong += differs(points[i].x, places[2 * i]) || differs(points[i].y, places[2 * i + 1]);
    }}"""
OBJECTS = """\
    for (i = 0; i < number; i++) {{
        eye_object_mask(found, i, mask);
        wrong += memcmp(mask, pixels + i * (int32_t)sizeof mask, sizeof mask) != 0;
    }}"""
CELLS = "    wrong += memcmp(mask, cells, sizeof cells) != 0;"
FRAME = Frame(12, 17, "rgb888")
ANCHORS = Anchors(((3, 3, 2),), scales=(9.0, 8.0, 7.0, 6.0), order="xywh")
TWO_MAPS = replace(ANCHORS, maps=((3, 3, 2), (2, 2, 1)), exponential=False)
CASES = {  # outputs, and the head that they are
    "yolov8": (((7, 24),), Boxes(("a", "b", "c"), score=0.6, overlap=0.3, most=9)),
    "yolov8 in rows and shares": (((24, 7),), Boxes(("a", "b", "c"), shares=True, score=0.5, overlap=0.2)),
    "yolov5": (((18, 8),), Boxes(("a", "b", "c"), "yolov5", score=0.5, overlap=0.3)),
    "corners": (((20, 4), (20, 3)), Boxes(("a", "b"), "corners", shares=True, score=0.6, overlap=0.3)),
    "anchors": (((18, 4), (18, 2)), Boxes(("a", "b"), "anchors", logits=True, score=0.65, overlap=0.3, anchors=ANCHORS)),
    "linear anchors": (
        ((18, 4), (18, 1)),
        Boxes(("a",), "anchors", score=0.5, overlap=0.1, anchors=replace(ANCHORS, exponential=False)),
    ),
    "poses": (((13, 14),), Boxes(("a", "b", "c"), score=0.6, overlap=0.3, points=2)),
    "corners with points": (((18, 10), (18, 3)), Boxes(("a", "b"), "corners", shares=True, score=0.6, overlap=0.3, points=3)),
    "anchors on two maps": (
        ((18, 8), (4, 8), (18, 1), (4, 1)),
        Boxes(("a",), "anchors", logits=True, score=0.5, overlap=0.9, points=2, anchors=TWO_MAPS),
    ),
    "fomo": (((6, 7, 3),), Boxes(("a", "b"), "fomo", score=0.7, most=6)),
    "fomo of many": (((5, 4, 2),), Boxes(("a",), "fomo", score=0.99)),
}
# Types take turns in the quick run.
TRIED = [
    (case, dtype)
    for place, case in enumerate(CASES)
    for dtype in (("int8", "float32") if TEST_ALL else (("int8", "float32")[place % 2],))
]


def run_c(model, arrays, text, folder, board):
    """Emit the network with its pipeline and run a main program of ours in the self-test's place."""
    shutil.rmtree(folder, ignore_errors=True)
    project = codegen.emit(model, folder, board=board.name, name="eye", pipeline=True)
    arrays = declarations(arrays) + "\n".join(definition(array) for array in arrays)
    (folder / "self_test.c").write_text(text.replace("{arrays}", arrays))
    flags = SANITIZERS if board.name == "host" else ()
    ended = emulator.run(board, emitted.build(project, board, trace=False, flags=flags), timeout=600)
    assert (ended.status, ended.output[:1]) == (0, b"1"), ended


def compare(model, folder, board, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (FRAME.height, FRAME.width, 3)).astype(np.uint8)
    found = edgebn.Pipeline(model)(pixels)
    assert found
    more, memory, check, extra = "", "", "", []
    if isinstance(found, MaskAnswer):
        memory, more, check = "static uint8_t mask[EYE_MASK_HEIGHT * EYE_MASK_WIDTH];", ", mask", CELLS
        extra = [CArray("cells", "uint8_t", found.classes.astype(np.uint8), "")]
        sides = [(share, 0, 0, 0, 0) for share in found.shares]
        indices = list(range(len(sides)))
    elif isinstance(found, AnomalyAnswer):
        sides, indices = [(found.score, 0, 0, 0, 0)], [found.is_anomaly]
    elif isinstance(found[0], PointAnswer):
        sides = [(point.score, point.x, point.y, point.x, point.y) for point in found]
        indices = [int(point.name) for point in found]
    else:
        sides = [(one.score, *(getattr(one, side, 0) for side in ("left", "top", "right", "bottom"))) for one in found]
        indices = [one.index for one in found]
        if getattr(found[0], "mask", None) is not None:
            memory, check = "static uint8_t mask[EYE_MASK_HEIGHT * EYE_MASK_WIDTH];", OBJECTS
            masks = np.array([box.mask.whole() for box in found], np.uint8)
            extra = [CArray("pixels", "uint8_t", masks, "")]
            assert 0 < masks.sum() < sum(box.mask.pixels.size for box in found)  # some are, some are not
        if getattr(found[0], "points", ()):
            memory, more, check = "static edgebn_point points[EYE_ANSWERS * EYE_POINTS];", ", points", POINTS
            extra = [CArray("places", "float", np.array([box.points for box in found], np.float32), "")]
    arrays = [
        CArray("frame", "uint8_t", pixels, ""),
        CArray("classes", "int32_t", np.array(indices, np.int32), ""),
        CArray("sides", "float", np.array(sides, np.float32), ""),
        *extra,
    ]
    text = MAIN.replace("{arrays}", "{{arrays}}").format(number=len(sides), more=more, memory=memory, check=check.format())
    run_c(model, arrays, text, folder, board)
    return len(sides)


@pytest.mark.parametrize(("case", "dtype"), TRIED)
def test_boxes(case, dtype, tmp_path):
    shapes, boxes = CASES[case]
    board = emitted.board_or_skip("host")
    fit = ("letterbox", "crop", "stretch")[[*CASES].index(case) % 3]
    picture = Picture(fit=fit, border=114, scale=(1 / 128,), offset=(-0.5,) if "anchors" in case else (0.0,), frame=FRAME)
    model = network(*shapes, dtype=dtype)
    model = edgebn.prepare(model, image=picture, boxes=boxes)
    counts = [compare(model, tmp_path / "out", board, seed) for seed in range(4 if TEST_ALL else 1)]
    assert max(counts) > 1


@pytest.mark.parametrize(("dtype", "fit"), [("int8", "stretch"), ("float32", "crop")])
def test_key_points(dtype, fit, tmp_path):
    picture = Picture(fit=fit, border=114, scale=(1 / 128,), frame=FRAME)
    names = tuple(map(str, range(9)))
    model = edgebn.prepare(network((1, 9, 3), dtype=dtype), image=picture, answer=KeyPoints(names, score=1.0))
    assert 1 < compare(model, tmp_path / "out", emitted.board_or_skip("host"), 1) < len(names)


@pytest.mark.parametrize(("dtype", "fit"), [("int8", "stretch"), ("float32", "letterbox")])
def test_masks(dtype, fit, tmp_path):
    picture = Picture(fit=fit, scale=(1 / 128,), frame=FRAME)
    model = edgebn.prepare(network((5, 6, 4), dtype=dtype), image=picture, answer=Mask())
    assert compare(model, tmp_path / "out", emitted.board_or_skip("host"), 2) == 4


def turned(dtype):
    """Return a network that gives its picture back with rows and columns exchanged."""
    made = network((8, 8, 3), dtype=dtype)
    return replace(
        made, steps=(p.Transpose("y0", ("x",), "y0", (1, 0, 2)),), buffers={name: made.buffers[name] for name in ("x", "y0")}
    )


def score_of(model, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (FRAME.height, FRAME.width, 3)).astype(np.uint8)
    return edgebn.Pipeline(model)(pixels).score


@pytest.mark.parametrize(
    ("dtype", "board"), [("int8", "host"), ("float32", "host"), *([("float32", "mps2-an386")] if TEST_ALL else [])]
)
def test_anomalies(dtype, board, tmp_path):
    """Above the threshold, and just at it: every bit of the sum counts."""
    image = Picture(scale=(1 / 128,), offset=(-0.5,), frame=FRAME)
    score = score_of(edgebn.prepare(turned(dtype), image=image, answer=Anomaly(1.0)), 5)
    threshold = np.nextafter(score, 0) if dtype == "int8" else score
    model = edgebn.prepare(turned(dtype), image=image, answer=Anomaly(float(threshold)))
    compare(model, tmp_path / "out", emitted.board_or_skip(board), 5)


def test_outputs_of_16_bits_are_refused(tmp_path):
    base = network((12,))
    wide = {"y0": replace(base.buffers["y0"], dtype="int16"), "real": replace(base.buffers["y0"], name="real")}
    steps = (*base.steps[:-1], replace(base.steps[-1], name="real", output="real"), p.Quantize("y0", ("real",), "y0"))
    model = replace(base, buffers=base.buffers | wide, steps=steps)
    model = edgebn.prepare(model, image=Picture(frame=FRAME), labels=[str(index) for index in range(12)])
    with pytest.raises(ModelError, match="the output 'y0' is int16"):
        codegen.emit(model, tmp_path, pipeline=True)


@pytest.mark.parametrize(
    ("shapes", "dtype", "fit", "seed", "board"),
    [
        (((30, 11), (8, 8, 5)), "int8", "letterbox", 53, "host"),
        (((11, 30), (4, 4, 5)), "float32", "crop", 48, "host"),
        *([(((11, 30), (8, 8, 5)), "int8", "stretch", 12, "mps2-an386")] if TEST_ALL else []),
    ],
)
def test_masks_of_objects(shapes, dtype, fit, seed, board, tmp_path):
    """The letterbox's borders end between two cells of the map: it is drawn finer before they are cut off."""
    picture = Picture(fit=fit, border=114, scale=(1 / 128,), offset=(-0.8,), frame=FRAME)
    model = network(*shapes, dtype=dtype, side=16)
    model = edgebn.prepare(model, image=picture, boxes=Boxes(("a", "b"), shares=True, score=0.3, overlap=0.3, masks=5, most=4))
    assert compare(model, tmp_path / "out", emitted.board_or_skip(board), seed) > 1


@pytest.mark.parametrize("name", ["mps2-an386", "qemu-riscv32-virt"] if TEST_ALL else ["mps2-an386"])
def test_cores(name, tmp_path):
    shapes, boxes = CASES["anchors"]
    picture = Picture(fit="letterbox", border=114, scale=(1 / 128,), offset=(-0.5,), frame=FRAME)
    model = edgebn.prepare(network(*shapes, dtype="int8"), image=picture, boxes=boxes)
    compare(model, tmp_path / "out", emitted.board_or_skip(name), 0)


@pytest.mark.skipif(not TEST_ALL, reason="the host compares them: EDGEBN_TEST_ALL=1 for an emulated core too")
@pytest.mark.parametrize(
    ("shape", "dtype", "how"),
    [
        ((6, 7, 3), "int8", {"boxes": CASES["fomo"][1]}),
        ((1, 9, 3), "float32", {"answer": KeyPoints(tuple(map(str, range(9))), score=0.5)}),
        ((5, 6, 4), "int8", {"answer": Mask()}),
    ],
    ids=["fomo", "key points", "mask"],
)
def test_other_answers_on_a_core(shape, dtype, how, tmp_path):
    picture = Picture(fit="letterbox", border=114, scale=(1 / 128,), frame=FRAME)
    model = edgebn.prepare(network(shape, dtype=dtype), image=picture, **how)
    assert compare(model, tmp_path / "out", emitted.board_or_skip("mps2-an386"), 1) > 1


def test_an_ssd_detector(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
    from tests.formats.tflite.test_detection_post_process import ssd

    (tmp_path / "ssd.tflite").write_bytes(ssd(np.random.default_rng(4), unsigned=True)[0])
    model = edgebn.load(tmp_path / "ssd.tflite")
    scale, offset = plain_pixels(model.buffers[model.inputs[0]])
    image = Picture(scale=scale, offset=offset, frame=FRAME)
    model = edgebn.prepare(model, image=image, boxes=Boxes(("a", "b"), "post_process"))  # its third class has no name
    assert 1 < compare(model, tmp_path / "out", emitted.board_or_skip("host"), 3) < 10


def test_classes(tmp_path):
    board = emitted.board_or_skip("host")
    model = edgebn.prepare(network((12,), dtype="int8"), image=Picture(scale=(1 / 128,), frame=FRAME))
    model = replace(model, preparation=Preparation(model.preparation.before, Classes()))
    assert compare(model, tmp_path / "out", board, 0) == 5


EAR = """
#include "board/board.h"
#include "eye.h"
#include "eye_answer.h"

{arrays}
int main(void) {{
    int32_t wrong = 0, taken = 0, answers = 0, number;
    edgebn_found found[EYE_ANSWERS];

    eye_init();
    eye_answer_reset();
    while (taken < {count}) {{
        taken += eye_answer(samples + taken, {count} - taken < 777 ? {count} - taken : 777, found, &number);
        if (number > 0 && answers < {answers}) {{
            wrong += found[0].index != heard[answers] || found[0].score < scores[answers] || found[0].score > scores[answers];
        }}
        answers += number;
    }}
    wrong += answers != {answers};
    board_put((uint8_t)(wrong == 0 ? '1' : '0'));
    return wrong != 0;
}}
"""


def hearing(base, **buffers):
    """Return a network that takes one window of sound."""
    made = {name: replace(buffer, **buffers) for name, buffer in base.buffers.items()}
    made["x"], made["flat"] = (replace(made[name], shape=(1, 1, 40)) for name in ("x", "flat"))
    return replace(base, buffers=made, shapes={"x": (40,), "y0": base.shapes["y0"]})


def compare_heard(model, folder):
    """Compare every answer to a second of noise; return Python's."""
    rng = np.random.default_rng(0)
    samples = (rng.normal(0, 1, 16000) * np.repeat(rng.uniform(1, 6000, 20), 800)).astype(np.int16)
    answers = edgebn.Pipeline(model)(samples)
    indices = [int(answer.is_heard if isinstance(answer, WakeAnswer) else answer.is_anomaly) for answer in answers]
    arrays = [
        CArray("samples", "int16_t", samples, ""),
        CArray("heard", "int32_t", np.array(indices, np.int32), ""),
        CArray("scores", "float", np.array([answer.score for answer in answers], np.float32), ""),
    ]
    text = EAR.replace("{arrays}", "{{arrays}}").format(count=len(samples), answers=len(answers))
    run_c(model, arrays, text, folder, emitted.board_or_skip("host"))
    return indices


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_wake_words(dtype, tmp_path):
    """The network hands its first feature on."""
    model = hearing(network((1,), dtype=dtype), scale=1 / 256, zero_point=-128)
    model = edgebn.prepare(model, sound=Sound(MicroFrontEnd(), scale=1 / 700), answer=WakeWord("hey", 4, 0.5, 7))
    heard = compare_heard(model, tmp_path / "out")
    assert 1 < sum(heard) < len(heard) / 2


def test_anomalies_of_sounds(tmp_path):
    """A network that gives half of each feature back is the more off the louder it is."""
    model = hearing(network((40,), dtype="int8"), scale=1 / 256, zero_point=-128)
    model = replace(model, buffers=model.buffers | {"y0": replace(model.buffers["y0"], scale=1 / 512)})
    model = edgebn.prepare(model, sound=Sound(MicroFrontEnd(), scale=1 / 700), answer=Anomaly(0.04))
    assert {*compare_heard(model, tmp_path / "out")} == {0, 1}


@pytest.mark.parametrize(
    ("image", "how", "message"),
    [
        (Picture(), {"labels": ["a", "b"]}, "does not say what its frames or samples are"),
        (Picture(frame=FRAME), {}, "answers in C are classes"),
        (Picture(frame=FRAME), {"answer": WakeWord("hey")}, "answers in C are classes"),
    ],
)
def test_what_has_no_answer_in_c_is_refused(image, how, message, tmp_path):
    shape = (1,) if "answer" in how else (2,)
    with pytest.raises(ModelError, match=rf"eye\.onnx.*{message}"):
        codegen.emit(edgebn.prepare(network(shape), image=image, **how), tmp_path, pipeline=True)


def test_what_does_not_go_together(tmp_path):
    with pytest.raises(UsageError, match="pipeline=True"):
        codegen.emit(network((2,)), tmp_path, pipeline=True, params_only=True)

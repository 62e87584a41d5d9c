"""What is drawn into pictures: masks seen through and in their places, key points with limbs, text where nothing else is."""

import numpy as np
import pytest

from edgebn.live.drawing import COLOURS, drawn
from edgebn.live.limbs import BODY, limbs_of
from edgebn.preparation.answers import ClassAnswer
from edgebn.preparation.data import Mask, Picture
from edgebn.preparation.detections import BoxAnswer
from edgebn.preparation.key_points import PointAnswer
from edgebn.preparation.masks import mask_answer
from edgebn.preparation.object_masks import ObjectMask
from edgebn.preparation.score_maps import MaskMap

pytest.importorskip("PIL.Image")
GREY = np.full((120, 160, 3), 100, np.uint8)


def half(colour):
    """Return grey under a colour."""
    return np.rint((100 + np.array(colour)) / 2).astype(np.uint8)


def array(pixels, answer):
    return np.asarray(drawn(pixels, answer))


def test_masks_of_objects_are_seen_through_and_lie_in_their_places():
    pixels = np.zeros((30, 40), bool)
    pixels[10:, :20] = True
    boxes = [
        BoxAnswer(index, "cat", 0.9, left, top, left + 40, top + 30, mask=ObjectMask(top, left, pixels, (120, 160)))
        for index, left, top in ((1, 20, 60), (2, 100, 80))
    ]
    found = array(GREY, boxes)
    for box, whole in ((box, box.mask.whole()) for box in boxes):
        inside = found[box.mask.top + 25, box.mask.left + 10 : box.mask.left + 18]
        assert (inside == half(COLOURS[box.index])).all()
        assert (found[box.mask.top + 25, box.mask.left + 22 : box.mask.left + 38] == 100).all()
        assert whole.sum() == 400
    assert (found[:50] == 100).all()  # no text in the corner
    over = array(GREY, [boxes[0], BoxAnswer(3, "dog", 0.5, 20, 60, 60, 90, mask=boxes[0].mask)])
    top = 0.5 * half(COLOURS[3]) + 0.5 * np.array(COLOURS[1])
    assert np.abs(over[85, 30] - top).max() <= 1  # the surest last


@pytest.mark.parametrize("channels", [1, 3])
def test_a_map_covers_the_picture(channels):
    scores = np.zeros((4, 4, 3), np.float32)
    scores[:, :2, 1], scores[:, 2:, 2] = 1, 1
    lies = MaskMap(4, 4, 3, has_numbers=False, is_sure=True)
    answer = mask_answer(scores, Mask(("ground", "sea", "sky")), lies, Picture(fit="crop"), (120, 160), (8, 8))
    found = array(GREY[..., :channels], answer)
    assert (found[100:, :20] == 100).all()  # outside the middle
    assert (found[100:, 140:] == 100).all()
    assert (found[100:, 20:80] == half(COLOURS[1])).all()
    assert (found[100:, 80:140] == half(COLOURS[2])).all()
    assert (found[:12, :50] == 0).any()  # what the colours mean


def test_key_points_and_limbs():
    points = [PointAnswer(name, 0.9, 10.0 + 8 * place, 60.0) for place, name in enumerate(("left shoulder", "Left-Elbow", "tail"))]
    found = array(GREY, points)
    assert (found[60, 14] == COLOURS[0]).all()  # a limb
    assert (found[60, 22] == 100).all()  # none
    for x in (10, 18, 26):
        assert (found[60, x] == COLOURS[0]).all()
    assert (found[:50] == 100).all()


def test_points_of_a_pose_that_are_not_sure_are_left_out():
    wrist = BODY.index("left_wrist")
    places = tuple((20.0 + 7 * number, 70.0 if number == wrist else 95.0) for number in range(17))
    scores = [0.1 if number == wrist else 0.9 for number in range(17)]
    pose = BoxAnswer(1, "person", 0.8, 10, 60, 150, 115, places, tuple(scores))
    found = array(GREY, [pose])
    for number, (x, y) in enumerate(places):
        assert (found[int(y), int(x)] == COLOURS[1]).all() == (number != wrist)
    without_scores = array(GREY, [BoxAnswer(1, "person", 0.8, 10, 60, 150, 115, places)])
    assert (without_scores[int(places[wrist][1]), int(places[wrist][0])] == COLOURS[1]).all()


def test_limbs_are_those_of_a_body():
    limbs = limbs_of(17)
    assert len(limbs) == 16
    assert all(begin != end for begin, end in limbs)
    assert {number for limb in limbs for number in limb} == set(range(17))
    assert limbs_of(BODY) == limbs
    assert limbs_of(6) == limbs_of(["nose"]) == []


def test_others_are_text():
    found = array(GREY, [ClassAnswer(0, "cat", 0.9)])
    assert (found[:15, :60] != 100).any()
    assert (found[40:] == 100).all()
    assert (array(GREY, [])[:15, :60] != 100).any()

"""From a detector's outputs to boxes in the picture as it was: non-maximum suppression, and the way back through the resizing.

Overlaps are float32, places in the picture float64, rounded to float32 once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgebn.preparation.data import Boxes, Picture
from edgebn.preparation.heads import FREE_OF_OVERLAPS, Candidates, candidates, real, roles
from edgebn.preparation.object_masks import ObjectMask, map_taps, object_mask
from edgebn.preparation.resizing import boxes as placed
from edgebn.program import Program


@dataclass(frozen=True)
class BoxAnswer:
    """One object that was found.

    Attributes
    ----------
    index : int
        Of its class.
    name : str
    score : float
    left, top, right, bottom : float
        In pixels of the picture as it was; 0, 0 is its upper left corner.
    points : tuple of (x, y)
        Its key points, in the same pixels; () of detectors without.
    point_scores : tuple of float
        How sure each is; () where the network does not tell.
    mask : ObjectMask or None
        Which pixels are its; None of detectors without masks.
    """

    index: int
    name: str
    score: float
    left: float
    top: float
    right: float
    bottom: float
    points: tuple[tuple[float, float], ...] = ()
    point_scores: tuple[float, ...] = ()
    mask: ObjectMask | None = None


def box_answers(outputs: np.ndarray | Mapping[str, np.ndarray], program: Program, size: tuple[int, int]) -> list[BoxAnswer]:
    """Return what was found in one picture, the surest first.

    Parameters
    ----------
    outputs : ndarray or mapping of str to ndarray
        Of one sample, float32 or int8 codes: that of the program's only output, or all by name.
    program : Program
        With a `Picture` before and `Boxes` behind it.
    size : (height, width)
        Of the picture.
    """
    assert program.preparation is not None
    picture, after = program.preparation.before, program.preparation.after
    assert isinstance(picture, Picture)
    assert isinstance(after, Boxes)
    named = outputs if isinstance(outputs, Mapping) else {program.outputs[0]: outputs}
    wanted = program.buffers[program.inputs[0]].shape[:2]
    found = candidates(named, program, after)
    kept = np.arange(len(found.scores))
    if after.head not in FREE_OF_OVERLAPS:
        kept = suppressed(found.corners, found.scores, found.classes, after.overlap)
    kept = kept[: after.most]
    corners = in_picture(found.corners[kept], picture, size, wanted)
    points = in_picture(found.points[kept].reshape(-1, 2), picture, size, wanted).reshape(len(kept), found.points.shape[1], 2)
    sure = np.zeros((len(kept), 0)) if found.point_scores is None else found.point_scores[kept]
    places = zip(corners.tolist(), points.tolist(), sure.tolist(), strict=True)
    rows = zip(places, found.scores[kept].tolist(), found.classes[kept].tolist(), strict=True)
    answers = [
        BoxAnswer(index, after.names[index], score, box[0], box[1], box[2], box[3], tuple((x, y) for x, y in dots), tuple(scores))
        for (box, dots, scores), score, index in rows
    ]
    return _with_masks(answers, found, kept, named, program, size) if after.masks else answers


def _with_masks(
    answers: list[BoxAnswer],
    found: Candidates,
    kept: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    program: Program,
    size: tuple[int, int],
) -> list[BoxAnswer]:
    assert program.preparation is not None
    picture, after = program.preparation.before, program.preparation.after
    assert isinstance(picture, Picture)
    assert isinstance(after, Boxes)
    assert found.coefficients is not None
    wanted = program.buffers[program.inputs[0]].shape[:2]
    name = roles(program, after)[1]
    prototypes = real(outputs[name], program, name)
    where = placed(picture, size, wanted)
    taps = map_taps(prototypes.shape[:2], wanted, where)
    boxes = ((box.left, box.top, box.right, box.bottom) for box in answers)
    masks = (
        object_mask(row, prototypes, corners, taps, where, size)
        for row, corners in zip(found.coefficients[kept], boxes, strict=True)
    )
    return [replace(answer, mask=mask) for answer, mask in zip(answers, masks, strict=True)]


def suppressed(corners: np.ndarray, scores: np.ndarray, classes: np.ndarray, overlap: float) -> np.ndarray:
    """Return which boxes stay, the surest first: none overlaps a surer one of its class by more than `overlap`.

    The overlap is the share of the two boxes' union that both cover.
    """
    corners = corners.astype(np.float32)
    areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], np.float32(0)), axis=1)
    waiting = np.argsort(-scores, kind="stable")
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        begin = np.maximum(corners[best, :2], corners[waiting, :2])
        end = np.minimum(corners[best, 2:], corners[waiting, 2:])
        common = np.prod(np.maximum(end - begin, np.float32(0)), axis=1)
        union = areas[best] + areas[waiting] - common
        near = np.divide(common, union, out=np.zeros_like(common), where=union > 0) > np.float32(overlap)
        waiting = waiting[~(near & (classes[waiting] == classes[best]))]
    return np.array(kept, np.int64)


def in_picture(corners: np.ndarray, picture: Picture, size: tuple[int, int], wanted: tuple[int, int]) -> np.ndarray:
    """Return places in the input, x and y in turns, as places in the picture, cut at its edges."""
    where = placed(picture, size, wanted)
    top, left, height, width = where.source
    to_top, to_left, to_height, to_width = where.target
    times = corners.shape[1] // 2
    ratio = np.array([width / to_width, height / to_height] * times)
    moved = (corners.astype(np.float64) - np.array([to_left, to_top] * times)) * ratio + np.array([left, top] * times)
    return np.clip(moved, 0, np.array([size[1], size[0]] * times)).astype(np.float32)

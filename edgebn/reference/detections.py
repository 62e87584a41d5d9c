"""Boxes of detectors: decoding and non-maximum suppression, in the order that the docstrings of their steps in `program.py` say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.program import DetectionPostProcess, NonMaxSuppression

if TYPE_CHECKING:
    from edgebn.reference import Operands


def detection_post_process(step: DetectionPostProcess, operands: Operands) -> np.ndarray:
    """Return one row: boxes, classes, scores, and how many there are."""
    codes, scores = operands.values[0][0], operands.values[1][0]
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = decoded(codes, step)
        scores = scores[:, scores.shape[1] - step.classes :]
        found = _class_by_class(boxes, scores, step) if step.regular else _all_at_once(boxes, scores, step)
    rows = step.most * step.each
    row = np.zeros(6 * rows + 1, np.float32)
    for place, (score, index, box) in found.items():
        row[4 * place : 4 * place + 4] = boxes[box]
        row[4 * rows + place] = index
        row[5 * rows + place] = score
    row[-1] = len(found) if step.regular else len(found) // min(step.each, step.classes)
    return row.reshape(1, 1, -1)


def decoded(codes: np.ndarray, step: DetectionPostProcess) -> np.ndarray:
    """Return float32 boxes (n, 4): top, left, bottom, right."""
    shares = codes[:, :4].astype(np.float64) / np.array(step.scales, np.float32).astype(np.float64)
    anchors = step.anchors.astype(np.float64)
    middle = (shares[:, :2] * anchors[:, 2:] + anchors[:, :2]).astype(np.float32)
    half = (0.5 * np.exp(shares[:, 2:]) * anchors[:, 2:]).astype(np.float32)
    return np.concatenate([middle - half, middle + half], axis=1)


def _all_at_once(boxes: np.ndarray, scores: np.ndarray, step: DetectionPostProcess) -> dict[int, tuple[float, int, int]]:
    """Return (score, class, box) by their place in the output; places between may be empty."""
    found = {}
    for number, box in enumerate(_suppressed(boxes, scores.max(axis=1), step, step.most)):
        classes = np.argsort(-scores[box], kind="stable")[: step.each]
        found.update(
            {number * step.each + rank: (float(scores[box, index]), int(index), box) for rank, index in enumerate(classes)}
        )
    return found


def _class_by_class(boxes: np.ndarray, scores: np.ndarray, step: DetectionPostProcess) -> dict[int, tuple[float, int, int]]:
    taken = [
        (float(scores[box, index]), index, box)
        for index in range(step.classes)
        for box in _suppressed(boxes, scores[:, index], step, step.per_class)
    ]
    return dict(enumerate(sorted(taken, key=lambda one: -one[0])[: step.most]))


def non_max_suppression(step: NonMaxSuppression, operands: Operands) -> np.ndarray:
    """Return a row for each box that stays: 0, class, box; -1 behind the last."""
    boxes, scores = operands.values[0][0], operands.values[1][0]
    with np.errstate(over="ignore", invalid="ignore"):
        if step.centred:
            middle, half = boxes[:, 1::-1], boxes[:, :1:-1] / np.float32(2)
            corners = np.concatenate([middle - half, middle + half], axis=1)
        else:
            corners = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
        found = []
        for index, row in enumerate(scores):
            candidates = np.flatnonzero((row > np.float32(step.score)) | (step.score == -np.inf))
            found += [(0, index, box) for box in _taken(corners, row, candidates, step.overlap, step.most)]
    rows = np.full((len(scores) * min(step.most, len(boxes)), 3), -1, np.int32)
    rows[: len(found)] = np.reshape(found, (-1, 3))
    return rows[np.newaxis]


def _suppressed(boxes: np.ndarray, scores: np.ndarray, step: DetectionPostProcess, most: int) -> list[int]:
    """Return the boxes that stay, the surest first."""
    return _taken(boxes, scores, np.flatnonzero(scores >= np.float32(step.score)), step.overlap, most)


def _taken(boxes: np.ndarray, scores: np.ndarray, candidates: np.ndarray, overlap: float, most: int) -> list[int]:
    """Return those of the candidates that stay, the surest first."""
    taken: list[int] = []
    for box in candidates[np.argsort(-scores[candidates], kind="stable")].tolist():
        if len(taken) == most:
            break
        if not any(_overlap(boxes[box], boxes[other]) > np.float32(overlap) for other in taken):
            taken.append(box)
    return taken


def _overlap(a: np.ndarray, b: np.ndarray) -> np.float32:
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    if area_a <= 0 or area_b <= 0:
        return np.float32(0)
    height, width = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), np.float32(0))
    common = height * width
    return np.float32(common / (area_a + area_b - common))

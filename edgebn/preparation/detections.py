"""From a detector's output to boxes in the picture as it was: heads, non-maximum suppression, the way back through the resizing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.preparation.data import Boxes, Picture
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
    """

    index: int
    name: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


def box_answers(output: np.ndarray, program: Program, size: tuple[int, int]) -> list[BoxAnswer]:
    """Return what was found in one picture, the surest first.

    Parameters
    ----------
    output : ndarray
        Of the program's only output for one sample: float32 or int8 codes.
    program : Program
        With a `Picture` before and `Boxes` behind it.
    size : (height, width)
        Of the picture.
    """
    assert program.preparation is not None
    picture, after = program.preparation.before, program.preparation.after
    assert isinstance(picture, Picture)
    assert isinstance(after, Boxes)
    values = output.astype(np.float64)
    if output.dtype == np.int8:
        buffer = program.buffers[program.outputs[0]]
        values = (values - buffer.zero_point) * buffer.scale
    wanted = program.buffers[program.inputs[0]].shape[:2]
    if after.head == "fomo":
        corners, scores, classes = fomo(values, after, wanted)
    else:
        corners, scores, classes = yolov8(values, after, wanted)
        kept = suppressed(corners, scores, classes, after.overlap)
        corners, scores, classes = corners[kept], scores[kept], classes[kept]
    corners = in_picture(corners, picture, size, wanted)
    found = zip(corners.tolist(), scores.tolist(), classes.tolist(), strict=True)
    return [BoxAnswer(index, after.names[index], score, *box) for box, score, index in found][: after.most]


def yolov8(values: np.ndarray, after: Boxes, wanted: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes (n, 4) left, top, right, bottom in the input's pixels, scores and classes above the threshold, the surest first.

    A candidate is its middle, width and height, in pixels or in shares of the input, and a score for each class.
    """
    if values.shape[1] != 4 + len(after.names):
        values = values.T
    classes = values[:, 4:].argmax(axis=1)
    scores = values[:, 4:].max(axis=1)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > after.score]
    middle, half = values[order, :2], values[order, 2:4] / 2
    corners = np.concatenate([middle - half, middle + half], axis=1)
    if after.shares:
        corners *= np.array([wanted[1], wanted[0]] * 2)
    return corners, scores[order], classes[order]


def fomo(values: np.ndarray, after: Boxes, wanted: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same for a map of cells (height, width, 1 + classes), the first channel nothing: neighbours are one object."""
    height, width, _ = values.shape
    boxes, scores, classes = [], [], []
    for index in range(len(after.names)):
        sure = values[..., 1 + index]
        open_cells = {(int(y), int(x)) for y, x in np.argwhere(sure > after.score)}
        while open_cells:
            group, waiting = [], [min(open_cells)]
            open_cells.remove(waiting[0])
            while waiting:
                y, x = waiting.pop()
                group.append((y, x))
                near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & open_cells
                open_cells -= near
                waiting += sorted(near)
            rows, columns = (np.array(side) for side in zip(*group, strict=True))
            boxes.append([columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height])
            scores.append(sure[rows, columns].max())
            classes.append(index)
    order = np.argsort(-np.array(scores), kind="stable")
    corners = np.array(boxes).reshape(-1, 4) * np.array([wanted[1], wanted[0]] * 2)
    return corners[order], np.array(scores)[order], np.array(classes, np.int64)[order]


def suppressed(corners: np.ndarray, scores: np.ndarray, classes: np.ndarray, overlap: float) -> np.ndarray:
    """Return which boxes stay, the surest first: none overlaps a surer one of its class by more than `overlap`.

    The overlap is the share of the two boxes' union that both cover.
    """
    areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0), axis=1)
    waiting = np.argsort(-scores, kind="stable")
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        begin = np.maximum(corners[best, :2], corners[waiting, :2])
        end = np.minimum(corners[best, 2:], corners[waiting, 2:])
        common = np.prod(np.maximum(end - begin, 0), axis=1)
        union = areas[best] + areas[waiting] - common
        near = np.divide(common, union, out=np.zeros_like(common), where=union > 0) > overlap
        waiting = waiting[~(near & (classes[waiting] == classes[best]))]
    return np.array(kept, np.int64)


def in_picture(corners: np.ndarray, picture: Picture, size: tuple[int, int], wanted: tuple[int, int]) -> np.ndarray:
    """Return boxes of the input as boxes of the picture, cut at its edges."""
    where = placed(picture, size, wanted)
    top, left, height, width = where.source
    to_top, to_left, to_height, to_width = where.target
    ratio = np.array([width / to_width, height / to_height] * 2)
    moved = (corners - np.array([to_left, to_top] * 2)) * ratio + np.array([left, top] * 2)
    return np.clip(moved, 0, np.array([size[1], size[0]] * 2))

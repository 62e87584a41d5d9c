"""From rows of y, x and a score to key points in the picture as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.preparation.data import KeyPoints, Picture
from edgebn.preparation.detections import in_picture
from edgebn.preparation.heads import real
from edgebn.program import Program


@dataclass(frozen=True)
class PointAnswer:
    """One key point.

    Attributes
    ----------
    name : str
    score : float
    x, y : float
        In pixels of the picture as it was.
    """

    name: str
    score: float
    x: float
    y: float


def point_answers(output: np.ndarray, program: Program, size: tuple[int, int]) -> list[PointAnswer]:
    """Return the points of one picture of (height, width) `size` that are sure enough, in the network's order."""
    assert program.preparation is not None
    picture, after = program.preparation.before, program.preparation.after
    assert isinstance(picture, Picture)
    assert isinstance(after, KeyPoints)
    wanted = program.buffers[program.inputs[0]].shape[:2]
    rows = real(output, program, program.outputs[0]).reshape(-1, 3)
    places = in_picture(rows[:, [1, 0]] * np.array([wanted[1], wanted[0]], np.float32), picture, size, wanted)
    return [
        PointAnswer(name, score, x, y)
        for name, score, (x, y) in zip(after.names, rows[:, 2].tolist(), places.tolist(), strict=True)
        if score >= np.float32(after.score)
    ]

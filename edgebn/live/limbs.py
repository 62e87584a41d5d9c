"""Which key points of a body hang together: COCO's seventeen, whose order MoveNet and ultralytics' poses have."""

from __future__ import annotations

from collections.abc import Sequence

BODY = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
LIMBS = (
    ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"),
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    *((f"{side}_{begin}", f"{side}_{end}") for side in ("left", "right") for begin, end in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"),
    )),
)  # fmt: skip


def limbs_of(points: Sequence[str] | int) -> list[tuple[int, int]]:
    """Return pairs of numbers of points that a line joins.

    Parameters
    ----------
    points : sequence of str, or int
        Names, in any spelling of words and cases; or how many there are, of which seventeen are a body's. Others have no limbs.
    """
    named = (BODY if points == len(BODY) else ()) if isinstance(points, int) else points
    places = {name.lower().replace(" ", "_").replace("-", "_"): number for number, name in enumerate(named)}
    return [(places[begin], places[end]) for begin, end in LIMBS if begin in places and end in places]

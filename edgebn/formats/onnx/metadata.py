"""What ultralytics writes into an ONNX file: its task, the names of its classes and how pictures become its input."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from edgebn.errors import ModelError
from edgebn.formats.onnx.model import parse
from edgebn.preparation.data import Boxes, Classes, Picture, Preparation

BOXES = ("detect", "segment", "pose")
RANK_OF_MAPS = 4  # (1, masks, rows, columns)
# Its transform of a letterbox; of classifiers: the shorter side to the input's by Pillow, the middle. Pixels from 0 to 1.
LETTERBOX = Picture("rgb", "bilinear", "letterbox", 114, scale=(1 / 255,))
MIDDLE = Picture("rgb", "antialias", "crop", scale=(1 / 255,))


def said(path: Path) -> Preparation | None:
    """Return what the metadata says of classes, boxes, boxes with masks or with key points; None of other tasks: turned boxes."""
    try:
        if b"ultralytics" not in path.read_bytes().lower():  # a look costs less than a second reading
            return None
        model = parse(path)
        entries = {entry.key: entry.value for entry in model.metadata_props}
        names = ast.literal_eval(entries["names"])
        listed = tuple(str(names[index]) for index in range(len(names)))
        if entries["task"] == "classify":
            return Preparation(MIDDLE, Classes(listed) if listed else None)
        return Preparation(LETTERBOX, _boxes(listed, entries, model)) if entries["task"] in BOXES else None
    except (
        OSError,
        ModelError,
        KeyError,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
        SyntaxError,
        RecursionError,
        MemoryError,
        StopIteration,
    ):
        return None


def _boxes(names: tuple[str, ...], entries: dict[str, str], model: Any) -> Boxes | None:
    """Return the head; None of files that free boxes of overlaps themselves: rows of corners, a score and a class."""
    if not names or entries.get("end2end") == "True" or ast.literal_eval(entries.get("args", "{}")).get("nms"):
        return None
    points = int(ast.literal_eval(entries["kpt_shape"])[0]) if entries["task"] == "pose" else 0
    masks = 0
    if entries["task"] == "segment":
        outputs = ([side.dim_value for side in output.type.tensor_type.shape.dim] for output in model.graph.output)
        masks = next(shape[1] for shape in outputs if len(shape) == RANK_OF_MAPS)
    return Boxes(names, points=points, masks=masks)

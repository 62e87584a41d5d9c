"""What ultralytics writes into an ONNX file: the names of its classes and how pictures become their input."""

from __future__ import annotations

import ast
from pathlib import Path

from edgebn.errors import ModelError
from edgebn.formats.onnx.model import parse
from edgebn.preparation.data import Boxes, Classes, Picture, Preparation


def said(path: Path) -> Preparation | None:
    """Return what the metadata of a classifier or a detector says; None of other files: masks, key points, turned boxes."""
    try:
        if b"ultralytics" not in path.read_bytes().lower():  # a look costs less than a second reading
            return None
        entries = {entry.key: entry.value for entry in parse(path).metadata_props}
        task = entries.get("task")
        if task not in {"classify", "detect"}:
            return None
        names = ast.literal_eval(entries["names"])
        listed = tuple(str(names[index]) for index in range(len(names)))
    except (OSError, ModelError, KeyError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if task == "detect":
        picture = Picture("rgb", "bilinear", "letterbox", 114, scale=(1 / 255,))
        return Preparation(picture, Boxes(listed) if listed else None)
    # Its transform: the shorter side to the input's by Pillow, the middle, pixels from 0 to 1.
    return Preparation(Picture("rgb", "antialias", "crop", scale=(1 / 255,)), Classes(listed) if listed else None)

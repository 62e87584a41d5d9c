"""What ultralytics writes into an ONNX file: the names of its classes and, of classifiers, how pictures become their input."""

from __future__ import annotations

import ast
from pathlib import Path

from edgebn.errors import ModelError
from edgebn.formats.onnx.model import parse
from edgebn.preparation.data import Classes, Picture, Preparation


def said(path: Path) -> Preparation | None:
    """Return what a classifier's metadata says; None of other files: their outputs are boxes, masks or key points."""
    try:
        if b"classify" not in path.read_bytes():  # a look costs less than a second reading
            return None
        entries = {entry.key: entry.value for entry in parse(path).metadata_props}
        if entries.get("task") != "classify":
            return None
        names = ast.literal_eval(entries["names"])
        listed = tuple(str(names[index]) for index in range(len(names)))
    except (OSError, ModelError, KeyError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    # Its transform: the shorter side to the input's by Pillow, the middle, pixels from 0 to 1.
    return Preparation(Picture("rgb", "antialias", "crop", scale=(1 / 255,)), Classes(listed) if listed else None)

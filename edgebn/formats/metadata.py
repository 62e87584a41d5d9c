"""What a model file says of its surroundings, beside the network: how pictures become its input, what its classes are called."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebn.preparation.data import Preparation

_MODULES = {
    ".tflite": "edgebn.formats.tflite.metadata",
    ".lite": "edgebn.formats.tflite.metadata",
    ".onnx": "edgebn.formats.onnx.metadata",
}


def said(path: Path) -> Preparation | None:
    """Return it, None where the file says nothing that can be read: a damaged note is no reason to refuse a network."""
    module = _MODULES.get(path.suffix.lower())
    return import_module(module).said(path) if module else None

"""How option values are parsed; argparse turns a ValueError into a usage error that names the parser function."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edgebn.errors import ModelError

MIN_MAGNITUDE, MAX_MAGNITUDE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def number(text: str) -> float:
    """Parse a finite number or a fraction such as 1/255 or 1/127.5."""
    above, slash, below = text.partition("/")
    parts = float(above), float(below) if slash else 1.0
    if not all(map(math.isfinite, parts)) or parts[1] == 0.0:
        raise ValueError(text)
    value = parts[0] / parts[1]
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def factor(text: str) -> float:
    """Parse what inputs are multiplied by: a number that float32 holds, and not 0, by which they would be lost."""
    value = shift(text)
    if abs(value) < MIN_MAGNITUDE:
        raise ValueError(text)
    return value


def shift(text: str) -> float:
    """Parse what is added to inputs: a number that float32 holds."""
    value = number(text)
    if abs(value) > MAX_MAGNITUDE:
        raise ValueError(text)
    return value


def count(text: str) -> int:
    """Parse a positive whole number."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def threads(text: str) -> int | str:
    """Parse a positive whole number, or "auto"."""
    return text if text == "auto" else count(text)


def shape(text: str) -> tuple[int, ...]:
    """Parse 96,96,3."""
    return tuple(count(size) for size in text.split(","))


def custom_layer(text: str) -> tuple[str, str]:
    """Parse NAME=KERAS_CLASS."""
    name, separator, known = text.partition("=")
    if not (name and separator and known):
        raise ValueError(text)
    return name, known


def state(text: str) -> tuple[str, str]:
    """Parse INPUT=OUTPUT."""
    name, separator, output = text.partition("=")
    if not (name and separator and output):
        raise ValueError(text)
    return name, output


def step_rows(text: str) -> tuple[str, int]:
    """Parse STEP=N."""
    name, separator, rows = text.rpartition("=")
    if not (name and separator) or int(rows) < 0:
        raise ValueError(text)
    return name, int(rows)


def new_file(text: str) -> Path:
    """Parse the name of a file to write, and refuse it before any work is done for it.

    Raises
    ------
    ModelError
        It is a folder, or in none.
    """
    path = Path(text)
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the name of a file in it")
    if not path.parent.is_dir():
        raise ModelError(f"there is no folder {path.parent} for {path.name}; make it first")
    return path

"""Pictures and sounds of any size, for models that keep how they are prepared: see `edgebn prepare`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from edgebn.cli.images import SUFFIXES, read_pixels
from edgebn.errors import ModelError, UsageError
from edgebn.live.recordings import read_sound
from edgebn.preparation.check import COLOURS
from edgebn.preparation.data import Picture, Sound
from edgebn.preparation.pictures import pictured
from edgebn.preparation.sounds import heard
from edgebn.program import Program

WAVE = ".wav"
ORIENTATION, TURNED = 0x0112, 5  # of EXIF: from 5 on, height and width are exchanged


def is_prepared(path: Path, program: Program) -> bool:
    """Whether the model says how such a file, or a folder of such files, becomes its input."""
    before = program.preparation.before if program.preparation else None
    if isinstance(before, Picture):
        return path.is_dir() or path.suffix.lower() in SUFFIXES
    return isinstance(before, Sound) and path.suffix.lower() == WAVE


def prepared(path: Path, program: Program, arguments: argparse.Namespace) -> np.ndarray:
    """Return the inputs (N, ...) that a picture, the pictures of a folder by name, or a sound make: int8 codes or float32.

    Raises
    ------
    ModelError
        A file is damaged or does not fit, or there is none.
    UsageError
        A scaling on the command line, which the model has.
    """
    if arguments.scale is not None or arguments.offset is not None:
        raise UsageError(f"{program.source} keeps how its inputs are scaled; leave --scale and --offset out")
    assert program.preparation is not None
    before, name = program.preparation.before, program.inputs[0]
    buffer = program.buffers[name]
    if isinstance(before, Sound):
        try:
            inputs = heard(read_sound(path, before.front_end.sample_rate), before, buffer)
        except ModelError as error:
            raise ModelError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
        return inputs[: arguments.limit].reshape(-1, *program.shapes[name])
    assert isinstance(before, Picture)
    files = files_of(path)[: arguments.limit]
    return np.stack([pictured(read_8_bits(file, before), before, buffer).reshape(program.shapes[name]) for file in files])


def files_of(path: Path) -> list[Path]:
    """Return a file, or the pictures of a folder by name.

    Raises
    ------
    ModelError
        It has none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise ModelError(f"{path} holds no pictures ({', '.join(SUFFIXES)})")
    return found


def picture_size(path: Path) -> tuple[int, int]:
    """Return height and width of a picture, upright as `read_8_bits` gives it; its pixels stay packed."""
    from PIL import Image

    with Image.open(path) as image:
        is_turned = image.getexif().get(ORIENTATION, 1) >= TURNED
        return image.size if is_turned else (image.height, image.width)


def read_8_bits(path: Path, picture: Picture) -> np.ndarray:
    """Return uint8 (height, width, 3 or 1); grey of 16 bits is rounded to the nearest of 8."""
    return np.floor(read_pixels(path, COLOURS[picture.colours]) + np.float32(0.5)).astype(np.uint8)

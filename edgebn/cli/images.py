"""Reads .png and .jpg files as pixels of a given height, width and channels. Pillow is an extra, imported only here."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np

from edgebn.errors import ModelError

SUFFIXES = (".png", ".jpg", ".jpeg")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels as uint8 (1, height, width, channels), colours converted to the channels asked for.

    Raises
    ------
    ModelError
        Pillow is missing, the file is damaged, or its size is not the network's: edgebn does not resize.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise ModelError(f"{path}: reading images needs Pillow; install it with: pip install 'edgebn[images]'") from None
    if len(shape) != 3 or shape[2] not in _MODES:
        raise ModelError(f"{path} is an image, but the network takes inputs of shape {shape}; give a .npy file")
    height, width, channels = shape
    damage = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, Image.DecompressionBombError, Warning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with path.open("rb") as file, Image.open(file) as image:
                if image.size != (width, height):
                    raise ModelError(
                        f"{path} is {image.height} x {image.width} pixels (height x width), the network takes "
                        f"{height} x {width}; resize it first, for example with Pillow's Image.resize"
                    )
                pixels = np.array(image.convert(_MODES[channels]), np.uint8)
    except FileNotFoundError:
        raise
    except damage as error:
        raise ModelError(f"{path} is damaged or no image: {error}") from None
    return pixels.reshape(1, height, width, channels)

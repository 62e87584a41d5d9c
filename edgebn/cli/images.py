"""Reads .png and .jpg files as pixels of a given height, width and channels. Pillow is an extra, imported only here."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebn.errors import ModelError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

SUFFIXES = (".png", ".jpg", ".jpeg")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_WIDE = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # how Pillow holds 16 bits of grey
TO_8_BITS = 257  # 65535 / 255: a picture gives the same numbers in 16 bits as in 8


def read_image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels, 0 to 255, as (1, height, width, channels), upright and with colours converted to the channels asked for.

    Returns
    -------
    ndarray
        uint8; float32 of a grey picture of 16 bits, whose values are divided by 257. Pillow itself cuts colours of 16 bits to 8.

    Raises
    ------
    ModelError
        Pillow is missing, the file is damaged, moves, or has pixels that 0 to 255 cannot stand for, or its size is not the
        network's; `edgebn prepare` says how to resize.
    """
    if len(shape) != 3 or shape[2] not in _MODES:
        raise ModelError(f"{path} is an image, but the network takes inputs of shape {shape}; give a .npy file")
    height, width, channels = shape
    pixels = read_pixels(path, channels)
    if pixels.shape[:2] != (height, width):
        raise ModelError(
            f"{path} is {pixels.shape[0]} x {pixels.shape[1]} pixels (height x width), the network takes {height} x {width}; "
            "resize it first, for example with Pillow's Image.resize, or let the model do it: see edgebn prepare --help"
        )
    return pixels.reshape(1, height, width, channels)


def read_pixels(path: Path, channels: int) -> np.ndarray:
    """Return the pixels of a picture of any size as (height, width, channels); see `read_image`.

    Raises
    ------
    ModelError
        As `read_image`.
    """
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise ModelError(f"{path}: reading images needs Pillow; install it with: pip install 'edgebn[images]'") from None
    damage = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, Image.DecompressionBombError, Warning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with path.open("rb") as file, Image.open(file) as opened:
                if getattr(opened, "n_frames", 1) > 1:
                    raise ModelError(f"{path} holds several pictures; give one, or an .npy file of all")
                image = ImageOps.exif_transpose(opened)
                pixels = _pixels(image, channels, path)
    except FileNotFoundError:
        raise
    except damage as error:
        raise ModelError(f"{path} is damaged or no image: {error}") from None
    return pixels.reshape(image.height, image.width, channels)


def _pixels(image: PillowImage, channels: int, path: Path) -> np.ndarray:
    """Return the pixels of an open picture with so many channels."""
    if image.mode in _WIDE:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ModelError(f"{path} has pixels of more than 16 bits; give an .npy file")
        grey = (values.astype(np.float32) / np.float32(TO_8_BITS))[..., None]
        full = np.full_like(grey, 255)
        return np.concatenate([grey, grey, grey, full][:channels], axis=-1) if channels > 1 else grey
    if image.mode == "F":
        raise ModelError(f"{path} has real numbers for pixels; give an .npy file")
    if image.mode in {"P", "PA"} and channels != 4:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    converted: Any = image.convert(_MODES[channels])
    return np.array(converted, np.uint8)

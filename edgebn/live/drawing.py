"""Answers drawn into a picture: boxes with their names, or lines of text in the corner. Pillow draws."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.live.answers import line, plain
from edgebn.live.extras import needed

# Of classes, one after the other (Okabe and Ito's, which people who see no red can tell apart).
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
QUALITY = 80


def drawn(pixels: np.ndarray, answer: Any) -> Any:
    """Return a Pillow image of uint8 (height, width, 3 or 1) with the answer in it."""
    pillow, drawing = needed("PIL.Image", "drawing"), needed("PIL.ImageDraw", "drawing")
    values = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    image = pillow.fromarray(values).convert("RGB")
    pen = drawing.Draw(image)
    found = plain(answer)
    thick = max(1, round(min(image.size) / 160))
    boxes = [one for one in found if isinstance(one, dict) and "left" in one] if isinstance(found, list) else []
    for box in boxes:
        colour = COLOURS[int(box.get("index", 0)) % len(COLOURS)]
        corners = (box["left"], box["top"], max(box["left"], box["right"] - 1), max(box["top"], box["bottom"] - 1))
        pen.rectangle(corners, outline=colour, width=thick)
        _text(pen, (box["left"] + thick, box["top"] + thick), f"{box.get('name', '')} {box['score']:.2f}", colour)
    if not boxes:
        _text(pen, (2, 2), line(answer), COLOURS[0])
    return image


def as_jpeg(pixels: np.ndarray, answer: Any) -> bytes:
    """Return the same as the bytes of a JPEG."""
    data = io.BytesIO()
    drawn(pixels, answer).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


class FilmWriter:
    """Writes an annotated film, frame by frame.

    Parameters
    ----------
    path : Path
    rate : float
        Frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate, self._writer = path, rate, None
        self._opencv = needed("cv2", f"{path}: writing films")

    def add(self, pixels: np.ndarray, answer: Any) -> None:
        """Draw and write one frame."""
        if self._writer is None:
            code = self._opencv.VideoWriter_fourcc(*"mp4v")
            self._writer = self._opencv.VideoWriter(str(self._path), code, self._rate, (pixels.shape[1], pixels.shape[0]))
        self._writer.write(np.ascontiguousarray(np.asarray(drawn(pixels, answer))[..., ::-1]))  # type: ignore[attr-defined]

    def close(self) -> None:
        """End the film."""
        if self._writer is not None:
            self._writer.release()


def _text(pen: Any, place: tuple[float, float], text: str, colour: tuple[int, int, int]) -> None:
    pen.rectangle(pen.textbbox(place, text), fill=(0, 0, 0))
    pen.text(place, text, fill=colour)

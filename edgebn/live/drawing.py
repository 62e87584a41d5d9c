"""Answers drawn into a picture: masks, boxes with their names, key points with limbs, or text in the corner. Pillow draws."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.live.answers import line
from edgebn.live.extras import needed
from edgebn.live.limbs import limbs_of

# Of classes, one after the other (Okabe and Ito's, which people who see no red can tell apart).
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
QUALITY = 80
COVER = 0.5  # of a mask's colour; the rest is the picture
SURE = 0.5  # key points of a box that are less sure are not drawn
SHOWN_CLASSES = 7  # of a map, the largest


def drawn(pixels: np.ndarray, answer: Any) -> Any:
    """Return a Pillow image of uint8 (height, width, 3 or 1) with the answer in it."""
    pillow, drawing = needed("PIL.Image", "drawing"), needed("PIL.ImageDraw", "drawing")
    values = np.repeat(pixels.reshape(*pixels.shape[:2], -1), 3 if pixels.size == pixels.shape[0] * pixels.shape[1] else 1, axis=2)
    found = answer if isinstance(answer, list) else []
    boxes = [one for one in found if hasattr(one, "left")]
    points = [one for one in found if hasattr(one, "x")]
    image = pillow.fromarray(_covered(values, answer, boxes))
    pen = drawing.Draw(image)
    thick = max(1, round(min(image.size) / 160))
    for box in boxes:
        _box(pen, box, thick)
    if points:
        dots = {number: (point.x, point.y) for number, point in enumerate(points)}
        _skeleton(pen, dots, limbs_of([point.name for point in points]), COLOURS[0], thick)
    elif hasattr(answer, "whole"):
        _legend(pen, answer)
    elif not boxes:
        _text(pen, (2, 2), line(answer), COLOURS[0])
    return image


def _covered(pixels: np.ndarray, answer: Any, boxes: list[Any]) -> np.ndarray:
    """Return the picture under the colours of its masks, the surest object's on top."""
    covered = pixels.copy()
    if hasattr(answer, "whole"):
        classes = answer.whole()
        colours = np.array(COLOURS)[classes % len(COLOURS)]
        covered = np.where(classes[..., None] >= 0, _mixed(pixels, colours), pixels)
    for box in reversed(boxes):
        if box.mask is not None:
            height, width = box.mask.pixels.shape
            part = covered[box.mask.top : box.mask.top + height, box.mask.left : box.mask.left + width]
            part[box.mask.pixels] = _mixed(part[box.mask.pixels], np.array(_colour(box)))
    return covered


def _mixed(pixels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return np.rint(pixels * (1 - COVER) + colours * COVER).astype(np.uint8)


def _colour(box: Any) -> tuple[int, int, int]:
    return COLOURS[box.index % len(COLOURS)]


def _box(pen: Any, box: Any, thick: int) -> None:
    colour = _colour(box)
    pen.rectangle((box.left, box.top, max(box.left, box.right - 1), max(box.top, box.bottom - 1)), outline=colour, width=thick)
    sure = box.point_scores or (1.0,) * len(box.points)
    dots = {number: place for number, (place, score) in enumerate(zip(box.points, sure, strict=True)) if score >= SURE}
    _skeleton(pen, dots, limbs_of(len(box.points)), colour, thick)
    _text(pen, (box.left + thick, box.top + thick), f"{box.name} {box.score:.2f}", colour)


def _skeleton(
    pen: Any, dots: dict[int, tuple[float, float]], limbs: list[tuple[int, int]], colour: tuple[int, int, int], thick: int
) -> None:
    """Draw key points by their number, and the limbs both of whose ends are there."""
    for begin, end in limbs:
        if begin in dots and end in dots:
            pen.line((*dots[begin], *dots[end]), fill=colour, width=thick)
    for x, y in dots.values():
        pen.ellipse((x - 2 * thick, y - 2 * thick, x + 2 * thick, y + 2 * thick), fill=colour, outline=(0, 0, 0))


def _legend(pen: Any, answer: Any) -> None:
    """Name the largest classes of a map in the colours that cover them."""
    order = sorted(range(len(answer.shares)), key=lambda index: -answer.shares[index])
    top = 2.0
    for index in order[:SHOWN_CLASSES]:
        if answer.shares[index]:
            text = f"{answer.names[index] if answer.names else index} {answer.shares[index]:.0%}"
            _text(pen, (2, top), text, COLOURS[index % len(COLOURS)])
            top = pen.textbbox((2, top), text)[3] + 2


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

"""From a map of scores or class numbers to the class of every part of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import Mask, Picture
from edgebn.preparation.resizing import Boxes as Placed
from edgebn.preparation.resizing import boxes as placed
from edgebn.preparation.run_lengths import run_lengths
from edgebn.preparation.score_maps import MaskMap

NOWHERE = -1  # the class of pixels that the network did not see


@dataclass(frozen=True)
class MaskAnswer:
    """The class of every cell of the network's map that shows the picture; borders of a letterbox are cut off.

    Attributes
    ----------
    classes : ndarray of int64, shape (rows, columns)
        Of scores the lower class among equals; class numbers as they are.
    names : tuple of str
    shares : tuple of float
        Of these cells, by class.
    row_of, column_of : ndarray of int64, shape (height,) and (width,)
        Which of them each row and column of the picture's pixels lies in; -1 outside the middle that a crop shows.
    """

    classes: np.ndarray
    names: tuple[str, ...]
    shares: tuple[float, ...]
    row_of: np.ndarray
    column_of: np.ndarray

    def whole(self) -> np.ndarray:
        """Return the class of every pixel of the picture as it was, int64 (height, width); -1 where the network did not see it."""
        found = self.classes[self.row_of[:, None], self.column_of]
        return np.where((self.row_of[:, None] >= 0) & (self.column_of >= 0), found, NOWHERE)

    def as_json(self) -> dict[str, Any]:
        """Return names, shares, and of each class that is there its pixels, as COCO's compressed run lengths."""
        pixels = self.whole()
        masks = [{"class": index, **run_lengths(pixels == index)} for index, share in enumerate(self.shares) if share]
        return {"names": list(self.names), "shares": list(self.shares), "masks": masks}


def mask_answer(
    output: np.ndarray, mask: Mask, lies: MaskMap, picture: Picture, size: tuple[int, int], wanted: tuple[int, int]
) -> MaskAnswer:
    """Return the mask of one picture.

    Parameters
    ----------
    output : ndarray
        Scores, which may be codes, for they lie as the scores do; or class numbers.
    mask : Mask
    lies : MaskMap
        What the output is.
    picture : Picture
        How pictures fill the input.
    size, wanted : (height, width)
        Of the picture and of the input.

    Raises
    ------
    ModelError
        There is a number of no class.
    """
    where = placed(picture, size, wanted)
    shape = (lies.height, lies.width)
    rows, columns = seen_cells(shape, where, wanted)
    cells = output.reshape(*shape, -1)[slice(*rows), slice(*columns)]
    classes = (cells[..., 0] if lies.has_numbers else cells.argmax(axis=2)).astype(np.int64)
    if classes.min() < 0 or classes.max() >= lies.classes:
        wrong = classes[(classes < 0) | (classes >= lies.classes)][0]
        raise ModelError(f"the network's map has the class {wrong}, and {lies.classes} are named; prepare it with names of all")
    counts = np.bincount(classes.reshape(-1), minlength=lies.classes)
    sides = [
        _cells_of(pixels, begin, count, to_begin, to_count, along / side, span)
        for pixels, begin, count, to_begin, to_count, along, side, span in zip(
            size,
            where.source[:2],
            where.source[2:],
            where.target[:2],
            where.target[2:],
            shape,
            wanted,
            (rows, columns),
            strict=True,
        )
    ]
    return MaskAnswer(classes, mask.names, tuple((counts / classes.size).tolist()), *sides)


def seen_cells(shape: tuple[int, int], where: Placed, wanted: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and the end of a map's rows and columns whose middles show the picture; the nearest one where none does."""
    spans = []
    for cells, side, begin, count in zip(shape, wanted, where.target[:2], where.target[2:], strict=True):
        middles = (np.arange(cells) + 0.5) * side / cells
        seen = np.flatnonzero((middles >= begin) & (middles < begin + count))
        nearest = int(np.abs(middles - (begin + count / 2)).argmin())
        spans.append((int(seen[0]), int(seen[-1]) + 1) if len(seen) else (nearest, nearest + 1))
    return spans[0], spans[1]


def _cells_of(
    pixels: int, begin: int, count: int, to_begin: int, to_count: int, cells_a_pixel: float, span: tuple[int, int]
) -> np.ndarray:
    """Return the cell, counted within `span`, that the middle of each pixel along one side falls into."""
    found = np.full(pixels, NOWHERE)
    places = ((np.arange(count) + 0.5) * (to_count / count) + to_begin) * cells_a_pixel
    found[begin : begin + count] = np.clip(places.astype(np.int64), span[0], span[1] - 1) - span[0]
    return found

"""From a map of scores to the class of every part of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.preparation.data import Mask, Picture
from edgebn.preparation.resizing import Boxes as Placed
from edgebn.preparation.resizing import boxes as placed
from edgebn.preparation.run_lengths import run_lengths

NOWHERE = -1  # the class of pixels that the network did not see


@dataclass(frozen=True)
class MaskAnswer:
    """The class of every cell of the network's map that shows the picture; borders of a letterbox are cut off.

    Attributes
    ----------
    classes : ndarray of int64, shape (rows, columns)
        The lower class among equals.
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


def mask_answer(output: np.ndarray, mask: Mask, picture: Picture, size: tuple[int, int], wanted: tuple[int, int]) -> MaskAnswer:
    """Return the mask of one picture.

    Parameters
    ----------
    output : ndarray, shape (rows, columns, classes)
        May be codes, which lie as the scores do.
    mask : Mask
    picture : Picture
        How pictures fill the input.
    size, wanted : (height, width)
        Of the picture and of the input.
    """
    where = placed(picture, size, wanted)
    rows, columns = seen_cells(output.shape[:2], where, wanted)
    classes = output[slice(*rows), slice(*columns)].argmax(axis=2).astype(np.int64)
    counts = np.bincount(classes.reshape(-1), minlength=output.shape[2])
    sides = [
        _cells_of(pixels, begin, count, to_begin, to_count, cells / side, span)
        for pixels, begin, count, to_begin, to_count, cells, side, span in zip(
            size,
            where.source[:2],
            where.source[2:],
            where.target[:2],
            where.target[2:],
            output.shape,
            wanted,
            (rows, columns),
            strict=False,
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

"""Masks as COCO writes them and pycocotools reads: lengths of runs down columns, off and on in turns, packed into characters."""

from __future__ import annotations

import numpy as np

_BITS, _SIGN, _MORE, _FIRST = 5, 16, 32, 48  # of a character: five bits of a number, whether others follow, the character of 0


def run_lengths(pixels: np.ndarray, place: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None) -> dict[str, object]:
    """Return {"size": [height, width], "counts": text}.

    Parameters
    ----------
    pixels : ndarray of bool, shape (height, width)
    place : (top, left)
        Where they lie in a picture that is off around them.
    size : (height, width), optional
        Of the picture; left out, that of the pixels.
    """
    height, width = pixels.shape if size is None else size
    columns = np.zeros((pixels.shape[1], pixels.shape[0] + 2), np.int8)
    columns[:, 1:-1] = pixels.T
    changes = np.diff(columns, axis=1)
    begins, ends = (
        (column + place[1]) * height + row + place[0] for column, row in (np.nonzero(changes == change) for change in (1, -1))
    )
    goes_on = begins[1:] == ends[:-1]  # from the foot of a column to the head of the next
    begins, ends = begins[np.r_[True, ~goes_on][: len(begins)]], ends[np.r_[~goes_on, True][: len(ends)]]
    edges = np.stack([begins, ends], axis=1).reshape(-1)
    counts = np.diff(np.concatenate([[0], edges, [height * width]]))
    counts = counts if counts[-1] or len(counts) == 1 else counts[:-1]
    return {"size": [int(height), int(width)], "counts": _packed(counts.tolist())}


def _packed(counts: list[int]) -> str:
    """Return the counts as characters: from the fourth on what differs from the last but one, the lowest five bits first."""
    text = []
    for place, count in enumerate(counts):
        number = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits, number = number & (_MORE - 1), number >> _BITS
            more = number != (-1 if bits & _SIGN else 0)
            text.append(chr(_FIRST + bits + (_MORE if more else 0)))
    return "".join(text)

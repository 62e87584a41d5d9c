"""Masks of single objects: coefficients and prototypes, as ultralytics' -seg networks end, to pixels of the picture as it was.

The value of a cell of the prototypes' map is the sum of coefficient * prototype in float64, from the first to the last; each
product is exact. The map is drawn to the picture's size by straight lines between the middles of cells (bilinear), columns first,
by the weights of `side_taps`. A pixel is the object's where the value is above 0 and its upper left corner is in the object's box.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from edgebn.preparation.resizing import Boxes as Placed
from edgebn.preparation.run_lengths import run_lengths

MAX_TAPS = 3  # cells behind a pixel, a side


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """Which pixels of the picture as it was are an object's.

    Attributes
    ----------
    top, left : int
        The pixel of the picture where `pixels` begins.
    pixels : ndarray of bool, shape (height, width)
        Those in the object's box; all others are not its.
    size : (height, width)
        Of the picture.
    """

    top: int
    left: int
    pixels: np.ndarray
    size: tuple[int, int]

    def __eq__(self, other: object) -> bool:
        """Whether it is the same mask."""
        if not isinstance(other, ObjectMask):
            return NotImplemented
        where = (self.top, self.left, self.size) == (other.top, other.left, other.size)
        return where and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        """Return a number by its place."""
        return hash((self.top, self.left, self.size))

    def whole(self) -> np.ndarray:
        """Return bool (height, width) of the whole picture."""
        found = np.zeros(self.size, bool)
        height, width = self.pixels.shape
        found[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return found

    def as_json(self) -> dict[str, object]:
        """Return it as COCO's compressed run lengths of the whole picture."""
        return run_lengths(self.pixels, (self.top, self.left), self.size)


@dataclass(frozen=True)
class SideTaps:
    """Which cells make the pixels along one side.

    Attributes
    ----------
    first : ndarray of int32, shape (pixels,)
        The first cell of each.
    weights : ndarray of float32, shape (pixels, taps)
        Of that cell and those behind it.
    """

    first: np.ndarray
    weights: np.ndarray


def finer(stride: int, target: tuple[int, int, int, int]) -> int:
    """Return how many times finer a map is drawn before what the picture does not fill is cut off: until that is whole cells."""
    return stride // math.gcd(stride, *target)


@functools.lru_cache(maxsize=64)
def side_taps(cells: int, begin: int, count: int, times: int, pixels: int) -> SideTaps:
    """Return what makes `pixels` of a part of a side: the map's cells, `times` finer, of which `count` from `begin` on stay.

    Both drawings take straight lines between middles and the outermost value outside, as torch's interpolate does.
    """
    taps = min(MAX_TAPS, cells)
    whole = _between(cells, (np.arange(begin, begin + count) + 0.5) / times - 0.5)  # (finer cells, cells)
    weights = _between(count, (np.arange(pixels) + 0.5) * (count / pixels) - 0.5) @ whole
    first = np.minimum((weights != 0).argmax(axis=1), cells - taps)
    kept = np.take_along_axis(weights, first[:, None] + np.arange(taps), axis=1)
    return SideTaps(first.astype(np.int32), kept.astype(np.float32))


def _between(count: int, places: np.ndarray) -> np.ndarray:
    """Return (places, count): the weights of the two of `count` cells that each place lies between."""
    places = np.maximum(places, 0.0)
    below = np.minimum(places.astype(np.int64), count - 1)
    weights = np.zeros((len(places), count))
    rows = np.arange(len(places))
    weights[rows, below] = 1 - (places - below)
    weights[rows, np.minimum(below + 1, count - 1)] += places - below
    return weights


def map_taps(shape: tuple[int, int], wanted: tuple[int, int], where: Placed) -> tuple[SideTaps, SideTaps]:
    """Return what makes the rows and the columns of the picture's part that the network saw.

    Parameters
    ----------
    shape, wanted : (rows, columns)
        Of the prototypes' map and of the network's input.
    where : edgebn.preparation.resizing.Boxes
        How the picture fills the input.
    """
    stride = wanted[0] // shape[0]
    times = finer(stride, where.target)
    rows, columns = (
        side_taps(cells, begin * times // stride, count * times // stride, times, pixels)
        for cells, begin, count, pixels in zip(shape, where.target[:2], where.target[2:], where.source[2:], strict=True)
    )
    return rows, columns


def object_mask(
    coefficients: np.ndarray,
    prototypes: np.ndarray,
    corners: tuple[float, float, float, float],
    taps: tuple[SideTaps, SideTaps],
    where: Placed,
    size: tuple[int, int],
) -> ObjectMask:
    """Return the mask of one object.

    Parameters
    ----------
    coefficients : ndarray of float32, shape (masks,)
    prototypes : ndarray of float32, shape (rows, columns, masks)
    corners : (left, top, right, bottom)
        The object's box in the picture.
    taps : from `map_taps`
    where : edgebn.preparation.resizing.Boxes
        How the picture fills the input.
    size : (height, width)
        Of the picture.
    """
    spans = []
    for low, high, begin, count in zip(corners[1::-1], corners[:1:-1], where.source[:2], where.source[2:], strict=True):
        start = min(max(math.ceil(low), begin), begin + count)
        spans.append((start, max(min(math.ceil(high), begin + count), start)))
    (top, bottom), (left, right) = spans
    pixels = np.zeros((bottom - top, right - left), bool)
    if pixels.size:
        (rows, columns), (y, x) = taps, where.source[:2]
        down, across = (
            SideTaps(side.first[start - begin : stop - begin], side.weights[start - begin : stop - begin])
            for side, start, stop, begin in ((rows, top, bottom, y), (columns, left, right, x))
        )
        pixels = _drawn(coefficients, prototypes, down, across) > 0
    return ObjectMask(top, left, pixels, size)


def _drawn(coefficients: np.ndarray, prototypes: np.ndarray, down: SideTaps, across: SideTaps) -> np.ndarray:
    """Return the values, float64, of some rows and columns of pixels."""
    (begin_y, end_y), (begin_x, end_x) = (
        (int(side.first.min()), int(side.first.max()) + side.weights.shape[1]) for side in (down, across)
    )
    part = prototypes[begin_y:end_y, begin_x:end_x].astype(np.float64)
    values = np.zeros(part.shape[:2])
    for index, coefficient in enumerate(coefficients.astype(np.float64)):
        values += coefficient * part[..., index]
    for side, begin in ((across, begin_x), (down, begin_y)):
        weights = side.weights.astype(np.float64)
        lines = values.T if side is across else values
        drawn = weights[:, :1] * lines[side.first - begin]
        for tap in range(1, weights.shape[1]):
            drawn += weights[:, tap : tap + 1] * lines[side.first - begin + tap]
        values = drawn.T if side is across else drawn
    return values

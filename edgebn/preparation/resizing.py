"""How pictures change their size: which stored pixels make a pixel, and with which weights.

Two arithmetics, each another library's:

bilinear:  two pixels a side, however much smaller the picture becomes; OpenCV's INTER_LINEAR for 8 bits, in 11 bits a side:
           row = a0 * p0 + a1 * p1, pixel = ((b0 * (row0 >> 4) >> 16) + (b1 * (row1 >> 4) >> 16) + 2) >> 2
others:    as many pixels as it takes; Pillow's resize for 8 bits: rows first, rounded to 8 bits, then columns, in 22 bits:
           pixel = clip((sum(weight * pixel) + 2**21) >> 22, 0, 255)
    antialias:  triangles that widen as the picture shrinks: Pillow's BILINEAR
    area:       each pixel by the share of it that is covered: OpenCV's INTER_AREA
    nearest:    the pixel in the middle: Pillow's NEAREST, OpenCV's INTER_NEAREST_EXACT
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from edgebn.preparation.data import Picture

LINEAR_BITS = 11
TAP_BITS = 22


@dataclass(frozen=True)
class Boxes:
    """Which part of a picture fills which part of the input; (top, left, height, width) each."""

    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]


@dataclass(frozen=True)
class Taps:
    """The pixels behind each pixel along one side.

    Attributes
    ----------
    first : ndarray of int32, shape (n, 2) for bilinear, (n, 1) for others
        Indices of the two pixels, or of the first one of several.
    counts : ndarray of int32, shape (n,)
        How many there are.
    weights : ndarray of int32, shape (n, most)
    """

    first: np.ndarray
    counts: np.ndarray
    weights: np.ndarray


def boxes(picture: Picture, size: tuple[int, int], wanted: tuple[int, int]) -> Boxes:
    """Return how a picture of `size` (height, width) fills an input of `wanted`.

    'crop' takes the largest middle part of the input's proportions. 'letterbox' is placed as ultralytics does.
    """
    (height, width), (rows, columns) = size, wanted
    if picture.fit == "crop":
        part_height = min(height, max(1, round(width * rows / columns)))
        part_width = min(width, max(1, round(height * columns / rows)))
        return Boxes(((height - part_height) // 2, (width - part_width) // 2, part_height, part_width), (0, 0, rows, columns))
    if picture.fit == "letterbox":
        ratio = min(rows / height, columns / width)
        inner_rows, inner_columns = max(1, round(height * ratio)), max(1, round(width * ratio))
        top, left = round((rows - inner_rows) / 2 - 0.1), round((columns - inner_columns) / 2 - 0.1)
        return Boxes((0, 0, height, width), (top, left, inner_rows, inner_columns))
    return Boxes((0, 0, height, width), (0, 0, rows, columns))


@functools.lru_cache(maxsize=64)
def linear_taps(size: int, wanted: int, *, is_row: bool) -> Taps:
    """Return the two pixels along one side; a column's weights are those of its last pixel at an edge, as OpenCV has it."""
    middles = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    before = np.floor(middles)
    fraction = middles - before
    if not is_row:
        fraction = np.where((before < 0) | (before >= size - 1), np.float32(0), fraction)
    weights = np.rint(np.stack([np.float32(1) - fraction, fraction], axis=1) * np.float32(1 << LINEAR_BITS))
    first = np.clip(np.stack([before, before + 1], axis=1), 0, size - 1)
    return Taps(first.astype(np.int32), np.full(wanted, 2, np.int32), weights.astype(np.int32))


@functools.lru_cache(maxsize=64)
def taps(method: str, size: int, wanted: int) -> Taps:
    """Return the pixels along one side for the other methods."""
    scale = size / wanted
    middle = 0.5 * scale
    rows = []
    for index in range(wanted):
        if method == "nearest":
            rows.append((min(size - 1, int(middle)), np.ones(1)))
            middle += scale  # summed up as Pillow does, which decides where a middle is just between two
        elif method == "area":
            begin, end = index * scale, min(float(size), (index + 1) * scale)
            start, stop = int(begin), min(size, math.ceil(end - 1e-9))
            at = np.arange(start, max(stop, start + 1))
            rows.append((start, np.minimum(at + 1, end) - np.maximum(at, begin)))
        else:
            widening = max(scale, 1.0)
            centre = (index + 0.5) * scale
            start, stop = max(0, int(centre - widening + 0.5)), min(size, int(centre + widening + 0.5))
            rows.append((start, np.maximum(0.0, 1.0 - np.abs((np.arange(start, stop) - centre + 0.5) * (1.0 / widening)))))
    counts = np.array([len(weights) for _, weights in rows], np.int32)
    table = np.zeros((wanted, counts.max()), np.int32)
    for row, (_, weights) in zip(table, rows, strict=True):
        row[: len(weights)] = np.floor(weights / weights.sum() * (1 << TAP_BITS) + 0.5)
    return Taps(np.array([[start] for start, _ in rows], np.int32), counts, table)


def resized(pixels: np.ndarray, wanted: tuple[int, int], method: str) -> np.ndarray:
    """Return uint8 pixels (height, width, channels) in another size: the specification."""
    height, width, _ = pixels.shape
    values = pixels.astype(np.int64)
    if method == "bilinear":
        columns, rows = linear_taps(width, wanted[1], is_row=False), linear_taps(height, wanted[0], is_row=True)
        across = (values[:, columns.first] * columns.weights[..., None]).sum(axis=2)
        down = rows.weights[:, :, None, None] * (across[rows.first] >> 4) >> 16
        return ((down.sum(axis=1) + 2) >> 2).astype(np.uint8)
    columns, rows = taps(method, width, wanted[1]), taps(method, height, wanted[0])
    across = np.stack([_weighed(values, columns, index, 1) for index in range(wanted[1])], axis=1)
    return np.stack([_weighed(across, rows, index, 0) for index in range(wanted[0])], axis=0).astype(np.uint8)


def _weighed(values: np.ndarray, side: Taps, index: int, axis: int) -> np.ndarray:
    start, count = side.first[index, 0], side.counts[index]
    part = np.moveaxis(values, axis, -1)[..., start : start + count]
    total = part @ side.weights[index, :count].astype(np.int64)
    return np.clip((total + (1 << (TAP_BITS - 1))) >> TAP_BITS, 0, 255)

"""Slicing, `x[:, 1:3, ..., None]`: a crop, or a gather where steps are not 1, and a change of shape.

Keras 3 records it as an operation GetItem, Keras 2 as a SlicingOpLambda. Knows both spellings of a slice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.place import Place
from edgebn.formats.keras.settings import as_integer
from edgebn.layers import Crop, Gather, Identity, Reshape

_WHOLE = slice(None)


class Cut(NamedTuple):
    """What is taken of one axis: `size` elements from `start`, `step` apart."""

    start: int
    size: int
    step: int


def get_item(place: Place, key: Any) -> str:
    """Add what slicing the only input by `key` gives; `key` is as the file has it."""
    keys = _keys(key, len(place.shape) + 1)
    if keys[0] is None or keys[0] != _WHOLE:
        raise place.unsupported("it slices along the batch axis; edgebn runs sample by sample: leave the whole batch in place")
    cuts, shape = [], []
    axes = iter(place.shape)
    for item in keys[1:]:
        if item is None:
            shape.append(1)
            continue
        cut = _cut(item, next(axes))
        cuts.append(cut)
        if isinstance(item, slice):
            shape.append(cut.size)
    value = _taken(place, cuts)
    if place.shape_of(value) == tuple(shape):  # a Reshape would hide which axes are the image's
        return place.add(Identity, [value])
    return place.add(Reshape, [value], shape=tuple(shape))


def _keys(key: Any, rank: int) -> list[slice | int | None]:
    """Return one slice, index or new axis (None) after the other, with the ellipsis and what was left out filled in."""
    listed = [_key(item) for item in (key if isinstance(key, list) else [key])]
    named = sum(item is not None and item is not Ellipsis for item in listed)
    if named > rank or listed.count(Ellipsis) > 1:
        raise ModelError(f"its slice {str(key)[:60]} does not fit a value of {rank} axes with the batch's")
    place = listed.index(Ellipsis) if Ellipsis in listed else len(listed)
    filled = [*listed[:place], *[_WHOLE] * (rank - named), *listed[place + 1 :]]
    return [item for item in filled if item is not Ellipsis]


def _key(item: Any) -> Any:
    if item is None:
        return None
    if isinstance(item, dict):
        if item.get("class_name") == "__ellipsis__":
            return Ellipsis
        limits = item.get("config") if item.get("class_name") == "__slice__" else item
        if isinstance(limits, dict) and set(limits) == {"start", "stop", "step"}:
            return slice(*(None if limits[key] is None else as_integer(limits[key], key) for key in ("start", "stop", "step")))
    return as_integer(item, "index")


def _cut(item: slice | int, size: int) -> Cut:
    if isinstance(item, int):
        if not -size <= item < size:
            raise ModelError(f"its index {item} is outside an axis of {size}")
        return Cut(item % size, 1, 1)
    if item.step == 0:
        raise ModelError("its step is 0; the file is damaged")
    picked = range(*item.indices(size))
    if not picked:
        raise ModelError(f"its slice {item.start}:{item.stop}:{item.step} takes nothing of an axis of {size}")
    return Cut(picked.start, len(picked), picked.step if len(picked) > 1 else 1)


def _taken(place: Place, cuts: list[Cut]) -> str:
    """Add a crop, or a gather where some elements are apart or the other way round; return the value with all axes kept."""
    if all((cut.size, cut.step) == (size, 1) for cut, size in zip(cuts, place.shape, strict=True)):
        return place.input
    if all(cut.step == 1 for cut in cuts):
        starts, sizes = tuple(cut.start for cut in cuts), tuple(cut.size for cut in cuts)
        return place.add(Crop, [place.input], "crop", "cropped", starts=starts, sizes=sizes)
    picked = tuple(cut.start + cut.step * np.arange(cut.size) for cut in cuts)
    return place.add(Gather, [place.input], "pick", "picked", indices=picked)

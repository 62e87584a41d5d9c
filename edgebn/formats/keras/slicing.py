"""Slicing, `x[:, 1:3, ..., None]`: crops, a pooling of single cells where every n-th one is taken, and a change of shape.

Keras 3 records it as an operation GetItem, Keras 2 as a SlicingOpLambda. Knows both spellings of a slice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from edgebn.errors import ModelError
from edgebn.formats.keras.place import Place
from edgebn.formats.keras.settings import as_integer
from edgebn.layers import Concat, Crop, Identity, Pool, Reshape

_WHOLE = slice(None)
# Elements that are taken one by one: colour channels in another order.
_MAX_PIECES = 16


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
    """Add the crops, and return the value with all axes kept."""
    value, shape = place.input, place.shape
    ahead = [Cut(cut.start, (cut.size - 1) * cut.step + 1, 1) if cut.step > 0 else Cut(0, size, 1)
             for cut, size in zip(cuts, shape, strict=True)]  # fmt: skip
    if any(cut.size != size for cut, size in zip(ahead, shape, strict=True)):
        starts, sizes = tuple(cut.start for cut in ahead), tuple(cut.size for cut in ahead)
        value = place.add(Crop, [value], "crop", "cropped", starts=starts, sizes=sizes)
    spatial = len(shape) - 1 if len(shape) in (2, 3) else 0
    steps = tuple(cut.step if axis < spatial and cut.step > 0 else 1 for axis, cut in enumerate(cuts))
    if any(step > 1 for step in steps):
        pair = (1, steps[0]) if spatial == 1 else steps[:2]
        value = place.add(Pool, [value], "every", "picked", function="max", kernel=(1, 1), strides=pair)
    for axis, (cut, step) in enumerate(zip(cuts, steps, strict=True)):
        if cut.step not in (1, step):
            value = _pieces(place, value, axis, cut)
    return value


def _pieces(place: Place, value: str, axis: int, cut: Cut) -> str:
    """Add the joined single elements of one axis."""
    if cut.size > _MAX_PIECES:
        raise place.unsupported(
            f"it takes {cut.size} elements {cut.step} apart along axis {axis + 1}; edgebn does that for rows, columns and time "
            f"with a positive step, and for up to {_MAX_PIECES} elements otherwise"
        )
    sizes = tuple(1 if other == axis else size for other, size in enumerate(place.shape_of(value)))
    first = cut.start if cut.step < 0 else 0
    pieces = []
    for index in range(cut.size):
        starts = tuple(first + index * cut.step if other == axis else 0 for other in range(len(sizes)))
        name = f"axis{axis + 1}_{index}"
        pieces.append(place.add(Crop, [value], name, name, starts=starts, sizes=sizes))
    return place.add(Concat, pieces, f"axis{axis + 1}", f"axis{axis + 1}", axis=axis)

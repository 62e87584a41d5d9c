"""What Keras records of operations that take values apart, put them side by side or change the order of their axes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.moving import permuted
from edgebn.formats.keras.picking import picked
from edgebn.formats.keras.place import Place, Value
from edgebn.formats.keras.settings import as_integer, resolved_axis
from edgebn.layers import MAX_EXTENT, Concat, Crop, Reshape


def _part(place: Place, axis: int, begin: int, end: int, stage: str, output: str) -> str:
    shape = place.shape
    starts = tuple(begin if position == axis else 0 for position in range(len(shape)))
    sizes = tuple(end - begin if position == axis else size for position, size in enumerate(shape))
    return place.add(Crop, [place.input], stage, output, starts=starts, sizes=sizes)


def _axis(place: Place, rank: int, default: int = 0) -> int:
    given = place.settings.get("axis")
    return resolved_axis(default if given is None else as_integer(given, "axis"), rank, "axis")


def split(place: Place) -> list[str]:
    """split: equal parts, or parts between given places."""
    axis, given = _axis(place, len(place.shape)), place.settings.get("indices_or_sections")
    size = place.shape[axis]
    if isinstance(given, list):
        bounds = [0, *(as_integer(place_number, "indices_or_sections") for place_number in given), size]
    else:
        count = as_integer(given, "indices_or_sections")
        if count < 1 or size % count:
            raise ModelError(f"it splits an axis of {size} into {count} parts")
        bounds = list(range(0, size + 1, size // count))
    if any(begin >= end for begin, end in pairwise(bounds)):
        raise ModelError(f"it splits an axis of {size} at {bounds[1:-1]}")
    return [_part(place, axis, *ends, f"part{number}", f"part{number}") for number, ends in enumerate(pairwise(bounds))]


def unstack(place: Place) -> list[str]:
    """unstack: every element of an axis without that axis."""
    axis = _axis(place, len(place.shape))
    left = tuple(size for position, size in enumerate(place.shape) if position != axis)
    made = []
    for number in range(place.shape[axis]):
        part = _part(place, axis, number, number + 1, f"part{number}", f"part{number}")
        made.append(place.add(Reshape, [part], f"element{number}", f"element{number}", shape=left))
    return made


def stack(place: Place) -> str:
    """stack: values side by side along a new axis."""
    items = place.args[0] if place.args else place.kwargs.get("x")
    if not isinstance(items, list) or not items or not all(isinstance(item, Value) for item in items):
        raise place.unsupported("edgebn stacks values of the network, at least one and no constants")
    shape = place.shape_of(items[0])
    axis = _axis(place, len(shape) + 1)
    raised = (*shape[:axis], 1, *shape[axis:])
    if len(items) == 1:
        return place.add(Reshape, [str(items[0])], shape=raised)
    parts = [place.add(Reshape, [str(item)], f"part{number}", f"part{number}", shape=raised) for number, item in enumerate(items)]
    return place.add(Concat, parts, axis=axis)


def _positions(place: Place, key: str) -> list[int]:
    """Return axes of the settings that count the batch, as positions from 0."""
    value, rank = place.settings.get(key), len(place.shape) + 1
    listed = [as_integer(axis, key) for axis in (value if isinstance(value, list) else [value])]
    if not all(-rank <= axis < rank for axis in listed):
        raise ModelError(f"its {key} {listed} are outside a value of {rank} axes with the batch's")
    return [axis % rank for axis in listed]


def _reordered(place: Place, order: list[int]) -> str:
    if order[0] != 0:
        raise place.unsupported("it moves the batch axis; edgebn keeps it first")
    return permuted(place, order[1:])


def swap_axes(place: Place) -> str:
    """swapaxes: two axes in each other's place."""
    order = list(range(len(place.shape) + 1))
    (first,), (second,) = _positions(place, "axis1"), _positions(place, "axis2")
    order[first], order[second] = order[second], order[first]
    return _reordered(place, order)


def move_axes(place: Place) -> str:
    """moveaxis: some axes to other places, the rest in their order."""
    sources, targets = _positions(place, "source"), _positions(place, "destination")
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ModelError(f"it moves axes {sources} to {targets}")
    order = [axis for axis in range(len(place.shape) + 1) if axis not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return _reordered(place, order)


def repeat(place: Place) -> str:
    """repeat: each element of an axis several times in a row."""
    given: Any = place.settings.get("repeats")
    if place.settings.get("axis") is None:
        raise place.unsupported("it repeats all samples together; name an axis")
    axis = _axis(place, len(place.shape))
    counts = [as_integer(count, "repeats") for count in (given if isinstance(given, list) else [given])]
    if len(counts) not in (1, place.shape[axis]) or not all(0 <= count <= MAX_EXTENT for count in counts):
        raise ModelError(f"its repeats {str(given)[:60]} do not fit an axis of {place.shape[axis]}")
    return picked(place, {axis: np.repeat(np.arange(place.shape[axis]), counts)})

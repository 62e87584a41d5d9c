"""What Keras records of operations that pick elements: take, tile, flip, roll and pad, within a sample."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.operands import as_array
from edgebn.formats.keras.place import Place, Value
from edgebn.formats.keras.settings import as_integer, as_number, resolved_axis
from edgebn.layers import MAX_PICKED, Gather, Pad, Reshape

BATCH = "edgebn runs sample by sample; name axes behind the batch's"
COPIES: dict[Any, Literal["reflect", "symmetric"]] = {"reflect": "reflect", "symmetric": "symmetric"}


def _setting(place: Place, position: int, name: str) -> Any:
    if position < len(place.args):
        return place.args[position]
    return place.kwargs.get(name, place.settings.get(name))


def _integers(value: Any, what: str) -> list[int]:
    return [as_integer(number, what) for number in (value if isinstance(value, list | tuple) else [value])]


def picked(place: Place, indices: dict[int, np.ndarray], stage: str = "") -> str:
    """Add a gather of elements of some axes."""
    if any(len(one) == 0 for one in indices.values()) or sum(map(len, indices.values())) > MAX_PICKED:
        raise ModelError("it makes an empty value, or repeats one beyond reason")
    listed = tuple(indices.get(axis) for axis in range(len(place.shape)))
    return place.add(Gather, None, stage, stage, indices=listed)


def take(place: Place) -> str:
    """take: elements of one axis by constant indices; a number leaves the axis out."""
    argument, axis = _setting(place, 1, "indices"), _setting(place, 2, "axis")
    if isinstance(argument, Value):
        raise place.unsupported("it picks by indices that the network computes; edgebn picks by constants from Keras files")
    if axis is None:
        raise place.unsupported(f"it picks from all samples together; {BATCH}")
    number = resolved_axis(as_integer(axis, "axis"), len(place.shape), "axis")
    size, wanted = place.shape[number], as_array(argument, "indices")
    if (wanted != np.floor(wanted)).any() or (wanted < -size).any() or (wanted >= size).any():
        raise ModelError(f"its indices leave an axis of {size}")
    indices = (wanted.reshape(-1).astype(np.int64)) % size
    shape = (*place.shape[:number], *wanted.shape, *place.shape[number + 1 :])
    if wanted.ndim == 1:
        return picked(place, {number: indices})
    return place.add(Reshape, [picked(place, {number: indices}, "picked")], shape=shape)


def tile(place: Place) -> str:
    """tile: the whole sample over and over."""
    repeats = _integers(_setting(place, 1, "repeats"), "repeats")
    rank = len(place.shape) + 1
    repeats = [1] * (rank - len(repeats)) + repeats
    if len(repeats) != rank or repeats[0] != 1 or min(repeats) < 1:
        raise place.unsupported(f"it repeats {tuple(repeats)} times; {BATCH}")
    return picked(place, {axis: np.tile(np.arange(place.shape[axis]), count) for axis, count in enumerate(repeats[1:])})


def flip(place: Place) -> str:
    """flip: axes backwards."""
    axes = _setting(place, 1, "axis")
    if axes is None:
        raise place.unsupported(f"it turns the batch around; {BATCH}")
    numbers = [resolved_axis(axis, len(place.shape), "axis") for axis in _integers(axes, "axis")]
    return picked(place, {axis: np.arange(place.shape[axis])[::-1].copy() for axis in numbers})


def roll(place: Place) -> str:
    """roll: what leaves one end comes in at the other."""
    axes = _setting(place, 2, "axis")
    if axes is None:
        raise place.unsupported(f"it moves elements from sample to sample; {BATCH}")
    numbers = [resolved_axis(axis, len(place.shape), "axis") for axis in _integers(axes, "axis")]
    shifts = _integers(_setting(place, 1, "shift"), "shift")
    if len(shifts) not in (1, len(numbers)):
        raise ModelError(f"it has {len(shifts)} shifts for {len(numbers)} axes")
    indices = {axis: np.arange(place.shape[axis]) for axis in numbers}
    for axis, shift in zip(numbers, shifts * (len(numbers) if len(shifts) == 1 else 1), strict=True):
        indices[axis] = np.roll(indices[axis], shift)
    return picked(place, indices)


def pad(place: Place) -> str:
    """pad: by a constant, or by the value's own elements."""
    widths, mode = _setting(place, 1, "pad_width"), _setting(place, 2, "mode") or "constant"
    rank = len(place.shape) + 1
    pairs = [_integers(pair, "pad_width") for pair in widths] if isinstance(widths, list | tuple) and widths else []
    pairs = pairs * rank if len(pairs) == 1 else pairs
    if len(pairs) != rank or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ModelError(f"its widths {str(widths)[:60]} should be two numbers an axis")
    if pairs[0] != [0, 0]:
        raise place.unsupported(f"it pads the batch; {BATCH}")
    sides = tuple((before, after) for before, after in pairs[1:])
    if mode == "constant":
        value = _setting(place, 3, "constant_values")
        return place.add(Pad, pads=sides, value=0.0 if value is None else as_number(value, "constant_values"))
    if mode not in COPIES:
        raise place.unsupported(f"it pads in the mode '{str(mode)[:40]}'; edgebn has constant, reflect and symmetric")
    most = [size - (mode == "reflect") for size in place.shape]
    if any(max(side) > size for side, size in zip(sides, most, strict=True)):
        raise ModelError(f"it pads a value of shape {place.shape} by {sides}, more than its elements")
    return picked(place, {axis: np.pad(np.arange(place.shape[axis]), side, mode=COPIES[mode]) for axis, side in enumerate(sides)})

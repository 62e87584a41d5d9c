"""Typed access to one layer's configuration. Every value is checked, since a damaged file can hold anything.

Knows JSON values only; its errors name no layer, since `network` adds file and layer to every message.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgebn.errors import ModelError
from edgebn.layers import MAX_EXTENT

_MISSING = object()


@dataclass(frozen=True)
class Settings:
    """The configuration dictionary of a layer.

    Attributes
    ----------
    values : dict of str to Any
        As JSON gives it.
    """

    values: dict[str, Any]

    def get(self, key: str) -> Any:
        """Return the raw value, None where it is absent."""
        return self.values.get(key)

    def text(self, key: str, default: str) -> str:
        """Return a string; null and absent mean the default."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise _wrong(key, value, "text")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return a truth value; null and absent mean the default."""
        return as_flag(self.values.get(key), key, default)

    def number(self, key: str, default: float) -> float:
        """Return a finite number; null and absent mean the default."""
        value = self.values.get(key)
        return default if value is None else as_number(value, key)

    def integer(self, key: str, default: int | None = None) -> int:
        """Return an integer; null and absent mean the default, or are refused where there is none."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise ModelError(f"its configuration has no '{key}'; the file is damaged")
            return default
        return as_integer(value, key)

    def sizes(self, key: str, rank: int, default: int | None = None) -> tuple[int, ...]:
        """Return one positive integer an axis; a single number stands for all axes."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise ModelError(f"its configuration has no '{key}'; the file is damaged")
            value = default
        listed = value if isinstance(value, list) else [value] * rank
        if len(listed) != rank:
            raise _wrong(key, value, f"{rank} numbers")
        sizes = tuple(as_integer(item, key) for item in listed)
        if not all(1 <= size <= MAX_EXTENT for size in sizes):
            raise _wrong(key, value, f"between 1 and {MAX_EXTENT}")
        return sizes

    def pair(self, key: str, rank: int, default: int | None = None) -> tuple[int, int]:
        """Return (height, width) for a layer with `rank` spatial axes; height is 1 for one axis."""
        sizes = self.sizes(key, rank, default)
        return (1, sizes[0]) if rank == 1 else (sizes[0], sizes[1])

    def sides(self, key: str, rank: int, default: int) -> tuple[tuple[int, int], ...]:
        """Return (before, after) of each spatial axis, from Keras' many ways to say it."""
        value = self.values.get(key)
        value = default if value is None else value
        if not isinstance(value, list):
            value = [value] * rank if rank > 1 else [value, value]
        if rank == 1:
            value = [value]
        if len(value) != rank:
            raise _wrong(key, value, f"given for {rank} axes")
        sides = []
        for item in value:
            before, after = item if isinstance(item, list) and len(item) == 2 else (item, item)
            sides.append((as_integer(before, key), as_integer(after, key)))
        if not all(0 <= side <= MAX_EXTENT for pair in sides for side in pair):
            raise _wrong(key, value, f"between 0 and {MAX_EXTENT}")
        return tuple(sides)

    def channels_first(self) -> bool:
        """Whether `data_format` says channels first."""
        value = self.text("data_format", "channels_last")
        if value not in ("channels_first", "channels_last"):
            raise _wrong("data_format", value, "channels_first or channels_last")
        return value == "channels_first"


def as_flag(value: Any, key: str, default: bool = False) -> bool:
    """Return a truth value, which some tools write as 1 and 0, or refuse; None means the default."""
    if value is None:
        return default
    if not isinstance(value, int | float) or value not in (0, 1):
        raise _wrong(key, value, "true or false")
    return bool(value)


def as_integer(value: Any, key: str) -> int:
    """Return `value` as an int, or refuse; a whole number may be written as 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1 << 31:
        raise _wrong(key, value, "an integer")
    return value


def as_number(value: Any, key: str) -> float:
    """Return `value` as a finite float, or refuse."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e38 or not math.isfinite(value):
        raise _wrong(key, value, "a finite number")
    return float(value)


def as_numbers(value: Any, key: str) -> Any:
    """Return `value`, a number or lists of numbers in any nesting, as NumPy can take it, or refuse.

    Keras 3 wraps arrays as {"class_name": "__numpy__", "config": {"value": ...}}.
    """
    wrapped = value.get("config") if isinstance(value, dict) else None
    if isinstance(wrapped, dict):
        value = wrapped.get("value")
    if not isinstance(value, list):
        return float(value) if isinstance(value, bool) else as_number(value, key)
    return [as_numbers(item, key) for item in value]


def resolved_axis(axis: int, rank: int, what: str) -> int:
    """Turn an axis that counts the batch into one of a shape of `rank` axes without it."""
    without_batch = axis + rank if axis < 0 else axis - 1
    if not 0 <= without_batch < rank:
        raise ModelError(f"its {what} {axis} is outside an input of {rank} axes besides the batch; the batch axis cannot be used")
    return without_batch


def _wrong(key: str, value: Any, wanted: str) -> ModelError:
    return ModelError(f"its '{key}' is {str(value)[:60]!r}; it should be {wanted}")

"""Adds the several layers of the graph that one layer or operation of Keras becomes; knows none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.keras.operands import Operand
from edgebn.formats.keras.place import Place
from edgebn.layers import Constant, Layer, Reshape, Transpose


@dataclass(frozen=True)
class Parts:
    """Adds the graph layers that one Keras layer becomes, each under a name of its own.

    Attributes
    ----------
    place : Place
    prefix : str
        Sets apart the layers of one product from those of another.
    """

    place: Place
    prefix: str = ""

    def below(self, part: str) -> Parts:
        """Return those of one part."""
        return Parts(self.place, f"{self.prefix}{part}_")

    def add(self, kind: type[Layer], inputs: Sequence[str], part: str, **fields: Any) -> str:
        """Add a layer and return its value."""
        label = f"{self.prefix}{part}"
        return self.place.add(kind, list(inputs), label, label, **fields)

    def constant(self, array: np.ndarray | float, part: str) -> str:
        """Add a constant and return its value."""
        return self.place.constant(array, f"{self.prefix}{part}")

    def shape(self, value: Operand) -> tuple[int, ...]:
        """Return an operand's shape."""
        return tuple(value.shape) if isinstance(value, np.ndarray) else self.place.shape_of(value)

    def reshaped(self, value: Operand, shape: Sequence[int], part: str) -> Operand:
        """Return an operand of another shape."""
        if isinstance(value, np.ndarray):
            return value.reshape(shape)
        return value if self.shape(value) == tuple(shape) else self.add(Reshape, [value], part, shape=tuple(shape))

    def moved(self, value: Operand, order: Sequence[int], part: str) -> Operand:
        """Return an operand with its axes in another order."""
        if isinstance(value, np.ndarray):
            return value.transpose(order)
        return value if list(order) == sorted(order) else self.add(Transpose, [value], part, permutation=tuple(order))

    def named(self, value: Operand, part: str) -> str:
        """Return an operand as a value of the graph."""
        if isinstance(value, str):
            return value
        return self.add(Constant, [], part, value=np.ascontiguousarray(value, np.float32))

"""What flows between nodes while a program is read: arrays known now, and values known only when the network runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgebn.formats.sample_context import Placed
from edgebn.layers import Quantization


class Codes(NamedTuple):
    """The int8 codes that an array of real numbers stands for."""

    array: np.ndarray
    quantization: Quantization


@dataclass(frozen=True)
class Static:
    """An array known while reading: a weight, a buffer, or arithmetic on them; `codes` where the program dequantises it."""

    array: np.ndarray
    codes: Codes | None = None


@dataclass(frozen=True)
class Dynamic(Placed):
    """A value that exists when the network runs.

    Attributes
    ----------
    memory : str
        Values with the same memory may be views of each other, so that changing one in place changes the others.
    view : str
        Values with the same memory and view are one and the same.
    whole : bool
        Whether it is whole numbers or truth (int32), not real numbers.
    truth : bool
        Whether it is truth, 1 and 0.
    quantization : Quantization or None
        Of a value that is codes, which only a dequantize reads.
    """

    memory: str
    view: str
    whole: bool = False
    truth: bool = False
    quantization: Quantization | None = None


class Stale(NamedTuple):
    """A view of a value that was then changed in place: what it holds is no longer known."""

    changed_by: str


class Symbol(NamedTuple):
    """A whole number that depends on the input's size, with the number it had when the module was exported."""

    value: int


Value = Static | Dynamic

"""What flows between nodes while a file is read: arrays known now, and values known only when the network runs.

Knows nothing of protobuf and of single operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.sample_context import Placed
from edgebn.layers import Quantization

MAX_CONSTANT_ELEMENTS = 1 << 27  # VGG's first dense layer has 103 million weights


@dataclass(frozen=True)
class Codes:
    """The int8 codes behind a dequantised constant, kept so that quantised weights stay what the file says.

    Attributes
    ----------
    array : ndarray of int8 or int32
        uint8 codes are shifted by -128.
    quantization : Quantization
        Of `array`; its axis counts all axes of the array.
    """

    array: np.ndarray
    quantization: Quantization


@dataclass(frozen=True)
class Static:
    """An array known while reading: a weight, or the result of shape arithmetic.

    Attributes
    ----------
    array : ndarray
        Of any type that the file uses.
    codes : Codes or None
        Set when a DequantizeLinear made it from integers.
    counts_rows : bool
        Whether it was worked out of a number of rows that only a run tells (see `vacant.py`) and here is the most there can be.
    """

    array: np.ndarray
    codes: Codes | None = None
    counts_rows: bool = False

    @property
    def empty(self) -> bool:
        """Whether it holds no element: what a network makes of no elements is known while reading too."""
        return self.array.size == 0


@dataclass(frozen=True)
class Unit:
    """What a value is counted in where the file computes scales as it runs: it is what its tensor holds times this.

    Attributes
    ----------
    scale : str
        The scale's name in the file.
    power : int
        Of the scale: -1 for codes less their zero point and their products, 1 for the scale itself, 0 for its zero point.
    factor : ndarray
        What the scale was multiplied by since.
    """

    scale: str
    power: int
    factor: np.ndarray


@dataclass(frozen=True)
class Dynamic(Placed):
    """A value that exists when the network runs.

    Attributes
    ----------
    quantization : Quantization or None
        None for float32; set when the value is int8 codes.
    shift : int
        128 when the file's codes are uint8 (ours are lower by that), else 0.
    unit : Unit or None
        Set where the file computes a scale as it runs: of scales and zero points there is no tensor then.
    whole : bool
        Whether it is whole numbers or truth (int32), not real numbers or codes.
    stands_for : Quantization or None
        Of int16 codes with a zero point, which the tensor holds as real numbers.
    """

    quantization: Quantization | None = None
    shift: int = 0
    unit: Unit | None = None
    whole: bool = False
    stands_for: Quantization | None = None


Value = Static | Dynamic


def check_elements(shape: tuple[int, ...], what: str) -> None:
    """Refuse a shape that is negative or too large before anything of that shape is made."""
    elements = 1
    for size in shape:
        elements *= int(size)
    if any(int(size) < 0 for size in shape) or elements > MAX_CONSTANT_ELEMENTS:
        raise ModelError(
            f"{what} has shape {tuple(int(size) for size in shape)}, which is negative or larger than "
            f"{MAX_CONSTANT_ELEMENTS} elements; the file is damaged or the network is too large for edgebn"
        )

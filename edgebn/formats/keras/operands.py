"""Operands of arithmetic, values of the graph and constants, brought to shapes without the batch axis.

Keras broadcasts whole arrays, the batch axis among them: a constant of shape (1, 5) stands beside values of shape (N, 5). Knows
how operands are written and how they broadcast, nothing of what is done with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.place import Place, Value
from edgebn.formats.keras.settings import as_numbers

Operand = str | np.ndarray

_BY_SAMPLE = "edgebn runs sample by sample, so a constant has 1 there or leaves the batch axis out"


def operand(argument: Any, what: str) -> Operand:
    """Return an argument of a call as the name of a value or as an array."""
    if isinstance(argument, Value):
        return str(argument)
    if argument is None:
        raise ModelError(f"its {what} is missing; the file is damaged")
    return as_array(argument, what)


def as_array(value: Any, what: str) -> np.ndarray:
    """Return a number, or numbers in nested lists, as a float32 array."""
    try:
        return np.asarray(as_numbers(value, what), dtype=np.float32)
    except ValueError:
        raise ModelError(f"its '{what}' {str(value)[:60]} is no regular array") from None


def without_batch(place: Place, array: np.ndarray, rank: int) -> np.ndarray:
    """Return a constant as it stands beside samples, where it stands beside values of `rank` axes with the batch's.

    Raises
    ------
    UnsupportedLayerError
        It differs from sample to sample, or moves the batch axis.
    """
    if array.ndim > rank:
        raise place.unsupported(
            f"its constant of shape {array.shape} has more axes than the {rank} of its input, whose batch axis it would move; "
            "leave the leading axes out"
        )
    if array.ndim and array.ndim == rank:
        if array.shape[0] != 1:
            raise place.unsupported(f"its constant of shape {array.shape} differs along the batch axis; {_BY_SAMPLE}")
        array = array[0]
    return array


def broadcast(place: Place, operands: list[Operand]) -> list[Operand]:
    """Return operands that broadcast as samples, where Keras broadcasts whole arrays by NumPy's rule."""
    ranks = {operand: _rank(place, operand) for operand in operands if isinstance(operand, str)}
    if not ranks:
        raise ModelError("it computes with constants only; the file is damaged")
    rank = max(ranks.values())
    shorter = next((value for value, own in ranks.items() if own < rank), None)
    if shorter is not None:
        raise place.unsupported(
            f"its inputs have {ranks[shorter]} and {rank} axes with the batch's, so that the batch axis of one would meet another "
            "axis; give both the same number with a Reshape layer"
        )
    return [operand if isinstance(operand, str) else without_batch(place, operand, rank) for operand in operands]


def merged(place: Place, operands: list[Operand]) -> list[Operand]:
    """Return operands that broadcast as samples, where Keras puts axes of size 1 behind the batch axis of the shorter ones."""
    rank = max(_rank(place, operand) for operand in operands)
    return [operand if isinstance(operand, str) else _expanded(place, operand, rank) for operand in operands]


def _expanded(place: Place, array: np.ndarray, rank: int) -> np.ndarray:
    if not array.ndim:
        return without_batch(place, array, rank)
    shape = (array.shape[0], *(1,) * (rank - array.ndim), *array.shape[1:])
    return without_batch(place, array.reshape(shape), rank)


def _rank(place: Place, operand: Operand) -> int:
    return len(place.shape_of(operand)) + 1 if isinstance(operand, str) else operand.ndim


def named(place: Place, operand: Operand, stage: str) -> str:
    """Return an operand's name in the graph; a constant becomes a layer."""
    return operand if isinstance(operand, str) else place.constant(operand, stage)

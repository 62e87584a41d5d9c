"""Recurrent layers as ordinary ones: a Dense for what every moment adds to the gates by itself, and a `Recurrence`.

Every format has its own order of gates and its own biases; `Cell` holds them in the order of `layers.Recurrence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.layers import CELLS, Concat, Dense, Recurrence, Reshape, Transpose

# Where `layers.Recurrence` has its gates in what a format has: input, forget, output, candidate; update, reset, candidate.
ORDERS = {"ifgo": (0, 1, 3, 2), "iofg": (0, 2, 1, 3), "zrn": (0, 1, 2), "rzn": (1, 0, 2), "": (0,)}


@dataclass(frozen=True)
class Cell:
    """One direction of a recurrent layer.

    Attributes
    ----------
    kind : str
        One of `CELLS`.
    inputs, weight : ndarray of float32, shape (gates * units, inputs) and (gates * units, units)
        What multiplies with a moment and with the state.
    bias : ndarray of float32, shape (gates * units,), or None
        Everything that is added to the gates.
    hidden_bias : ndarray of float32, shape (units,), or None
        Of a GRU's candidate, as `Recurrence.bias` is.
    settings : dict
        Of the other fields of `Recurrence`.
    """

    kind: str
    inputs: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None = None
    hidden_bias: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """How many numbers a state has."""
        return int(self.weight.shape[1])

    @property
    def resets_after(self) -> bool:
        """Whether the candidate's bias goes through the reset gate."""
        return self.kind == "gru" and bool(self.settings.get("reset_after", True))


def cell(
    kind: str,
    order: str,
    inputs: np.ndarray,
    weight: np.ndarray,
    biases: Sequence[np.ndarray | None] = (),
    **settings: Any,
) -> Cell:
    """Return a cell of arrays whose gates have one of `ORDERS`; their shapes have been checked.

    Parameters
    ----------
    kind, order : str
    inputs, weight : ndarray of float32, shape (gates * units, inputs) and (gates * units, units)
    biases : (of the product with the moment, of that with the state)
        Each (gates * units,) or None.
    """
    units = weight.shape[1]
    inputs, weight = (_in_order(array, order, units) for array in (inputs, weight))
    of_moment, of_state = ([_in_order(one, order, units) if one is not None else None for one in biases] + [None, None])[:2]
    made = Cell(kind, inputs, weight, settings=settings)
    if of_state is not None and made.resets_after:
        made = replace(made, hidden_bias=of_state[-units:])
        of_state = np.concatenate([of_state[:-units], np.zeros(units, np.float32)])
    given = [one for one in (of_moment, of_state) if one is not None]
    return replace(made, bias=sum(given[1:], given[0]) if given else None)


def fits(made: Cell, width: int) -> bool:
    """Whether a cell's arrays fit each other and moments of `width` numbers."""
    gates = CELLS[made.kind] * made.units
    shapes = made.inputs.shape == (gates, width) and made.weight.shape == (gates, made.units) and made.units > 0
    return shapes and all(
        array is None or array.shape == (size,) for array, size in ((made.bias, gates), (made.hidden_bias, made.units))
    )


def _in_order(array: np.ndarray, order: str, units: int) -> np.ndarray:
    parts = [array[gate * units : (gate + 1) * units] for gate in ORDERS[order]]
    return np.ascontiguousarray(np.concatenate(parts), np.float32)


def in_directions(
    node: Any,
    context: Any,
    x: Any,
    cells: Sequence[Cell],
    states: Sequence[Sequence[Any]],
    backwards: Sequence[bool],
    part: str = "",
    *,
    gives_cell: bool,
) -> list[Any]:
    """Append what goes through the moments of x in every direction, and return the states of each, (N, T, units).

    Parameters
    ----------
    node, context
        Of the reader of ONNX or of PyTorch.
    x : Value
        (N, T, inputs), the batch in front.
    cells : sequence of Cell
        One a direction.
    states : sequence of (sequence of Value)
        Of each direction first state and first cell, (N, 1, units) each; none for zeros.
    backwards : sequence of bool
    part : str
        Names the layers.
    gives_cell : bool
        One moment more holds the cell that came last.
    """
    found = []
    for made, first, last_first in zip(cells, states, backwards, strict=True):
        name = f"{part}backwards_" if last_first else part
        gates = context.emit(node, Dense, x, part=f"{name}gates", weight=made.inputs, bias=made.bias)
        fields = {"cell": made.kind, "weight": made.weight, "bias": made.hidden_bias, **made.settings}
        found.append(
            context.emit(
                node,
                Recurrence,
                gates,
                *first,
                part=f"{name}states",
                backwards=last_first,
                gives_cell=gives_cell,
                **fields,
            )
        )
    return found


def every_moment(node: Any, context: Any, rows: Sequence[Any], length: int, part: str = "") -> Any:
    """Append what joins the states of all directions, (N, T, directions * units)."""
    moments = [
        # Where there is a cell, it is behind them.
        context.crop(node, value, (0, 0, 0), (value.shape[0], length, value.shape[2]), part=f"{part}moments_{direction}")
        if value.shape[1] > length
        else value
        for direction, value in enumerate(rows)
    ]
    return joined(node, context, moments, 2, f"{part}joined")


def last_moment(
    node: Any, context: Any, rows: Sequence[Any], backwards: Sequence[bool], length: int, part: str = "", *, cell: bool
) -> Any:
    """Append what takes the states, or cells, that came last in every direction, (N, directions, units)."""
    name = f"{part}{'cell' if cell else 'state'}"
    found = [
        _one_row(node, context, value, length if cell else 0 if last_first else length - 1, f"{name}_{direction}")
        for direction, (value, last_first) in enumerate(zip(rows, backwards, strict=True))
    ]
    return joined(node, context, found, 1, f"{name}_joined")


def first_state(node: Any, context: Any, value: Any, which: int, part: str) -> Any:
    """Append what takes one of several first states (N, states, units)."""
    return _one_row(node, context, value, which, part) if value.shape[1] > 1 else value


def constant_state(node: Any, context: Any, array: np.ndarray, sequences: int, part: str) -> Any:
    """Append a constant first state (N, units) of all samples, of so many sequences each."""
    blocks = array.reshape(-1, sequences, array.shape[1])
    if (blocks != blocks[:1]).any():
        raise node.refuse("its first state differs from sample to sample; edgebn runs each sample by itself")
    own = blocks[0][:, np.newaxis] if sequences > 1 else blocks[0]
    return context.array(node, np.asarray(own, np.float32), part)


def sequences_of(context: Any, x: Any) -> int:
    """Return how many sequences (N, T, C) holds of one sample."""
    return int(np.prod(context.batch.sample(x.shape, x.place)[:-2]))


def _one_row(node: Any, context: Any, rows: Any, moment: int, part: str) -> Any:
    return context.crop(node, rows, (0, moment, 0), (rows.shape[0], 1, rows.shape[2]), part=part)


def joined(node: Any, context: Any, parts: Sequence[Any], axis: int, part: str) -> Any:
    """Append what joins values of equal shapes along an axis that is not the batch's; of one nothing."""
    return context.moved(node, Concat, *parts, part=part, axis=axis - parts[0].place.leading) if len(parts) > 1 else parts[0]


def batch_in_front(node: Any, context: Any, x: Any, part: str) -> Any:
    """Append what turns (A, N, C), the batch in axis 1, into (N, A, C)."""
    if x.place.axis != 1 and not context.batch.single:
        raise context.apart(node, f"its input of shape {x.shape} does not have the batch in its second axis")
    return _whole(node, context, context.transpose(node, x, (1, 0, 2), part=f"{part}turned"), part)


def with_batch_in_front(node: Any, context: Any, x: Any, part: str) -> Any:
    """Return (N, A, C), or refuse it where the batch is elsewhere."""
    if x.place.axis != 0 and not context.batch.single:
        raise context.apart(node, f"its input of shape {x.shape} does not have the batch in its first axis")
    return _whole(node, context, x, part)


def _whole(node: Any, context: Any, x: Any, part: str) -> Any:
    """Return (N, A, C) with the first axis left out where it is the batch alone, else with all of them."""
    if x.place.leading or sequences_of(context, x) > 1:
        return x
    return context.moved(node, Reshape, x, part=f"{part}samples", place=Place(0, 1), shape=x.shape[1:])


def turned(node: Any, context: Any, x: Any, permutation: Sequence[int], output: int) -> Any:
    """Append what turns a value with the batch in front into one of the node's outputs."""
    x = context.spread(node, x)
    place = Place(None if x.place.axis is None else permutation.index(0), 0)
    return context.moved(node, Transpose, x, output=output, place=place, permutation=tuple(permutation))

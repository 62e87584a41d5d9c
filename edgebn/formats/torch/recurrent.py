"""torch.nn's LSTM, GRU and RNN, and one moment of them: LSTMCell, GRUCell and RNNCell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebn.formats import recurrent
from edgebn.formats.batch_axis import BatchAxisError
from edgebn.formats.recurrent import Cell
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static, Value
from edgebn.layers import CELL_STATES

ORDERS = {"lstm": "ifgo", "gru": "rzn", "rnn": ""}
BATCH_FIRST = "give the module batch_first=True, or export it with one sample"

Reader = Callable[[Node, Context], tuple[Dynamic, ...]]


class NoBatchError(BatchAxisError):
    """A layer goes through one sequence along what would be the batch axis: the network has none."""


def layers(kind: str, function: str = "tanh") -> Reader:
    """Return the reader of aten.lstm, aten.gru, aten.rnn_tanh or aten.rnn_relu: layers on layers, of one or two directions."""

    def read(node: Node, context: Context) -> tuple[Dynamic, ...]:
        if node.has("batch_sizes"):
            raise node.refuse("its sequences are packed (pack_padded_sequence); edgebn goes through whole sequences")
        count, backwards = node.integer("num_layers"), (False, True) if node.flag("bidirectional") else (False,)
        if node.flag("train") and node.number("dropout") and count > 1:
            raise node.refuse("it drops values between its layers as in training; call eval() before the export")
        x, batch_first = node.dynamic("input"), node.flag("batch_first")
        if len(x.shape) != 3:
            raise node.damaged(f"its input has shape {x.shape}; it should have three axes")
        batch = 0 if batch_first else 1
        if not context.batch.single and x.place.axis == 1 - batch and x.shape[batch] == 1:
            raise NoBatchError(str(node.refuse("its moments are in the batch axis")))
        if not batch_first and x.place.axis != 1 and not context.batch.single:
            raise context.apart(node, f"its input of shape {x.shape} has its batch elsewhere than in axis 1: {BATCH_FIRST}")
        to_front = recurrent.with_batch_in_front if batch_first else recurrent.batch_in_front
        moments = to_front(node, context, x, "")
        length, several = moments.shape[1], len(backwards)
        cells = _cells(node, kind, function, count * several)
        states = _first_states(node, context, moments, kind, cells[0].units, len(cells))
        uses = [place < len(node.used) and node.used[place] for place in range(1 + CELL_STATES[kind])]
        gives_cell = kind == "lstm" and uses[2]
        lasts: list[list[Dynamic]] = [[], []]
        for layer in range(count):
            mine = slice(layer * several, (layer + 1) * several)
            if not all(recurrent.fits(cell, moments.shape[2]) for cell in cells[mine]):
                raise node.damaged(f"its weights do not fit an input of shape {moments.shape}")
            part = f"layer{layer}_"
            rows = recurrent.in_directions(
                node, context, moments, cells[mine], states[mine], backwards, part, gives_cell=gives_cell
            )
            for place, found in enumerate(lasts[: len(uses) - 1], start=1):
                if uses[place]:
                    found.append(recurrent.last_moment(node, context, rows, backwards, length, part, cell=place == 2))
            moments = recurrent.every_moment(node, context, rows, length, part)
        outputs = [recurrent.turned(node, context, moments, (0, 1, 2) if batch_first else (1, 0, 2), 0)]
        for place, found in enumerate(lasts, start=1):
            joined = recurrent.joined(node, context, found, 1, f"last{place}") if found else outputs[0]
            outputs.append(recurrent.turned(node, context, joined, (1, 0, 2), place) if found else joined)
        return tuple(outputs[: len(node.outputs)])

    return read


def one_moment(kind: str, function: str = "tanh") -> Reader:
    """Return the reader of aten.lstm_cell, aten.gru_cell, aten.rnn_tanh_cell or aten.rnn_relu_cell."""

    def read(node: Node, context: Context) -> tuple[Dynamic, ...]:
        x = node.dynamic("input")
        if len(x.shape) != 2:
            raise node.damaged(f"its input has shape {x.shape}; it should have two axes")
        arrays = [node.weight(name) for name in ("w_ih", "w_hh")]
        cell = _cell(node, kind, function, arrays, [node.optional_weight(name) for name in ("b_ih", "b_hh")])
        if not recurrent.fits(cell, x.shape[1]):
            raise node.damaged(f"its weights do not fit an input of shape {x.shape}")
        given = node.values("hx") if kind == "lstm" else [node.value("hx")]
        moment = _moment(node, context, x, "moment")
        states = [
            _moment(node, context, value, f"first{place}")
            if isinstance(value, Dynamic)
            else recurrent.constant_state(node, context, value.array, recurrent.sequences_of(context, moment), f"first{place}")
            for place, value in enumerate(given)
        ]
        rows = recurrent.in_directions(node, context, moment, [cell], [states], [False], gives_cell=kind == "lstm")
        found = []
        for output in range(len(node.outputs)):
            last = recurrent.last_moment(node, context, rows, [False], 1, cell=output == 1)
            found.append(context.without_axis(node, last, 1, output=output))
        return tuple(found)

    return read


def _moment(node: Node, context: Context, x: Dynamic, part: str) -> Dynamic:
    """Return (N, C) as a sequence of one moment, (N, 1, C)."""
    return context.reshape(node, x, (x.shape[0], 1, x.shape[1]), axis=x.place.axis, part=part)


def _cells(node: Node, kind: str, function: str, count: int) -> list[Cell]:
    """Return the cell of every direction of every layer."""
    each = 4 if node.flag("has_biases") else 2
    given = node.values("params")
    if len(given) == count * (each + 1):
        raise node.refuse("its states are projected (proj_size); edgebn runs cells whose outputs are their states")
    if count < 1 or len(given) != count * each:
        raise node.damaged(f"it has {len(given)} arrays of weights; {count * each} are wanted")
    arrays = [_weight(node, value) for value in given]
    return [
        _cell(node, kind, function, arrays[first : first + 2], arrays[first + 2 : first + each])
        for first in range(0, len(arrays), each)
    ]


def _cell(node: Node, kind: str, function: str, arrays: Sequence[np.ndarray], biases: Sequence[np.ndarray | None]) -> Cell:
    if any(array.ndim != 2 for array in arrays) or not arrays[1].size:
        raise node.damaged(f"its weights have shapes {' and '.join(str(array.shape) for array in arrays)}")
    return recurrent.cell(kind, ORDERS[kind], arrays[0], arrays[1], biases, function=function)


def _weight(node: Node, value: Value) -> np.ndarray:
    if not isinstance(value, Static):
        raise node.refuse("its weights are computed by the network; edgebn needs them as weights of the module")
    array = np.asarray(value.array, np.float32)
    if not np.isfinite(array).all():
        raise node.damaged("its weights hold NaN or infinite numbers")
    return array


def _first_states(node: Node, context: Context, x: Dynamic, kind: str, units: int, count: int) -> list[list[Dynamic]]:
    """Return first state and cell of every direction of every layer, where they are not all zeros; x is what they go through."""
    given = node.values("hx") if kind == "lstm" else [node.value("hx")]
    if len(given) != CELL_STATES[kind]:
        raise node.damaged(f"it has {len(given)} first states")
    for value in given:
        shape = value.shape if isinstance(value, Dynamic) else value.array.shape
        if tuple(shape) != (count, x.shape[0], units):
            raise node.damaged(f"its first state has shape {tuple(shape)}; it should have {(count, x.shape[0], units)}")
    if all(isinstance(value, Static) and not value.array.any() for value in given):
        return [[] for _ in range(count)]
    found: list[list[Dynamic]] = [[] for _ in range(count)]
    for place, value in enumerate(given):
        front = recurrent.batch_in_front(node, context, value, f"first{place}_") if isinstance(value, Dynamic) else None
        for which, states in enumerate(found):
            part = f"first{place}_{which}"
            if front is not None:
                states.append(recurrent.first_state(node, context, front, which, part))
            else:
                assert isinstance(value, Static)
                states.append(recurrent.constant_state(node, context, value.array[which], recurrent.sequences_of(context, x), part))
    return found

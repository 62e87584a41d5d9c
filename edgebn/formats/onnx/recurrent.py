"""LSTM, GRU and RNN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.formats import recurrent
from edgebn.formats.batch_axis import Batch
from edgebn.formats.onnx import weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.formats.recurrent import Cell
from edgebn.layers import CELL_STATES, CELLS, Reshape

ORDERS = {"lstm": "iofg", "gru": "zrn", "rnn": ""}
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
# Its functions, one direction's, where the node names none.
DEFAULTS = {"lstm": ("sigmoid", "tanh", "tanh"), "gru": ("sigmoid", "tanh"), "rnn": ("tanh",)}
STATE_FUNCTIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "affine": "identity"}
# Slope and offset of the functions that have them: where the node gives none, as onnxruntime has it, and those that are run.
LINES = {"hardsigmoid": (0.2, 0.5), "affine": (0.0, 0.0)}
OFFSET, IDENTITY = 0.5, (1.0, 0.0)
# Inputs: X, W, R, B, sequence_lens, initial_h, initial_c, P.
BIASES, LENGTHS, FIRST_STATE, PEEPHOLES = 3, 4, 5, 7


def lstm(node: Node, context: Context) -> tuple[Dynamic, ...]:
    """LSTM without peepholes."""
    if node.has(PEEPHOLES) and node.static(PEEPHOLES, "peephole weights").any():
        raise node.refuse("its gates look at the cell (peepholes); edgebn runs cells whose gates see the state alone")
    if node.integer("input_forget", 0):
        raise node.refuse("its input and forget gates are one (input_forget); edgebn runs cells of four gates")
    return _layer(node, context, "lstm", {})


def gru(node: Node, context: Context) -> tuple[Dynamic, ...]:
    """GRU, its reset gate before the product with the state or after it."""
    return _layer(node, context, "gru", {"reset_after": bool(node.integer("linear_before_reset", 0))})


def rnn(node: Node, context: Context) -> tuple[Dynamic, ...]:
    """RNN."""
    return _layer(node, context, "rnn", {})


def _layer(node: Node, context: Context, kind: str, settings: dict[str, Any]) -> tuple[Dynamic, ...]:
    """Append every direction, and return Y, Y_h and Y_c; those that nothing reads are whatever is at hand."""
    # Layers are named after outputs, those of a node that gives its last states alone too.
    node = replace(node, outputs=tuple(name or f"{node.name}/output{place}" for place, name in enumerate(node.outputs)))
    directions = DIRECTIONS.get(node.text("direction", "forward").lower())
    if directions is None or node.integer("layout", 0) not in (0, 1):
        raise node.damaged("its direction or layout is none")
    if node.number("clip", 0.0):
        raise node.refuse("it clips what enters its gates (clip); train or export the model without")
    x, batch_first = node.real(0), bool(node.integer("layout", 0))
    if len(x.shape) != 3:
        raise node.damaged(f"its input has shape {x.shape}; it should have three axes")
    length = x.shape[1 if batch_first else 0]
    if not batch_first and context.batch == Batch() and x.place.axis == 0 and x.shape[1] == 1:
        raise node.refuse("its moments are in the axis that the file leaves open; say all axes of the input with input_shape=")
    _check_lengths(node, length)
    cells = _cells(node, kind, len(directions), settings)
    if not all(recurrent.fits(cell, x.shape[2]) for cell in cells):
        raise node.damaged(f"its weights do not fit an input of shape {x.shape}")
    to_front = recurrent.with_batch_in_front if batch_first else recurrent.batch_in_front
    moments = to_front(node, context, x, "")
    states = [_first_states(node, context, moments, kind, cells[0].units, place, batch_first) for place in range(len(directions))]
    wants_cell = kind == "lstm" and len(node.outputs) > 2 and node.used[2]
    rows = recurrent.in_directions(node, context, moments, cells, states, directions, gives_cell=wants_cell)
    outputs: list[Dynamic] = [rows[0]] * 3
    if node.used[0]:
        joined = recurrent.every_moment(node, context, rows, length)
        wide = (*context.batch.sample(joined.shape, joined.place)[:-1], len(rows), cells[0].units)
        apart = context.moved(node, Reshape, joined, part="directions", place=joined.place, shape=wide)
        outputs[0] = recurrent.turned(node, context, apart, (0, 1, 2, 3) if batch_first else (1, 2, 0, 3), 0)
    for output in (1, 2):
        if output < len(node.outputs) and node.used[output]:
            last = recurrent.last_moment(node, context, rows, directions, length, cell=output == 2)
            outputs[output] = recurrent.turned(node, context, last, (0, 1, 2) if batch_first else (1, 0, 2), output)
    return tuple(outputs)


def _check_lengths(node: Node, length: int) -> None:
    """Refuse sequences that end before the input does."""
    if not node.has(LENGTHS):
        return
    lengths = node.static_ints(LENGTHS, "sequence lengths") or ()
    if any(one != length for one in lengths):
        raise node.refuse(f"its sequence lengths are {lengths} of {length} moments; edgebn goes through all: cut the input before")


def _cells(node: Node, kind: str, count: int, settings: dict[str, Any]) -> list[Cell]:
    """Return the cell of each direction."""
    inputs, weight = (
        weights.real_array(node, node.static(index, what), what) for index, what in ((1, "weights"), (2, "recurrent weights"))
    )
    biases = node.optional_static(BIASES, "biases")
    gates = CELLS[kind]
    if inputs.ndim != 3 or weight.ndim != 3 or len(inputs) != count or len(weight) != count or not weight.size:
        raise node.damaged(f"its weights have shapes {inputs.shape} and {weight.shape}")
    units = weight.shape[2]
    if node.integer("hidden_size", units) != units or weight.shape[1] != gates * units or inputs.shape[1] != gates * units:
        raise node.damaged(f"its weights have shapes {inputs.shape} and {weight.shape}; they do not fit {units} units")
    halves: list[Any] = [(None, None)] * count
    if biases is not None:
        if biases.shape != (count, 2 * gates * units):
            raise node.damaged(f"its biases have shape {biases.shape}; it should be ({count}, {2 * gates * units})")
        halves = [np.split(one, 2) for one in weights.real_array(node, biases, "biases")]
    functions = _functions(node, kind, count)
    return [
        recurrent.cell(kind, ORDERS[kind], inputs[which], weight[which], halves[which], **settings, **functions[which])
        for which in range(count)
    ]


def _functions(node: Node, kind: str, count: int) -> list[dict[str, Any]]:
    """Return the functions of each direction as `Recurrence` names them."""
    each = len(DEFAULTS[kind])
    given = node.attributes.get("activations") or [*DEFAULTS[kind]] * count
    if not isinstance(given, list) or len(given) < each * count:  # an RNN's default has two, whatever its direction
        raise node.damaged(f"it has {len(given)} activations; {each * count} are wanted")
    names = [str(name).lower() for name in given]
    alphas, betas = ([*(node.attributes.get(f"activation_{which}") or ())] for which in ("alpha", "beta"))
    found = []
    for direction in range(count):
        mine = names[direction * each : (direction + 1) * each]
        gates, states = ([], mine) if kind == "rnn" else (mine[:1], mine[1:])
        if any(name not in STATE_FUNCTIONS for name in states) or len(set(states)) > 1:
            raise node.refuse(f"its activations are {', '.join(given)}; edgebn runs states of one of Tanh, Relu and Sigmoid")
        if gates and gates[0] not in ("sigmoid", "hardsigmoid"):
            raise node.refuse(f"its activations are {', '.join(given)}; edgebn runs gates of Sigmoid and HardSigmoid")
        settings: dict[str, Any] = {"function": STATE_FUNCTIONS[states[0]]}
        for name in (one for one in mine if one in LINES):
            slope, offset = (left.pop(0) if left else usual for left, usual in zip((alphas, betas), LINES[name], strict=True))
            if name == "affine" and (slope, offset) != IDENTITY:
                raise node.refuse(f"its Affine has the slope {slope} and the offset {offset}; edgebn runs the identity alone")
            if name == "hardsigmoid":
                if offset != OFFSET:
                    raise node.refuse(f"its HardSigmoid has the offset {offset}; edgebn runs gates of the offset {OFFSET}")
                settings |= {"gate": "hard_sigmoid", "slope": slope}
        found.append(settings)
    return found


def _first_states(
    node: Node, context: Context, x: Dynamic, kind: str, units: int, direction: int, batch_first: bool
) -> list[Dynamic]:
    """Return the first state and cell of one direction, as far as they are not zeros; x is what it goes through."""
    found: list[Dynamic] = []
    sequences = recurrent.sequences_of(context, x)
    for place in reversed(range(CELL_STATES[kind])):
        index, part = FIRST_STATE + place, f"{'cell' if place else 'state'}{direction}"
        value = node.value(index) if node.has(index) else None
        shape = None if value is None else value.shape if isinstance(value, Dynamic) else value.array.shape
        if shape is not None and (len(shape) != 3 or shape[2] != units or shape[0 if batch_first else 1] != x.shape[0]):
            raise node.damaged(f"its first state has shape {tuple(shape)}; it should have {units} units for {x.shape[0]} sequences")
        if isinstance(value, Dynamic):
            to_front = recurrent.with_batch_in_front if batch_first else recurrent.batch_in_front
            front = to_front(node, context, node.real(index), part)
            found.insert(0, recurrent.first_state(node, context, front, direction, part))
            continue
        array = np.zeros((x.shape[0], units), np.float32)
        if value is not None:
            given = weights.real_array(node, value.array, "first state")
            array = given[:, direction] if batch_first else given[direction]
        if found or array.any():
            found.insert(0, recurrent.constant_state(node, context, array, sequences, part))
    return found

"""Recurrent layers in float32: the LSTMs of whole sequences, RNN and its sequences.

Their states and cells are variable tensors: LiteRT keeps them from one run to the next, so they are states of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, inputs_of, short_name, without_batch
from edgebn.formats.tflite.flatbuffer import FileModel, FileOperator
from edgebn.layers import Concat, Crop, Dense, Recurrence, Reshape

if TYPE_CHECKING:  # most files have no such layer
    from edgebn.formats.recurrent import Cell

# Inputs of a direction of an LSTM: one weight, or bias, for each of the gates input, forget, cell and output.
GATES = 4
RECURRENT, PEEPHOLES, BIASES, PROJECTION, ARRAYS = 4, 8, 11, 15, 17
# Operators whose moments may be in front, and what their options are called.
SEQUENCES = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "BidirectionalSequenceLSTMOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
    "BIDIRECTIONAL_SEQUENCE_RNN": "BidirectionalSequenceRNNOptions",
}
# Fused activations, of the cell and of its candidate.
FUNCTIONS = {0: "identity", 1: "relu", 4: "tanh"}


class Direction(NamedTuple):
    """A cell, and the variable tensors that hold its state and, of an LSTM, its cell."""

    cell: Cell
    variables: tuple[int, ...]
    backwards: bool = False


def has_moments_in_front(file: FileModel, index: int) -> bool:
    """Whether the first axis of a value is that of moments, which is no batch."""
    readers = [operator for operator in file.operators if operator.kind in SEQUENCES and operator.inputs[:1] == (index,)]
    return any(operator.options(SEQUENCES[operator.kind]).time_major for operator in readers)


def unidirectional_lstm(reading: Reading, operator: FileOperator) -> None:
    """UNIDIRECTIONAL_SEQUENCE_LSTM; peepholes of zeros do nothing."""
    inputs, options = _inputs(reading, operator, 24), operator.options(SEQUENCES[operator.kind])
    if options.diagonal_recurrent_tensors:
        raise UnsupportedLayerError("its recurrent weights are diagonals; edgebn runs cells whose states all meet each other")
    behind = 1 + ARRAYS
    cell = _lstm(reading, inputs[1:behind], inputs[behind + 2 :], options)
    _run(reading, operator, inputs[0], [Direction(cell, inputs[behind : behind + 2])], time_major=options.time_major)


def bidirectional_lstm(reading: Reading, operator: FileOperator) -> None:
    """BIDIRECTIONAL_SEQUENCE_LSTM, both directions of the same input, joined or apart."""
    inputs, options = _inputs(reading, operator, 48), operator.options(SEQUENCES[operator.kind])
    second, states = 1 + ARRAYS, 1 + 2 * ARRAYS
    _refuse_other_input(inputs[states + 4 :])
    directions = [
        Direction(_lstm(reading, inputs[1:second], (), options), inputs[states : states + 2]),
        Direction(_lstm(reading, inputs[second:states], (), options), inputs[states + 2 : states + 4], backwards=True),
    ]
    _run(reading, operator, inputs[0], directions, time_major=options.time_major, merged=options.merge_outputs)


def rnn(reading: Reading, operator: FileOperator) -> None:
    """RNN: one moment."""
    inputs = _inputs(reading, operator, 5)
    cell = _rnn(reading, inputs[1:4], operator.options("RNNOptions"))
    _run(reading, operator, inputs[0], [Direction(cell, inputs[4:])], rank=2)


def unidirectional_rnn(reading: Reading, operator: FileOperator) -> None:
    """UNIDIRECTIONAL_SEQUENCE_RNN."""
    inputs, options = _inputs(reading, operator, 5), operator.options(SEQUENCES[operator.kind])
    _run(reading, operator, inputs[0], [Direction(_rnn(reading, inputs[1:4], options), inputs[4:])], time_major=options.time_major)


def bidirectional_rnn(reading: Reading, operator: FileOperator) -> None:
    """BIDIRECTIONAL_SEQUENCE_RNN, both directions of the same input, joined or apart."""
    inputs, options = _inputs(reading, operator, 12), operator.options(SEQUENCES[operator.kind])
    _refuse_other_input(inputs[9:])
    directions = [
        Direction(_rnn(reading, inputs[1:4], options), inputs[4:5]),
        Direction(_rnn(reading, inputs[5:8], options), inputs[8:9], backwards=True),
    ]
    _run(reading, operator, inputs[0], directions, time_major=options.time_major, merged=options.merge_outputs)


def _inputs(reading: Reading, operator: FileOperator, most: int) -> tuple[int, ...]:
    inputs = inputs_of(operator, 1, most)
    if any(reading.is_codes(index) for index in (inputs[0], *operator.outputs)):
        raise UnsupportedLayerError("edgebn runs it in float32; convert the model without full integers (dynamic range or float32)")
    return inputs


def _refuse_other_input(inputs: Sequence[int]) -> None:
    if any(index >= 0 for index in inputs):
        raise UnsupportedLayerError("it has a second input; edgebn runs both directions of one")


def _lstm(reading: Reading, inputs: Sequence[int], norms: Sequence[int], options: Any) -> Cell:
    """Return the cell of one direction; the file's gates are input, forget, candidate and output."""
    if inputs[0] < 0:
        raise UnsupportedLayerError("its input and forget gates are one; edgebn runs cells of four gates")
    peepholes = [reading.numbers(index) for index in inputs[PEEPHOLES:BIASES] if index >= 0]
    if any(array.any() for array in peepholes) or any(index >= 0 for index in (*inputs[PROJECTION:], *norms)):
        raise UnsupportedLayerError("it has peepholes, a projection or norms; edgebn runs cells without")
    limit = float(options.cell_clip) or np.inf
    if not limit > 0:
        raise ModelError(f"its cell_clip is {limit}; the file is damaged")
    weights, states = ([reading.numbers(index) for index in inputs[first : first + GATES]] for first in (0, RECURRENT))
    if any(array.ndim != 2 or array.shape != group[0].shape for group in (weights, states) for array in group):
        raise ModelError("the weights of its gates have different shapes; the file is damaged")
    units = states[0].shape[1]
    biases = [np.zeros(units, np.float32) if index < 0 else reading.numbers(index) for index in inputs[BIASES:PROJECTION]]
    if states[0].shape != (units, units) or any(bias.shape != (units,) for bias in biases):
        raise ModelError(f"the weights of its states have shape {states[0].shape}; the file is damaged")
    joined = [np.concatenate(group) for group in (weights, states, biases)]
    return _cell("lstm", "ifgo", joined, options, limit=limit)


def _rnn(reading: Reading, inputs: Sequence[int], options: Any) -> Cell:
    """Return the cell of one direction."""
    weight, state, bias = (reading.numbers(index) for index in inputs)
    if weight.ndim != 2 or state.ndim != 2:
        raise ModelError(f"its weights have shapes {weight.shape} and {state.shape}; the file is damaged")
    return _cell("rnn", "", (weight, state, bias), options)


def _cell(kind: str, order: str, arrays: Sequence[np.ndarray], options: Any, **settings: Any) -> Cell:
    from edgebn.formats.recurrent import cell

    if options.fused_activation_function not in FUNCTIONS:
        raise UnsupportedLayerError(f"its activation number {options.fused_activation_function} is none of TANH and RELU")
    inputs, weight, bias = arrays
    return cell(kind, order, inputs, weight, [bias], function=FUNCTIONS[options.fused_activation_function], **settings)


def _run(
    reading: Reading,
    operator: FileOperator,
    x: int,
    directions: Sequence[Direction],
    *,
    time_major: bool = False,
    merged: bool = True,
    rank: int = 3,
) -> None:
    """Append what goes through one sequence in every direction, all into one output where they are `merged`."""
    outputs = 1 if merged else len(directions)
    if len(operator.outputs) != outputs:
        raise ModelError(f"it has {len(operator.outputs)} outputs where {outputs} should be; the file is damaged")
    name = short_name(reading.tensor(operator.outputs[0]).name)
    moments = _moments(reading, x, name, rank, time_major=time_major)
    found = [_direction(reading, moments, name, direction) for direction in directions]
    if merged and len(found) > 1:
        found = [reading.step(Concat, f"{name}/joined", tuple(found), None, axis=1)]
    for output, value in enumerate(found):
        full = (*reading.shape(x)[:-1], reading.builder.tensors[value].shape[-1])
        reading.emit(operator, Reshape, (value,), full=full, output=output, shape=without_batch(full))


def _moments(reading: Reading, x: int, name: str, rank: int, *, time_major: bool) -> str:
    """Return the one sequence that a value holds as (moments, inputs)."""
    *axes, width = shape = reading.shape(x)
    if len(shape) != rank:
        raise ModelError(f"its input has shape {shape}, where {rank} axes should be; the file is damaged")
    if axes[int(time_major)] != 1:
        raise UnsupportedLayerError(f"its input of shape {shape} holds several sequences; convert the model with a batch of 1")
    value, wanted = reading.value(x, like=x), (math.prod(axes), width)
    return value if reading.sample(x) == wanted else reading.step(Reshape, f"{name}/sequence", (value,), None, shape=wanted)


def _direction(reading: Reading, moments: str, name: str, direction: Direction) -> str:
    """Append what goes through the moments from the state that the run before left, and return all states."""
    from edgebn.formats.recurrent import fits

    cell, backwards = direction.cell, direction.backwards
    length, width = reading.builder.tensors[moments].shape
    if not fits(cell, width):
        raise ModelError(f"its weights do not fit moments of {width} numbers; the file is damaged")
    name = f"{name}/backwards" if backwards else name
    held = [_entered(reading, index, cell.units) for index in direction.variables]
    first = tuple(reading.step(Reshape, f"{value}/row", (value,), None, shape=(1, cell.units)) for value in held)
    gates = reading.step(Dense, f"{name}/gates", (moments,), None, weight=cell.inputs, bias=cell.bias)
    fields = {"cell": cell.kind, "weight": cell.weight, "bias": cell.hidden_bias, "gives_cell": len(held) > 1, **cell.settings}
    rows = reading.step(Recurrence, f"{name}/states", (gates, *first), None, backwards=backwards, **fields)
    # Behind the states stands the last cell.
    for index, moment in zip(direction.variables, (0 if backwards else length - 1, length), strict=False):
        row = reading.step(Crop, f"{name}/{moment}", (rows,), None, starts=(moment, 0), sizes=(1, cell.units))
        last = reading.step(Reshape, f"{name}/{moment}/last", (row,), None, shape=(cell.units,))
        reading.variables.held[_variable(reading, index)] = last
    if len(held) == 1:
        return rows
    return reading.step(Crop, f"{name}/moments", (rows,), None, starts=(0, 0), sizes=(length, cell.units))


def _variable(reading: Reading, index: int) -> tuple[str, str]:
    return "", f"{reading.tensor(index).name}:{index}"


def _entered(reading: Reading, index: int, units: int) -> str:
    """Return the graph's input that is what a variable tensor holds before a run, zeros before the first."""
    tensor, variable, held = reading.tensor(index), _variable(reading, index), reading.variables.held
    if tensor.data is not None or tensor.shape != (1, units) or tensor.type != "FLOAT32":
        raise ModelError(f"its state '{tensor.name}' of shape {tensor.shape} is no variable for {units} units; the file is damaged")
    if variable not in held:
        name = reading.unique(short_name(tensor.name))
        reading.batched.add(name)
        reading.builder.add_input(name, (units,), None)
        reading.builder.states.append(np.zeros(units, np.float32))
        reading.variables.states.append(variable)
        held[variable] = name
    return held[variable]

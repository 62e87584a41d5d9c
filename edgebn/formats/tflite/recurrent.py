"""UNIDIRECTIONAL_SEQUENCE_LSTM in float32.

Its state and cell are variable tensors: LiteRT keeps them from one run to the next, so they are states of the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats import recurrent
from edgebn.formats.tflite.context import Reading, inputs_of, only_output, short_name
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.layers import Crop, Dense, Recurrence, Reshape

# Inputs: one weight or bias for each of the gates input, forget, cell and output.
INPUTS, GATES = 24, 4
WEIGHTS, RECURRENT, PEEPHOLES, BIASES, PROJECTION, STATE, CELL, NORMS = 1, 5, 9, 12, 16, 18, 19, 20
# Fused activations, of the cell and of its candidate.
FUNCTIONS = {0: "identity", 1: "relu", 4: "tanh"}


def unidirectional_lstm(reading: Reading, operator: FileOperator) -> None:
    """UNIDIRECTIONAL_SEQUENCE_LSTM without peepholes, projection and norms."""
    inputs = inputs_of(operator, 1, INPUTS)
    options, output = operator.options("UnidirectionalSequenceLSTMOptions"), only_output(operator)
    x = inputs[0]
    if reading.is_codes(x) or reading.is_codes(output):
        raise UnsupportedLayerError("edgebn runs it in float32; convert the model without full integers (dynamic range or float32)")
    if inputs[WEIGHTS] < 0:
        raise UnsupportedLayerError("its input and forget gates are one; edgebn runs cells of four gates")
    if any(index >= 0 for index in (*inputs[PEEPHOLES:BIASES], *inputs[PROJECTION:STATE], *inputs[NORMS:])):
        raise UnsupportedLayerError("it has peepholes, a projection or norms; edgebn runs cells without")
    if options.time_major:
        raise UnsupportedLayerError("its input has the moments before the samples; convert it with time_major=False")
    if options.fused_activation_function not in FUNCTIONS:
        raise UnsupportedLayerError(f"its activation number {options.fused_activation_function} is none of TANH and RELU")
    if len(reading.shape(x)) != 3 or not reading.has_batch(x):
        raise ModelError(f"its input has shape {reading.shape(x)}, where (1, moments, inputs) should be; the file is damaged")
    cell = _cell(reading, inputs, options)
    length, width = reading.sample(x)
    if not recurrent.fits(cell, width):
        raise ModelError(f"its weights do not fit an input of shape {reading.shape(x)}; the file is damaged")
    name = short_name(reading.tensor(output).name)
    state, memory = (_entered(reading, inputs[which], cell.units) for which in (STATE, CELL))
    first = tuple(reading.step(Reshape, f"{value}/row", (value,), None, shape=(1, cell.units)) for value in (state, memory))
    gates = reading.step(Dense, f"{name}/gates", (reading.value(x),), None, weight=cell.inputs, bias=cell.bias)
    fields = {"cell": cell.kind, "weight": cell.weight, "bias": cell.hidden_bias, "gives_cell": True, **cell.settings}
    rows = reading.step(Recurrence, f"{name}/states", (gates, *first), None, **fields)
    for which, moment in ((STATE, length - 1), (CELL, length)):
        row = reading.step(Crop, f"{name}/{moment}", (rows,), None, starts=(moment, 0), sizes=(1, cell.units))
        last = reading.step(Reshape, f"{name}/{moment}/last", (row,), None, shape=(cell.units,))
        reading.variables.held[_variable(reading, inputs[which])] = last
    reading.emit(operator, Crop, (rows,), full=(1, length, cell.units), starts=(0, 0), sizes=(length, cell.units))


def _cell(reading: Reading, inputs: tuple[int, ...], options: Any) -> recurrent.Cell:
    """Return the cell; the file's gates are input, forget, candidate and output."""
    weights, state = ([reading.numbers(index) for index in inputs[first : first + GATES]] for first in (WEIGHTS, RECURRENT))
    if any(array.ndim != 2 or array.shape != group[0].shape for group in (weights, state) for array in group):
        raise ModelError("the weights of its gates have different shapes; the file is damaged")
    units = state[0].shape[1]
    biases = [np.zeros(units, np.float32) if index < 0 else reading.numbers(index) for index in inputs[BIASES:PROJECTION]]
    if state[0].shape != (units, units) or any(bias.shape != (units,) for bias in biases):
        raise ModelError(f"the weights of its states have shape {state[0].shape}; the file is damaged")
    limit = float(options.cell_clip) or np.inf
    if not limit > 0:
        raise ModelError(f"its cell_clip is {limit}; the file is damaged")
    function = FUNCTIONS[options.fused_activation_function]
    joined = [np.concatenate(group) for group in (weights, state, biases)]
    return recurrent.cell("lstm", "ifgo", joined[0], joined[1], [joined[2]], function=function, limit=limit)


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

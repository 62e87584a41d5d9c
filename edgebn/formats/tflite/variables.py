"""Variables that live from run to run: CALL_ONCE, VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE become states of the graph.

A variable is an input that its first READ_VARIABLE reads, and an output that holds what stands in it after the last operator. It
begins with what the part of the file that CALL_ONCE names assigns to it.
"""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, VariableName, Variables, inputs_of, only_output, short_name
from edgebn.formats.tflite.flatbuffer import FileModel, FileOperator, FileTensor, constant
from edgebn.layers import Constant

_TYPES = {"INT8": np.int8, "UINT8": np.uint8, "INT16": np.int16, "FLOAT32": np.float32}


def find_variables(file: FileModel) -> Variables:
    """Return the file's variables before the first operator runs.

    Raises
    ------
    UnsupportedLayerError
        Their first values are computed.
    """
    found = Variables()
    for part in file.called_once.values():
        found.initial |= _first_values(part)
    handles = {operator.outputs[0]: name_of(operator) for operator in file.operators if _is_handle(operator)}
    for operator in file.operators:
        if operator.kind == "ASSIGN_VARIABLE" and operator.inputs[:1] and operator.inputs[0] in handles:
            found.assigned.add(handles[operator.inputs[0]])
    return found


def _first_values(part: FileModel) -> dict[VariableName, FileTensor]:
    handles: dict[int, VariableName] = {}
    values: dict[VariableName, FileTensor] = {}
    for operator in part.operators:
        if _is_handle(operator):
            handles[operator.outputs[0]] = name_of(operator)
        elif operator.kind == "ASSIGN_VARIABLE":
            handle, x = inputs_of(operator, 2, 2)
            tensor = part.tensors[x]
            if handle not in handles or tensor.data is None:
                raise UnsupportedLayerError(
                    f"the part of the file that runs once computes '{tensor.name}'; export variables with constant first values"
                )
            values[handles[handle]] = tensor
        else:
            raise UnsupportedLayerError(
                f"the part of the file that runs once has the operator {operator.kind}; export variables with constant first values"
            )
    return values


def _is_handle(operator: FileOperator) -> bool:
    return operator.kind == "VAR_HANDLE" and len(operator.outputs) == 1


def name_of(operator: FileOperator) -> VariableName:
    """Return the container and name of the variable that a VAR_HANDLE stands for."""
    options = operator.options("VarHandleOptions")
    container, name = options.container or b"", options.shared_name or b""
    return container.decode("utf-8", errors="replace"), name.decode("utf-8", errors="replace")


def call_once(reading: Reading, operator: FileOperator) -> None:
    """CALL_ONCE: what it does is known (`find_variables`)."""


def var_handle(reading: Reading, operator: FileOperator) -> None:
    """VAR_HANDLE: from here on its output stands for the variable."""
    reading.variables.handles[only_output(operator)] = name_of(operator)


def read_variable(reading: Reading, operator: FileOperator) -> None:
    """READ_VARIABLE: a state where runs change it, else a constant."""
    (handle,) = inputs_of(operator, 1, 1)
    output, variable = only_output(operator), _variable(reading, handle)
    held = reading.variables.held
    if variable not in held:
        held[variable] = _enter(reading, variable, output)
    reading.define(output, held[variable], batched=held[variable] in reading.batched)


def assign_variable(reading: Reading, operator: FileOperator) -> None:
    """ASSIGN_VARIABLE: what reads the variable from here on, in this run or the next, reads the value."""
    handle, x = inputs_of(operator, 2, 2)
    reading.variables.held[_variable(reading, handle)] = reading.value(x, like=x if reading.is_codes(x) else None)


def state_outputs(reading: Reading) -> list[str]:
    """Return what every state holds after a run, in the order in which they were read first."""
    return [reading.variables.held[variable] for variable in reading.variables.states]


def _variable(reading: Reading, handle: int) -> VariableName:
    if handle not in reading.variables.handles:
        raise ModelError("it names a variable that no VAR_HANDLE before it makes; the file is damaged")
    return reading.variables.handles[handle]


def _enter(reading: Reading, variable: VariableName, output: int) -> str:
    """Make the input, or the constant, that is what the variable holds before the run changes it."""
    tensor, first = reading.tensor(output), reading.variables.initial.get(variable)
    if first is None:
        raise UnsupportedLayerError(f"the variable '{variable[1]}' has no first value; export the model with an initialiser for it")
    if (first.type, first.shape) != (tensor.type, tensor.shape) or first.type not in _TYPES or first.shape[:1] != (1,):
        raise UnsupportedLayerError(
            f"the variable '{variable[1]}' begins as {first.type} {first.shape} and is read as {tensor.type} {tensor.shape}; "
            "edgebn keeps float32 values and int8, uint8 and int16 codes of one shape with a batch size of 1"
        )
    value = constant(first)[0]
    if first.type == "UINT8":
        value = (value.astype(np.int16) - 128).astype(np.int8)
    name, quantization = reading.unique(short_name(variable[1] or tensor.name)), reading.quantization(output)
    reading.batched.add(name)
    if variable not in reading.variables.assigned:
        return reading.builder.add(Constant(name, (), name, value), quantization)
    reading.builder.add_input(name, value.shape, quantization)
    reading.builder.states.append(value)
    reading.variables.states.append(variable)
    return name

"""TensorFlow Lite files to Graph: float32, float16 weights, dynamic-range weights (dequantised), int8 and old uint8.

A dynamic-range file stores int8 weights for a float network: they are dequantised, and the network runs in float32. An int8
file keeps its codes; its integer arithmetic is TensorFlow Lite Micro's (`integer_rounding` 'double').
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, short_name
from edgebn.formats.tflite.dilated import join_dilated
from edgebn.formats.tflite.flatbuffer import DAMAGE, FileOperator, damage_is_named, read_file
from edgebn.formats.tflite.operators import HINTS, OPERATORS
from edgebn.formats.tflite.shape_arithmetic import fold
from edgebn.graph import Graph, GraphBuilder


def read(path: Path) -> Graph:
    """Read a TensorFlow Lite file.

    Parameters
    ----------
    path : Path
        The file; batch size 1 or open.

    Returns
    -------
    Graph
        Channels-last, `integer_rounding` 'double'. Names are the file's tensor names, cut at the first ';'.

    Raises
    ------
    ModelError
        The file is missing or damaged, or its batch size is neither 1 nor open.
    UnsupportedLayerError
        It has an operator or type that edgebn does not run; the message names it.
    """
    path = Path(path)
    try:
        import tflite  # noqa: F401  # its absence is worth a sentence of our own
    except ImportError:
        raise ModelError(f"{path}: reading TensorFlow Lite files needs the packages of 'pip install edgebn[tflite]'") from None
    file = read_file(path)
    reading = Reading(file, GraphBuilder(file.name, str(path), "tflite", integer_rounding="double"))
    for index in file.inputs:
        _add_input(reading, index, path)
    with damage_is_named(str(path)):
        operators = join_dilated(file)
    for operator in operators:
        _add_operator(reading, operator, path)
    outputs = []
    for index in file.outputs:
        if index not in reading.names:
            raise ModelError(f"{path}: no operator makes the network's output {index}; the file is damaged")
        outputs.append(reading.names[index])
    return reading.builder.finish(outputs)


def _add_input(reading: Reading, index: int, path: Path) -> None:
    if index < 0 or index in reading.names:
        raise ModelError(f"{path}: an input of the network is absent or named twice; the file is damaged")
    tensor = reading.tensor(index)
    shape = tensor.shape
    if not shape or shape[0] not in {1, -1} or min(shape[1:], default=1) < 1:
        raise ModelError(
            f"{path}: input '{tensor.name}' has shape {shape}; edgebn reads files with a batch size of 1 (or open) and all other "
            "sizes fixed: convert the model with the input shape (1, ...)"
        )
    try:
        how = reading.quantization(index)
    except EdgebnError as error:
        raise type(error)(f"{path}: input '{tensor.name}': {error}") from None
    name = reading.unique(short_name(tensor.name))
    reading.builder.add_input(name, shape[1:], how)
    reading.names[index] = name
    reading.shapes[index] = (1, *shape[1:])


def _add_operator(reading: Reading, operator: FileOperator, path: Path) -> None:
    outputs = [index for index in operator.outputs if index >= 0]
    label = short_name(reading.tensor(outputs[0]).name) if outputs else f"operator {operator.index}"
    where = f"{path}: layer '{label}' ({operator.kind})"
    try:
        if not fold(reading, operator):
            _reader_of(operator, where)(reading, operator)
    except EdgebnError as error:
        message = str(error)
        raise type(error)(message if message.startswith(str(path)) else f"{where}: {message}") from None
    except DAMAGE as error:
        raise ModelError(f"{where}: the file is damaged ({type(error).__name__}: {error}); convert the model again") from None


def _reader_of(operator: FileOperator, where: str) -> Callable[[Reading, FileOperator], None]:
    if operator.kind not in OPERATORS:
        hint = HINTS.get(operator.kind, "replace it in the model, or run it outside")
        raise UnsupportedLayerError(f"{where}: edgebn does not run this operator; {hint}")
    return OPERATORS[operator.kind]

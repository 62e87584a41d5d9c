"""TensorFlow Lite files to Graph: float32, float16 weights, dynamic-range weights (dequantised), int8 and uint8.

A dynamic-range file stores int8 weights for a float network: they are dequantised, and the network runs in float32. An int8
file keeps its codes; its integer arithmetic is TensorFlow Lite Micro's (`integer_rounding` 'double'). uint8 codes become int8 ones,
128 below them, and where LiteRT's arithmetic on them differs, `Quantization.unsigned` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, short_name
from edgebn.formats.tflite.dilated import join_dilated
from edgebn.formats.tflite.flatbuffer import DAMAGE, FileOperator, FileTensor, damage_is_named, read_file
from edgebn.formats.tflite.operators import HINTS, OPERATORS
from edgebn.formats.tflite.recurrent import has_moments_in_front
from edgebn.formats.tflite.shape_arithmetic import fold
from edgebn.formats.tflite.spectra import split_complex
from edgebn.formats.tflite.variables import find_variables, state_outputs
from edgebn.graph import Graph, GraphBuilder, Shape
from edgebn.layers import Cast, Constant, IntegerBinary


def read(path: Path, *, input_shape: Shape | Mapping[str, Shape] | None = None) -> Graph:
    """Read a TensorFlow Lite file.

    Parameters
    ----------
    path : Path
        The file; batch size 1 or open.
    input_shape : tuple of int, or mapping of str to tuple of int, optional
        Shape of the input without the batch axis, or one an input's name, where the file leaves sizes open.

    Returns
    -------
    Graph
        Channels-last, `integer_rounding` 'double'. Names are the file's tensor names, cut at the first ';'.

    Raises
    ------
    ModelError
        The file is missing or damaged, its batch size is neither 1 nor open, or its inputs leave sizes open that `input_shape` does
        not give.
    UnsupportedLayerError
        It has an operator or type that edgebn does not run; the message names it.
    """
    path = Path(path)
    file = read_file(path)
    with damage_is_named(str(path)):
        file = split_complex(file)
    reading = Reading(file, GraphBuilder(file.name, str(path), "tflite", integer_rounding="double"))
    if isinstance(input_shape, Mapping):
        input_shapes = {name: tuple(shape) for name, shape in input_shape.items()}
    else:
        input_shapes = {} if input_shape is None else {"": tuple(input_shape)}
    if "" in input_shapes and len(file.inputs) > 1:
        raise ModelError(f"{path}: the network has {len(file.inputs)} inputs; give input_shape as {{name: shape}}")
    for index in file.inputs:
        _add_input(reading, index, input_shapes, path)
    if input_shapes:
        raise ModelError(f"{path}: input_shape names {', '.join(input_shapes)}, which is no input of the network")
    with damage_is_named(str(path)):
        operators = join_dilated(file)
        reading.variables = find_variables(file)
    for operator in operators:
        _add_operator(reading, operator, path)
    outputs = []
    for index in file.outputs:
        if index not in reading.names:
            raise ModelError(f"{path}: no operator makes the network's output {index}; the file is damaged")
        outputs.append(reading.names[index])
    return reading.builder.finish([*outputs, *state_outputs(reading)])


def _add_input(reading: Reading, index: int, input_shapes: dict[str, Shape], path: Path) -> None:
    """Declare an input; takes its shape out of `input_shapes`."""
    if index < 0 or index in reading.names:
        raise ModelError(f"{path}: an input of the network is absent or named twice; the file is damaged")
    tensor = reading.tensor(index)
    name = reading.unique(short_name(tensor.name))
    said = tensor.signature or tensor.shape
    with damage_is_named(str(path)):
        batched = _has_batch(said) and not (said[:1] != (1,) and has_moments_in_front(reading.file, index))
    shape = _input_shape(tensor, batched, input_shapes.pop(name, input_shapes.pop("", None)), path)
    try:
        quantization = reading.quantization(index)
    except EdgebnError as error:
        raise type(error)(f"{path}: input {error}") from None
    reading.builder.add_input(name, shape, quantization)
    if batched:
        reading.batched.add(name)
    reading.names[index] = _whole(reading, tensor.type, name) if reading.is_integer(index) else name
    reading.shapes[index] = (1, *shape) if batched else shape


def _whole(reading: Reading, dtype: str, name: str) -> str:
    """Return an input's whole numbers, or truth: sessions take real numbers, and codes."""
    if dtype != "BOOL":
        return reading.step(Cast, f"{name}/whole", (name,), None, to="int32")
    zero = reading.step(Constant, f"{name}/zero", (), None, value=np.zeros(1, np.float32))
    return reading.step(IntegerBinary, f"{name}/truth", (name, zero), None, function="not_equal")


def _has_batch(said: Shape) -> bool:
    """Whether an input's first axis is the batch's; that of a line (a sound of 15,600 numbers) or of several rows is not."""
    return not (len(said) == 1 and said[0] != 1) and not (len(said) == 2 and said[0] > 1)


def _input_shape(tensor: FileTensor, batched: bool, stated: Shape | None, path: Path) -> Shape:
    """Return an input's shape without the batch axis.

    An open axis is -1 in the signature, or in the shape itself where there is no signature; a placeholder of 1 says nothing.
    """
    said = tensor.signature or tensor.shape
    where = f"{path}: input '{tensor.name}'"
    first = int(batched)
    if not said or (batched and said[0] not in {1, -1}) or min(said[first:], default=1) < -1 or 0 in said:
        raise ModelError(
            f"{where} has shape {tensor.shape}; edgebn reads files with a batch size of 1 (or open): "
            "convert the model with the input shape (1, ...)"
        )
    shape, said = tensor.shape[first:], said[first:]
    if stated is None:
        sizes = tuple(size if size > 1 or wanted > 0 else -1 for size, wanted in zip(shape, said, strict=True))
        if -1 in sizes:
            raise ModelError(f"{where} of shape {said} leaves sizes open; give them with input_shape=, without the batch axis")
        return sizes
    if len(stated) != len(said) or any(size not in (-1, wanted) for size, wanted in zip(said, stated, strict=True)):
        raise ModelError(f"{where}: input_shape={stated} does not fit it, which the file gives as {said}")
    return stated


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
        hint = HINTS.get(operator.kind, "replace it in the model by some that docs/formats.md lists, or run it outside")
        raise UnsupportedLayerError(f"{where}: edgebn does not run this operator; {hint}")
    return OPERATORS[operator.kind]

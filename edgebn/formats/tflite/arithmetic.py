"""Functions of two values, and CONCATENATION. A float32 constant makes a subtraction a sum, a division a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite import whole_numbers
from edgebn.formats.tflite.context import FUSED_CLIPS, NO_CLIP, Reading, inputs_of, only_output
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.graph import Shape
from edgebn.layers import Add, Binary, Concat, Constant, Layer, MatMul, Multiply, Reshape, Transpose


def add(reading: Reading, operator: FileOperator) -> None:
    """ADD of two values, or of a value and a constant."""
    fused = operator.options("AddOptions").fused_activation_function
    if fused and reading.tensor(only_output(operator)).type == "INT32":
        raise UnsupportedLayerError("it adds int32 numbers and has a fused activation, which TensorFlow Lite Micro overlooks")
    _two(reading, operator, Add, fused)


def mul(reading: Reading, operator: FileOperator) -> None:
    """MUL of two values, or of a value and a constant."""
    _two(reading, operator, Multiply, operator.options("MulOptions").fused_activation_function)


def _two(reading: Reading, operator: FileOperator, layer: type[Layer], fused: int, **settings: Any) -> None:
    if reading.is_integer(only_output(operator)):
        whole_numbers.arithmetic(reading, operator, settings.get("function", layer.__name__.lower()), fused)
        return
    values, full = _operands(reading, operator)
    _emit(reading, operator, layer, values, fused, full, **settings)


def _operands(reading: Reading, operator: FileOperator) -> tuple[tuple[str, ...], Shape]:
    return reading.operands(inputs_of(operator, 2, 2), reading.tensor(only_output(operator)).name)


def _emit(
    reading: Reading, operator: FileOperator, layer: type[Layer], values: tuple[str, ...], fused: int, full: Shape, **settings: Any
) -> None:
    if fused and fused not in FUSED_CLIPS:
        raise UnsupportedLayerError(f"its fused activation number {fused} is none of RELU, RELU_N1_TO_1 and RELU6")
    low, high = FUSED_CLIPS[fused][1:] if fused else NO_CLIP
    reading.emit(operator, layer, values, full=full, low=low, high=high, **settings)


def batch_matmul(reading: Reading, operator: FileOperator) -> None:
    """BATCH_MATMUL of two values, or of a value and a constant, over their last two axes, of which either may come turned round."""
    a, b = inputs_of(operator, 2, 2)
    options, shapes = operator.options("BatchMatMulOptions"), [reading.shape(index) for index in (a, b)]
    if min(map(len, shapes)) < 2:
        raise ModelError(f"it multiplies values of shapes {shapes[0]} and {shapes[1]}, which are no matrices; the file is damaged")
    values, full = reading.operands((a, b), reading.tensor(only_output(operator)).name, matrices=2)
    turned = []
    for index, value, is_turned in zip((a, b), values, (options.adj_x, options.adj_y), strict=True):
        if is_turned:
            rank = len(reading.builder.tensors[value].shape)
            order, quantization = (*range(rank - 2), rank - 1, rank - 2), reading.builder.tensors[value].quantization
            value = reading.step(Transpose, f"{reading.tensor(index).name}/turned", (value,), quantization, permutation=order)
        turned.append(value)
    rows, columns = shapes[0][-1 if options.adj_x else -2], shapes[1][-2 if options.adj_y else -1]
    whole = (*full, rows, columns)
    if not full and rows == 1:  # of one row, which is the batch: the sample is the row
        product = reading.step(MatMul, f"{reading.tensor(only_output(operator)).name}/row", tuple(turned),
                               reading.quantization(only_output(operator)))  # fmt: skip
        reading.emit(operator, Reshape, (product,), full=whole, shape=(columns,))
        return
    reading.emit(operator, MatMul, tuple(turned), full=whole)


def sub(reading: Reading, operator: FileOperator) -> None:
    """SUB. A float32 constant on either side makes it a sum."""
    a, b = inputs_of(operator, 2, 2)
    fused = operator.options("SubOptions").fused_activation_function
    if reading.tensor(only_output(operator)).type != "FLOAT32" or not (reading.is_constant(a) or reading.is_constant(b)):
        _two(reading, operator, Binary, fused, function="subtract")
        return
    (left, right), full = _operands(reading, operator)
    minus = reading.step(Constant, f"{right}/minus_one", (), None, value=np.array([-1.0], np.float32))
    negative = reading.step(Multiply, f"{right}/negative", (right, minus), None)
    _emit(reading, operator, Add, (left, negative), fused, full)


def div(reading: Reading, operator: FileOperator) -> None:
    """DIV of float32 values or integers; of float32 by a constant it is a product."""
    _, b = inputs_of(operator, 2, 2)
    fused = operator.options("DivOptions").fused_activation_function
    if reading.is_integer(only_output(operator)):
        whole_numbers.arithmetic(reading, operator, "divide", fused)
        return
    if reading.tensor(only_output(operator)).type != "FLOAT32":
        raise UnsupportedLayerError("edgebn divides in float32 only; convert the model with this layer in float32")
    if not reading.is_constant(b):
        _two(reading, operator, Binary, fused, function="divide")
        return
    divisor = reading.numbers(b)
    if (divisor == 0).any():
        raise ModelError("it divides by zero")
    (value, by), full = _operands(reading, operator)
    array = divisor.reshape(reading.builder.tensors[by].shape)
    inverse = (1.0 / array.astype(np.float64)).astype(np.float32)
    factor = reading.step(Constant, f"{reading.tensor(b).name}/inverse", (), None, value=inverse)
    _emit(reading, operator, Multiply, (value, factor), fused, full)


def maximum(reading: Reading, operator: FileOperator) -> None:
    """MAXIMUM of two values, or of a value and a constant."""
    _two(reading, operator, Binary, 0, function="maximum")


def minimum(reading: Reading, operator: FileOperator) -> None:
    """MINIMUM, likewise."""
    _two(reading, operator, Binary, 0, function="minimum")


def squared_difference(reading: Reading, operator: FileOperator) -> None:
    """SQUARED_DIFFERENCE, likewise."""
    _two(reading, operator, Binary, 0, function="squared_difference")


def concatenation(reading: Reading, operator: FileOperator) -> None:
    """CONCATENATION along any axis; along the batch's of 1, that is from then on an axis of the sample."""
    options = operator.options("ConcatenationOptions")
    if not operator.inputs or min(operator.inputs) < 0:
        raise ModelError("it has no inputs; the file is damaged")
    first = next((index for index in operator.inputs if not reading.is_constant(index)), operator.inputs[0])
    rank, axis = len(reading.shape(first)), options.axis
    if axis % max(rank, 1) == 0 and -rank <= axis < rank:
        label, shapes = reading.tensor(only_output(operator)).name, [reading.shape(index) for index in operator.inputs]
        codes = reading.is_codes(first)
        values = tuple(reading.whole(index, f"{label}/{place}", beside_codes=codes) for place, index in enumerate(operator.inputs))
        full = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        reading.emit(operator, Concat, values, options.fused_activation_function, full=full, axis=0)
        return
    values = tuple(reading.value(index, like=first) for index in operator.inputs)
    reading.emit(operator, Concat, values, options.fused_activation_function, axis=reading.axis(first, options.axis))

"""Elementwise functions, SOFTMAX, and the two operators between float32 and int8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite import whole_numbers
from edgebn.formats.tflite.context import Reading, inputs_of, only_output
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.layers import Activation, Constant, Dequantize, Identity, Quantization, Quantize, Softmax

OF_INTEGERS = {"abs": whole_numbers.absolute, "square": whole_numbers.square}


def _activation(reading: Reading, operator: FileOperator, function: str, low: float = -np.inf, high: float = np.inf) -> None:
    (x,) = inputs_of(operator, 1, 1)
    reading.emit(operator, Activation, (reading.value(x),), function=function, low=low, high=high)


def relu(reading: Reading, operator: FileOperator) -> None:
    """RELU."""
    _activation(reading, operator, "clip", 0.0)


def relu6(reading: Reading, operator: FileOperator) -> None:
    """RELU6."""
    _activation(reading, operator, "clip", 0.0, 6.0)


def relu_n1_to_1(reading: Reading, operator: FileOperator) -> None:
    """RELU_N1_TO_1."""
    _activation(reading, operator, "clip", -1.0, 1.0)


def relu_0_to_1(reading: Reading, operator: FileOperator) -> None:
    """RELU_0_TO_1."""
    _activation(reading, operator, "clip", 0.0, 1.0)


def logistic(reading: Reading, operator: FileOperator) -> None:
    """LOGISTIC, the sigmoid."""
    _activation(reading, operator, "sigmoid")


def tanh(reading: Reading, operator: FileOperator) -> None:
    """TANH."""
    _activation(reading, operator, "tanh")


def hard_swish(reading: Reading, operator: FileOperator) -> None:
    """HARD_SWISH."""
    _activation(reading, operator, "hard_swish")


def unary(function: str) -> Callable[[Reading, FileOperator], None]:
    """Return the reader of an operator that is one function of one number."""

    def read(reading: Reading, operator: FileOperator) -> None:
        if function in OF_INTEGERS and reading.is_integer(only_output(operator)):
            OF_INTEGERS[function](reading, operator)
            return
        _activation(reading, operator, function)

    return read


def elu(reading: Reading, operator: FileOperator) -> None:
    """ELU, whose alpha is 1."""
    (x,) = inputs_of(operator, 1, 1)
    reading.emit(operator, Activation, (reading.value(x),), function="elu", alpha=1.0)


def gelu(reading: Reading, operator: FileOperator) -> None:
    """GELU, exact or by tanh."""
    _activation(reading, operator, "gelu_tanh" if operator.options("GeluOptions").approximate else "gelu")


def leaky_relu(reading: Reading, operator: FileOperator) -> None:
    """LEAKY_RELU."""
    (x,) = inputs_of(operator, 1, 1)
    alpha = operator.options("LeakyReluOptions").alpha
    reading.emit(operator, Activation, (reading.value(x),), function="leaky_relu", alpha=float(alpha))


def prelu(reading: Reading, operator: FileOperator) -> None:
    """PRELU; in int8 the slope's codes are a second input, a Constant with its quantisation, beside the real slope."""
    x, s = inputs_of(operator, 2, 2)
    slope = reading.numbers(s)
    if reading.has_batch(x) and slope.ndim == len(reading.shape(x)) and slope.shape[0] == 1:
        slope = slope[0]
    inputs: tuple[str, ...] = (reading.value(x),)
    if reading.tensor(x).type == "INT16":
        inputs += (_widened(reading, s, slope.shape),)
    elif reading.is_codes(only_output(operator)):
        inputs += (reading.value(s, like=x),)
    reading.emit(operator, Activation, inputs, function="prelu", slope=slope)


def _widened(reading: Reading, index: int, shape: tuple[int, ...]) -> str:
    """Return the int8 slopes of int16 codes as int16, less their zero point."""
    tensor = reading.tensor(index)
    if tensor.type != "INT8":
        raise UnsupportedLayerError(f"its slopes are {tensor.type}, which TensorFlow Lite reads as INT8; convert the model again")
    quantization = reading.positive(tensor)
    if len(quantization.scale) != 1:
        raise UnsupportedLayerError(
            "its slopes have a scale per channel, of which TensorFlow Lite reads one; convert the model again"
        )
    codes = reading.codes(index).astype(np.int16) - np.int16(quantization.zero_point[0])
    wide = Quantization.per_tensor(float(quantization.scale[0]), 0, bits=16)
    return reading.step(Constant, tensor.name, (), wide, value=codes.reshape(shape))


def softmax(reading: Reading, operator: FileOperator) -> None:
    """SOFTMAX over the last axis."""
    (x,) = inputs_of(operator, 1, 1)
    beta = float(operator.options("SoftmaxOptions").beta)
    if not (np.isfinite(beta) and beta > 0):
        raise ModelError(f"its beta {beta} is not positive; the file is damaged")
    reading.emit(operator, Softmax, (reading.value(x),), axis=len(reading.sample(x)) - 1, beta=beta)


def quantize(reading: Reading, operator: FileOperator) -> None:
    """QUANTIZE: float32 to int8 codes, or codes to other codes; nothing at all where only uint8 becomes int8."""
    (x,) = inputs_of(operator, 1, 1)
    before, after = reading.quantization(x), reading.quantization(only_output(operator))
    if after is None:
        raise ModelError("its output is not quantised; the file is damaged")
    same = before is not None and before.scale[0] == after.scale[0] and before.zero_point[0] == after.zero_point[0]
    reading.emit(operator, Identity if same else Quantize, (reading.value(x, like=x if before else None),))


def densify(reading: Reading, operator: FileOperator) -> None:
    """DENSIFY of a constant, which `sparse.py` made dense as the file was read."""
    (x,) = inputs_of(operator, 1, 1)
    output = only_output(operator)
    if reading.is_codes(x) or not reading.is_constant(x):
        raise UnsupportedLayerError("its input is no float constant; convert the model without sparsity")
    if output in reading.names or output in reading.folded:
        raise ModelError("its output is made twice; the file is damaged")
    reading.folded[output] = reading.numbers(x)


def dequantize(reading: Reading, operator: FileOperator) -> None:
    """DEQUANTIZE: codes to float32; of a constant (float16 or int8 weights) done here, once."""
    (x,) = inputs_of(operator, 1, 1)
    output = only_output(operator)
    if reading.tensor(output).type != "FLOAT32":
        raise UnsupportedLayerError(f"it makes {reading.tensor(output).type}; edgebn dequantises to float32 only")
    if reading.is_constant(x):
        if output in reading.names or output in reading.folded:
            raise ModelError("its output is made twice; the file is damaged")
        reading.folded[output] = reading.numbers(x)
        return
    if not reading.is_codes(x):
        raise UnsupportedLayerError(f"it takes {reading.tensor(x).type}; convert the model to float32 or int8 activations")
    reading.emit(operator, Dequantize, (reading.value(x),))

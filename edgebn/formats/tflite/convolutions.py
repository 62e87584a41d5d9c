"""CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV and FULLY_CONNECTED: weights into (O, kh, kw, I / groups) and explicit padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, inputs_of, only_output
from edgebn.formats.tflite.flatbuffer import FileOperator, constant
from edgebn.layers import Convolution, Dense, Pair, Quantization, Reshape, Shape, Sides, TransposedConvolution, same_padding

SAME = 0  # the schema's number; VALID is 1


def conv_2d(reading: Reading, operator: FileOperator) -> None:
    """CONV_2D; fewer weight channels than input channels make it a grouped convolution."""
    x, w, b = inputs_of(operator, 2, 3)
    options = operator.options("Conv2DOptions")
    weight, quantization = _weight(reading, operator, w, axis=0)
    weight, (height, width, channels) = _spread(reading, operator, weight)
    if weight.ndim != 4 or channels % weight.shape[3]:
        raise ModelError(f"its weight {weight.shape} does not fit an input of {channels} channels; the file is damaged")
    strides = (options.stride_h, options.stride_w)
    dilations = operator.dilations or (options.dilation_h_factor, options.dilation_w_factor)
    reading.emit(
        operator,
        Convolution,
        (reading.value(x),),
        options.fused_activation_function,
        weight=weight,
        bias=_bias(reading, operator, b, len(weight), plain=np.int32),
        strides=strides,
        dilations=dilations,
        padding=operator.padding or padding_of(options, (height, width), weight.shape[1:3], strides, dilations),
        groups=channels // weight.shape[3],
        weight_quantization=quantization,
    )


def depthwise_conv_2d(reading: Reading, operator: FileOperator) -> None:
    """DEPTHWISE_CONV_2D: the file's weight is (1, kh, kw, channels * multiplier)."""
    x, w, b = inputs_of(operator, 2, 3)
    options = operator.options("DepthwiseConv2DOptions")
    weight, quantization = _weight(reading, operator, w, axis=3)
    weight, (height, width, channels) = _spread(reading, operator, weight)
    if weight.ndim != 4 or weight.shape[0] != 1 or weight.shape[3] % channels:
        raise ModelError(f"its weight {weight.shape} does not fit an input of {channels} channels; the file is damaged")
    strides = (options.stride_h, options.stride_w)
    dilations = operator.dilations or (options.dilation_h_factor, options.dilation_w_factor)
    reading.emit(
        operator,
        Convolution,
        (reading.value(x),),
        options.fused_activation_function,
        weight=np.ascontiguousarray(weight.transpose(3, 1, 2, 0)),
        bias=_bias(reading, operator, b, weight.shape[3]),
        strides=strides,
        dilations=dilations,
        padding=operator.padding or padding_of(options, (height, width), weight.shape[1:3], strides, dilations),
        groups=channels,
        weight_quantization=quantization,
    )


def transpose_conv(reading: Reading, operator: FileOperator) -> None:
    """TRANSPOSE_CONV: padding and output padding follow from the output size that the file gives."""
    size, w, x, b = inputs_of(operator, 3, 4)
    options = operator.options("TransposeConvOptions")
    wanted = reading.integers(size)
    if wanted.shape != (4,):
        raise ModelError(f"its output shape {tuple(wanted)} is no image's; the file is damaged")
    strides, same = (options.stride_h, options.stride_w), options.padding == SAME
    emit_transposed(
        reading, operator, (x, w, b), tuple(int(n) for n in wanted[1:3]), strides, same, options.fused_activation_function
    )


def emit_transposed(
    reading: Reading, operator: FileOperator, inputs: tuple[int, int, int], wanted: Shape, strides: Pair, same: bool, fused: int = 0
) -> None:
    """Emit a transposed convolution of (input, weight, bias) whose image has the height and width `wanted`."""
    x, w, b = inputs
    weight, quantization = _weight(reading, operator, w, axis=0)
    height, width, _ = image(reading, x)
    if weight.ndim != 4:
        raise ModelError(f"its weight {weight.shape} is no image's; the file is damaged")
    sides, extra = [], []
    for before_size, out, kernel, stride in zip((height, width), wanted, weight.shape[1:3], strides, strict=True):
        before, after, rest = _transposed_padding(before_size, out, kernel, stride, same)
        sides.append((before, after))
        extra.append(rest)
    reading.emit(
        operator,
        TransposedConvolution,
        (reading.value(x),),
        fused,
        weight=weight,
        bias=_bias(reading, operator, b, len(weight)),
        strides=strides,
        padding=(sides[0][0], sides[1][0], sides[0][1], sides[1][1]),
        output_padding=(extra[0], extra[1]),
        weight_quantization=quantization,
    )


def _transposed_padding(size: int, out: int, kernel: int, stride: int, same: bool) -> tuple[int, int, int]:
    """Return (before, after, output padding) of one axis; SAME crops (size - 1) * stride + kernel - out, the odd element after."""
    if stride < 1 or out < 1:
        raise ModelError(f"its stride {stride} or output size {out} is not positive; the file is damaged")
    full = (size - 1) * stride + kernel
    before = max(full - out, 0) // 2 if same else 0
    after = max(full - before - out, 0)
    return before, after, out - (full - before - after)


def fully_connected(reading: Reading, operator: FileOperator) -> None:
    """FULLY_CONNECTED: over the last axis where that fits, otherwise over the flattened value."""
    x, w, b = inputs_of(operator, 2, 3)
    options = operator.options("FullyConnectedOptions")
    if options.weights_format != 0:
        raise UnsupportedLayerError("its weights are shuffled for one processor; convert the model again with default weights")
    weight, quantization = _weight(reading, operator, w, axis=0)
    if weight.ndim != 2:
        raise ModelError(f"its weight has shape {weight.shape} instead of (outputs, inputs); the file is damaged")
    value, shape = reading.value(x), reading.sample(x)
    kept = bool(options.keep_num_dims) and shape[-1:] == (weight.shape[1],)
    wanted = shape if kept else _flat_input(reading, x, weight.shape[1])
    if wanted != shape:
        label = reading.tensor(only_output(operator)).name.split(";", maxsplit=1)[0]
        value = reading.step(Reshape, f"{label}/flatten", (value,), reading.quantization(x), shape=wanted)
    reading.emit(
        operator,
        Dense,
        (value,),
        options.fused_activation_function,
        full=(*(reading.shape(x)[:-1] if kept else wanted[:-1] or (1,)), weight.shape[0]),
        weight=weight,
        bias=_bias(reading, operator, b, len(weight)),
        weight_quantization=quantization,
    )


def _flat_input(reading: Reading, x: int, inputs: int) -> Shape:
    """Return the sample shape under which the matrix product runs over the last axis: of rows, or of one row alone."""
    elements = int(np.prod(reading.sample(x), dtype=np.int64))
    if inputs < 1 or elements % inputs:
        raise ModelError(f"its weight takes {inputs} numbers, its input has {elements}; the file is damaged")
    return (inputs,) if elements == inputs else (elements // inputs, inputs)


def _spread(reading: Reading, operator: FileOperator, weight: np.ndarray) -> tuple[np.ndarray, Shape]:
    """Return the weight and (height, width, channels) of the input; a sequence has a height of 1, and time runs along the width."""
    x = operator.inputs[0]
    if operator.line is None:
        return weight, image(reading, x)
    shape = reading.shape(x)
    if len(shape) != 3 or not reading.has_batch(x) or weight.ndim != 4 or weight.shape[3 - operator.line] != 1:
        raise ModelError(f"its input of shape {shape} and weight {weight.shape} are no sequence's; the file is damaged")
    return (weight if operator.line == 2 else weight.transpose(0, 2, 1, 3)), (1, *shape[1:])


def image(reading: Reading, index: int) -> Shape:
    """Return (height, width, channels) of a value that must be an image batch of one."""
    shape = reading.shape(index)
    if len(shape) != 4 or not reading.has_batch(index):
        raise ModelError(f"its input has shape {shape}, where (1, height, width, channels) should be; the file is damaged")
    return reading.sample(index)


def padding_of(options: Any, size: Pair, kernel: Pair, strides: Pair, dilations: Pair) -> Sides:
    """Return (top, left, bottom, right) of SAME or VALID padding."""
    if min(*strides, *dilations, *kernel) < 1:
        raise ModelError(f"its strides {strides}, dilations {dilations} or kernel {kernel} are not positive; the file is damaged")
    if options.padding != SAME:
        return (0, 0, 0, 0)
    top, bottom = same_padding(size[0], kernel[0], strides[0], dilations[0])
    left, right = same_padding(size[1], kernel[1], strides[1], dilations[1])
    return top, left, bottom, right


def _weight(reading: Reading, operator: FileOperator, index: int, axis: int) -> tuple[np.ndarray, Quantization | None]:
    """Return float32 weights and None, or int8 codes and their quantisation where the layer's output is int8.

    int8 weights of a float layer (dynamic range) are dequantised. Codes with a zero point are shifted to zero point 0; where int8
    does not hold them (uint8 files), they are int16. Output channels run along `axis` of the file's weight.
    """
    if not reading.is_codes(only_output(operator)):
        return reading.numbers(index), None
    tensor = reading.tensor(index)
    if not reading.is_constant(index) or tensor.type not in {"INT8", "UINT8"}:
        raise UnsupportedLayerError(f"its weights ({tensor.type}) are no int8 constants; convert the model to full int8")
    stored = constant(tensor)
    quantization = reading.positive(tensor)
    count = len(quantization.scale)
    along = [1] * stored.ndim
    if count > 1:
        if quantization.axis != axis or axis >= stored.ndim or count != stored.shape[axis]:
            raise ModelError(
                f"its {count} weight scales along axis {quantization.axis} do not fit a weight of shape {stored.shape}"
            )
        along[axis] = count
    centred = stored.astype(np.int64) - quantization.zero_point.reshape(along)
    fits = centred.min(initial=0) >= -128 and centred.max(initial=0) <= 127
    if not fits and (tensor.type != "UINT8" or not 0 <= quantization.zero_point.min() <= quantization.zero_point.max() <= 255):
        raise UnsupportedLayerError("its weights have a zero point that int8 without one cannot hold; convert the model to int8")
    return centred.astype(np.int8 if fits else np.int16), Quantization(
        quantization.scale, np.zeros(count, np.int64), 0 if count > 1 else None
    )


def _bias(reading: Reading, operator: FileOperator, index: int, channels: int, plain: type = np.int64) -> np.ndarray | None:
    """Return the bias: float32, or int32 codes where the layer's output is int8.

    Beside int16 activations its type, int32 or int64, says how TensorFlow Lite Micro rounds; where there is none, `plain` does.
    """
    is_wide = reading.tensor(only_output(operator)).type == "INT16"
    if index < 0:
        return np.zeros(channels, plain) if is_wide else None
    if not reading.is_codes(only_output(operator)):
        return reading.numbers(index).reshape(-1)
    tensor = reading.tensor(index)
    if is_wide and reading.is_constant(index) and tensor.type in ("INT32", "INT64"):
        if plain is np.int64 and tensor.type == "INT32":
            raise UnsupportedLayerError("its bias is int32, and beside int16 activations this operator has int64; convert it again")
        return constant(tensor).reshape(-1)
    if not reading.is_constant(index) or tensor.type != "INT32":
        raise UnsupportedLayerError(f"its bias ({tensor.type}) is no int32 constant; convert the model to full int8")
    return constant(tensor).astype(np.int32).reshape(-1)

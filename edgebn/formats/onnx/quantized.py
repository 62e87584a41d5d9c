"""QuantizeLinear, DequantizeLinear and the QLinear operators of onnxruntime's quantizer.

uint8 codes become int8 codes, lower by 128, and uint16 codes int16 ones; scales stay what the file says. Values of the network have
one scale each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.formats.onnx import convolutions, pooling, weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.shapes import same_codes
from edgebn.formats.onnx.values import Codes, Dynamic, Static
from edgebn.layers import (
    Activation,
    Add,
    Binary,
    Concat,
    Constant,
    Dense,
    Dequantize,
    MatMul,
    Multiply,
    Quantization,
    Quantize,
    Reduce,
    Softmax,
)

QuantizedType = tuple[Quantization, int]
WORD_SHIFT = 1 << 15  # what uint16 codes are larger by than ours
PACKED = ("int4", "uint4", "int2", "uint2")

# Where each operator names the scale of a value it reads: (value, scale) input numbers, the zero point comes next.
# Of graph inputs that are integers, this is the only place where the file says what they mean.
READS = {
    "DequantizeLinear": ((0, 1),),
    "QLinearConv": ((0, 1),),
    "QLinearMatMul": ((0, 1),),
    "QGemm": ((0, 1),),
    "QLinearAdd": ((0, 1), (3, 4)),
    "QLinearMul": ((0, 1), (3, 4)),
    "QLinearConcat": tuple((place, place + 1) for place in range(2, 98, 3)),
    "QLinearGlobalAveragePool": ((0, 1),),
    "QLinearAveragePool": ((0, 1),),
    "QLinearReduceMean": ((0, 1),),
    "QLinearSigmoid": ((0, 1),),
    "QLinearLeakyRelu": ((0, 1),),
    "QLinearSoftmax": ((0, 1),),
}


def _scales(node: Node, index: int) -> np.ndarray:
    scale = np.asarray(node.static(index, "scale"), np.float64)
    if scale.ndim > 1 or not (np.isfinite(scale).all() and (scale > 0).all()):
        raise node.refuse(f"its scale of shape {scale.shape} is not one positive number a tensor or a channel")
    return np.atleast_1d(scale)


def _parameters(node: Node, index: int, unsigned: bool) -> tuple[np.ndarray, np.ndarray, np.dtype]:
    """Return scales, zero points and the type of the codes; `unsigned` is the type where the zero point is left out."""
    scale = _scales(node, index)
    zero_point = node.optional_static(index + 1, "zero point")
    if zero_point is None:
        return scale, np.zeros(scale.shape, np.int64), np.dtype(np.uint8 if unsigned else np.int8)
    if zero_point.size not in (1, scale.size):
        raise node.damaged(f"it has {scale.size} scales and {zero_point.size} zero points")
    if zero_point.dtype.kind not in "iu" and zero_point.dtype.name not in PACKED:
        raise node.refuse(f"it quantises to {zero_point.dtype}; edgebn runs int8, uint8, int16 and uint16")
    return scale, np.broadcast_to(zero_point.astype(np.int64).reshape(-1), scale.shape).copy(), zero_point.dtype


def unpacked(array: np.ndarray) -> np.ndarray:
    """Return codes of 4 or 2 bits as int8, which holds both kinds; others as they are."""
    return array.astype(np.int8) if array.dtype.name in PACKED else array


def value_type(node: Node, index: int, *, unsigned: bool) -> QuantizedType:
    """Return the quantisation of a value of the network whose scale is input `index`, and 128 when its codes are uint8."""
    scale, zero_point, dtype = _parameters(node, index, unsigned)
    if dtype not in (np.uint8, np.int8, np.int16, np.uint16):
        raise node.refuse(f"it quantises to {dtype}; edgebn runs int8, uint8, int16 and uint16")
    if scale.size != 1 or node.integer("block_size", 0):
        raise node.refuse("it quantises a value of the network per channel or block; edgebn runs one scale a tensor there")
    if dtype in (np.int16, np.uint16):
        shift = 0 if dtype == np.int16 else WORD_SHIFT
        return Quantization.per_tensor(float(scale[0]), int(zero_point[0]) - shift, bits=16), shift
    shift = 128 if dtype == np.uint8 else 0
    return Quantization.per_tensor(float(scale[0]), int(zero_point[0]) - shift), shift


def quantize_linear(node: Node, context: Context) -> Dynamic | Static:
    """QuantizeLinear; of a constant it is computed at once."""
    value = node.value(0)
    # Without a zero point the attribute output_dtype says the type: 3 is int8, uint8 otherwise; int16 comes with one.
    unsigned = node.integer("output_dtype", 0) != 3
    if node.integer("output_dtype", 0) not in (0, 2, 3):
        raise node.refuse("it quantises to another type than int8 or uint8")
    if isinstance(value, Static):
        scale, zero_point, dtype = _parameters(node, 1, unsigned)
        along = _along(node, scale, value.array)
        if dtype not in (np.uint8, np.int8, np.int16, np.uint16):
            raise node.refuse(f"it quantises to {dtype}; edgebn runs int8, uint8, int16 and uint16")
        real = weights.real_array(node, value.array, "input")
        limits = np.iinfo(dtype)
        codes = np.rint(real / scale.astype(np.float32).reshape(along)) + zero_point.reshape(along)
        return Static(np.clip(codes, limits.min, limits.max).astype(dtype))
    if value.quantization is not None:
        raise node.refuse("its input holds integers already")
    quantization, shift = value_type(node, 1, unsigned=unsigned)
    if quantization.bits == 16 and quantization.zero_point.any():
        return _rounded(node, context, node.real(0), quantization)
    return context.emit(node, Quantize, value, quantization=quantization, shift=shift)


def _rounded(node: Node, context: Context, x: Dynamic, quantization: Quantization) -> Dynamic:
    """Return the real numbers that int16 codes with a zero point stand for: edgebn's own have none, and float32 holds all of these.

    As onnxruntime computes them: x / scale, rounded, clipped to the codes, times the scale.
    """
    scale, zero_point = float(quantization.scale[0]), int(quantization.zero_point[0])
    ends = np.iinfo(np.int16)
    by = context.number(node, scale, "scale")
    steps = context.emit(node, Binary, x, by, part="steps", place=x.place, function="divide")
    whole = context.emit(node, Activation, steps, part="whole", place=x.place, function="round")
    low, high = float(ends.min - zero_point), float(ends.max - zero_point)
    held = context.emit(node, Activation, whole, part="held", place=x.place, function="clip", low=low, high=high)
    return replace(context.emit(node, Multiply, held, by, place=x.place), stands_for=quantization)


def dequantize_linear(node: Node, context: Context) -> Dynamic | Static:
    """DequantizeLinear; of a constant it keeps the codes beside the real numbers."""
    value = node.value(0)
    if isinstance(value, Static):
        return _dequantized(node, value.array)
    if value.stands_for is not None:
        quantization, _ = value_type(node, 1, unsigned=False)
        if quantization.bits != 16 or not _same(quantization, value.stands_for):
            raise node.refuse("it reads its input with another scale or zero point than it was written with; quantise it again")
        return replace(context.identity(node, value), stands_for=None)
    if value.quantization is None:
        raise node.damaged("its input is float32")
    x = codes_of(node, 0, 1)
    return context.emit(node, Dequantize, x)


def _same(a: Quantization, b: Quantization) -> bool:
    return np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)


def _along(node: Node, scale: np.ndarray, array: np.ndarray) -> list[int]:
    """Return the shape in which scales broadcast against `array`."""
    along = [1] * array.ndim
    if scale.size == 1:
        return along
    axis = node.integer("axis", 1)
    if node.integer("block_size", 0) or not -array.ndim <= axis < array.ndim or array.shape[axis] != scale.size:
        raise node.refuse(f"it has {scale.size} scales for an array of shape {array.shape}; edgebn reads one a tensor or a channel")
    along[axis] = scale.size
    return along


def _dequantized(node: Node, array: np.ndarray) -> Static:
    scale, zero_point, dtype = _parameters(node, 1, unsigned=array.dtype == np.uint8)
    if node.has(2) and dtype != array.dtype:
        raise node.damaged(f"its zero point is {dtype} and its input {array.dtype}")
    array = unpacked(array)
    along = _along(node, scale, array)
    real = (array.astype(np.float64) - zero_point.reshape(along)) * scale.reshape(along)
    axis = along.index(scale.size) if scale.size > 1 else None
    return Static(real.astype(np.float32), _shifted(array, scale, zero_point, axis))


def _shifted(array: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, axis: int | None) -> Codes | None:
    """Return int8 or int32 codes; None for other types."""
    if array.dtype == np.uint8:
        return Codes(np.asarray(array.astype(np.int16) - 128, np.int8), Quantization(scale, zero_point - 128, axis))
    if array.dtype in (np.int8, np.int32):
        return Codes(array, Quantization(scale, zero_point, axis))
    return None


def codes_of(node: Node, index: int, scale_index: int) -> Dynamic:
    """Return the codes at input `index`, checked to mean what this node says they mean."""
    value = node.dynamic(index)
    if value.quantization is None:
        raise node.damaged(f"its input {index} is float32, not integers")
    quantization, shift = value_type(node, scale_index, unsigned=value.shift != 0)
    if not same_codes(value, replace(value, quantization=quantization, shift=shift)):
        raise node.refuse(f"it reads input {index} with another scale or zero point than it was written with; quantise it again")
    return value


def weight_of(
    node: Node, index: int, scale_index: int, axis: int, bias_index: int | None = None
) -> tuple[np.ndarray, Quantization, np.ndarray | None]:
    """Return the int8 weight at input `index`, its symmetric quantisation along `axis` or per tensor, and the codes of the bias."""
    array = node.static(index, "weight")
    if array.dtype not in (np.int8, np.uint8):
        raise node.refuse(f"its weight is {array.dtype}; edgebn runs int8 and uint8 weights")
    scale, zero_point, dtype = _parameters(node, scale_index, unsigned=array.dtype == np.uint8)
    if dtype != array.dtype or array.ndim == 0 or (scale.size > 1 and array.shape[axis] != scale.size):
        raise node.damaged(f"its weight of shape {array.shape} does not fit its {scale.size} scales or their type")
    codes = _shifted(array, scale, zero_point, axis % array.ndim if scale.size > 1 else None)
    assert codes is not None
    bias = None if bias_index is None else _bias_codes(node, bias_index, array.shape[axis])
    narrow, bias = weights.symmetric(node, codes, bias)
    return narrow.array, narrow.quantization, bias


def _bias_codes(node: Node, index: int, count: int) -> np.ndarray | None:
    bias = node.optional_static(index, "bias")
    if bias is None:
        return None
    if bias.dtype != np.int32 or bias.size not in (1, count):
        raise node.damaged(f"its bias should be {count} int32 numbers, not {bias.dtype} of shape {bias.shape}")
    return np.broadcast_to(bias.reshape(-1), (count,)).copy()


def qlinear_conv(node: Node, context: Context) -> Dynamic:
    """QLinearConv."""
    x = codes_of(node, 0, 1)
    array, quantization, bias = weight_of(node, 3, 4, 0, 8)
    output, shift = value_type(node, 6, unsigned=x.shift != 0)
    return convolutions.convolve(node, context, x, array, quantization, bias, output, shift)


def qlinear_matmul(node: Node, context: Context) -> Dynamic:
    """QLinearMatMul by a constant matrix, or of two values."""
    x = codes_of(node, 0, 1)
    if isinstance(node.value(3), Dynamic):
        a, b, place = context.multiplied(node, x, codes_of(node, 3, 4))
        output, shift = value_type(node, 6, unsigned=x.shift != 0)
        return context.emit(node, MatMul, a, b, place=place, quantization=output, shift=shift)
    array, quantization, _ = weight_of(node, 3, 4, -1)
    output, shift = value_type(node, 6, unsigned=x.shift != 0)
    return convolutions.multiply(node, context, x, array, quantization, None, output, shift)


def qgemm(node: Node, context: Context) -> Dynamic:
    """QGemm; without an output scale its result is float32."""
    x = convolutions.transposed_input(node, context, codes_of(node, 0, 1))
    transposed = bool(node.integer("transB", 0))
    array, quantization, bias = weight_of(node, 3, 4, 0 if transposed else 1, 6)
    alpha = node.number("alpha", 1.0)
    if array.ndim != 2 or not (np.isfinite(alpha) and alpha > 0):
        raise node.refuse(f"its weight of shape {array.shape} has not 2 axes, or its alpha {alpha} is not positive")
    quantization = replace(quantization, scale=quantization.scale * alpha)  # of the bias too: its codes are in the products' scale
    if not node.has(7):
        raise node.refuse("its output is float32 without a scale; quantise the whole model")
    output, shift = value_type(node, 7, unsigned=x.shift != 0)
    x, _ = context.along(node, x, (1,), "multiplies along")
    rows = array if transposed else array.T
    return context.emit(
        node,
        Dense,
        x,
        quantization=output,
        shift=shift,
        weight=np.ascontiguousarray(rows),
        bias=bias,
        weight_quantization=weights.along_outputs(node, quantization, 0 if transposed else 1, rows.shape[0]),
    )


def _either(node: Node, index: int) -> tuple[Dynamic | np.ndarray, Quantization]:
    """Return codes of the network or a constant's, and what they mean."""
    value = node.value(index)
    if isinstance(value, Dynamic):
        x = codes_of(node, index, index + 1)
        assert x.quantization is not None
        return x, x.quantization
    scale, zero_point, dtype = _parameters(node, index + 1, unsigned=value.array.dtype == np.uint8)
    codes = _shifted(value.array, scale, zero_point, None)
    if codes is None or codes.array.dtype != np.int8 or scale.size != 1 or dtype != value.array.dtype:
        raise node.refuse(f"its constant input {index} is not int8 or uint8 with one scale")
    return codes.array, codes.quantization


def _layers(
    node: Node, context: Context, met: Sequence[Dynamic | np.ndarray], operands: Sequence[tuple[Any, Quantization]]
) -> list[Dynamic]:
    """Return values as they are and codes as constant layers, as they meet; `given` says what they mean."""
    return [
        item
        if isinstance(item, Dynamic)
        else context.emit(node, Constant, part=f"constant{index}", quantization=quantization, value=np.asarray(item))
        for index, (item, (_, quantization)) in enumerate(zip(met, operands, strict=True))
    ]


def _binary(node: Node, context: Context, kind: type[Add | Multiply]) -> Dynamic:
    operands = [_either(node, index) for index in (0, 3)]
    met, place = context.broadcast(node, [operand for operand, _ in operands])
    inputs = _layers(node, context, met, operands)
    output, shift = value_type(node, 6, unsigned=any(item.shift != 0 for item in inputs))
    return context.emit(node, kind, *inputs, place=place, quantization=output, shift=shift)


def qlinear_add(node: Node, context: Context) -> Dynamic:
    """QLinearAdd."""
    return _binary(node, context, Add)


def qlinear_mul(node: Node, context: Context) -> Dynamic:
    """QLinearMul."""
    return _binary(node, context, Multiply)


def qlinear_concat(node: Node, context: Context) -> Dynamic:
    """QLinearConcat: output scale first, then (codes, scale, zero point) of each part."""
    operands = [_either(node, index) for index in range(2, len(node.inputs), 3)]
    values = [part for part, _ in operands if isinstance(part, Dynamic)]
    if not values:
        raise node.refuse("it joins no value of the network")
    output, shift = value_type(node, 0, unsigned=values[0].shift != 0)
    met, axis, place = context.joined(node, [part for part, _ in operands], node.integer("axis", 1))
    return context.emit(
        node, Concat, *_layers(node, context, met, operands), axis=axis, place=place, quantization=output, shift=shift
    )


def _unary(node: Node) -> tuple[Dynamic, Quantization, int]:
    """Return the input, and the output's quantisation, of operators with inputs (X, scale, zero, Y scale, Y zero)."""
    x = codes_of(node, 0, 1)
    output, shift = value_type(node, 3, unsigned=x.shift != 0)
    if node.integer("channels_last", 0):
        raise node.refuse("it is channels-last; edgebn reads ONNX files channels-first")
    return x, output, shift


def qlinear_global_average_pool(node: Node, context: Context) -> Dynamic:
    """QLinearGlobalAveragePool."""
    x, output, shift = _unary(node)
    return context.emit(node, Reduce, x, function="mean", quantization=output, shift=shift, **pooling.whole_image(node, context, x))


def qlinear_average_pool(node: Node, context: Context) -> Dynamic:
    """QLinearAveragePool: where it counts padding, it divides by the whole window behind the end too, unlike AveragePool."""
    x, output, shift = _unary(node)
    return pooling.pool(node, context, x, "average", output, shift, of_codes=True)


def qlinear_reduce_mean(node: Node, context: Context) -> Dynamic:
    """QLinearReduceMean."""
    x, output, shift = _unary(node)
    axes = pooling.reduced_axes(node, x, node.integers("axes"))
    fields = context.reduction(node, x, axes, keepdims=bool(node.integer("keepdims", 1)))
    if not fields["axes"]:
        raise node.refuse("it reduces no axis")
    return context.emit(node, Reduce, x, function="mean", quantization=output, shift=shift, **fields)


def qlinear_sigmoid(node: Node, context: Context) -> Dynamic:
    """QLinearSigmoid."""
    x, output, shift = _unary(node)
    return context.emit(node, Activation, x, function="sigmoid", quantization=output, shift=shift)


def qlinear_leaky_relu(node: Node, context: Context) -> Dynamic:
    """QLinearLeakyRelu."""
    x, output, shift = _unary(node)
    alpha = node.number("alpha", 0.01)
    return context.emit(node, Activation, x, function="leaky_relu", alpha=alpha, quantization=output, shift=shift)


def qlinear_softmax(node: Node, context: Context) -> Dynamic:
    """QLinearSoftmax: its attribute opset says whether it means one axis (13) or all from `axis` on."""
    x, output, shift = _unary(node)
    recent = node.integer("opset", 13) >= 13
    axis = context.resolved(node, node.integer("axis", -1 if recent else 1), len(x.shape))
    if not recent and any(length != 1 for length in x.shape[axis + 1 :]):
        raise node.refuse("it takes the softmax over several axes at once; export the model with opset 13 or newer")
    x, (own,) = context.along(node, x, (axis,))
    return context.emit(node, Softmax, x, axis=own, quantization=output, shift=shift)

"""Weights and biases of convolutions and matrix products, float32 or as the int8 codes that the file stores."""

from __future__ import annotations

import math

import numpy as np

from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Codes, Dynamic
from edgebn.layers import Concat, Quantization


def real_array(node: Node, array: np.ndarray, what: str) -> np.ndarray:
    """Return `array` as finite float32."""
    if array.dtype.kind not in "fV" and array.dtype.name not in ("bfloat16", "float16"):
        raise node.refuse(f"its {what} holds {array.dtype}; edgebn takes real numbers there")
    with np.errstate(over="ignore"):
        real = np.asarray(array, np.float32)
    if not np.isfinite(real).all():
        raise node.damaged(f"its {what} holds NaN or infinite numbers")
    return real


def weight(node: Node, context: Context, index: int) -> tuple[np.ndarray, Quantization | None]:
    """Return the weight at input `index`: float32 and None, or int8 codes and their quantisation (axes of the file).

    Codes are kept where values of the network are integers too; a float32 network that only stores its weights as integers gets
    their real values.
    """
    value = node.value(index)
    if isinstance(value, Dynamic):
        raise node.refuse("its weight is computed by the network; edgebn needs it as a constant of the file")
    if value.codes is not None and context.integer:
        codes = symmetric(node, value.codes)
        return codes.array, codes.quantization
    return real_array(node, value.array, "weight"), None


def bias(node: Node, context: Context, index: int, count: int) -> np.ndarray | None:
    """Return the bias at input `index` as float32, or float64 where it stands for integers; None where it is left out."""
    if not node.has(index):
        return None
    value = node.value(index)
    if isinstance(value, Dynamic):
        raise node.refuse("its bias is computed by the network; edgebn needs it as a constant of the file")
    if value.codes is not None and context.integer:  # int32 codes survive in float64, not in float32
        quantization = value.codes.quantization
        array = (value.codes.array.astype(np.float64) - quantization.zero_point) * quantization.scale
    else:
        array = real_array(node, value.array, "bias")
    if array.size not in (1, count):
        raise node.damaged(f"its bias of shape {array.shape} does not fit {count} outputs")
    return np.broadcast_to(array.reshape(-1), (count,)).copy()


def symmetric(node: Node, codes: Codes) -> Codes:
    """Return weights whose zero point is 0, without changing what they stand for; int16 where they need more than 8 bits.

    Where the zero point is not 0 the differences code - zero_point that do not fit int8 are divided by their greatest common
    divisor, channel by channel, which the scale takes up. What still does not fit, `fitting` lays out.
    """
    quantization = codes.quantization
    if codes.array.dtype != np.int8:
        raise node.refuse(f"its weight is quantised to {codes.array.dtype}; edgebn runs int8 and uint8 weights")
    if not quantization.zero_point.any():
        return codes
    axis = quantization.axis
    along = [1] * codes.array.ndim
    if axis is not None:
        along[axis] = -1
    differences = codes.array.astype(np.int64) - quantization.zero_point.reshape(along)
    slices = np.moveaxis(differences, axis, 0).copy() if axis is not None else differences[None]
    scale = quantization.scale.copy()
    for channel, values in enumerate(slices):
        if values.size and (values.min() < -128 or values.max() > 127):
            divisor = math.gcd(*(int(number) for number in np.unique(np.abs(values))))
            slices[channel] = values // divisor
            scale[channel] *= divisor
    array = np.moveaxis(slices, 0, axis) if axis is not None else slices[0]
    if np.abs(array).max(initial=0) > 255:
        raise node.damaged("its weight's zero point is outside 8 bits")
    narrow = array.size == 0 or (array.min() >= -128 and array.max() <= 127)
    return Codes(array.astype(np.int8 if narrow else np.int16), Quantization(scale, np.zeros_like(quantization.zero_point), axis))


def fitting(
    node: Node, context: Context, x: Dynamic, array: np.ndarray, inputs_axis: int, x_axis: int
) -> tuple[Dynamic, np.ndarray]:
    """Return input and weight of a product, the weight in int8 (or float32 as it was).

    A weight that needs 9 bits is a sum of two or three int8 weights: they stand side by side along `inputs_axis` and the input
    meets each, by joining it with itself along `x_axis` (of the sample). The sums of products are the file's to the bit.
    """
    if array.dtype != np.int16:
        return x, array
    parts = []
    rest = array
    while rest.any():
        parts.append(np.clip(rest, -128, 127).astype(np.int8))
        rest = rest - parts[-1]
    if node.integer("group", 1) != 1:
        raise node.refuse(
            "its weights are asymmetric and need 9 bits once their zero point is taken off, in groups; "
            "quantise the model with symmetric int8 weights (weight_type=QInt8)"
        )
    joined = context.emit(node, Concat, *[x] * len(parts), part="copies", quantization=x.quantization, shift=x.shift, axis=x_axis)
    return joined, np.concatenate(parts, axis=inputs_axis)


def along_outputs(node: Node, quantization: Quantization | None, axis: int, outputs: int) -> Quantization | None:
    """Return the weight's quantisation with axis 0 being the outputs, as layers store weights."""
    if quantization is None or quantization.axis is None:
        return quantization
    if quantization.axis != axis or quantization.scale.size != outputs:
        raise node.refuse(
            f"its weight is quantised along axis {quantization.axis}, not its outputs (axis {axis}); quantise it so or per tensor"
        )
    return Quantization(quantization.scale, quantization.zero_point, 0)

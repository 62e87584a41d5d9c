"""Weights and biases of convolutions and matrix products, float32 or as the int8 codes that the file stores."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Codes, Dynamic, Static, check_elements
from edgebn.layers import Quantization


def real_array(node: Node, array: np.ndarray, what: str) -> np.ndarray:
    """Return `array` as finite float32."""
    if array.dtype.kind not in "fV" and array.dtype.name not in ("bfloat16", "float16"):
        raise node.refuse(f"its {what} holds {array.dtype}; edgebn takes real numbers there")
    with np.errstate(over="ignore"):
        real = np.asarray(array, np.float32)
    if not np.isfinite(real).all():
        raise node.damaged(f"its {what} holds NaN or infinite numbers")
    return real


def whole_array(node: Node, array: np.ndarray, what: str) -> np.ndarray:
    """Return `array` of whole numbers or truth as int32."""
    if array.dtype.kind not in "iub":
        raise node.refuse(f"its {what} holds {array.dtype}; edgebn takes whole numbers there")
    if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise node.refuse(f"its {what} holds numbers beyond 32 bits")
    return np.asarray(array, np.int32)


def weight(
    node: Node, context: Context, index: int, bias_index: int | None = None, *, outputs_axis: int | None
) -> tuple[np.ndarray, Quantization | None]:
    """Return the weight at input `index`: float32 and None, or int8 codes and their quantisation (axes of the file).

    Codes are kept where values of the network are integers too; a float32 network that only stores its weights as integers gets
    their real values. So does a weight with scales along another axis than `outputs_axis`: no integer product can have them.
    """
    value = node.value(index)
    if isinstance(value, Dynamic):
        raise node.refuse("its weight is computed by the network; edgebn needs it as a constant of the file")
    axis = None if value.codes is None else value.codes.quantization.axis
    by_output = axis is None or (outputs_axis is not None and axis == outputs_axis % value.array.ndim)
    if value.codes is not None and context.integer and by_output:
        other = node.value(bias_index) if bias_index is not None and node.has(bias_index) else None
        bias_codes = other.codes.array if isinstance(other, Static) and other.codes is not None else None
        codes, _ = symmetric(node, value.codes, bias_codes)
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


def symmetric(node: Node, codes: Codes, bias: np.ndarray | None = None) -> tuple[Codes, np.ndarray | None]:
    """Return weights whose zero point is 0, without changing what they stand for; int16 where they need more than 8 bits.

    Where the zero point is not 0 the differences code - zero_point that do not fit int8 are divided by the greatest common divisor
    of them and the codes of the bias, channel by channel, which the scale takes up.

    Returns
    -------
    codes : Codes
    bias : ndarray of int32, or None
        `bias` in the scale of the new codes.
    """
    quantization = codes.quantization
    if codes.array.dtype != np.int8:
        raise node.refuse(f"its weight is quantised to {codes.array.dtype}; edgebn runs int8 and uint8 weights")
    if not quantization.zero_point.any():
        return codes, bias
    axis = quantization.axis
    along = [1] * codes.array.ndim
    if axis is not None:
        along[axis] = -1
    differences = codes.array.astype(np.int64) - quantization.zero_point.reshape(along)
    slices = np.moveaxis(differences, axis, 0).copy() if axis is not None else differences[None]
    scale = quantization.scale.copy()
    if bias is not None and axis is not None and bias.size != len(slices):
        raise node.damaged(f"its bias of {bias.size} numbers does not fit {len(slices)} outputs")
    # The bias of each scale: of all outputs where there is one scale.
    terms = np.zeros((len(slices), 0), np.int64) if bias is None else bias.astype(np.int64).reshape(len(slices), -1)
    for channel, values in enumerate(slices):
        if values.size and (values.min() < -128 or values.max() > 127):
            numbers = np.concatenate([np.unique(np.abs(values)), np.abs(terms[channel])])
            divisor = math.gcd(*(int(number) for number in numbers))
            slices[channel] = values // divisor
            terms[channel] //= divisor
            scale[channel] *= divisor
    array = np.moveaxis(slices, 0, axis) if axis is not None else slices[0]
    if np.abs(array).max(initial=0) > 255:
        raise node.damaged("its weight's zero point is outside 8 bits")
    narrow = array.size == 0 or (array.min() >= -128 and array.max() <= 127)
    found = Codes(array.astype(np.int8 if narrow else np.int16), Quantization(scale, np.zeros_like(quantization.zero_point), axis))
    return found, None if bias is None else terms.reshape(-1).astype(np.int32)


class Weights(NamedTuple):
    """What a layer multiplies by and adds, outputs first."""

    weight: np.ndarray
    bias: np.ndarray | None
    quantization: Quantization | None


def repeated(node: Node, copies: int, weight: np.ndarray, bias: np.ndarray | None, quantization: Quantization | None) -> Weights:
    """Return the weights of a layer that runs `copies` times side by side; `quantization` is along the outputs."""
    if copies == 1:
        return Weights(weight, bias, quantization)
    check_elements((copies, weight.size), f"the weight of '{node.name}' for {copies} images")
    if quantization is not None and quantization.axis is not None:
        scale, zero_point = (np.tile(array, copies) for array in (quantization.scale, quantization.zero_point))
        quantization = Quantization(scale, zero_point, quantization.axis)
    stack = np.tile(weight, (copies, *[1] * (weight.ndim - 1)))
    return Weights(stack, None if bias is None else np.tile(bias, copies), quantization)


def along_outputs(node: Node, quantization: Quantization | None, axis: int, outputs: int) -> Quantization | None:
    """Return the weight's quantisation with axis 0 being the outputs, as layers store weights."""
    if quantization is None or quantization.axis is None:
        return quantization
    if quantization.axis != axis or quantization.scale.size != outputs:
        raise node.refuse(
            f"its weight is quantised along axis {quantization.axis}, not its outputs (axis {axis}); quantise it so or per tensor"
        )
    return Quantization(quantization.scale, quantization.zero_point, 0)

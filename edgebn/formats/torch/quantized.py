"""What PyTorch's quantiser (pt2e) writes around layers: quantize and dequantize of one scale a tensor, and of weights a channel.

uint8 codes become int8 codes, lower by 128. What stands between such pairs becomes integer layers later (`passes/graph/qdq.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Codes, Dynamic, Static
from edgebn.layers import Activation, Dequantize, Quantization, Quantize

# PyTorch's numbers for the types of codes, and what int8 codes are lower by.
TYPES = {1: 128, 2: 0}
LIMITS = {1: (0, 255), 2: (-128, 127)}


def _numbers(node: Node, argument: str) -> np.ndarray:
    """Return scales or zero points: a number or a constant of the program."""
    value = node.arguments.get(argument)
    array = node.static(argument) if isinstance(value, Static | Dynamic) else np.asarray(node.number(argument))
    if array.ndim > 1 or not np.isfinite(array).all():
        raise node.damaged(f"its {argument} of shape {array.shape} is not one number a tensor or a channel")
    return np.atleast_1d(array).astype(np.float64)


def _parameters(node: Node) -> tuple[np.ndarray, np.ndarray, int, tuple[int, int]]:
    """Return scales, zero points, the type's number and the least and greatest code."""
    ends = {argument: node.arguments.get(argument) for argument in ("scale", "scales", "zero_point", "zero_points")}
    scale = _numbers(node, "scales" if ends["scales"] is not None else "scale")
    zero_point = _numbers(node, "zero_points") if ends["zero_points"] is not None else (
        _numbers(node, "zero_point") if ends["zero_point"] is not None else np.zeros(scale.shape))  # fmt: skip
    if not (scale > 0).all() or zero_point.shape != scale.shape or (zero_point != np.rint(zero_point)).any():
        raise node.damaged("its scales are not all positive, or its zero points are no whole numbers beside them")
    low, high = node.integer("quant_min"), node.integer("quant_max")
    return scale, zero_point.astype(np.int64), node.integer("dtype"), (low, high)


def _value_type(node: Node) -> tuple[Quantization, int, tuple[int, int]]:
    """Return the quantisation of a value of the network, what its codes are lower by, and the bounds of the file's codes."""
    scale, zero_point, kind, ends = _parameters(node)
    if kind not in TYPES or not LIMITS[kind][0] <= ends[0] < ends[1] <= LIMITS[kind][1]:
        raise node.refuse(f"it quantises a value to codes from {ends[0]} to {ends[1]}; edgebn reads int8 and uint8")
    if scale.size != 1 or node.has("axis"):
        raise node.refuse("it quantises a value of the network per channel; edgebn runs one scale a tensor there")
    shift = TYPES[kind]
    return Quantization.per_tensor(float(np.float32(scale[0])), int(zero_point[0]) - shift), shift, ends


def quantize(node: Node, context: Context) -> Dynamic:
    """quantize_per_tensor; codes that are fewer than their type has are bounds of the real numbers."""
    x = node.dynamic("input")
    quantization, shift, (low, high) = _value_type(node)
    if high - low < LIMITS[2][1] - LIMITS[2][0]:
        real = [float(quantization.scale[0]) * (end - shift - int(quantization.zero_point[0])) for end in (low, high)]
        x = context.emit(node, Activation, x, part="bounded", function="clip", low=real[0], high=real[1])
    return context.codes(node, Quantize, x, quantization, shift)


def dequantize(node: Node, context: Context) -> Dynamic:
    """dequantize_per_tensor, by the scale that the codes were written with."""
    x = node.dynamic("input")
    quantization, _, _ = _value_type(node)
    if x.quantization is None:
        raise node.damaged("its input holds no codes")
    if x.quantization.scale != quantization.scale or x.quantization.zero_point != quantization.zero_point:
        raise node.refuse("it reads its input with another scale or zero point than it was written with; quantise it again")
    return context.emit(node, Dequantize, x)


def _along(node: Node, scale: np.ndarray, array: np.ndarray) -> tuple[int, ...]:
    """Return the shape in which scales stand beside an array."""
    if not node.has("axis"):
        return (1,) * array.ndim
    axis = node.integer("axis") % max(array.ndim, 1)
    if scale.size != array.shape[axis]:
        raise node.damaged(f"its {scale.size} scales do not fit an axis of {array.shape[axis]}")
    return tuple(-1 if place == axis else 1 for place in range(array.ndim))


def quantized(node: Node) -> np.ndarray:
    """Quantize of a constant: x times 1 / scale, rounded, plus the zero point, between the bounds."""
    array = node.static("input")
    scale, zero_point, kind, (low, high) = _parameters(node)
    shape = _along(node, scale, array)
    inverse = (np.float32(1) / scale.astype(np.float32)).reshape(shape)
    codes = np.rint(array.astype(np.float32) * inverse) + zero_point.reshape(shape)
    types: dict[int, Any] = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32}
    if kind not in types:
        raise node.refuse("it quantises to a type that edgebn does not read")
    return np.clip(codes, low, high).astype(types[kind])


def dequantized(node: Node) -> Static:
    """Dequantize of a constant, which keeps int8 codes without a zero point beside the real numbers."""
    array = node.static("input")
    scale, zero_point, _, _ = _parameters(node)
    shape = _along(node, scale, array)
    real = (array.astype(np.float32) - zero_point.reshape(shape)) * scale.reshape(shape).astype(np.float32)
    axis = node.integer("axis") % array.ndim if node.has("axis") else None
    if array.dtype != np.int8 or zero_point.any():
        return Static(real.astype(np.float32))
    exact = scale.astype(np.float32).astype(np.float64)
    return Static(real.astype(np.float32), Codes(array, Quantization(exact, zero_point, axis)))

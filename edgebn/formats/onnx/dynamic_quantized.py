"""Dynamic quantisation as onnxruntime's quantize_dynamic writes it: DynamicQuantizeLinear and what reads it, DynamicQuantizeLSTM.

The file rounds what comes into a layer to 8 bits by the range that it has just then. edgebn runs such layers in float32 with the
file's weights, without that rounding: scales and zero points of the moment are followed from node to node (`Unit`) and cancel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.onnx import convolutions, recurrent
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static, Unit

LSTM_INPUTS = 8  # of an LSTM; behind them scale and zero point of both its weights
ONE = np.ones((), np.float32)


def dynamic_quantize_linear(node: Node, context: Context) -> tuple[Dynamic, ...]:  # noqa: ARG001  # every operator has the same signature
    """DynamicQuantizeLinear: the value as it is, counted in a scale; the scale; its zero point."""
    x = node.real(0)
    if len(node.outputs) != 3:
        raise node.damaged(f"it makes {len(node.outputs)} outputs; it should make 3")
    name = node.outputs[1]
    numbers = [Dynamic("", (), Place(None, 0), unit=Unit(name, power, ONE)) for power in (1, 0)]
    return replace(x, unit=Unit(name, -1, ONE)), *numbers


def conv_integer(node: Node, context: Context) -> Dynamic:
    """ConvInteger of a value that a DynamicQuantizeLinear made."""
    x, unit = _codes(node)
    weight = _integers(node, outputs_axis=0)
    return replace(convolutions.convolve(node, context, x, weight, None, None), unit=unit)


def matmul_integer(node: Node, context: Context) -> Dynamic:
    """MatMulInteger, likewise."""
    x, unit = _codes(node)
    weight = _integers(node, outputs_axis=-1)
    return replace(convolutions.multiply(node, context, x, weight, None), unit=unit)


def lstm(node: Node, context: Context) -> tuple[Dynamic, ...]:
    """DynamicQuantizeLSTM: an LSTM of weights in codes (directions, inputs, gates * units), one scale a direction or an output."""
    if len(node.inputs) != LSTM_INPUTS + 4:
        raise node.damaged(f"it has {len(node.inputs)} inputs; it should have {LSTM_INPUTS + 4}")
    inputs = list(node.inputs[:LSTM_INPUTS])
    for place, index in ((1, LSTM_INPUTS), (2, LSTM_INPUTS + 2)):
        codes, scale, zero = (node.static(at, "weights") for at in (place, index, index + 1))
        if codes.ndim != 3 or codes.dtype not in (np.int8, np.uint8) or len(scale) != len(codes) or scale.shape != zero.shape:
            raise node.damaged(f"its weights are {codes.dtype} of shape {codes.shape} with scales of shape {scale.shape}")
        of_direction = (len(codes), 1, -1)
        centred = codes.astype(np.int32) - zero.astype(np.int32).reshape(of_direction)
        real = centred.astype(np.float32) * scale.astype(np.float32).reshape(of_direction)
        inputs[place] = Static(np.ascontiguousarray(real.transpose(0, 2, 1)))
    return recurrent.lstm(replace(node, inputs=tuple(inputs)), context)


def _codes(node: Node) -> tuple[Dynamic, Unit]:
    """Return the first input as the value that it was before it was quantised, and what it is counted in."""
    x, unit, zero = node.value(0), node.unit(0), node.unit(2)
    if not isinstance(x, Dynamic) or unit is None or unit.power != -1:
        raise node.refuse("its input is quantised by constants; edgebn runs it behind a DynamicQuantizeLinear: use QLinear or QDQ")
    if zero is None or (zero.scale, zero.power) != (unit.scale, 0):
        raise node.refuse("its zero point is not that of its input")
    return replace(x, unit=None), unit


def _integers(node: Node, outputs_axis: int) -> np.ndarray:
    """Return the weight less its zero points, which stand along `outputs_axis` where there are several."""
    weight = node.static(1, "weight")
    if weight.dtype not in (np.int8, np.uint8) or weight.ndim < 1:
        raise node.damaged(f"its weight is {weight.dtype} of shape {weight.shape}")
    zero_point = node.optional_static(3, "zero point of its weight")
    whole = weight.astype(np.int64)
    if zero_point is not None:
        if zero_point.size not in (1, weight.shape[outputs_axis]) or zero_point.dtype != weight.dtype:
            raise node.damaged(f"its weight of shape {weight.shape} has {zero_point.size} zero points of {zero_point.dtype}")
        along = [1] * weight.ndim
        along[outputs_axis] = -1
        whole -= zero_point.reshape(along)
    return whole.astype(np.float32)

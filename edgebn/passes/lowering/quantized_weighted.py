"""Convolutions and dense layers of a quantised graph: the input's zero point goes into the bias, the scales into multipliers."""

from __future__ import annotations

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.layers import Convolution, Dense, Layer, TransposedConvolution
from edgebn.passes.integer.multipliers import (
    WIDE_SPAN,
    accumulator_bounds,
    double_rounding_epilogue,
    identity_epilogue,
    refold,
    wide_bounds,
    wide_epilogue,
    widened,
)
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import Buffer, IntEpilogue
from edgebn.program import Convolution as ConvolutionStep
from edgebn.program import TransposedConvolution as TransposedStep
from edgebn.quick_dataclass import replace


def weighted(state: Lowering, layer: Layer) -> None:
    """Convolution, TransposedConvolution or Dense, with the clips behind it."""
    assert isinstance(layer, Convolution | TransposedConvolution | Dense)
    quantization = layer.weight_quantization
    if quantization is None or layer.weight.dtype not in (np.int8, np.int16):
        raise UnsupportedLayerError("its weights are float32 between int8 values; quantise them too, or load the float32 model")
    if (quantization.zero_point != 0).any() or quantization.axis not in {None, 0}:
        raise UnsupportedLayerError("its int8 weights are not symmetric per output channel; quantise them with zero point 0")
    source = state.buffer(layer.inputs[0])
    value, qmin, qmax = state.with_clips(layer)
    output = state.make(value)
    if source.dtype != output.dtype:
        raise UnsupportedLayerError(f"it makes {output.dtype} codes of {source.dtype} codes; edgebn runs it within one type")
    weight = layer.weight.reshape(len(layer.weight), 1, 1, -1) if isinstance(layer, Dense) else layer.weight
    weight = np.ascontiguousarray(weight)
    weight_scale = np.broadcast_to(quantization.scale.astype(np.float64), len(weight)).copy()
    epilogue = _epilogue(state, layer, source, output, weight, weight_scale, (output.zero_point, qmin, qmax))
    name, inputs = state.step_name(layer), (source.name,)
    if isinstance(layer, TransposedConvolution):
        state.add(
            layer,
            TransposedStep(
                name,
                inputs,
                output.name,
                weight,
                epilogue,
                layer.strides,
                layer.dilations,
                layer.padding,
                layer.output_padding,
                layer.groups,
                weight_scale,
            ),
        )
    elif isinstance(layer, Convolution):
        state.add(
            layer,
            ConvolutionStep(
                name,
                inputs,
                output.name,
                weight,
                epilogue,
                layer.strides,
                layer.dilations,
                layer.padding,
                layer.groups,
                weight_scale=weight_scale,
            ),
        )
    else:
        state.add(layer, ConvolutionStep(name, inputs, output.name, weight, epilogue, weight_scale=weight_scale))


def _epilogue(
    state: Lowering,
    layer: Convolution | TransposedConvolution | Dense,
    source: Buffer,
    output: Buffer,
    weight: np.ndarray,
    weight_scale: np.ndarray,
    clip: tuple[int, int, int],
) -> IntEpilogue:
    """Return the epilogue; `clip` is (zero_point, qmin, qmax)."""
    where = state.where(layer)
    bias = np.zeros(len(weight), np.int64) if layer.bias is None else layer.bias.astype(np.int64)
    if layer.bias is not None and not np.issubdtype(layer.bias.dtype, np.integer):
        raise UnsupportedLayerError("its bias is float32 between int8 values; quantise it to int32 (scale input * weight)")
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    acc_bias = bias - source.zero_point * rows.sum(axis=1)
    if source.dtype == "int16":
        return _wide_epilogue(layer, source.scale * weight_scale / output.scale, acc_bias, weight, clip, where)
    bounds = accumulator_bounds(weight, acc_bias, where)
    acc_scale = source.scale * weight_scale
    if state.is_unsigned(layer.output):  # GetQuantizedConvolutionMultipler: the product of the scales is a float32
        acc_scale = acc_scale.astype(np.float32).astype(np.float64)
    if state.double:
        return double_rounding_epilogue(acc_scale / output.scale, acc_bias, clip, bounds, where)
    start = identity_epilogue(acc_bias.astype(np.int32), output)
    folded = refold(start, acc_scale, output.scale, bounds, where)
    return replace(folded, qmin=clip[1], qmax=clip[2])


def _wide_epilogue(
    layer: Convolution | TransposedConvolution | Dense,
    real: np.ndarray,
    acc_bias: np.ndarray,
    weight: np.ndarray,
    clip: tuple[int, int, int],
    where: str,
) -> IntEpilogue:
    """Return the epilogue between int16 codes: the bias' type says how TensorFlow Lite Micro rounds."""
    bounds = wide_bounds(weight, acc_bias)
    if layer.bias is not None and layer.bias.dtype == np.int32:
        return widened(double_rounding_epilogue(real, acc_bias, clip, bounds, where, WIDE_SPAN))
    return wide_epilogue(real, acc_bias, clip, bounds, where)

"""Norms between int8 values: a batch norm that a file's quantizer did not fold, an affine step of its own, and unit norms."""

from __future__ import annotations

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.layers import BatchNorm, Layer, Normalization
from edgebn.passes.integer.multipliers import identity_epilogue, refold
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import UNIT_CHANNELS, UNIT_CODES, Affine, Norm, UnitNorm
from edgebn.quick_dataclass import replace


def norm(state: Lowering, layer: Layer) -> None:
    """Batch norm with the clips behind it: acc = code - zero point, then the single rounding of a folded batch norm."""
    assert isinstance(layer, BatchNorm)
    rank = len(state.graph.tensors[layer.inputs[0]].shape)
    if layer.axis != rank - 1:
        raise UnsupportedLayerError(f"it normalises axis {layer.axis} of {rank}; in int8 edgebn normalises the last axis")
    source = state.buffer(layer.inputs[0])
    value, qmin, qmax = state.with_clips(layer)
    output = state.make(value)
    channels = len(layer.gamma)
    acc_bias = np.full(channels, -source.zero_point, np.int64)
    start = identity_epilogue(acc_bias, output)
    folded = Norm(layer.name, layer.gamma, layer.beta, layer.mean, layer.variance, layer.epsilon)
    bounds = (acc_bias - 128, acc_bias + 127)
    scale = np.full(channels, source.scale)
    epilogue = refold(replace(start, norms=(folded,)), scale, output.scale, bounds, state.where(layer))
    # Without statistics nothing adapts it, and a table may stand for it.
    norms = epilogue.norms if layer.has_statistics else ()
    step = Affine(state.step_name(layer), (source.name,), output.name, replace(epilogue, qmin=qmin, qmax=qmax, norms=norms))
    state.add(layer, step)


def unit_norm(state: Lowering, layer: Layer) -> None:
    """TensorFlow Lite's L2_NORMALIZATION, which is a norm over the last axis, not centred, of gamma 1 / sqrt(channels)."""
    assert isinstance(layer, Normalization)
    shape = state.graph.tensors[layer.inputs[0]].shape
    source, output = state.buffer(layer.inputs[0]), state.make(layer.output)
    if not state.double or layer.centred or layer.axes != (len(shape) - 1,) or output.dtype != "int8":
        raise UnsupportedLayerError("edgebn has no int8 form of this layer; load the float32 model and let edgebn quantise it")
    if (output.scale, output.zero_point) != UNIT_CODES or shape[-1] > UNIT_CHANNELS:
        raise UnsupportedLayerError(
            f"its output's scale is {output.scale:.6g}, where codes have 1/128, or its channels {shape[-1]}"
        )
    left_shift = 7 if state.is_unsigned(layer.output) else 0
    state.add(layer, UnitNorm(state.step_name(layer), (source.name,), output.name, left_shift))

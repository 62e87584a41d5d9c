"""A batch norm between int8 values, as files give it whose quantizer did not fold it: a per-channel affine step of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.layers import BatchNorm, Layer
from edgebn.passes.integer.multipliers import identity_epilogue, refold
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import Affine, Norm


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
    step = Affine(state.step_name(layer), (source.name,), output.name, replace(epilogue, qmin=qmin, qmax=qmax))
    state.add(layer, step)

"""Constant multiplications and additions per channel, written as the affine form of a batch norm so that they fold like one."""

from __future__ import annotations

import numpy as np

from edgebn.layers import Activation, Add, BatchNorm, Layer, Multiply
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, constant_of, is_quantized
from edgebn.quick_dataclass import dataclass


@dataclass(frozen=True)
class Affine(BatchNorm):
    """x * gamma + beta along the last axis: a rescaling of the file, not a batch norm (mean 0, variance 1, epsilon 0)."""


def per_channel(constant: np.ndarray, channels: int) -> np.ndarray | None:
    """Return `constant` as (channels,) float32 when it is the same along every axis but the last, else None."""
    if constant.size != 1 and constant.shape[-1] != constant.size:
        return None
    if constant.size not in (1, channels):
        return None
    return np.broadcast_to(constant.astype(np.float32).reshape(-1), (channels,)).copy()


def constant_to_affine(network: Network, layer: Layer) -> bool:
    """Turn Add or Multiply by a constant per channel into an `Affine`, with the layer's clip behind it."""
    if not isinstance(layer, Add | Multiply) or is_quantized(network, layer):
        return False
    for value, other in (layer.inputs, layer.inputs[::-1]):
        constant = constant_of(network, other)
        shape = network.shapes[value]
        if constant is None or constant_of(network, value) is not None or network.shapes[layer.output] != shape or not shape:
            continue
        vector = per_channel(constant, shape[-1])
        if vector is None:
            continue
        zeros, ones = np.zeros_like(vector), np.ones_like(vector)
        gamma, beta = (ones, vector) if isinstance(layer, Add) else (vector, zeros)
        clipped = (layer.low, layer.high) != (-np.inf, np.inf)
        output = network.new_value(f"{layer.output}/unclipped") if clipped else layer.output
        affine = Affine(layer.name, (value,), output, gamma, beta, zeros, ones, 0.0, len(shape) - 1)
        network.put(affine, layer.output)
        if clipped:
            name = f"{layer.name}/clip"
            network.put(Activation(name, (output,), layer.output, "clip", layer.low, layer.high), layer.output)
        return True
    return False


RULES: tuple[Rule, ...] = (constant_to_affine,)

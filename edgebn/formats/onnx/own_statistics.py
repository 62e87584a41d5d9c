"""Norms by the sample's own statistics: LayerNormalization, RMSNormalization, InstanceNormalization, GroupNormalization."""

from __future__ import annotations

import numpy as np

from edgebn.formats.common_layers import by_channels
from edgebn.formats.onnx import weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import Normalization

MIN_VARIANCE = 1e-18  # ONNX adds 1e-9 to the deviation, so that what does not vary becomes 0


def layer_normalization(node: Node, context: Context) -> Dynamic:
    """LayerNormalization: over every axis from `axis` on."""
    node.only_first_output()
    return _trailing(node, context, centred=True)


def rms_normalization(node: Node, context: Context) -> Dynamic:
    """RMSNormalization: the same without the mean."""
    return _trailing(node, context, centred=False)


def mean_variance(node: Node, context: Context) -> Dynamic:
    """MeanVarianceNormalization: over the axes that it names, all but the channels unless said; over the batch where that is 1."""
    x = node.real(0)
    axes = node.integers("axes") or tuple(axis for axis in (0, 2, 3) if axis < len(x.shape))
    if all(x.shape[context.resolved(node, axis, len(x.shape))] == 1 for axis in axes):
        raise node.refuse("it normalises single numbers, of which onnxruntime makes none")
    x, own = context.along(node, x, axes, "normalises over")
    return context.emit(node, Normalization, x, axes=own, axis=own[-1], epsilon=MIN_VARIANCE)


def _trailing(node: Node, context: Context, *, centred: bool) -> Dynamic:
    x = node.real(0)
    first = context.resolved(node, node.integer("axis", -1), len(x.shape))
    x, axes = context.along(node, x, range(first, len(x.shape)), "normalises over")
    shape = context.batch.sample(x.shape, x.place)
    gamma = _parameter(node, 1, "scale", shape)
    beta = _parameter(node, 2, "bias", shape) if centred and node.has(2) else None
    epsilon = node.number("epsilon", 1e-5)
    return context.emit(node, Normalization, x, axes=axes, axis=axes[-1], gamma=gamma, beta=beta, epsilon=epsilon, centred=centred)


def _parameter(node: Node, index: int, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a parameter that broadcasts against the end of `shape`."""
    array = weights.real_array(node, node.static(index, what), what)
    if array.ndim > len(shape) and array.shape[: array.ndim - len(shape)] != (1,) * (array.ndim - len(shape)):
        raise node.damaged(f"its {what} of shape {array.shape} does not fit a value of shape {shape}")
    return array.reshape((1,) * (len(shape) - array.ndim) + array.shape[max(array.ndim - len(shape), 0) :])


def instance_normalization(node: Node, context: Context) -> Dynamic:
    """InstanceNormalization: each channel by itself."""
    return _by_channels(node, context, node.real(0).shape[1])


def group_normalization(node: Node, context: Context) -> Dynamic:
    """GroupNormalization: blocks of channels; before opset 21 scale and bias are one a block."""
    return _by_channels(node, context, node.integer("num_groups", 0))


def _by_channels(node: Node, context: Context, groups: int) -> Dynamic:
    x = node.real(0)
    channels = x.shape[1]
    parameters: list[np.ndarray | None] = []
    for index, what in ((1, "scale"), (2, "bias")):
        array = weights.real_array(node, node.static(index, what), what).reshape(-1)
        if array.size == groups > 0 and channels % groups == 0:
            array = np.repeat(array, channels // groups)
        if groups > 0 and channels % groups == 0 and array.size != channels:
            raise node.damaged(f"its {what} has {array.size} numbers for {channels} channels")
        parameters.append(array)
    made: Dynamic = by_channels(node, context, x, groups, parameters, node.number("epsilon", 1e-5))
    return made

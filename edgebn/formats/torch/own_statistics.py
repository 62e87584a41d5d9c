"""Norms by the sample's own statistics: layer_norm, rms_norm, group_norm, instance_norm."""

from __future__ import annotations

import numpy as np

from edgebn.formats.common_layers import by_channels
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import Normalization

RMS_EPSILON = float(np.finfo(np.float32).eps)  # PyTorch's, where none is given


def layer_norm(node: Node, context: Context) -> Dynamic:
    """layer_norm: over the last axes, as many as `normalized_shape` has; the native form gives three values."""
    node.only_first_output()
    return _trailing(node, context, node.number("eps", 1e-5), centred=True)


def rms_norm(node: Node, context: Context) -> Dynamic:
    """rms_norm: the same without the mean."""
    return _trailing(node, context, node.number("eps", RMS_EPSILON), centred=False)


def _trailing(node: Node, context: Context, epsilon: float, *, centred: bool) -> Dynamic:
    x = node.dynamic("input")
    normalized = node.integers("normalized_shape")
    if not normalized or tuple(x.shape[-len(normalized) :]) != tuple(normalized):
        raise node.damaged(f"its normalized_shape {normalized} does not end an input of shape {x.shape}")
    first = len(x.shape) - len(normalized)
    x, axes = context.along(node, x, range(first, len(x.shape)), "normalises over")
    lead = (1,) * (len(context.batch.sample(x.shape, x.place)) - len(normalized))
    gamma = node.optional_weight("weight")
    beta = node.optional_weight("bias") if centred else None
    gamma, beta = (None if array is None else array.reshape(lead + array.shape) for array in (gamma, beta))
    return context.emit(node, Normalization, x, axes=axes, axis=axes[-1], gamma=gamma, beta=beta, epsilon=epsilon, centred=centred)


def group_norm(node: Node, context: Context) -> Dynamic:
    """group_norm: blocks of channels; the native form says `group` and gives three values."""
    node.only_first_output()
    return _by_channels(node, context, node.integer("num_groups" if node.has("num_groups") else "group"))


def instance_norm(node: Node, context: Context) -> Dynamic:
    """instance_norm: each channel by itself."""
    if not node.flag("use_input_stats", default=True):
        raise node.refuse("it normalises by running statistics; use a BatchNorm2d, which is the same at inference")
    return _by_channels(node, context, node.dynamic("input").shape[1])


def _by_channels(node: Node, context: Context, groups: int) -> Dynamic:
    parameters = [node.optional_weight(name) for name in ("weight", "bias")]
    made: Dynamic = by_channels(node, context, node.dynamic("input"), groups, parameters, node.number("eps", 1e-5))
    return made

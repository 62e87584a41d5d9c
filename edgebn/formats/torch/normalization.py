"""Batch norms, and the operators that do nothing at inference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.formats.torch.archive import FLOAT32
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static, Value
from edgebn.layers import BatchNorm

EXPORT_FOR_INFERENCE = "call module.eval() before the export"


def batch_norm(node: Node, context: Context) -> Dynamic:
    """batch_norm at inference, kept apart from the convolution before it."""
    if node.flag("training", default=False):
        raise node.refuse(
            f"it normalises by the statistics of each batch; {EXPORT_FOR_INFERENCE}, and train with track_running_stats=True"
        )
    x = node.dynamic("input")
    if len(x.shape) < 2:
        raise node.damaged(f"its input has shape {x.shape}")
    channels = x.shape[1]
    x, (axis,) = context.along(node, x, (1,))
    gamma, beta = node.optional_weight("weight"), node.optional_weight("bias")
    return context.emit(
        node,
        BatchNorm,
        x,
        gamma=np.ones(channels, np.float32) if gamma is None else gamma,
        beta=np.zeros(channels, np.float32) if beta is None else beta,
        mean=node.weight("running_mean"),
        variance=node.weight("running_var"),
        epsilon=node.number("eps"),
        axis=axis,
        channels_first=bool(x.place.leading) and len(x.shape) in (3, 4),
    )


def batch_norm_outputs(node: Node, context: Context) -> Dynamic:
    """The batch norms of a decomposed program: (output, saved mean, saved inverse deviation)."""
    node.only_first_output()
    return batch_norm(node, context)


def same(node: Node, context: Context) -> Value:  # noqa: ARG001  # every operator has the same signature
    """The same value, perhaps copied (contiguous, to)."""
    value = _unconverted(node)
    return replace(value, view=node.outputs[0]) if isinstance(value, Dynamic) else value


def alias(node: Node, context: Context) -> Value:  # noqa: ARG001  # every operator has the same signature
    """The same value in the same memory (detach, alias)."""
    return node.value("self")


def clone(node: Node, context: Context) -> Value:  # noqa: ARG001  # every operator has the same signature
    """The same value in memory of its own (clone, _to_copy)."""
    value = _unconverted(node)
    if isinstance(value, Static):
        return Static(value.array.copy())
    return replace(value, memory=node.outputs[0], view=node.outputs[0])


def _unconverted(node: Node) -> Value:
    """Return a value whose type stays float32, or a constant."""
    value = node.value("self")
    if isinstance(value, Dynamic) and node.has("dtype") and node.integer("dtype") != FLOAT32:
        raise node.refuse("it changes the type of a value of the network; edgebn runs float32: export module.float()")
    return value


def dropout(node: Node, context: Context) -> Dynamic:  # noqa: ARG001  # every operator has the same signature
    """Dropout at inference does nothing."""
    if node.flag("train", default=False) and node.number("p", 0.5) > 0:
        raise node.refuse(f"it drops values at random, as in training; {EXPORT_FOR_INFERENCE}")
    return node.dynamic("self" if node.has("self") else "input")

"""Batch norms, and the operators that do nothing at inference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.formats.torch.archive import FLOAT32, INTEGERS, TRUTH, UINT8
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static, Value
from edgebn.layers import BatchNorm, Cast, IntegerBinary

BYTES = 256
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


def same(node: Node, context: Context) -> Value:
    """The same value, perhaps copied or of another type (contiguous, to)."""
    value = _converted(node, context)
    return replace(value, view=node.outputs[0]) if isinstance(value, Dynamic) else value


def alias(node: Node, context: Context) -> Value:  # noqa: ARG001  # every operator has the same signature
    """The same value in the same memory (detach, alias)."""
    return node.value("self")


def clone(node: Node, context: Context) -> Value:
    """The same value in memory of its own, perhaps of another type (clone, _to_copy)."""
    value = _converted(node, context)
    if isinstance(value, Static):
        return Static(value.array.copy())
    return replace(value, memory=node.outputs[0], view=node.outputs[0])


def _converted(node: Node, context: Context) -> Value:
    """Return a value as float32 or int32, or a constant as it is."""
    value = node.value("self")
    if not isinstance(value, Dynamic) or not node.has("dtype"):
        return value
    to = node.integer("dtype")
    if to not in (FLOAT32, *INTEGERS, TRUTH, UINT8):
        raise node.refuse(
            "it changes the type of a value of the network; edgebn casts to float32, int32, int64, uint8 and bool: "
            "export module.float()"
        )
    if to == TRUTH:
        return value if value.truth else _with_number(node, context, value, "not_equal", 0)
    if to == UINT8 and not value.truth:
        whole = value if value.whole else context.emit(node, Cast, value, part="whole", place=value.place, to="int32")
        return _with_number(node, context, whole, "floor_mod", BYTES)
    if value.whole == (to != FLOAT32):
        return replace(value, truth=False)
    return context.emit(node, Cast, value, place=value.place, to="float32" if to == FLOAT32 else "int32")


def _with_number(node: Node, context: Context, x: Dynamic, function: str, number: int) -> Dynamic:
    """Append a function of a value and one number, which makes whole numbers."""
    constant = context.constant(node, np.full((), number, np.int32 if x.whole else np.float32), "number")
    return context.emit(node, IntegerBinary, x, constant, place=x.place, function=function)


def dropout(node: Node, context: Context) -> Dynamic:  # noqa: ARG001  # every operator has the same signature
    """Dropout at inference does nothing."""
    if node.flag("train", default=False) and node.number("p", 0.5) > 0:
        raise node.refuse(f"it drops values at random, as in training; {EXPORT_FOR_INFERENCE}")
    return node.dynamic("self" if node.has("self") else "input")

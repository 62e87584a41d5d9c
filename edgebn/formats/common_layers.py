"""Layers that ONNX and PyTorch have alike: norms of blocks of channels, and powers by a number.

`node` and `context` are those of either reader; of a node only `refuse` and `damaged` are asked.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgebn.layers import Activation, Multiply, Normalization

# Powers that are a function of their own, by exponent.
POWERS = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}


def by_channels(node: Any, context: Any, x: Any, groups: int, parameters: list[np.ndarray | None], epsilon: float) -> Any:
    """Append a norm of blocks of channels (axis 1); as many blocks as channels are an instance norm.

    `parameters` are gamma and beta, vectors of one number a channel or None.
    """
    channels = x.shape[1] if len(x.shape) > 2 else 0
    if groups < 1 or not channels or channels % groups:
        raise node.damaged(f"its {groups} groups do not divide {channels} channels of an input of shape {x.shape}")
    x, (axis,) = context.along(node, x, (1,))
    shape = context.batch.sample(x.shape, x.place)
    if math.prod(shape[:axis]) != 1:
        raise node.refuse("it normalises every sample of a batch that lies elsewhere than in front")
    wide = tuple(channels if place == axis else 1 for place in range(len(shape)))
    gamma, beta = (None if array is None else array.reshape(wide) for array in parameters)
    return context.emit(
        node,
        Normalization,
        x,
        axes=tuple(range(len(shape))),
        groups=groups,
        axis=axis,
        gamma=gamma,
        beta=beta,
        epsilon=epsilon,
        channels_first=bool(x.place.leading) and len(x.shape) in (3, 4),
    )


def power(node: Any, context: Any, x: Any, exponent: float) -> Any:
    """Append what raises a value by one number: whole powers up to 4, and roots."""
    if exponent in POWERS:
        return context.emit(node, Activation, x, function=POWERS[exponent])
    if exponent in (3.0, 4.0):
        squared = context.emit(node, Activation, x, part="square", function="square")
        return context.emit(node, Multiply, squared, x if exponent == 3.0 else squared)
    raise node.refuse(f"its exponent is {exponent}; edgebn raises to 1, 2, 3, 4, 1/2, -1/2 and -1")

"""Adaptive pooling whose windows differ in size: one axis after the other, of elements that are picked and then met."""

from __future__ import annotations

import numpy as np

from edgebn.formats.adaptive_windows import Windows
from edgebn.formats.torch.arithmetic import combine
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import Add, Binary, Multiply


def along(node: Node, context: Context, x: Dynamic, axis: int, of: Windows, function: str) -> Dynamic:
    """Append the average or maximum of windows along one axis of the file's shape."""
    made = None
    for place in range(of.length):
        part = f"axis{axis}_{place}"
        picked = of.starts + np.minimum(place, of.lengths - 1)
        one: Dynamic = context.select(node, x, {axis: picked}, "pools", part=f"{part}_picked")
        if function == "average" and of.length > 1:
            shares = np.where(place < of.lengths, 1.0 / of.lengths, 0.0).astype(np.float32)
            shares = shares.reshape(-1, *[1] * (len(x.shape) - axis - 1))
            one = combine(node, context, Multiply, one, shares, part=f"{part}_share")
        if made is None:
            made = one
        elif function == "average":
            made = combine(node, context, Add, made, one, part=f"{part}_sum")
        else:
            made = combine(node, context, Binary, made, one, part=f"{part}_maximum", function="maximum")
    assert made is not None
    return made

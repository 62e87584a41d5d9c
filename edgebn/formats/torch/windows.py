"""Kernels, strides and paddings as PyTorch writes them, turned into the pairs and sides that layers use."""

from __future__ import annotations

from edgebn.formats.channels_first import pair
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import Sides


def spatial(node: Node, x: Dynamic) -> tuple[int, ...]:
    """Return the spatial sizes of a value (N, C, ...), or refuse what is not 1-D or 2-D."""
    count = len(x.shape) - 2
    if count not in (1, 2):
        raise node.refuse(
            f"its input of shape {x.shape} has {max(count, 0)} spatial axes behind batch and channels; edgebn runs one or two"
        )
    return x.shape[2:]


def sides(befores: tuple[int, ...], afters: tuple[int, ...]) -> Sides:
    """Return (top, left, bottom, right) from one number an axis before and one after."""
    top, left = pair(befores, 0)
    bottom, right = pair(afters, 0)
    return top, left, bottom, right


def same(kernel: tuple[int, ...], dilations: tuple[int, ...]) -> Sides:
    """Return the padding of padding='same', for which strides are 1: the odd element goes behind."""
    totals = tuple(dilation * (size - 1) for size, dilation in zip(kernel, dilations, strict=True))
    return sides(tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals))

"""Kernels, strides and paddings as ONNX writes them, turned into the pairs and sides that layers use."""

from __future__ import annotations

from dataclasses import dataclass

from edgebn.formats.channels_first import ceil_extra
from edgebn.formats.onnx.node import Node
from edgebn.formats.volumes import Box
from edgebn.layers import MAX_EXTENT, Pair, Sides


@dataclass(frozen=True)
class Geometry:
    """A sliding window over one or two spatial axes; a single axis is the width.

    Attributes
    ----------
    size, kernel, strides, dilations : (height, width)
    padding : (top, left, bottom, right)
    extra : (rows, columns)
        How much of the bottom and right padding exists only because of ceil_mode.
    """

    size: Pair
    kernel: Pair
    strides: Pair
    dilations: Pair
    padding: Sides
    extra: Pair = (0, 0)


def pair(values: tuple[int, ...] | None, count: int, default: int) -> Pair:
    """Return one number an axis as (height, width)."""
    if values is None:
        values = (default,) * count
    return (default if count == 1 else values[0], values[-1])


def spatial(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the spatial sizes of a full shape (N, C, ...), or refuse what is not 1-D or 2-D."""
    count = len(shape) - 2
    if count not in (1, 2):
        raise node.refuse(f"its input of shape {shape} has {max(count, 0)} spatial dimensions; edgebn runs 1-D and 2-D layers")
    return shape[2:]


def lists(node: Node, count: int, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return (strides, dilations, pads) with one or two numbers an axis, defaults filled in and lengths checked."""
    strides = node.integers("strides") or (1,) * count
    dilations = node.integers("dilations") or (1,) * count
    pads = node.integers("pads") or (0,) * (2 * count)
    if not len(kernel) == len(strides) == len(dilations) == count or len(pads) != 2 * count:
        raise node.damaged(f"its kernel {kernel}, strides, dilations or pads do not have one entry for each of {count} axes")
    for number in (*kernel, *strides, *dilations):
        if not 0 < number <= MAX_EXTENT:
            raise node.damaged(f"its kernel, strides or dilations hold {number}; they should be between 1 and {MAX_EXTENT}")
    if any(not 0 <= number <= MAX_EXTENT for number in pads):
        raise node.refuse(f"its pads {pads} are negative or absurd; crop with a Slice instead")
    return strides, dilations, pads


def box(node: Node, shape: tuple[int, ...], kernel: tuple[int, ...], *, ceil_mode: bool = False) -> tuple[Box, tuple[int, ...]]:
    """Return the window of a layer over three axes, and what of its padding exists because of ceil_mode."""
    axes = [_along(node, axis, shape[2:], kernel, ceil_mode=ceil_mode) for axis in range(3)]
    strides, dilations, _ = lists(node, 3, kernel)
    befores, afters, extras = zip(*axes, strict=True)
    return Box(kernel, strides, dilations, befores, afters), extras


def geometry(node: Node, shape: tuple[int, ...], kernel: tuple[int, ...], *, ceil_mode: bool = False) -> Geometry:
    """Work out a window's explicit padding from auto_pad, pads and ceil_mode.

    Raises
    ------
    ModelError
        Naming the node, when numbers are missing, negative or absurd.
    """
    sizes = spatial(node, shape)
    count = len(sizes)
    strides, dilations, _ = lists(node, count, kernel)
    axes = [_along(node, axis, sizes, kernel, ceil_mode=ceil_mode) for axis in range(count)]
    befores, afters, extras = zip(*axes, strict=True)
    top, left = pair(befores, count, 0)
    bottom, right = pair(afters, count, 0)
    return Geometry(
        pair(sizes, count, 1),
        pair(kernel, count, 1),
        pair(strides, count, 1),
        pair(dilations, count, 1),
        (top, left, bottom, right),
        pair(extras, count, 0),
    )


def _along(node: Node, axis: int, sizes: tuple[int, ...], kernel: tuple[int, ...], *, ceil_mode: bool) -> tuple[int, int, int]:
    """Return the padding before and after along an axis, and how much of the latter exists because of ceil_mode."""
    count = len(sizes)
    strides, dilations, pads = lists(node, count, kernel)
    mode = node.text("auto_pad", "NOTSET")
    span = dilations[axis] * (kernel[axis] - 1) + 1
    stride, size = strides[axis], sizes[axis]
    before, after = pads[axis], pads[axis + count]
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = max((-(-size // stride) - 1) * stride + span - size, 0)
        before = total // 2 if mode == "SAME_UPPER" else total - total // 2
        after = total - before
    elif mode == "VALID":
        before = after = 0
    elif mode != "NOTSET":
        raise node.damaged(f"its auto_pad '{mode}' is not one that ONNX defines")
    extra = ceil_extra(size, span, stride, before, after) if ceil_mode else 0
    return before, after + extra, extra

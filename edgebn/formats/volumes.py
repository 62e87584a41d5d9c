"""Convolutions and pools over three axes as layers over two, said once for ONNX and PyTorch.

`node` and `context` are those of either reader; shapes are the file's, (N, C, depth, rows, columns). Knows neither format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.channels_first import convolution_kernel
from edgebn.graph import MAX_TENSOR_ELEMENTS
from edgebn.layers import Convolution, Pool

Three = tuple[int, ...]  # of three numbers


@dataclass(frozen=True)
class Box:
    """A window over three axes; `befores` and `afters` are its padding."""

    kernel: Three
    strides: Three
    dilations: Three
    befores: Three
    afters: Three

    def free(self, axis: int) -> bool:
        """Whether it does nothing along an axis."""
        return (self.kernel[axis], self.strides[axis], self.befores[axis], self.afters[axis]) == (1, 1, 0, 0)

    def count(self, axis: int, size: int) -> int:
        """Return how many stand along an axis."""
        span = self.dilations[axis] * (self.kernel[axis] - 1) + 1
        return (size + self.befores[axis] + self.afters[axis] - span) // self.strides[axis] + 1

    def over(self, rows: int, columns: int) -> dict[str, Any]:
        """Return what a layer over two of the axes is told."""
        return {
            "strides": (self.strides[rows], self.strides[columns]),
            "dilations": (self.dilations[rows], self.dilations[columns]),
            "padding": (self.befores[rows], self.befores[columns], self.afters[rows], self.afters[columns]),
            "channels_first": True,
        }


def convolved(node: Any, context: Any, x: Any, weight: np.ndarray, bias: np.ndarray | None, groups: int, box: Box) -> Any:
    """Append a convolution by (O, I / groups, depth, rows, columns).

    An axis that the window does nothing along becomes copies of the channels, side by side, each a group; else the depth does,
    whose channels all meet where the window says so.
    """
    if len(x.shape) != 5 or groups < 1 or weight.shape[0] % groups or weight.shape[1] * groups != x.shape[1]:
        raise node.damaged(f"its weight of shape {weight.shape} and {groups} groups do not fit an input of shape {x.shape}")
    apart = next((axis for axis in (0, 2, 1) if box.free(axis)), None)
    axis = 0 if apart is None else apart
    rows, columns = (other for other in range(3) if other != axis)
    size, after = x.shape[2 + axis], box.count(axis, x.shape[2 + axis])
    channels, outputs = x.shape[1], weight.shape[0]
    if after < 1 or size * after * weight.size > MAX_TENSOR_ELEMENTS:
        raise node.refuse(f"its window {box.kernel} over a value of shape {x.shape} makes a weight that is too large over two axes")
    turned = np.moveaxis(weight, 2 + axis, 2)
    first = (0, 2 + axis, 1) if apart is not None else (0, 1, 2 + axis)  # copies before the channels, or the depth behind them
    beside = context.transpose(node, x, (*first, 2 + rows, 2 + columns), part="beside")
    shape = (x.shape[0], channels * size, x.shape[2 + rows], x.shape[2 + columns])
    image = context.reshape(node, beside, shape, part="image", axis=x.place.axis)
    if apart is not None:
        kernel, many, biases = (
            np.tile(turned[:, :, 0], (size, 1, 1, 1)),
            size * groups,
            None if bias is None else np.tile(bias, size),
        )
    else:
        kernel, many, biases = _banded(turned, size, after, box), groups, None if bias is None else np.repeat(bias, after)
    made = context.emit(
        node,
        Convolution,
        image,
        part="convolved",
        weight=convolution_kernel(kernel),
        bias=biases,
        groups=many,
        **box.over(rows, columns),
    )
    split = (after, outputs) if apart is not None else (outputs, after)
    apart_again = context.reshape(node, made, (x.shape[0], *split, *made.shape[2:]), part="volume", axis=x.place.axis)
    order = [0, 1, 2, 3, 4]
    stands = {"channels": 2, "axis": 1} if apart is not None else {"channels": 1, "axis": 2}
    order[1], order[2 + axis], order[2 + rows], order[2 + columns] = stands["channels"], stands["axis"], 3, 4
    return context.transpose(node, apart_again, order)


def _banded(weight: np.ndarray, size: int, after: int, box: Box) -> np.ndarray:
    """Return (O * after, I / groups * size, rows, columns) of (O, I / groups, depth, rows, columns)."""
    outputs, inputs, depth, *spatial = weight.shape
    wide = np.zeros((outputs, after, inputs, size, *spatial), np.float32)
    for place in range(after):
        for tap in range(depth):
            source = place * box.strides[0] + tap * box.dilations[0] - box.befores[0]
            if 0 <= source < size:
                wide[:, place, :, source] += weight[:, :, tap]
    return wide.reshape(outputs * after, inputs * size, *spatial)


def pooled(node: Any, context: Any, x: Any, function: str, box: Box, *, count_padding: bool, clipped: Three = (0, 0, 0)) -> Any:
    """Append a pool ('max' or 'average'): over rows and columns, then over the depth. `clipped` is what ceil mode alone added."""
    if len(x.shape) != 5:
        raise node.damaged(f"its window {box.kernel} does not fit an input of shape {x.shape}")
    batch, channels, depth, rows, columns = x.shape
    fields = {"function": function, "count_padding": count_padding}
    flat = context.reshape(node, x, (batch, channels * depth, rows, columns), part="images", axis=x.place.axis)
    kernel, end = box.kernel[1:], clipped[1:]
    y = context.emit(node, Pool, flat, part="pooled_images", kernel=kernel, clipped_end=end, **fields, **box.over(1, 2))
    height, width = y.shape[2:]
    deep = context.reshape(node, y, (batch, channels, depth, height * width), part="depths", axis=x.place.axis)
    if not box.free(0):
        along = Box(
            (box.kernel[0], 1, 1), (box.strides[0], 1, 1), (box.dilations[0], 1, 1), (box.befores[0], 0, 0), (box.afters[0], 0, 0)
        )
        end = (clipped[0], 0)
        deep = context.emit(
            node, Pool, deep, part="pooled_depths", kernel=along.kernel[:2], clipped_end=end, **fields, **along.over(0, 1)
        )
    return context.reshape(node, deep, (batch, channels, deep.shape[2], height, width), axis=x.place.axis)

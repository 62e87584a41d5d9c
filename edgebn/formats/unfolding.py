"""The pixels under windows, taken apart and put together: convolutions by ones, said once for ONNX and PyTorch.

`node` and `context` are those of either reader. Knows neither format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.channels_first import convolution_kernel, transposed_kernel
from edgebn.graph import MAX_TENSOR_ELEMENTS
from edgebn.layers import ArgExtreme, Convolution, IntegerBinary, Pad, Pair, Select, Sides, TransposedConvolution

LEAST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Windows:
    """Windows over rows and columns, as the layers have them."""

    kernel: Pair
    strides: Pair
    dilations: Pair
    padding: Sides

    @property
    def size(self) -> int:
        """Pixels of a window."""
        return self.kernel[0] * self.kernel[1]

    def fields(self) -> dict[str, Any]:
        """Return what a convolution is told of them."""
        return {"strides": self.strides, "dilations": self.dilations, "padding": self.padding, "channels_first": True}

    def count(self, image: Pair) -> Pair:
        """Return how many stand over an image, along each axis."""
        before, after = self.padding[:2], self.padding[2:]
        rows, columns = (
            (image[axis] + before[axis] + after[axis] - self.dilations[axis] * (self.kernel[axis] - 1) - 1) // self.strides[axis]
            + 1
            for axis in (0, 1)
        )
        return rows, columns


def _each(node: Any, channels: int, windows: Windows) -> np.ndarray:
    """Return (channels * pixels, 1, rows, columns): a one for each pixel of a window, channel by channel."""
    if channels * windows.size**2 > MAX_TENSOR_ELEMENTS:
        raise node.refuse(f"its windows of {windows.kernel} pixels over {channels} channels are too large")
    one = np.eye(windows.size, dtype=np.float32).reshape(windows.size, 1, *windows.kernel)
    return np.tile(one, (channels, 1, 1, 1))


def sums(node: Any, context: Any, x: Any, windows: Windows, part: str) -> Any:
    """Append the sum of each channel's pixels under each window of (N, C, H, W) or (N, C, L); padding adds nothing."""
    x, channels = context.image(node, x), x.shape[1]
    ones = np.ones((channels, *windows.kernel, 1), np.float32)
    return context.emit(node, Convolution, x, part=part, weight=ones, groups=channels, **windows.fields())


def taken_apart(node: Any, context: Any, x: Any, windows: Windows, part: str) -> Any:
    """Append (N, C * pixels, rows, columns): of an image (N, C, H, W), the pixels under each window, channel by channel."""
    x, channels = context.image(node, x), x.shape[1]
    weight = convolution_kernel(_each(node, channels, windows))
    return context.emit(node, Convolution, x, part=part, weight=weight, groups=channels, **windows.fields())


def put_together(node: Any, context: Any, x: Any, channels: int, image: Pair, windows: Windows) -> Any:
    """Append an image (N, C, H, W) that has, of (N, C * pixels, windows), the sum of what the windows hold for each pixel."""
    count = windows.count(image)
    if min(count) < 1 or x.shape[1:] != (channels * windows.size, count[0] * count[1]):
        raise node.damaged(f"its input of shape {x.shape} is not of {count} windows of {windows.kernel} pixels")
    x = context.reshape(node, context.image(node, x), (x.shape[0], x.shape[1], *count), part="windows", axis=x.place.axis)
    top, left, bottom, right = windows.padding
    spans = [
        windows.strides[axis] * (count[axis] - 1) + windows.dilations[axis] * (windows.kernel[axis] - 1) + 1 for axis in (0, 1)
    ]
    beyond = (image[0] + top + bottom - spans[0], image[1] + left + right - spans[1])  # that no window reaches
    return context.emit(
        node,
        TransposedConvolution,
        x,
        weight=transposed_kernel(_each(node, channels, windows), channels),
        groups=channels,
        output_padding=beyond,
        **windows.fields(),
    )


def max_places(node: Any, context: Any, x: Any, windows: Windows) -> tuple[Any, Any]:
    """Append where in each window of (N, C, H, W) the first of the largest pixels stands, and where in the rows of its channel."""
    x = context.image(node, x)
    batch, channels, _, width = x.shape
    top, left, bottom, right = windows.padding
    sides = ((0, 0), (top, bottom), (left, right))
    around = context.moved(node, Pad, x, part="around", pads=sides, value=LEAST) if any(windows.padding) else x
    bare = Windows(windows.kernel, windows.strides, windows.dilations, (0, 0, 0, 0))
    apart = taken_apart(node, context, around, bare, "windows")
    rows, columns = apart.shape[2:]
    split = context.reshape(node, apart, (batch, channels, windows.size, rows, columns), part="pixels", axis=x.place.axis)
    split, (axis,) = context.along(node, split, (2,))
    best = context.whole_numbers(node, ArgExtreme, split, part="best", place=split.place, function="max", axis=axis)
    inside = context.reshape(node, best, (batch, channels, rows, columns), part="inside", axis=x.place.axis)

    def of(function: str, a: Any, b: Any, part: str) -> Any:
        met, place = context.broadcast(node, (a, np.asarray(b, np.int32) if not hasattr(b, "tensor") else b))
        values = [context.array(node, one, f"{part}_constant") if isinstance(one, np.ndarray) else one for one in met]
        return context.whole_numbers(node, IntegerBinary, *values, part=part, place=place, function=function)

    firsts = [
        np.arange(count) * stride - pad for count, stride, pad in zip((rows, columns), windows.strides, (top, left), strict=True)
    ]
    down, over = of("floor_divide", inside, windows.kernel[1], "down"), of("floor_mod", inside, windows.kernel[1], "over")
    row = of("add", of("multiply", down, windows.dilations[0], "steps_down"), firsts[0][:, None], "row")
    column = of("add", of("multiply", over, windows.dilations[1], "steps_over"), firsts[1], "column")
    return inside, of("add", of("multiply", row, width, "rows_before"), column, "in_channel")


def spread_maxima(node: Any, context: Any, x: Any, inside: Any, windows: Windows, image: Pair) -> Any:
    """Append an image (N, C, H, W) of zeros but for the values x (N, C, rows, columns), each at its place `inside` its window."""
    if windows.strides != windows.kernel or windows.dilations != (1, 1) or any(windows.padding):
        raise node.refuse(f"its windows {windows.kernel} overlap, leave gaps or have padding; edgebn undoes pools of tiles")
    if inside.shape != x.shape:
        raise node.damaged(f"its input of shape {x.shape} is not of the places' shape {inside.shape}")
    batch, channels, rows, columns = x.shape
    high, wide = windows.kernel
    each = np.arange(windows.size, dtype=np.int32)[:, None, None]
    values, places = (
        context.reshape(node, one, (batch, channels, 1, rows, columns), part=part, axis=x.place.axis)
        for one, part in ((x, "values"), (inside, "places"))
    )
    (a, b), place = context.broadcast(node, (places, each))
    here = context.whole_numbers(node, IntegerBinary, a, context.array(node, b, "each"), part="here", place=place, function="equal")
    (mask, value, none), place = context.broadcast(node, (here, values, np.zeros((1, 1, 1), np.float32)))
    spread = context.emit(node, Select, mask, value, context.array(node, none, "none"), part="spread", place=place)
    split = context.reshape(node, spread, (batch, channels, high, wide, rows, columns), part="split", axis=x.place.axis)
    turned = context.transpose(node, split, (0, 1, 4, 2, 5, 3), part="turned")
    tiles = context.reshape(node, turned, (batch, channels, rows * high, columns * wide), part="tiles", axis=x.place.axis)
    after = [whole - made for whole, made in zip(image, tiles.shape[2:], strict=True)]
    return context.pad(node, tiles, [(0, 0), (0, 0), (0, after[0]), (0, after[1])], 0.0)

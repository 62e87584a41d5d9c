"""The pixels under windows, taken apart and put together: convolutions by ones, said once for ONNX and PyTorch.

`node` and `context` are those of either reader. Knows neither format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.channels_first import convolution_kernel, transposed_kernel
from edgebn.graph import MAX_TENSOR_ELEMENTS
from edgebn.layers import Convolution, Pair, Sides, TransposedConvolution


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

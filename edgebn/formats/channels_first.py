"""What the channels-first formats, ONNX and PyTorch, spell alike: which values are images, kernels, pairs of numbers, ceil mode.

Knows neither format.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.graph import GraphBuilder, Shape
from edgebn.layers import Layer, Pair, Reduce

Axes = tuple[int, ...]
Image = Shape  # (C, H, W)


def settle_layout(builder: GraphBuilder) -> None:
    """Say of the finished network whether it is channels-first: whether some layer knows its value to be (C, H, W) or (C, L).

    Operators that are defined on channels-first values say so: convolutions, pools (global ones too), resampling, batch norms of
    images and sequences, depth to space. Where none of these is in the network, means and maxima over the last two axes of
    (N, C, H, W) say it; such means of other axes, elementwise layers and products say nothing.
    """
    if not any(_says_layout(layer) for layer in builder.layers):
        builder.layers[:] = [_spatial_mean(layer, builder) for layer in builder.layers]
    builder.channels_first = any(_says_layout(layer) for layer in builder.layers)


def _says_layout(layer: Layer) -> bool:
    return bool(getattr(layer, "channels_first", False))


def _spatial_mean(layer: Layer, builder: GraphBuilder) -> Layer:
    if isinstance(layer, Reduce) and layer.axes == (1, 2) and len(builder.tensors[layer.inputs[0]].shape) == 3:
        return replace(layer, channels_first=True)
    return layer


def pair(values: tuple[int, ...], default: int) -> Pair:
    """Return one number an axis, of one or two spatial axes, as (height, width); a single axis is the width."""
    return (default if len(values) == 1 else values[0], values[-1])


def convolution_kernel(weight: np.ndarray) -> np.ndarray:
    """Turn a kernel (O, I / groups, kh, kw) or (O, I / groups, k) into (O, kh, kw, I / groups)."""
    return np.ascontiguousarray(_four_axes(weight).transpose(0, 2, 3, 1))


def transposed_kernel(weight: np.ndarray, groups: int) -> np.ndarray:
    """Turn a transposed convolution's kernel (I, O / groups, kh, kw) or (I, O / groups, k) into (O, kh, kw, I / groups)."""
    full = _four_axes(weight)
    inputs, per_group, kh, kw = full.shape
    split = full.reshape(groups, inputs // groups, per_group, kh, kw)
    ours = split.transpose(0, 2, 3, 4, 1).reshape(per_group * groups, kh, kw, inputs // groups)
    return np.ascontiguousarray(ours)


def ceil_extra(size: int, span: int, stride: int, before: int, after: int) -> int:
    """Return how much padding ceil mode adds behind an axis: what the last window needs that begins inside the padded value."""
    windows = -(-(size + before + after - span) // stride) + 1
    if (windows - 1) * stride >= size + before:  # a last window that would begin in the padding behind is dropped
        windows -= 1
    return max((windows - 1) * stride + span - size - before - after, 0)


def blocks_to_pixels(shape: Image, block: int, *, blocks_first: bool) -> tuple[Shape, Axes, Shape]:
    """Return how a (C, H, W) value becomes (C / block^2, H block, W block): a shape to give it, an order of axes, the last shape.

    The channels hold the rows and columns of blocks behind their own number (PyTorch's pixel_shuffle, ONNX's CRD) or before it.
    """
    channels, height, width = shape
    inner = channels // block**2
    last = (inner, height * block, width * block)
    if blocks_first:
        return (block, block, inner, height, width), (2, 3, 0, 4, 1), last
    return (inner, block, block, height, width), (0, 3, 1, 4, 2), last


def pixels_to_blocks(shape: Image, block: int, *, blocks_first: bool) -> tuple[Shape, Axes, Shape]:
    """Return the same for the way back, from (C, H, W) to (C block^2, H / block, W / block)."""
    channels, height, width = shape
    split = (channels, height // block, block, width // block, block)
    order = (2, 4, 0, 1, 3) if blocks_first else (0, 2, 4, 1, 3)
    return split, order, (channels * block**2, height // block, width // block)


def open_bound(bound: float) -> float:
    """Return a bound of a clip; exporters write 'no bound' as the largest float32."""
    return bound if abs(bound) < float(np.finfo(np.float32).max) else float(np.inf * np.sign(bound))


def _four_axes(weight: np.ndarray) -> np.ndarray:
    """Give a 1-D kernel a height of 1."""
    return weight[:, :, None, :] if weight.ndim == 3 else weight

"""What the channels-first formats, ONNX and PyTorch, spell alike: kernels, pairs of numbers, ceil mode.

Knows neither format.
"""

from __future__ import annotations

import numpy as np

from edgebn.layers import Pair


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


def open_bound(bound: float) -> float:
    """Return a bound of a clip; exporters write 'no bound' as the largest float32."""
    return bound if abs(bound) < float(np.finfo(np.float32).max) else float(np.inf * np.sign(bound))


def _four_axes(weight: np.ndarray) -> np.ndarray:
    """Give a 1-D kernel a height of 1."""
    return weight[:, :, None, :] if weight.ndim == 3 else weight

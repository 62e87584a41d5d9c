"""Layers on constants alone: projected positions, standardised weights, reparameterised kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.formats.torch.constant_moves import check_size
from edgebn.formats.torch.node import Node

MAX_PRODUCTS = 1 << 30  # beyond which a damaged file would never end


def _conv(node: Node) -> np.ndarray:
    """conv1d, conv2d and the like with numbers for padding."""
    if node.has("transposed") and node.flag("transposed"):
        raise node.refuse("all its inputs are constants, and edgebn does not compute it while reading; compute it before")
    x, weight = node.weight("input"), node.weight("weight")
    if x.ndim != weight.ndim or x.ndim < 3 or 0 in weight.shape:
        raise node.damaged(f"its weight of shape {weight.shape} does not fit an input of shape {x.shape}")
    count = x.ndim - 2
    strides, dilations, groups = node.per_axis("stride", count, 1), node.per_axis("dilation", count, 1), node.integer("groups", 1)
    if isinstance(node.arguments.get("padding"), str) or 0 in (*strides, *dilations) or groups < 1:
        raise node.refuse("all its inputs are constants, and edgebn does not compute it while reading; compute it before")
    pads = node.per_axis("padding", count, 0)
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise node.damaged(f"its weight of shape {weight.shape} does not fit {x.shape[1]} channels in {groups} groups")
    check_size(node, tuple(size + 2 * pad for size, pad in zip(x.shape[2:], pads, strict=True)))
    x = np.pad(x, [(0, 0), (0, 0), *((pad, pad) for pad in pads)])
    spans = tuple(dilation * (size - 1) + 1 for size, dilation in zip(weight.shape[2:], dilations, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, tuple(range(2, x.ndim)))
    steps: list[slice] = [slice(None, None, step) for step in (*strides, *dilations)]
    windows = windows[(slice(None), slice(None), *steps)]
    batch, channels, *rest = windows.shape
    out = rest[:count]
    if batch * int(np.prod(out)) * weight.size > MAX_PRODUCTS:
        raise node.refuse("it is too large to compute while reading; compute it before")
    columns = np.moveaxis(windows.reshape(batch, groups, channels // groups, *rest), 2, 2 + count)
    # (batch, groups, out..., channels, kernel...) against (groups, outputs, channels, kernel...)
    columns = columns.reshape(batch, groups, int(np.prod(out)), -1).astype(np.float64)
    kernels = weight.reshape(groups, weight.shape[0] // groups, -1).astype(np.float64)
    y = np.einsum("bgpk,gok->bgop", columns, kernels).reshape(batch, weight.shape[0], *out)
    bias = node.optional_weight("bias")
    return np.asarray(y if bias is None else y + bias.reshape(-1, *[1] * count), np.float32)


def _batch_norm(node: Node) -> np.ndarray:
    """batch_norm, in training mode by the statistics of the constant itself: how weights are standardised."""
    x = node.weight("input").astype(np.float64)
    if x.ndim < 2:
        raise node.damaged(f"its input has shape {x.shape}")
    along = (-1, *[1] * (x.ndim - 2))
    if node.flag("training", default=False):
        axes = (0, *range(2, x.ndim))
        mean, variance = x.mean(axes), x.var(axes)
    else:
        mean, variance = node.weight("running_mean"), node.weight("running_var")
    y = (x - mean.reshape(along)) / np.sqrt(variance.reshape(along) + node.number("eps"))
    gamma, beta = node.optional_weight("weight"), node.optional_weight("bias")
    y = y if gamma is None else y * gamma.reshape(along)
    return np.asarray(y if beta is None else y + beta.reshape(along), np.float32)


def _matmul(node: Node) -> np.ndarray:
    a = node.weight("self" if node.has("self") else "input")
    b = node.weight("other" if node.has("other") else "mat2")
    return _product(node, a, b)


def _linear(node: Node) -> np.ndarray:
    weight, bias = node.weight("weight"), node.optional_weight("bias")
    y = _product(node, node.weight("input"), weight.T)
    return y if bias is None else y + bias


def _addmm(node: Node) -> np.ndarray:
    product = _product(node, node.weight("mat1"), node.weight("mat2"))
    return np.asarray(node.number("beta", 1.0) * node.weight("self") + node.number("alpha", 1.0) * product, np.float32)


def _product(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.size * (b.shape[-1] if b.ndim > 1 else 1) > MAX_PRODUCTS:
        raise node.refuse("it is too large to compute while reading; compute it before")
    return np.asarray(np.matmul(a.astype(np.float64), b.astype(np.float64)), np.float32)


def _softmax(node: Node) -> np.ndarray:
    x, axis = node.weight("self").astype(np.float64), node.integer("dim")
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), np.float32)


LAYERS: dict[str, Callable[[Node], np.ndarray]] = {
    "addmm": _addmm,
    "batch_norm": _batch_norm,
    "bmm": _matmul,
    "conv1d": _conv,
    "conv2d": _conv,
    "convolution": _conv,
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "softmax": _softmax,
}

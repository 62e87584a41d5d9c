"""Drawers of pools over windows, global pools and reductions over axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.random_networks.drawing import MIN_SPREAD, Drawing
from tests.random_networks.weighted import window


def _pooled(net: Drawing, x: str, *, dilated: bool) -> dict:
    sizes = net.sample(x)[1:]
    net.need(len(sizes) in (1, 2))
    attributes = window(net, sizes, dilated=dilated)
    if attributes.get("auto_pad", "").startswith(
        "SAME"
    ):  # else onnxruntime's padding is negative: some of its kernels refuse it, some crop
        net.need(
            all(
                length >= stride
                for length, stride in zip(attributes["kernel_shape"], attributes.get("strides", [1, 1]), strict=False)
            )
        )
    if net.opset >= 10 and net.chance(0.4):
        attributes["ceil_mode"] = 1
    return attributes


def max_pool(net: Drawing, x: str) -> str:
    """MaxPool."""
    return net.node("MaxPool", x, **_pooled(net, x, dilated=net.opset >= 10))


def average_pool(net: Drawing, x: str) -> str:
    """AveragePool, its padding counted or not."""
    attributes = _pooled(net, x, dilated=net.opset >= 19)
    return net.node("AveragePool", x, **attributes, **({"count_include_pad": 1} if net.chance(0.4) else {}))


def global_pool(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of a global pool over one or more axes."""

    def draw(net: Drawing, x: str) -> str:
        net.need(len(net.sample(x)) >= 2)
        return net.node(op, x)

    return draw


def reduce(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of a reduction over any axes of the sample, which stay with length 1 or vanish."""

    def draw(net: Drawing, x: str) -> str:
        rank = len(net.shape(x))
        net.need(rank > 1)
        axes = sorted({net.size(1, rank - 1) for _ in range(net.size(1, 2))})
        axes = [axis - rank if net.chance(0.3) else axis for axis in axes]
        attributes = {"keepdims": net.size(0, 1)} if net.chance(0.8) else {}
        if net.opset >= (13 if op == "ReduceSum" else 18):
            return net.node(op, x, net.ints(axes), **attributes)
        return net.node(op, x, axes=axes, **attributes)

    return draw


def reduce_positive(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of a reduction of positive numbers, kept away from zero."""
    draw = reduce(op)
    return lambda net, x: draw(net, net.node("Add", net.node("Sigmoid", x), net.constant(np.float32(0.25), "away")))


def largest(net: Drawing, x: str) -> str:
    """TopK: the largest or smallest numbers along an axis of the sample, in order; where they stand is not asked for."""
    rank = len(net.shape(x))
    net.need(rank > 1)
    axis = net.size(1, rank - 1)
    attributes = {"axis": axis - rank if net.chance(0.3) else axis, "largest": net.size(0, 1)}
    values, places = net.inner("TopK", x, net.ints([net.size(1, net.shape(x)[axis])]), outputs=2, **attributes)
    net.hide(places)
    net.need(net.values[values].std() >= MIN_SPREAD)
    return values

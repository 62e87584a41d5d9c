"""Drawers of what real networks repeat: convolution - batch norm - activation, squeeze and excitation, residuals, classifiers."""

from __future__ import annotations

import numpy as np

from tests.random_networks import elementwise, weighted
from tests.random_networks.drawing import Drawing


def _even_conv(net: Drawing, x: str, outputs: int, width: int) -> str:
    """A convolution that keeps the image's size."""
    channels, *sizes = net.sample(x)
    kernel = [width] * len(sizes)
    weight = net.normal(outputs, channels, *kernel) * np.float32(1.2 / np.sqrt(channels * width ** len(sizes)))
    return net.node("Conv", x, net.constant(weight), kernel_shape=kernel, pads=[width // 2] * (2 * len(sizes)))


def _activation(net: Drawing, x: str) -> str:
    draw = net.pick(
        (elementwise.plain("Relu"), elementwise.plain("Relu"), elementwise.clip, elementwise.leaky_relu, elementwise.gated)
    )
    return draw(net, x)


def conv_block(net: Drawing, x: str) -> str:
    """Convolution, batch norm and activation, in the usual order or with the last two turned."""
    convolved = weighted.conv(net, x)
    if net.chance(0.8):
        return _activation(net, weighted.batch_normalization(net, convolved))
    return weighted.batch_normalization(net, _activation(net, convolved))


def squeeze_excite(net: Drawing, x: str) -> str:
    """A gate per channel from the image's averages."""
    net.need(len(net.sample(x)) in (2, 3))
    channels = net.sample(x)[0]
    if net.chance(0.5):
        mean = net.node("GlobalAveragePool", x)
    else:
        axes = list(range(2, len(net.shape(x))))
        mean = net.node("ReduceMean", x, net.ints(axes)) if net.opset >= 18 else net.node("ReduceMean", x, axes=axes)
    squeezed = net.node("Relu", _even_conv(net, mean, net.size(1, 4), 1))
    gate = net.node(net.pick(("Sigmoid", "HardSigmoid")), _even_conv(net, squeezed, channels, 1))
    return net.node("Mul", *((x, gate) if net.chance(0.5) else (gate, x)))


def residual(net: Drawing, x: str) -> str:
    """Two convolutions around an activation, added to what they read."""
    net.need(len(net.sample(x)) in (2, 3))
    channels = net.sample(x)[0]
    inner = _activation(net, _even_conv(net, x, net.size(1, 6), net.pick((1, 3))))
    back = _even_conv(net, inner, channels, net.pick((1, 3)))
    added = net.node("Add", *((x, back) if net.chance(0.5) else (back, x)))
    return net.node("Relu", added) if net.chance(0.5) else added


def classifier(net: Drawing, x: str) -> str:
    """Averages or all elements, a matrix product, perhaps a softmax."""
    rank = len(net.shape(x))
    net.need(rank in (3, 4))
    if net.chance(0.7):
        x = net.node("GlobalAveragePool", x)
    net.need(int(np.prod(net.sample(x))) <= 64)
    x = net.node("Flatten", x) if net.chance(0.5) else net.node("Reshape", x, net.ints([0, -1]))
    x = weighted.gemm(net, x)
    if net.chance(0.3):
        x = weighted.gemm(net, net.node("Relu", x))
    return net.node("Softmax", x, axis=1) if net.chance(0.3) else x

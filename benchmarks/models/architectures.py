"""Networks that everybody knows, written down layer by layer, with random weights: what `make bench` times beside its own.

From the papers' tables: MobileNet v1 (Howard et al. 2017), v2 (Sandler et al. 2018), v3 large (Howard et al. 2019), EfficientNet-B0
(Tan and Le 2019), ResNet-18 and -50 (He et al. 2015), MnasNet-A1 0.5 without squeezing (Tan et al. 2019), a U-Net (Ronneberger et
al. 2015) of 16 to 128 channels, and a detector of YOLOv8n's blocks (C2f, SPPF, a neck of three scales, one head). All norms are
folded: a convolution has a bias. Weights keep the size of values through the stack, so that quantisation meets ordinary ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import numpy as np

import edgebn
from benchmarks.models.networks import FLOAT32, INT8, Case, codes
from benchmarks.peers.engines import tflite_of
from benchmarks.peers.plain import same_padding
from edgebn import layers as nn
from edgebn import passes
from edgebn.graph import GraphBuilder
from edgebn.passes.quantization import patch_moments
from edgebn.program import Program

CLASSES = 1000
SAMPLES = 4  # that quantisation is calibrated with


class Stack:
    """Adds layers one by one; every method takes and returns the name of a value."""

    def __init__(self, name: str, size: int) -> None:
        self._rng = np.random.default_rng(0)
        self._builder = GraphBuilder(name, f"{name} (generated)", "keras")
        self._count = 0
        self.input = self._builder.add_input("image", (size, size, 3))

    def shape(self, x: str) -> tuple[int, ...]:
        return self._builder.tensors[x].shape

    def _name(self, what: str) -> str:
        self._count += 1
        return f"{what}_{self._count}"

    def convolution(
        self, x: str, channels: int, kernel: int = 1, stride: int = 1, *, act: str = "relu", depthwise: bool = False
    ) -> str:
        """Add a convolution of SAME padding, with its bias and activation function; a depthwise one keeps the channels."""
        height, width, depth = self.shape(x)
        groups = depth if depthwise else 1
        shape = (channels, kernel, kernel, depth // groups)
        gain = 1.0 if act == "" else 2.0
        weight = self._rng.normal(0, np.sqrt(gain / np.prod(shape[1:])), shape).astype(np.float32)
        bias = self._rng.normal(0, 0.1, channels).astype(np.float32)
        top, bottom = same_padding(height, kernel, stride)
        left, right = same_padding(width, kernel, stride)
        name = self._name("depthwise" if depthwise else "conv")
        padding = (top, left, bottom, right)
        x = self._builder.add(nn.Convolution(name, (x,), name, weight, bias, (stride, stride), (1, 1), padding, groups))
        return self.activation(x, act)

    def depthwise(self, x: str, kernel: int, stride: int, *, act: str = "relu") -> str:
        return self.convolution(x, self.shape(x)[2], kernel, stride, act=act, depthwise=True)

    def activation(self, x: str, act: str) -> str:
        name = self._name(act)
        if act == "":
            return x
        if act == "relu":
            return self._builder.add(nn.Activation(name, (x,), name, "clip", 0.0))
        if act == "relu6":
            return self._builder.add(nn.Activation(name, (x,), name, "clip", 0.0, 6.0))
        return self._builder.add(nn.Activation(name, (x,), name, act, alpha=1 / 6, beta=0.5))

    def add(self, a: str, b: str, *, act: str = "") -> str:
        name = self._name("add")
        return self.activation(self._builder.add(nn.Add(name, (a, b), name)), act)

    def multiply(self, a: str, b: str) -> str:
        name = self._name("multiply")
        return self._builder.add(nn.Multiply(name, (a, b), name))

    def concat(self, *values: str) -> str:
        name = self._name("concat")
        return self._builder.add(nn.Concat(name, values, name, axis=2))

    def pool(self, x: str, kernel: int, stride: int, padding: int = 0) -> str:
        name = self._name("pool")
        return self._builder.add(nn.Pool(name, (x,), name, "max", (kernel, kernel), (stride, stride), padding=(padding,) * 4))

    def upsample(self, x: str) -> str:
        height, width, _ = self.shape(x)
        name = self._name("resize")
        return self._builder.add(nn.Resize(name, (x,), name, "nearest", (2 * height, 2 * width), (0.5, 0.5)))

    def mean(self, x: str, *, keepdims: bool) -> str:
        name = self._name("mean")
        return self._builder.add(nn.Reduce(name, (x,), name, "mean", (0, 1), keepdims=keepdims))

    def squeeze(self, x: str, inner: int, *, act: str, gate: str) -> str:
        """Scale every channel by a function of all channels' means."""
        channels = self.shape(x)[2]
        means = self.convolution(self.mean(x, keepdims=True), inner, act=act)
        return self.multiply(x, self.convolution(means, channels, act=gate))

    def classes(self, x: str) -> Program:
        """Add the average, the dense layer and the softmax, and return the program."""
        x = self.mean(x, keepdims=False)
        depth = self.shape(x)[0]
        weight = self._rng.normal(0, np.sqrt(1 / depth), (CLASSES, depth)).astype(np.float32)
        x = self._builder.add(nn.Dense("dense", (x,), "dense", weight, np.zeros(CLASSES, np.float32)))
        return self.finish(self._builder.add(nn.Softmax("softmax", (x,), "softmax", axis=0)))

    def finish(self, x: str) -> Program:
        return passes.lower(self._builder.finish([x]))


def mobilenet_v1() -> Program:
    net = Stack("mobilenet_v1", 224)
    x = net.convolution(net.input, 32, 3, 2)
    blocks = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *((1, 512),) * 5, (2, 1024), (1, 1024))
    for stride, channels in blocks:
        x = net.convolution(net.depthwise(x, 3, stride), channels)
    return net.classes(x)


def _inverted(
    net: Stack, x: str, channels: int, expansion: float, kernel: int, stride: int, act: str, squeeze: int = 0, gate: str = "sigmoid"
) -> str:
    """Add the block of MobileNet v2 and later: expand, depthwise, perhaps squeeze, project, and add where shapes agree."""
    depth = net.shape(x)[2]
    y = net.convolution(x, round(depth * expansion), act=act) if expansion != 1 else x
    y = net.depthwise(y, kernel, stride, act=act)
    if squeeze:
        y = net.squeeze(y, squeeze, act="relu" if gate == "hard_sigmoid" else act, gate=gate)
    y = net.convolution(y, channels, act="")
    return net.add(x, y) if stride == 1 and depth == channels else y


def mobilenet_v2() -> Program:
    net = Stack("mobilenet_v2", 224)
    x = net.convolution(net.input, 32, 3, 2, act="relu6")
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, channels, repeats, stride in rows:
        for i in range(repeats):
            x = _inverted(net, x, channels, expansion, 3, stride if i == 0 else 1, "relu6")
    return net.classes(net.convolution(x, 1280, act="relu6"))


def mnasnet() -> Program:
    net = Stack("mnasnet_0.5", 224)
    x = net.convolution(net.input, 16, 3, 2)
    x = net.convolution(net.depthwise(x, 3, 1), 8, act="")
    rows = ((3, 3, 16, 3, 2), (3, 5, 24, 3, 2), (6, 5, 40, 3, 2), (6, 3, 48, 2, 1), (6, 5, 96, 4, 2), (6, 3, 160, 1, 1))
    for expansion, kernel, channels, repeats, stride in rows:
        for i in range(repeats):
            x = _inverted(net, x, channels, expansion, kernel, stride if i == 0 else 1, "relu")
    return net.classes(net.convolution(x, 1280))


def mobilenet_v3() -> Program:
    net = Stack("mobilenet_v3", 224)
    x = net.convolution(net.input, 16, 3, 2, act="hard_swish")
    rows = (  # kernel, expanded, channels, squeezed, function, stride
        (3, 16, 16, False, "relu", 1),
        (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1),
        (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1),
        (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "hard_swish", 2),
        (3, 200, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 480, 112, True, "hard_swish", 1),
        (3, 672, 112, True, "hard_swish", 1),
        (5, 672, 160, True, "hard_swish", 2),
        (5, 960, 160, True, "hard_swish", 1),
        (5, 960, 160, True, "hard_swish", 1),
    )
    for kernel, expanded, channels, squeezed, act, stride in rows:
        inner = 8 * round(expanded / 32) if squeezed else 0
        x = _inverted(net, x, channels, expanded / net.shape(x)[2], kernel, stride, act, inner, "hard_sigmoid")
    return net.classes(net.convolution(net.convolution(x, 960, act="hard_swish"), 1280, act="hard_swish"))


def efficientnet_b0() -> Program:
    net = Stack("efficientnet_b0", 224)
    x = net.convolution(net.input, 32, 3, 2, act="silu")
    rows = (
        (1, 3, 16, 1, 1),
        (6, 3, 24, 2, 2),
        (6, 5, 40, 2, 2),
        (6, 3, 80, 3, 2),
        (6, 5, 112, 3, 1),
        (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    )
    for expansion, kernel, channels, repeats, stride in rows:
        for i in range(repeats):
            inner = max(1, net.shape(x)[2] // 4)
            x = _inverted(net, x, channels, expansion, kernel, stride if i == 0 else 1, "silu", inner)
    return net.classes(net.convolution(x, 1280, act="silu"))


def _resnet(name: str, repeats: tuple[int, ...], *, bottleneck: bool) -> Program:
    net = Stack(name, 224)
    x = net.pool(net.convolution(net.input, 64, 7, 2), 3, 2, 1)
    for stage, count in enumerate(repeats):
        inner = 64 << stage
        channels = 4 * inner if bottleneck else inner
        for i in range(count):
            stride = 2 if i == 0 and stage else 1
            shortcut = x if net.shape(x)[2] == channels and stride == 1 else net.convolution(x, channels, 1, stride, act="")
            if bottleneck:
                y = net.convolution(net.convolution(x, inner), inner, 3, stride)
                y = net.convolution(y, channels, act="")
            else:
                y = net.convolution(net.convolution(x, inner, 3, stride), inner, 3, act="")
            x = net.add(shortcut, y, act="relu")
    return net.classes(x)


def resnet_18() -> Program:
    return _resnet("resnet_18", (2, 2, 2, 2), bottleneck=False)


def resnet_50() -> Program:
    return _resnet("resnet_50", (3, 4, 6, 3), bottleneck=True)


def unet() -> Program:
    net = Stack("unet", 128)
    x, passed = net.input, []
    for channels in (16, 32, 64):
        x = net.convolution(net.convolution(x, channels, 3), channels, 3)
        passed.append(x)
        x = net.pool(x, 2, 2)
    x = net.convolution(net.convolution(x, 128, 3), 128, 3)
    for channels, skip in zip((64, 32, 16), reversed(passed), strict=True):
        x = net.concat(net.convolution(net.upsample(x), channels, 3), skip)
        x = net.convolution(net.convolution(x, channels, 3), channels, 3)
    return net.finish(net.convolution(x, 1, act="sigmoid"))


def _c2f(net: Stack, x: str, channels: int, repeats: int, *, shortcut: bool) -> str:
    """Add YOLOv8's block: parts that each went through one bottleneck more, joined. The halves are convolutions of their own."""
    half = channels // 2
    parts = [net.convolution(x, half, act="silu"), net.convolution(x, half, act="silu")]
    for _ in range(repeats):
        y = net.convolution(net.convolution(parts[-1], half, 3, act="silu"), half, 3, act="silu")
        parts.append(net.add(parts[-1], y) if shortcut else y)
    return net.convolution(net.concat(*parts), channels, act="silu")


def yolov8n() -> Program:
    net = Stack("yolov8n", 320)
    x = net.convolution(net.convolution(net.input, 16, 3, 2, act="silu"), 32, 3, 2, act="silu")
    x = _c2f(net, x, 32, 1, shortcut=True)
    fine = _c2f(net, net.convolution(x, 64, 3, 2, act="silu"), 64, 2, shortcut=True)
    middle = _c2f(net, net.convolution(fine, 128, 3, 2, act="silu"), 128, 2, shortcut=True)
    x = _c2f(net, net.convolution(middle, 256, 3, 2, act="silu"), 256, 1, shortcut=True)
    pooled = [net.convolution(x, 128, act="silu")]
    for _ in range(3):
        pooled.append(net.pool(pooled[-1], 5, 1, 2))
    coarse = net.convolution(net.concat(*pooled), 256, act="silu")
    middle = _c2f(net, net.concat(net.upsample(coarse), middle), 128, 1, shortcut=False)
    fine = _c2f(net, net.concat(net.upsample(middle), fine), 64, 1, shortcut=False)
    x = net.convolution(net.convolution(fine, 64, 3, act="silu"), 64, 3, act="silu")
    return net.finish(net.convolution(x, 144, act=""))


NETWORKS: dict[str, Callable[[], Program]] = {
    "MobileNet v1": mobilenet_v1,
    "MobileNet v2": mobilenet_v2,
    "MobileNet v3": mobilenet_v3,
    "MnasNet 0.5": mnasnet,
    "EfficientNet-B0": efficientnet_b0,
    "ResNet-18": resnet_18,
    "ResNet-50": resnet_50,
    "U-Net": unet,
    "YOLOv8n": yolov8n,
}


def case(name: str, dtype: str) -> Case:
    """Return a network in float32 or int8, with its file for LiteRT and an input."""
    floats = NETWORKS[name]()
    shape = floats.shapes[floats.inputs[0]]
    x = np.random.default_rng(1).normal(0, 1, (SAMPLES, *shape)).astype(np.float32)
    if dtype == "float32":
        return Case(name, FLOAT32, floats, tflite_of(floats), x[:1])
    with mock.patch.object(patch_moments, "LARGEST_PATCH", 0):  # codes at random are timed: the nearest do, and take a hundredth
        program = edgebn.quantize(floats, x, keep={})  # peers that are asked for int8 have no float32 tail
    return Case(name, INT8, program, tflite_of(program), codes(program, x[:1]))

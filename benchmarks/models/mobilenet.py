"""Networks that need no file: MobileNet v1 and v2 with random weights.

By default v1 has the shape of MLPerf Tiny's person detection (Howard et al. 2017, table 1, a quarter of the channels, 96 x 96 x 3,
two classes). v2 is Sandler et al. 2018, table 2. Batch norms are near those of a trained network, so that values keep their size
through the stack and quantisation meets ordinary ranges.
"""

from __future__ import annotations

import numpy as np

from benchmarks.peers.plain import same_padding
from edgebn import layers as nn
from edgebn import passes
from edgebn.graph import GraphBuilder
from edgebn.program import Program

SIZE = 96
FIRST_CHANNELS = 8
CLASSES = 2
# (stride of the depthwise convolution, channels of the pointwise one)
BLOCKS = ((1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *((1, 128),) * 5, (2, 256), (1, 256))


# v2: (expansion, channels, times, stride of the first)
BOTTLENECKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
V2_FIRST, V2_LAST, V2_CLASSES = 32, 1280, 1000


def mobilenet(seed: int = 0, size: int = SIZE, widening: int = 1, classes: int = CLASSES) -> Program:
    """Return the float32 program of v1, with `widening` times the channels: 4 makes it alpha 1."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder("mobilenet", "mobilenet (generated)", "keras")
    x = builder.add_input("image", (size, size, 3))
    x = _convolution(builder, rng, "conv", x, widening * FIRST_CHANNELS, kernel=3, stride=2)
    for number, (stride, channels) in enumerate(BLOCKS, start=1):
        depth = builder.tensors[x].shape[2]
        x = _convolution(builder, rng, f"depthwise_{number}", x, depth, kernel=3, stride=stride, groups=depth)
        x = _convolution(builder, rng, f"pointwise_{number}", x, widening * channels, kernel=1, stride=1)
    return _classified(builder, rng, x, classes)


def mobilenet_v2(seed: int = 0, size: int = 224) -> Program:
    """Return the float32 program of v2."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder("mobilenet_v2", "mobilenet_v2 (generated)", "keras")
    x = builder.add_input("image", (size, size, 3))
    x = _convolution(builder, rng, "conv", x, V2_FIRST, kernel=3, stride=2)
    shapes = [
        (expansion, channels, stride if first else 1)
        for expansion, channels, times, stride in BOTTLENECKS
        for first in (True, *(False,) * (times - 1))
    ]
    for number, (expansion, channels, stride) in enumerate(shapes, start=1):
        before, depth = x, builder.tensors[x].shape[2]
        if expansion > 1:
            x = _convolution(builder, rng, f"expand_{number}", x, expansion * depth, kernel=1, stride=1)
        x = _convolution(
            builder, rng, f"depthwise_{number}", x, expansion * depth, kernel=3, stride=stride, groups=expansion * depth
        )
        x = _convolution(builder, rng, f"project_{number}", x, channels, kernel=1, stride=1, relu=False)
        if stride == 1 and channels == depth:
            x = builder.add(nn.Add(f"add_{number}", (before, x), f"add_{number}"))
    x = _convolution(builder, rng, "last", x, V2_LAST, kernel=1, stride=1)
    return _classified(builder, rng, x, V2_CLASSES)


def _classified(builder: GraphBuilder, rng: np.random.Generator, x: str, classes: int) -> Program:
    """Return the program with average, dense layer and softmax behind `x`."""
    x = builder.add(nn.Reduce("average", (x,), "average", "mean", (0, 1), keepdims=False))
    weight = rng.normal(0, 0.1, (classes, builder.tensors[x].shape[0])).astype(np.float32)
    x = builder.add(nn.Dense("dense", (x,), "dense", weight, np.zeros(classes, np.float32)))
    x = builder.add(nn.Softmax("softmax", (x,), "softmax", axis=0))
    return passes.lower(builder.finish([x]))


def _convolution(
    builder: GraphBuilder,
    rng: np.random.Generator,
    name: str,
    x: str,
    channels: int,
    *,
    kernel: int,
    stride: int,
    groups: int = 1,
    relu: bool = True,
) -> str:
    """Add convolution, batch norm and, where wanted, ReLU."""
    height, width, depth = builder.tensors[x].shape
    shape = (channels, kernel, kernel, depth // groups)
    weight = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    top, bottom = same_padding(height, kernel, stride)
    left, right = same_padding(width, kernel, stride)
    padding = (top, left, bottom, right)
    x = builder.add(nn.Convolution(name, (x,), name, weight, None, (stride, stride), (1, 1), padding, groups))
    gamma, beta = rng.uniform(0.7, 1.3, channels), rng.normal(0, 0.3, channels)
    mean, variance = rng.normal(0, 0.1, channels), rng.uniform(0.7, 1.3, channels)
    four = [np.asarray(numbers, np.float32) for numbers in (gamma, beta, mean, variance)]
    x = builder.add(nn.BatchNorm(f"{name}/norm", (x,), f"{name}/norm", *four, axis=2))
    return x if not relu else builder.add(nn.Activation(f"{name}/relu", (x,), f"{name}/relu", "clip", 0.0))

"""A network that needs no file: MobileNet v1, alpha 0.25, 96 x 96 x 3, two classes, with random weights.

The shape of MLPerf Tiny's person detection (Howard et al. 2017, table 1, a quarter of the channels). Batch norms are near those of
a trained network, so that values keep their size through the stack and quantisation meets ordinary ranges.
"""

from __future__ import annotations

import numpy as np

from benchmarks.plain import same_padding
from edgebn import layers as nn
from edgebn import passes
from edgebn.graph import GraphBuilder
from edgebn.program import Program

SIZE = 96
FIRST_CHANNELS = 8
CLASSES = 2
# (stride of the depthwise convolution, channels of the pointwise one)
BLOCKS = ((1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *((1, 128),) * 5, (2, 256), (1, 256))


def mobilenet(seed: int = 0, size: int = SIZE) -> Program:
    """Return the float32 program."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder("mobilenet", "mobilenet (generated)", "keras")
    x = builder.add_input("image", (size, size, 3))
    x = _convolution(builder, rng, "conv", x, FIRST_CHANNELS, kernel=3, stride=2)
    for number, (stride, channels) in enumerate(BLOCKS, start=1):
        depth = builder.tensors[x].shape[2]
        x = _convolution(builder, rng, f"depthwise_{number}", x, depth, kernel=3, stride=stride, groups=depth)
        x = _convolution(builder, rng, f"pointwise_{number}", x, channels, kernel=1, stride=1)
    x = builder.add(nn.Reduce("average", (x,), "average", "mean", (0, 1), keepdims=False))
    weight = rng.normal(0, 0.1, (CLASSES, builder.tensors[x].shape[0])).astype(np.float32)
    x = builder.add(nn.Dense("dense", (x,), "dense", weight, np.zeros(CLASSES, np.float32)))
    x = builder.add(nn.Softmax("softmax", (x,), "softmax", axis=0))
    return passes.lower(builder.finish([x]))


def _convolution(
    builder: GraphBuilder, rng: np.random.Generator, name: str, x: str, channels: int, *, kernel: int, stride: int, groups: int = 1
) -> str:
    """Add convolution, batch norm and ReLU."""
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
    return builder.add(nn.Activation(f"{name}/relu", (x,), f"{name}/relu", "clip", 0.0))

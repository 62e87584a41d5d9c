"""Random small networks as graphs, and the check that their program computes the same as their layers do one by one."""

from __future__ import annotations

import numpy as np

from edgebn import layers as nn
from edgebn import reference
from edgebn.graph import Graph, GraphBuilder
from edgebn.passes import lower
from edgebn.program import Program
from tests.graph_oracle import evaluate, in_session_order

TOLERANCE = 1e-5  # of the output's range
ROUNDINGS = 1e-6  # of the largest value in the network


class Net:
    """A random network around the batch norm 'norm'; every draw comes from one seed."""

    def __init__(self, rng: np.random.Generator, *, first: bool = False) -> None:
        self.rng = rng
        self.first = first
        self.builder = GraphBuilder("case", "case.file", "keras", first)

    def size(self, low: int = 1, high: int = 4) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.builder.layers)}"

    def shape(self, x: str) -> tuple[int, ...]:
        return self.builder.tensors[x].shape

    def channel_axis(self, x: str) -> int:
        return 0 if self.first else len(self.shape(x)) - 1

    def add(self, cls, *inputs: str, name: str | None = None, **fields) -> str:
        name = name or self.name(cls.__name__)
        return self.builder.add(cls(name, inputs, name, **fields))

    def image(self) -> str:
        spatial, channels = (self.size(6, 9), self.size(6, 9)), self.size(2, 5)
        return self.builder.add_input(self.name("x"), (channels, *spatial) if self.first else (*spatial, channels))

    def sequence(self) -> str:
        return self.builder.add_input("x", (self.size(6, 12), self.size(2, 4)))

    def vector(self) -> str:
        return self.builder.add_input("x", (self.size(2, 12),))

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype(np.float32)

    def bias(self, channels: int) -> np.ndarray | None:
        return self.normal(channels) if self.rng.random() < 0.5 else None

    def window(self, size: int) -> tuple[int, int]:
        """A kernel and a dilation that fit."""
        kernel = self.size(1, min(3, size))
        return kernel, self.size(1, 2) if 2 * (kernel - 1) < size else 1

    def convolution(self, x: str, *, groups: int = 1, multiplier: int = 0, padded: bool | None = None, outputs: int = 0) -> str:
        shape = self.shape(x)
        one = len(shape) == 2
        channels = shape[self.channel_axis(x)]
        outputs = outputs or (channels * multiplier if multiplier else groups * self.size(2 if groups == 1 else 1))
        sizes = [size for axis, size in enumerate(shape) if axis != self.channel_axis(x)]
        windows = [self.window(size) for size in ([1, *sizes] if one else sizes)]
        kernel = tuple(window[0] for window in windows)
        if padded is None:
            padded = self.rng.random() < 0.5
        padding = (0, 0, 0, 0)
        if padded:
            padding = (0 if one else self.size(1, 2), self.size(1, 2), 0 if one else self.size(0, 2), self.size(0, 2))
        return self.add(
            nn.Convolution,
            x,
            weight=self.normal(outputs, *kernel, channels // groups),
            bias=self.bias(outputs),
            strides=(1 if one else self.size(1, 2), self.size(1, 2)),
            dilations=tuple(window[1] for window in windows),
            padding=padding,
            groups=groups,
            channels_first=self.first,
        )

    def transposed(self, x: str) -> str:
        strides = (self.size(1, 3), self.size(1, 3))
        return self.add(
            nn.TransposedConvolution,
            x,
            weight=self.normal(self.size(2), self.size(2, 3), self.size(2, 3), self.shape(x)[-1]),
            strides=strides,
            padding=(self.size(0, 1), self.size(0, 1), self.size(0, 1), self.size(0, 1)),
            output_padding=(self.size(0, strides[0] - 1), 0),
        )

    def dense(self, x: str) -> str:
        outputs = self.size(2, 6)
        return self.add(nn.Dense, x, weight=self.normal(outputs, self.shape(x)[-1]), bias=self.bias(outputs))

    def norm(self, x: str, name: str = "norm", *, sign: str = "any", axis: int | None = None, plain: bool = False) -> str:
        """A batch norm; gamma may be negative, zero or huge, a variance near 0 or large, unless `plain`."""
        axis = self.channel_axis(x) if axis is None else axis
        channels = self.shape(x)[axis]
        gamma, beta, mean = self.normal(channels), self.normal(channels), self.normal(channels)
        variance = self.rng.uniform(0.3, 3, channels).astype(np.float32)
        if not plain:
            gamma *= self.rng.choice([1.0, 1.0, 0.0, 1e4, 1e-3], channels).astype(np.float32)
            variance *= self.rng.choice([1.0, 1.0, 1e-10, 0.0, 1e3], channels).astype(np.float32)
        if sign == "positive":
            gamma = np.abs(gamma)
        elif sign == "negative":
            gamma[self.rng.integers(channels)] = -1.5
        epsilon = self.pick(1e-3, 1e-5)
        return self.add(
            nn.BatchNorm, x, name=name, gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=epsilon, axis=axis
        )

    def relu(self, x: str) -> str:
        return self.add(nn.Activation, x, low=0.0, high=self.pick(np.inf, 6.0))

    def pool(self, x: str, function: str, *, padded: bool = False, counted: bool = False) -> str:
        padding = (1, 1, 0, 1) if padded else (0, 0, 0, 0)
        kernel = (self.size(2, 3), self.size(2, 3))
        strides = (self.size(1, 3), self.size(1, 3))
        return self.add(
            nn.Pool,
            x,
            function=function,
            kernel=kernel,
            strides=strides,
            padding=padding,
            count_padding=counted,
            channels_first=self.first,
        )

    def even(self, x: str) -> str:
        """A convolution that keeps the image's size, so that others can be added to it."""
        channels = self.shape(x)[-1]
        return self.add(nn.Convolution, x, weight=self.normal(channels, 3, 3, channels), padding=(1, 1, 1, 1))

    def sampled(self, x: str) -> str:
        height, width, _ = self.shape(x)
        size = (height * 2, width * self.size(1, 3))
        function, coordinates = self.pick(("nearest", "asymmetric"), ("bilinear", "half_pixel"), ("bilinear", "align_corners"))
        ratio = (height / size[0], width / size[1])
        return self.add(nn.Resize, x, function=function, size=size, ratio=ratio, coordinates=coordinates)


def assert_same(graph: Graph, rng: np.random.Generator, *, cancelling: bool = False) -> Program:
    """Hold the lowered network against the layers of the file, on one random sample; return its program.

    `cancelling` allows for outputs that are small differences of large values: a few float32 roundings of the largest of them.
    """
    program = lower(graph)
    sample = {name: rng.normal(size=graph.tensors[name].shape).astype(np.float32) for name in graph.inputs}
    expected = evaluate(graph, sample)
    batch = {name: in_session_order(graph, name, value)[np.newaxis] for name, value in sample.items()}
    found = reference.run(program, batch)
    for name in graph.outputs:
        value = found[name] if isinstance(found, dict) else found
        wanted = in_session_order(graph, name, expected[name])
        assert value[0].shape == wanted.shape == program.shapes[name]
        scale = np.ptp(wanted) or np.abs(wanted).max() or 1.0
        largest = max(np.abs(array).max() for array in expected.values()) if cancelling else 0.0
        # Where all values are nearly the same, one rounding is more than 1e-5 of their range.
        rounding = np.spacing(np.abs(wanted).max(initial=0.0))
        assert np.abs(value[0] - wanted).max() <= max(TOLERANCE * scale, ROUNDINGS * largest, rounding)
    return program

"""Random quantised ONNX networks of layers that move values, with QuantizeLinear and DequantizeLinear between them.

Every value is a code times a scale, so that what only moves has one right answer; the first node is a MaxPool, which makes the
network channels-first and rounds nothing. onnxruntime is the oracle of the tests that run them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

Codes = tuple[float, int]  # scale, zero point of int8 codes


@dataclass
class QdqNetwork:
    """Nodes, constants and shapes (batch axis included) so far; every method returns the name of the value it makes."""

    rng: np.random.Generator
    nodes: list = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    codes: dict[str, Codes] = field(default_factory=dict)  # of values behind a DequantizeLinear

    def quantization(self) -> Codes:
        """A scale and zero point under which codes of other values neither vanish nor all saturate."""
        scale, zero_point = np.float32(self.rng.uniform(0.01, 0.04)), self.rng.integers(-100, 100)
        return float(scale), -128 if self.rng.random() < 0.2 else int(zero_point)  # -128: a ReLU is in the codes

    def input(self, name: str, shape: tuple[int, ...], quantization: Codes) -> str:
        self.inputs[name] = self.shapes[name] = shape
        return self.quantized(name, quantization)

    def constant(self, array: Any, base: str = "k") -> str:
        name = f"{base}{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def node(self, kind: str, *inputs: str, shape: tuple[int, ...], outputs: int = 1, **attributes: Any) -> str:
        names = [f"{kind}{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        for name in names:
            self.shapes[name] = tuple(int(size) for size in shape)
        return names[0]

    def quantized(self, x: str, quantization: Codes) -> str:
        """QuantizeLinear and DequantizeLinear."""
        scale, zero_point = self.constant(np.float32(quantization[0]), "s"), self.constant(np.int8(quantization[1]), "z")
        codes = self.node("QuantizeLinear", x, scale, zero_point, shape=self.shapes[x])
        real = self.node("DequantizeLinear", codes, scale, zero_point, shape=self.shapes[x])
        self.codes[real] = quantization
        return real

    def weight(self, *shape: int) -> str:
        """Int8 weights behind a DequantizeLinear."""
        codes = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8), "w")
        scale = self.constant(np.float32(0.4 / (127 * np.sqrt(np.prod(shape[1:])))), "s")
        return self.node("DequantizeLinear", codes, scale, shape=shape)

    def convolution(self, x: str, outputs: int) -> str:
        """A 1 x 1 convolution, or that of a sequence."""
        batch, channels, *spatial = self.shapes[x]
        weight = self.weight(outputs, channels, *(1 for _ in spatial))
        return self.node("Conv", x, weight, shape=(batch, outputs, *spatial))

    def dense(self, x: str, outputs: int) -> str:
        """Flatten, where there is something to flatten, and Gemm."""
        if len(self.shapes[x]) != 2:
            x = self.node("Flatten", x, shape=(1, int(np.prod(self.shapes[x]))), axis=1)
        weight = self.weight(outputs, self.shapes[x][1])
        return self.node("Gemm", x, weight, shape=(1, outputs), transB=1)

    def model(self, *outputs: str) -> Any:
        """Return the ModelProto."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name]) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8
        )

    # Layers that move values: each returns the new value.

    def reshape(self, x: str) -> str:
        """To a random shape of one to four axes behind the batch."""
        shape = self._factors(int(np.prod(self.shapes[x])), int(self.rng.integers(1, 5)))
        return self.node("Reshape", x, self.constant(np.array((1, *shape))), shape=(1, *shape))

    def _factors(self, size: int, count: int) -> tuple[int, ...]:
        factors = []
        for _ in range(count - 1):
            factors.append(int(self.rng.choice([d for d in range(1, size + 1) if size % d == 0])))
            size //= factors[-1]
        return tuple(int(factor) for factor in self.rng.permutation([*factors, size]))

    def flatten(self, x: str) -> str:
        return self.node("Flatten", x, shape=(1, int(np.prod(self.shapes[x]))), axis=1)

    def transpose(self, x: str) -> str:
        shape = self.shapes[x]
        order = [0, *(1 + int(axis) for axis in self.rng.permutation(len(shape) - 1))]
        return self.node("Transpose", x, shape=tuple(shape[axis] for axis in order), perm=order)

    def slice(self, x: str) -> str:
        shape = list(self.shapes[x])
        axis = int(self.rng.integers(1, len(shape)))
        start = int(self.rng.integers(0, shape[axis]))
        end = int(self.rng.integers(start + 1, shape[axis] + 1))
        shape[axis] = end - start
        ends = [self.constant(np.array([number])) for number in (start, end, axis)]
        return self.node("Slice", x, *ends, shape=tuple(shape))

    def split(self, x: str) -> str:
        """Its second half."""
        shape = list(self.shapes[x])
        axes = [axis for axis in range(1, len(shape)) if shape[axis] % 2 == 0]
        if not axes:
            return self.slice(x)
        axis = int(self.rng.choice(axes))
        shape[axis] //= 2
        parts = self.constant(np.array([shape[axis]] * 2))
        return self.node("Split", x, parts, shape=tuple(shape), outputs=2, axis=axis) + "_1"

    def pad(self, x: str) -> str:
        shape = self.shapes[x]
        before, after = ([0, *self.rng.integers(0, 2, len(shape) - 1)] for _ in range(2))
        value = self.constant(np.float32(self.rng.choice([0.0, 0.5])))
        sizes = tuple(int(size + a + b) for size, a, b in zip(shape, before, after, strict=True))
        return self.node("Pad", x, self.constant(np.array([*before, *after], np.int64)), value, shape=sizes)

    def concat(self, x: str) -> str:
        """With itself under another scale."""
        shape = list(self.shapes[x])
        axis = int(self.rng.integers(1, len(shape)))
        other = self.quantized(x, self.quantization())
        shape[axis] *= 2
        return self.node("Concat", x, other, shape=tuple(shape), axis=axis)

    def resize(self, x: str) -> str:
        """Nearest, twice as long along the axes behind the channels."""
        shape = self.shapes[x]
        if len(shape) not in (3, 4):
            return self.identity(x)
        factors = [1.0, 1.0, *self.rng.choice([1.0, 2.0], len(shape) - 2)]
        sizes = tuple(int(size * factor) for size, factor in zip(shape, factors, strict=True))
        settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", self.constant(np.array(factors, np.float32)), shape=sizes, **settings)

    def unsqueeze(self, x: str) -> str:
        shape = self.shapes[x]
        if len(shape) > 4:
            return self.identity(x)
        axis = int(self.rng.integers(1, len(shape) + 1))
        sizes = (*shape[:axis], 1, *shape[axis:])
        return self.node("Unsqueeze", x, self.constant(np.array([axis])), shape=sizes)

    def squeeze(self, x: str) -> str:
        shape = self.shapes[x]
        axes = [axis for axis in range(1, len(shape)) if shape[axis] == 1]
        if not axes or len(shape) < 3:
            return self.unsqueeze(x)
        sizes = tuple(size for axis, size in enumerate(shape) if axis != axes[0])
        return self.node("Squeeze", x, self.constant(np.array(axes[:1])), shape=sizes)

    def identity(self, x: str) -> str:
        return self.node("Identity", x, shape=self.shapes[x])

    def max_pool(self, x: str) -> str:
        shape = self.shapes[x]
        if len(shape) not in (3, 4):
            return self.identity(x)
        kernel = [int(self.rng.integers(1, min(size, 2) + 1)) for size in shape[2:]]
        sizes = (*shape[:2], *(size - k + 1 for size, k in zip(shape[2:], kernel, strict=True)))
        return self.node("MaxPool", x, shape=sizes, kernel_shape=kernel)

    def relu(self, x: str) -> str:
        return self.node("Relu", x, shape=self.shapes[x])

    # Layers that compute, each one code from onnxruntime's at most, with QuantizeLinear and DequantizeLinear behind them.

    def softmax(self, x: str) -> str:
        axis = int(self.rng.integers(1, len(self.shapes[x])))
        return self.quantized(self.node("Softmax", x, shape=self.shapes[x], axis=axis), (1 / 256, -128))

    def interpolated(self, x: str) -> str:
        """Linear, to any size; without QuantizeLinear behind it."""
        shape = self.shapes[x]
        sizes = (*shape[:2], *(int(size) for size in self.rng.integers(1, 12, len(shape) - 2)))
        settings = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.node("Resize", x, "", "", self.constant(np.array(sizes)), shape=sizes, **settings)

    def scaled(self, x: str) -> str:
        """A product with a float32 constant that differs along any one axis: a batch norm along it."""
        axis = int(self.rng.integers(1, len(self.shapes[x])))
        along = [1] * len(self.shapes[x])
        along[axis] = self.shapes[x][axis]
        constant = self.constant(self.rng.uniform(0.5, 1.0, along).astype(np.float32))
        scale, zero_point = self.codes[x]
        return self.quantized(self.node("Mul", x, constant, shape=self.shapes[x]), (scale, zero_point))

    def subtracted(self, x: str) -> str:
        constant = self.constant(np.float32(self.rng.uniform(-0.5, 0.5)))
        return self.quantized(self.node("Sub", constant, x, shape=self.shapes[x]), (0.04, 5))

    def reduced(self, x: str, kind: str) -> str:
        """ReduceMean or ReduceMax over any axes."""
        shape = self.shapes[x]
        axes = sorted(1 + int(axis) for axis in self.rng.permutation(len(shape) - 1)[: self.rng.integers(1, len(shape))])
        keep = int(self.rng.integers(2))
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)
        quantization = self.codes[x] if self.rng.random() < 0.5 else self.quantization()
        return self.quantized(self.node(kind, x, shape=kept, axes=axes, keepdims=keep), quantization)

    def averaged(self, x: str, *, padded: bool, counted: bool, form: str) -> str:
        """Average windows between two scales: AveragePool between QuantizeLinear and DequantizeLinear, or QLinearAveragePool."""
        shape = self.shapes[x]
        kernel = [int(self.rng.integers(2, min(size, 4) + 1)) for size in shape[2:]]
        strides = [int(self.rng.integers(1, 3)) for _ in kernel]
        pads = [int(self.rng.integers(0, size)) if padded else 0 for size in kernel * 2]
        ends = zip(shape[2:], pads, pads[len(kernel) :], kernel, strides, strict=False)
        sizes = (*shape[:2], *((size + a + b - k) // stride + 1 for size, a, b, k, stride in ends))
        settings = {"kernel_shape": kernel, "strides": strides, "pads": pads, "count_include_pad": int(counted)}
        quantization = float(np.float32(self.codes[x][0] * self.rng.uniform(0.3, 1.5))), int(self.rng.integers(-100, 100))
        return self.average(x, sizes, quantization, form, **settings)

    def average(self, x: str, shape: tuple[int, ...], quantization: Codes, form: str, **settings: Any) -> str:
        if form == "QDQ":
            return self.quantized(self.node("AveragePool", x, shape=shape, **settings), quantization)
        numbers = [
            self.constant(number)
            for (scale, zero) in (self.codes[x], quantization)
            for number in (np.float32(scale), np.int8(zero))
        ]
        codes = self.node("QuantizeLinear", x, *numbers[:2], shape=self.shapes[x])
        pooled = self.node("QLinearAveragePool", codes, *numbers, shape=shape, domain="com.microsoft", **settings)
        real = self.node("DequantizeLinear", pooled, *numbers[2:], shape=shape)
        self.codes[real] = quantization
        return real

    def ended(self, x: str) -> str:
        return self.quantized(self.dense(x, 5), (0.02, -3))

    def convolved(self, x: str) -> str:
        if len(self.shapes[x]) not in (3, 4):
            return self.ended(x)
        return self.quantized(self.convolution(x, 4), (0.02, -3))


LAST = ("softmax", "scaled", "subtracted", "ended", "convolved")
MOVERS = (
    "reshape",
    "flatten",
    "transpose",
    "slice",
    "split",
    "pad",
    "concat",
    "resize",
    "unsqueeze",
    "squeeze",
    "identity",
    "max_pool",
    "relu",
)

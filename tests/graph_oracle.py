"""A graph evaluated layer by layer in float64, exactly as its layers say: what passes and readers are held against.

Written for clarity: no fusing, no folding, no layout of its own. One sample, values in the file's own axis order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np

from edgebn import layers as nn
from edgebn import program as p
from edgebn import reference
from edgebn.graph import Graph
from edgebn.passes.graph.layout import channels_first_values


def evaluate(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return every value of `graph` for one sample, float64, in the shapes of `graph.tensors`."""
    values = {name: np.asarray(inputs[name], np.float64) for name in graph.inputs}
    for layer in graph.layers:
        value = np.asarray(LAYERS[type(layer)](layer, *(values[name] for name in layer.inputs)))
        assert value.shape == graph.tensors[layer.output].shape, (layer.name, value.shape)
        values[layer.output] = value
    return values


def in_session_order(graph: Graph, name: str, value: np.ndarray) -> np.ndarray:
    """Return a value of the file as sessions see it: (C, H, W) as (H, W, C) where the value is a channels-first one."""
    return np.moveaxis(value, 0, -1) if name in channels_first_values(graph) else value


def spatial(function: Callable[[nn.Layer, np.ndarray], np.ndarray]) -> Callable[[nn.Layer, np.ndarray], np.ndarray]:
    """Run a function of (H, W, C) values on a value of any rank and layout that spatial layers take."""

    def run(layer: nn.Layer, x: np.ndarray) -> np.ndarray:
        last = np.moveaxis(x, 0, -1) if layer.channels_first else x
        y = function(layer, last[np.newaxis] if x.ndim == 2 else last)
        y = y[0] if x.ndim == 2 else y
        return np.moveaxis(y, -1, 0) if layer.channels_first else y

    return run


@spatial
def convolution(layer: nn.Convolution, x: np.ndarray) -> np.ndarray:
    """Sum over kernel positions of the input, shifted there, times the weights of that position; group by group."""
    top, left, bottom, right = layer.padding
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)))
    outputs, kh, kw, per_group = layer.weight.shape
    (sy, sx), (dy, dx) = layer.strides, layer.dilations
    oh = (x.shape[0] - dy * (kh - 1) - 1) // sy + 1
    ow = (x.shape[1] - dx * (kw - 1) - 1) // sx + 1
    y = np.zeros((oh, ow, outputs))
    for o in range(outputs):
        first = o // (outputs // layer.groups) * per_group
        for i in range(kh):
            for j in range(kw):
                part = x[i * dy : i * dy + (oh - 1) * sy + 1 : sy, j * dx : j * dx + (ow - 1) * sx + 1 : sx]
                y[:, :, o] += part[:, :, first : first + per_group] @ layer.weight[o, i, j].astype(np.float64)
    return y if layer.bias is None else y + layer.bias


@spatial
def transposed_convolution(layer: nn.TransposedConvolution, x: np.ndarray) -> np.ndarray:
    """Scatter every input pixel, times the weights, over the output; then cut the padding off."""
    outputs, kh, kw, per_group = layer.weight.shape
    (sy, sx), (dy, dx) = layer.strides, layer.dilations
    height, width, _ = x.shape
    full = np.zeros(
        (
            (height - 1) * sy + dy * (kh - 1) + 1 + layer.output_padding[0],
            (width - 1) * sx + dx * (kw - 1) + 1 + layer.output_padding[1],
            outputs,
        )
    )
    for o in range(outputs):
        first = o // (outputs // layer.groups) * per_group
        for i in range(kh):
            for j in range(kw):
                part = x[:, :, first : first + per_group] @ layer.weight[o, i, j].astype(np.float64)
                full[i * dy : i * dy + height * sy : sy, j * dx : j * dx + width * sx : sx, o][:height, :width] += part
    top, left, bottom, right = layer.padding
    y = full[top : full.shape[0] - bottom, left : full.shape[1] - right]
    return y if layer.bias is None else y + layer.bias


@spatial
def pool(layer: nn.Pool, x: np.ndarray) -> np.ndarray:
    """Look at every window by itself; rows of `clipped_end` count for nothing."""
    top, left, bottom, right = layer.padding
    height, width, channels = x.shape
    end_y, end_x = height + bottom - layer.clipped_end[0], width + right - layer.clipped_end[1]
    (kh, kw), (sy, sx), (dy, dx) = layer.kernel, layer.strides, layer.dilations
    oh = (height + top + bottom - dy * (kh - 1) - 1) // sy + 1
    ow = (width + left + right - dx * (kw - 1) - 1) // sx + 1
    y = np.zeros((oh, ow, channels))
    for oy in range(oh):
        for ox in range(ow):
            places = [(oy * sy - top + i * dy, ox * sx - left + j * dx) for i in range(kh) for j in range(kw)]
            inside = np.array([x[r, c] for r, c in places if 0 <= r < height and 0 <= c < width])
            if layer.function == "max":
                y[oy, ox] = inside.max(axis=0)
            else:
                counted = sum(r < end_y and c < end_x for r, c in places) if layer.count_padding else len(inside)
                y[oy, ox] = inside.sum(axis=0) / counted
    return y


@spatial
def resize(layer: nn.Resize, x: np.ndarray) -> np.ndarray:
    """Interpolate rows, then columns."""
    for axis in (0, 1):
        x = np.stack([_sample(layer, x, axis, index) for index in range(layer.size[axis])], axis=axis)
    return x


def _sample(layer: nn.Resize, x: np.ndarray, axis: int, index: int) -> np.ndarray:
    size, out = x.shape[axis], layer.size[axis]
    if layer.coordinates == "align_corners":
        place = index * (size - 1) / (out - 1) if out > 1 else 0.0
    elif layer.coordinates == "asymmetric":
        place = index * size / out
    else:
        place = (2 * index + 1) * size / (2 * out) - 0.5
        if layer.coordinates == "pytorch_half_pixel" and out == 1:
            place = 0.0
    if layer.function == "nearest":
        rounding = {
            "floor": np.floor(place),
            "ceil": np.ceil(place),
            "round_prefer_floor": np.ceil(place - 0.5),
            "round_prefer_ceil": np.floor(place + 0.5),
        }
        return np.take(x, int(np.clip(rounding[layer.rounding], 0, size - 1)), axis=axis)
    place = min(max(place, 0.0), size - 1.0)
    low = int(place)
    return (1 - (place - low)) * np.take(x, low, axis) + (place - low) * np.take(x, min(low + 1, size - 1), axis)


def dense(layer: nn.Dense, x: np.ndarray) -> np.ndarray:
    y = x @ layer.weight.astype(np.float64).T
    return y if layer.bias is None else y + layer.bias


def batch_norm(layer: nn.BatchNorm, x: np.ndarray) -> np.ndarray:
    shape = [-1 if axis == layer.axis else 1 for axis in range(x.ndim)]
    gamma, beta, mean, variance = (
        array.astype(np.float64).reshape(shape) for array in (layer.gamma, layer.beta, layer.mean, layer.variance)
    )
    return gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta


def activation(layer: nn.Activation, x: np.ndarray) -> np.ndarray:
    functions = {
        "clip": lambda: np.clip(x, layer.low, layer.high),
        "leaky_relu": lambda: np.where(x < 0, layer.alpha * x, x),
        "prelu": lambda: np.where(x < 0, layer.slope * x, x),
        "sigmoid": lambda: 1 / (1 + np.exp(-x)),
        "tanh": lambda: np.tanh(x),
        "hard_sigmoid": lambda: np.clip(layer.alpha * x + layer.beta, 0, 1),
        "hard_swish": lambda: x * np.clip(x / 6 + 0.5, 0, 1),
        "silu": lambda: x / (1 + np.exp(-x)),
        "square": lambda: x * x,
        "power": lambda: x**layer.alpha,
        "sqrt": lambda: np.sqrt(x),
        "rsqrt": lambda: 1 / np.sqrt(x),
        "reciprocal": lambda: 1 / x,
        "erf": lambda: np.vectorize(math.erf)(x),
    }
    return functions[layer.function]()


def softmax(layer: nn.Softmax, x: np.ndarray) -> np.ndarray:
    power = np.exp(layer.beta * (x - x.max(axis=layer.axis, keepdims=True)))
    return power / power.sum(axis=layer.axis, keepdims=True)


def normalization(layer: nn.Normalization, x: np.ndarray) -> np.ndarray:
    if layer.groups > 1:
        moved = np.moveaxis(x, layer.axis, 0)
        rows = moved.reshape(layer.groups, -1)
        back = lambda rows: np.moveaxis(rows.reshape(moved.shape), 0, layer.axis)  # noqa: E731
    else:
        rows, back = x, lambda rows: rows
    axes = 1 if layer.groups > 1 else layer.axes
    centre = rows - rows.mean(axis=axes, keepdims=True) if layer.centred else rows
    y = back(centre / np.sqrt((centre**2).mean(axis=axes, keepdims=True) + layer.epsilon))
    return y * (1 if layer.gamma is None else layer.gamma) + (0 if layer.beta is None else layer.beta)


def reduce(layer: nn.Reduce, x: np.ndarray) -> np.ndarray:
    function = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min}[layer.function]
    return function(x, axis=layer.axes, keepdims=layer.keepdims)


def crop(layer: nn.Crop, x: np.ndarray) -> np.ndarray:
    return x[tuple(slice(start, start + size) for start, size in zip(layer.starts, layer.sizes, strict=True))]


def gather(layer: nn.Gather, x: np.ndarray) -> np.ndarray:
    for axis, picked in enumerate(layer.indices):
        x = x if picked is None else np.take(x, picked, axis)
    return x


def detections(layer: nn.DetectionPostProcess, codes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Passes only move it: the specification, which tests/formats/tflite/test_detection_post_process.py holds against LiteRT."""
    names = ("anchors", "scales", "classes", "most", "each", "per_class", "regular", "score", "overlap")
    settings = {name: getattr(layer, name) for name in names}
    step = p.DetectionPostProcess(layer.name, layer.inputs, layer.output, **settings)
    values = tuple(np.float32(value)[np.newaxis] for value in (codes, scores))
    return reference.STEPS[type(step)](step, SimpleNamespace(values=values)).reshape(-1)


def recurrence(layer: nn.Recurrence, gates: np.ndarray, *first: np.ndarray) -> np.ndarray:
    """The same, held against onnxruntime by tests/formats/onnx/test_onnx_recurrent.py."""
    names = ("cell", "weight", "gate", "function", "slope", "limit", "backwards", "gives_cell")
    settings = {name: getattr(layer, name) for name in names}
    bias = np.zeros(layer.weight.shape[1], np.float32) if layer.bias is None else layer.bias
    reset_after = layer.cell != "gru" or layer.reset_after
    step = p.Recurrence(layer.name, layer.inputs, layer.output, bias=bias, reset_after=reset_after, **settings)
    return reference.STEPS[type(step)](step, SimpleNamespace(values=tuple(value[np.newaxis] for value in (gates, *first))))[0]


def suppression(layer: nn.NonMaxSuppression, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The same, held against onnxruntime by tests/formats/test_non_max_suppression.py."""
    step = p.NonMaxSuppression(layer.name, layer.inputs, layer.output, layer.most, layer.centred, layer.score, layer.overlap)
    values = tuple(np.float32(value)[np.newaxis] for value in (boxes, scores))
    return reference.STEPS[type(step)](step, SimpleNamespace(values=values))[0]


BINARY = {
    "subtract": lambda a, b: a - b,
    "divide": lambda a, b: a / b,
    "maximum": lambda a, b: np.where(a > b, a, b),
    "minimum": lambda a, b: np.where(a < b, a, b),
    "squared_difference": lambda a, b: (a - b) ** 2,
    "power": np.float_power,
}

INTEGER = {
    "equal": np.equal, "not_equal": np.not_equal, "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less,
    "less_equal": np.less_equal, "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum,
    "minimum": np.minimum, "floor_divide": np.floor_divide, "floor_mod": np.mod,
}  # fmt: skip


def arg_extreme(layer: nn.ArgExtreme, x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64) if layer.function == "min" else -x.astype(np.float64)
    x = np.flip(x, layer.axis) if layer.last else x
    order = np.argsort(x, layer.axis, kind="stable")
    order = x.shape[layer.axis] - 1 - order if layer.last else order
    return order.take(range(layer.count), layer.axis)


def gather_nd(layer: nn.GatherND, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return np.stack([x[tuple(row)].reshape(-1) for row in indices[:, layer.first :].astype(int)])


LAYERS: dict[type[nn.Layer], Callable[..., np.ndarray]] = {
    nn.Activation: activation,
    nn.Add: lambda layer, a, b: np.clip(a + b, layer.low, layer.high),
    nn.ArgExtreme: arg_extreme,
    nn.BatchNorm: batch_norm,
    nn.Binary: lambda layer, a, b: np.clip(BINARY[layer.function](a, b), layer.low, layer.high),
    nn.Cast: lambda layer, x: np.trunc(x) if layer.to == "int32" else x,
    nn.Concat: lambda layer, *parts: np.concatenate(parts, axis=layer.axis),
    nn.Constant: lambda layer: layer.value.astype(np.float64),
    nn.Convolution: convolution,
    nn.Crop: crop,
    nn.Dense: dense,
    nn.DetectionPostProcess: detections,
    nn.Gather: gather,
    nn.GatherND: gather_nd,
    nn.Identity: lambda _, x: x,
    nn.IntegerBinary: lambda layer, a, b: INTEGER[layer.function](a, b),
    nn.NonMaxSuppression: suppression,
    nn.MatMul: lambda _, a, b: a @ b,
    nn.Normalization: normalization,
    nn.Multiply: lambda layer, a, b: np.clip(a * b, layer.low, layer.high),
    nn.Pad: lambda layer, x: np.pad(x, layer.pads, constant_values=layer.value),
    nn.Pool: pool,
    nn.Recurrence: recurrence,
    nn.Reduce: reduce,
    nn.Reshape: lambda layer, x: x.reshape(layer.shape),
    nn.Resize: resize,
    nn.Select: lambda _, condition, a, b: np.where(condition != 0, a, b),
    nn.Softmax: softmax,
    nn.Transpose: lambda layer, x: np.transpose(x, layer.permutation),
    nn.TransposedConvolution: transposed_convolution,
}

"""Writes plain layers as a TensorFlow Lite file, float32 or int8, with the writer that the tests use."""

from __future__ import annotations

import numpy as np

from benchmarks.peers.plain import RELU, RELU6, Layer, NotExportedError, PlainNetwork, Value, is_global, same_padding
from tests.formats.tflite.tflite_models import FileBuilder

SAME, VALID = 0, 1
FUSED = {RELU: 1, RELU6: 3}  # the schema's ActivationFunctionType


def tflite_bytes(network: PlainNetwork) -> bytes:
    """Return the file."""
    return _Writer(network).finish()


class _Writer:
    def __init__(self, network: PlainNetwork) -> None:
        self._network = network
        self._file = FileBuilder()
        self._dtype = np.int8 if network.integer else np.float32
        self._indices: dict[str, int] = {}
        first = network.values[network.input]
        is_vector = network.layers[0].kind == "dense" and first.shape[:2] == (1, 1)
        self._add(network.input, (1, first.shape[2]) if is_vector else (1, *first.shape), first)
        write = {
            "convolution": self._convolution,
            "dense": self._dense,
            "affine": self._affine,
            "pool": self._pool,
            "add": self._sum,
            "multiply": self._product,
            "function": self._function,
            "concat": self._concat,
            "resize": self._resize,
            "softmax": self._softmax,
        }
        for layer in network.layers:
            write[layer.kind](layer)

    def finish(self) -> bytes:
        return self._file.bytes([self._indices[self._network.input]], [self._indices[self._network.output]])

    def _add(self, name: str, shape: tuple[int, ...], value: Value) -> int:
        self._indices[name] = self._file.value(shape, self._dtype, value.scale, value.zero_point, name)
        return self._indices[name]

    def _rank(self, name: str) -> int:
        return len(self._file.tensors[self._indices[name]].shape)

    def _like(self, name: str, source: str) -> int:
        """Add a value of the rank that `source` has."""
        value = self._network.values[name]
        return self._add(name, (1, *value.shape[4 - self._rank(source) :]), value)

    def _weights(self, layer: Layer, array: np.ndarray, axis: int) -> list[int]:
        if not self._network.integer:
            return [self._file.constant(array), self._file.constant(layer.bias)]
        bias_scale = layer.weight_scale * self._network.values[layer.inputs[0]].scale
        return [self._file.constant(array, layer.weight_scale, axis=axis), self._file.constant(layer.bias, bias_scale)]

    def _convolution(self, layer: Layer) -> None:
        x = self._network.values[layer.inputs[0]]
        channels, kh, kw, per_group = layer.weight.shape
        depthwise = layer.groups > 1
        if depthwise and (per_group != 1 or channels != layer.groups):
            raise NotExportedError("a grouped convolution")
        source, padding = self._padded(layer, x, (kh, kw))
        weight = layer.weight.transpose(3, 1, 2, 0) if depthwise else layer.weight
        weights = self._weights(layer, weight, axis=3 if depthwise else 0)
        y = self._add(layer.output, (1, *self._network.values[layer.output].shape), self._network.values[layer.output])
        settings = {"padding": padding, "strideH": layer.strides[0], "strideW": layer.strides[1]}
        settings["fusedActivationFunction"] = FUSED.get(layer.clip, 0)
        if depthwise:
            settings["depthMultiplier"] = 1
        kind, options = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
        self._file.operator(kind, [source, *weights], [y], options, **settings)

    def _padded(self, layer: Layer, x: Value, kernel: tuple[int, int]) -> tuple[int, int]:
        """Return the convolution's input and padding; a padding without a name becomes an operator."""
        top, left, bottom, right = layer.padding
        source = self._indices[layer.inputs[0]]
        if layer.padding == (0, 0, 0, 0):
            return source, VALID
        rows, columns = (same_padding(x.shape[i], kernel[i], layer.strides[i]) for i in (0, 1))
        if (top, bottom) == rows and (left, right) == columns:
            return source, SAME
        shape = (1, x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2])
        padded = self._add(f"{layer.output}/padded", shape, x)
        pads = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        self._file.operator("PAD", [source, self._file.constant(pads)], [padded], "PadOptions")
        return padded, VALID

    def _dense(self, layer: Layer) -> None:
        source = self._indices[layer.inputs[0]]
        count = int(np.prod(layer.weight.shape[1:]))
        if self._rank(layer.inputs[0]) == 4:
            source = self._add(f"{layer.output}/flat", (1, count), self._network.values[layer.inputs[0]])
            shape = self._file.constant(np.array([1, count], np.int32))
            self._file.operator("RESHAPE", [self._indices[layer.inputs[0]], shape], [source], "ReshapeOptions", newShape=[1, count])
        weights = self._weights(layer, layer.weight.reshape(-1, count), axis=0)
        y = self._add(layer.output, (1, layer.weight.shape[0]), self._network.values[layer.output])
        activation = FUSED.get(layer.clip, 0)
        self._file.operator("FULLY_CONNECTED", [source, *weights], [y], "FullyConnectedOptions", fusedActivationFunction=activation)

    def _affine(self, layer: Layer) -> None:
        """Multiply and add constants; an int8 product gets the range of the result less the constants."""
        result = self._network.values[layer.output]
        product = Value(result.shape)
        if self._network.integer:
            half = result.scale * 128 + float(np.abs(layer.d).max())
            product = Value(result.shape, half / 127, 0)
        name = f"{layer.output}/product"
        self._network.values[name] = product
        middle, y = self._like(name, layer.inputs[0]), self._like(layer.output, layer.inputs[0])
        self._file.operator("MUL", [self._indices[layer.inputs[0]], self._constant(layer.a)], [middle], "MulOptions")
        activation = FUSED.get(layer.clip, 0)
        self._file.operator("ADD", [middle, self._constant(layer.d)], [y], "AddOptions", fusedActivationFunction=activation)

    def _constant(self, array: np.ndarray) -> int:
        if not self._network.integer:
            return self._file.constant(array)
        scale = max(float(np.abs(array).max()), 1e-9) / 127
        return self._file.constant(np.rint(array / scale).astype(np.int8), scale)

    def _pool(self, layer: Layer) -> None:
        window, x, result = layer.window, self._network.values[layer.inputs[0]], self._network.values[layer.output]
        source, y = self._indices[layer.inputs[0]], self._add(layer.output, (1, *result.shape), result)
        if window.function == "average" and (x.scale, x.zero_point) != (result.scale, result.zero_point):
            if not is_global(window, x.shape):
                raise NotExportedError("an average pool between two scales")
            axes = self._file.constant(np.array([1, 2], np.int32))
            self._file.operator("MEAN", [source, axes], [y], "ReducerOptions", keepDims=True)
            return
        padding = VALID
        if window.padding != (0, 0, 0, 0):
            rows, columns = (same_padding(x.shape[i], window.kernel[i], window.strides[i]) for i in (0, 1))
            padding = SAME
            if window.padding != (rows[0], columns[0], rows[1], columns[1]):
                source, padding = self._lowest_around(layer, source, x), VALID
        if window.dilations != (1, 1) or (padding == SAME and window.count_padding):
            raise NotExportedError("a dilated pool")
        settings = {"filterHeight": window.kernel[0], "filterWidth": window.kernel[1], "padding": padding}
        settings |= {"strideH": window.strides[0], "strideW": window.strides[1]}
        kind = "MAX_POOL_2D" if window.function == "max" else "AVERAGE_POOL_2D"
        self._file.operator(kind, [source], [y], "Pool2DOptions", **settings)

    def _lowest_around(self, layer: Layer, source: int, x: Value) -> int:
        """Pad the input of a maximum by what is never the largest: 0, where a ReLU made it."""
        if layer.window.function != "max" or not self._is_positive(layer.inputs[0]):
            raise NotExportedError("a padded pool")
        top, left, bottom, right = layer.window.padding
        padded = self._add(f"{layer.output}/padded", (1, x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2]), x)
        pads = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        self._file.operator("PAD", [source, self._file.constant(pads)], [padded], "PadOptions")
        return padded

    def _is_positive(self, name: str) -> bool:
        return any(layer.output == name and layer.clip[0] == 0 for layer in self._network.layers)

    def _product(self, layer: Layer) -> None:
        wide = max(layer.inputs, key=lambda name: np.prod(self._network.values[name].shape))
        y = self._like(layer.output, wide)
        self._file.operator("MUL", [self._indices[name] for name in layer.inputs], [y], "MulOptions")

    def _function(self, layer: Layer) -> None:
        source = layer.inputs[0]
        x, result = self._indices[source], self._network.values[layer.output]
        if layer.function == "silu":
            self._network.values[f"{layer.output}/gate"] = Value(result.shape, *((1 / 256, -128) if self._network.integer else ()))
            gate = self._like(f"{layer.output}/gate", source)
            self._file.operator("LOGISTIC", [x], [gate])
            self._file.operator("MUL", [x, gate], [self._like(layer.output, source)], "MulOptions")
            return
        if layer.function == "hard_sigmoid":  # as converters write it: hard_swish has an operator, this has none
            if self._network.integer:
                self._hard_sigmoid_codes(layer, x)
                return
            clipped = self._file.value((1, *result.shape), np.float32)
            three = self._file.constant(np.float32([3]))
            self._file.operator("ADD", [x, three], [clipped], "AddOptions", fusedActivationFunction=FUSED[RELU6])
            sixth = self._file.constant(np.float32([1 / 6]))
            self._file.operator("MUL", [clipped, sixth], [self._like(layer.output, source)], "MulOptions")
            return
        kinds = {"sigmoid": "LOGISTIC", "tanh": "TANH", "hard_swish": "HARD_SWISH"}
        if layer.function == "clip":
            kinds = {"clip": {RELU: "RELU", RELU6: "RELU6"}.get(layer.clip)}
        if kinds.get(layer.function) is None:
            raise NotExportedError(f"the function '{layer.function}'")
        self._file.operator(kinds[layer.function], [x], [self._like(layer.output, source)])

    def _hard_sigmoid_codes(self, layer: Layer, x: int) -> None:
        shape = (1, *self._network.values[layer.output].shape)
        clipped = self._file.value(shape, np.int8, 6 / 255, -128)
        three = self._file.constant(np.int8([127]), 3 / 127)
        self._file.operator("ADD", [x, three], [clipped], "AddOptions", fusedActivationFunction=FUSED[RELU6])
        sixth = self._file.constant(np.int8([127]), 1 / 6 / 127)
        self._file.operator("MUL", [clipped, sixth], [self._like(layer.output, layer.inputs[0])], "MulOptions")

    def _concat(self, layer: Layer) -> None:
        values, result = self._network.values, self._network.values[layer.output]
        sources = []
        for name in layer.inputs:  # an int8 concatenation has one scale
            source, value = self._indices[name], values[name]
            if (value.scale, value.zero_point) != (result.scale, result.zero_point):
                alike = self._file.value((1, *value.shape), self._dtype, result.scale, result.zero_point)
                self._file.operator("QUANTIZE", [source], [alike], "QuantizeOptions")
                source = alike
            sources.append(source)
        y = self._like(layer.output, layer.inputs[0])
        self._file.operator("CONCATENATION", sources, [y], "ConcatenationOptions", axis=3)

    def _resize(self, layer: Layer) -> None:
        y = self._like(layer.output, layer.inputs[0])
        size = self._file.constant(np.array(self._network.values[layer.output].shape[:2], np.int32))
        self._file.operator("RESIZE_NEAREST_NEIGHBOR", [self._indices[layer.inputs[0]], size], [y], "ResizeNearestNeighborOptions")

    def _sum(self, layer: Layer) -> None:
        y = self._like(layer.output, layer.inputs[0])
        inputs = [self._indices[name] for name in layer.inputs]
        self._file.operator("ADD", inputs, [y], "AddOptions", fusedActivationFunction=FUSED.get(layer.clip, 0))

    def _softmax(self, layer: Layer) -> None:
        y = self._like(layer.output, layer.inputs[0])
        self._file.operator("SOFTMAX", [self._indices[layer.inputs[0]]], [y], "SoftmaxOptions", beta=layer.beta)

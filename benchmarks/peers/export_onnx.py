"""Writes plain layers as an ONNX model, channels first: float32, or int8 as Quantize/Dequantize pairs around float operators.

int8 values are written as unsigned bytes (code + 128), the form that onnxruntime's x86 kernels are fastest in.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers.plain import NO_CLIP, RELU, Layer, NotExportedError, PlainNetwork, Value
from edgebn import program as p

OPSET = 13
AXES = (2, 3, 1)  # those of (H, W, C) in (N, C, H, W)
IR_VERSION = 8
UNSIGNED = 128  # what turns an int8 code into a byte


def onnx_bytes(network: PlainNetwork) -> bytes:
    """Return the file; its input is (1, C, H, W), or (1, C) where a dense layer reads it: float32, or bytes (uint8)."""
    return _Writer(network).finish()


class _Writer:
    def __init__(self, network: PlainNetwork) -> None:
        self._network = network
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._real: dict[str, str] = {}  # the name of each value in float32
        self._shapes: dict[str, tuple[int, ...]] = {}
        first = network.values[network.input]
        h, w, c = first.shape
        is_vector = network.layers[0].kind == "dense" and (h, w) == (1, 1)
        self._shapes[network.input] = (1, c) if is_vector else (1, c, h, w)
        self._real[network.input] = network.input
        if network.integer:
            self._dequantize(network.input, network.input, first)
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
            "moved": self._moved,
        }
        for layer in network.layers:
            write[layer.kind](layer)

    def finish(self) -> bytes:
        kind = TensorProto.UINT8 if self._network.integer else TensorProto.FLOAT
        ends = [
            helper.make_tensor_value_info(name, kind, self._shapes[name]) for name in (self._network.input, *self._network.outputs)
        ]
        graph = helper.make_graph(self._nodes, "network", ends[:1], ends[1:], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model.SerializeToString()

    def _node(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def _constant(self, name: str, array: np.ndarray) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _codes(self, name: str, value: Value) -> list[str]:
        """Add the scale and zero point of a value."""
        zero_point = np.array(value.zero_point + UNSIGNED, np.uint8)
        return [self._constant(f"{name}/scale", np.float32(value.scale)), self._constant(f"{name}/zero_point", zero_point)]

    def _dequantize(self, source: str, name: str, value: Value) -> None:
        self._real[name] = self._node("DequantizeLinear", [source, *self._codes(name, value)], f"{name}/real")

    def _requantize(self, computed: str, name: str) -> str:
        """Quantise to the value's codes and back; return the value in float32."""
        codes = self._codes(name, self._network.values[name])
        self._node("QuantizeLinear", [computed, *codes], name)
        self._real[name] = self._node("DequantizeLinear", [name, *codes], f"{name}/real")
        return self._real[name]

    def _done(self, name: str, computed: str, layer: Layer, shape: tuple[int, ...]) -> None:
        """Clip, and in int8 quantise and dequantise; `computed` is the operator's own output."""
        self._shapes[name] = shape
        if layer.clip == RELU:
            computed = self._node("Relu", [computed], f"{computed}/relu")
        elif layer.clip != NO_CLIP:
            ends = [self._constant(f"{computed}/clip_{i}", np.float32(end)) for i, end in enumerate(layer.clip)]
            computed = self._node("Clip", [computed, *ends], f"{computed}/clip")
        if not self._network.integer:
            self._real[name] = self._node("Identity", [computed], name)
            return
        self._requantize(computed, name)

    def _weights(self, layer: Layer, weight: np.ndarray) -> list[str]:
        name = layer.output
        if not self._network.integer:
            return [self._constant(f"{name}/weight", weight), self._constant(f"{name}/bias", layer.bias)]
        scales = layer.weight_scale.astype(np.float32)
        bias_scales = (layer.weight_scale * self._network.values[layer.inputs[0]].scale).astype(np.float32)
        names = []
        for what, codes, scale in (("weight", weight, scales), ("bias", layer.bias, bias_scales)):
            zeros = np.zeros(len(scale), codes.dtype)
            parts = [
                self._constant(f"{name}/{what}/{part}", array)
                for part, array in (("codes", codes), ("scale", scale), ("zero_point", zeros))
            ]
            names.append(self._node("DequantizeLinear", parts, f"{name}/{what}", axis=0))
        return names

    def _convolution(self, layer: Layer) -> None:
        inputs = [self._real[layer.inputs[0]], *self._weights(layer, layer.weight.transpose(0, 3, 1, 2))]
        settings = {"strides": layer.strides, "pads": layer.padding, "group": layer.groups, "dilations": layer.dilations}
        computed = self._node("Conv", inputs, f"{layer.output}/conv", kernel_shape=layer.weight.shape[1:3], **settings)
        h, w, c = self._network.values[layer.output].shape
        self._done(layer.output, computed, layer, (1, c, h, w))

    def _dense(self, layer: Layer) -> None:
        source = self._real[layer.inputs[0]]
        if len(self._shapes[layer.inputs[0]]) == 4:
            source = self._node("Flatten", [source], f"{layer.output}/flat")
        weight = layer.weight.transpose(0, 3, 1, 2).reshape(len(layer.weight), -1)
        computed = self._node("Gemm", [source, *self._weights(layer, weight)], f"{layer.output}/gemm", transB=1)
        self._done(layer.output, computed, layer, (1, len(weight)))

    def _affine(self, layer: Layer) -> None:
        shape = self._shapes[layer.inputs[0]]
        sides = (1, -1, 1, 1) if len(shape) == 4 else (1, -1)
        result = self._network.values[layer.output]
        if self._network.integer:
            half = float(np.abs(layer.d).max()) + 128 * result.scale
            self._network.values[f"{layer.output}/product"] = Value(result.shape, half / 127)
        a, d = (self._factor(layer, what, array.reshape(sides)) for what, array in (("a", layer.a), ("d", layer.d)))
        middle = self._node("Mul", [self._real[layer.inputs[0]], a], f"{layer.output}/mul")
        if self._network.integer:
            middle = self._requantize(middle, f"{layer.output}/product")
        self._done(layer.output, self._node("Add", [middle, d], f"{layer.output}/add"), layer, shape)

    def _factor(self, layer: Layer, what: str, array: np.ndarray) -> str:
        name = f"{layer.output}/{what}"
        if not self._network.integer:
            return self._constant(name, array)
        scale = max(float(np.abs(array).max()), 1e-9) / 127
        codes = (np.rint(array / scale) + UNSIGNED).astype(np.uint8)
        self._dequantize(self._constant(f"{name}/codes", codes), name, Value((1, 1, 1), scale, 0))
        return self._real[name]

    def _pool(self, layer: Layer) -> None:
        window = layer.window
        if window.dilations != (1, 1) or (window.padding != (0, 0, 0, 0) and window.function != "max"):
            raise NotExportedError("a padded average, or a dilated pool")
        kind = "MaxPool" if window.function == "max" else "AveragePool"
        source = self._real[layer.inputs[0]]
        h, w, c = self._network.values[layer.output].shape
        if kind == "AveragePool" and (h, w) == (1, 1):
            computed = self._node("GlobalAveragePool", [source], f"{layer.output}/pool")
        else:
            settings = {"kernel_shape": window.kernel, "strides": window.strides, "pads": window.padding}
            computed = self._node(kind, [source], f"{layer.output}/pool", **settings)
        self._done(layer.output, computed, layer, (1, c, h, w))

    def _product(self, layer: Layer) -> None:
        computed = self._node("Mul", [self._real[name] for name in layer.inputs], f"{layer.output}/product")
        wide = max(layer.inputs, key=lambda name: np.prod(self._shapes[name]))
        self._done(layer.output, computed, layer, self._shapes[wide])

    def _function(self, layer: Layer) -> None:
        x, name = self._real[layer.inputs[0]], f"{layer.output}/function"
        if layer.function == "clip":
            self._done(layer.output, x, layer, self._shapes[layer.inputs[0]])
            return
        if layer.function == "silu":
            computed = self._node("Mul", [x, self._node("Sigmoid", [x], f"{name}/gate")], name)
        elif layer.function in {"hard_sigmoid", "hard_swish"}:
            computed = self._node("HardSigmoid", [x], f"{name}/gate", alpha=1 / 6, beta=0.5)
            if layer.function == "hard_swish":
                computed = self._node("Mul", [x, computed], name)
        else:
            computed = self._node({"sigmoid": "Sigmoid", "tanh": "Tanh"}[layer.function], [x], name)
        self._done(layer.output, computed, layer, self._shapes[layer.inputs[0]])

    def _concat(self, layer: Layer) -> None:
        computed = self._node("Concat", [self._real[name] for name in layer.inputs], f"{layer.output}/joined", axis=1)
        h, w, c = self._network.values[layer.output].shape
        self._done(layer.output, computed, layer, (1, c, h, w))

    def _resize(self, layer: Layer) -> None:
        scales = self._constant(f"{layer.output}/scales", np.float32([1, 1, 2, 2]))
        settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        computed = self._node("Resize", [self._real[layer.inputs[0]], "", scales], f"{layer.output}/resized", **settings)
        h, w, c = self._network.values[layer.output].shape
        self._done(layer.output, computed, layer, (1, c, h, w))

    def _sum(self, layer: Layer) -> None:
        computed = self._node("Add", [self._real[name] for name in layer.inputs], f"{layer.output}/sum")
        self._done(layer.output, computed, layer, self._shapes[layer.inputs[0]])

    def _softmax(self, layer: Layer) -> None:
        if layer.beta != 1:
            raise NotExportedError("a softmax with beta")
        shape = self._shapes[layer.inputs[0]]
        computed = self._node("Softmax", [self._real[layer.inputs[0]]], f"{layer.output}/softmax", axis=1)
        self._done(layer.output, computed, layer, shape)

    def _moved(self, layer: Layer) -> None:
        """Values in another place or shape; programs have them as (H, W, C)."""
        step, name = layer.step, layer.output
        sources = [self._channels_first(source) for source in layer.inputs]
        h, w, c = self._network.values[name].shape
        if isinstance(step, p.Concat):
            computed = self._node("Concat", sources, f"{name}/joined", axis=AXES[step.axis])
        elif isinstance(step, p.Transpose):
            order = (0, *(AXES[step.permutation[axis]] for axis in (2, 0, 1)))
            computed = self._node("Transpose", sources, f"{name}/turned", perm=order)
        elif isinstance(step, p.Pad):
            before, after = zip(*(step.pads[axis] for axis in (2, 0, 1)), strict=True)
            pads = self._constant(f"{name}/pads", np.int64([0, *before, 0, *after]))
            computed = self._node(
                "Pad", [*sources, pads, self._constant(f"{name}/value", np.float32(step.value))], f"{name}/padded"
            )
        elif isinstance(step, p.Crop):
            starts = np.int64([step.starts[axis] for axis in (2, 0, 1)])
            parts = (starts, starts + np.int64([c, h, w]), np.int64([1, 2, 3]))
            named = [self._constant(f"{name}/{place}", part) for place, part in zip(("starts", "ends", "axes"), parts, strict=True)]
            computed = self._node("Slice", [*sources, *named], f"{name}/part")
        elif isinstance(step, p.Resize):
            size = self._constant(f"{name}/size", np.int64([1, c, h, w]))
            settings = _coordinates(step, self._network.values[layer.inputs[0]].shape[:2])
            computed = self._node("Resize", [*sources, "", "", size], f"{name}/resized", **settings)
        else:
            last = self._node("Transpose", sources, f"{name}/last", perm=(0, 2, 3, 1))
            computed = self._node("Reshape", [last, self._constant(f"{name}/shape", np.int64([1, h, w, c]))], f"{name}/reshaped")
            computed = self._node("Transpose", [computed], f"{name}/first", perm=(0, 3, 1, 2))
        self._done(name, computed, layer, (1, c, h, w))

    def _channels_first(self, name: str) -> str:
        """Return a value with four axes."""
        if len(self._shapes[name]) == 4:
            return self._real[name]
        shape = self._constant(f"{name}/four", np.int64([*self._shapes[name], 1, 1]))
        return self._node("Reshape", [self._real[name], shape], f"{name}/with_axes")


def _coordinates(step: p.Resize, given: tuple[int, int]) -> dict[str, str]:
    """Return the settings of the Resize that reads between these pixels."""
    for mode in ("half_pixel", "align_corners", "asymmetric"):
        if step.function == "bilinear" and all(
            np.allclose(_positions(mode, len(pixels), size), (pixels * weights).sum(axis=1), atol=1e-3)
            for pixels, weights, size in (
                (step.rows, step.row_weights, given[0]),
                (step.columns, step.column_weights, given[1]),
            )
        ):
            return {"mode": "linear", "coordinate_transformation_mode": mode}
    raise NotExportedError(f"the coordinates of '{step.name}'")


def _positions(mode: str, wanted: int, given: int) -> np.ndarray:
    at = np.arange(wanted)
    found = {
        "half_pixel": (at + 0.5) * given / wanted - 0.5,
        "align_corners": at * (given - 1) / max(wanted - 1, 1),
        "asymmetric": at * given / wanted,
    }
    return np.clip(found[mode], 0, given - 1)

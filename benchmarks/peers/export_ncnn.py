"""Writes plain layers as ncnn's two files: a text that lists layers, and their weights, channels first.

The numbered settings are those of ncnn's operator table (`operation-param-weight-table` of its wiki).

In int8 ncnn multiplies codes around zero in convolutions and dense layers, whose outputs stay codes where only convolutions read
them; all else is float32 there. It gets our weights' codes, and one scale a value that reaches to the farther end of our range, as
its own tool (`ncnn2int8`) would write: the work is the same, the results are those of coarser codes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from benchmarks.peers.plain import INT8_HIGH, INT8_LOW, NO_CLIP, RELU, RELU6, Layer, NotExportedError, PlainNetwork, is_global

MAGIC = 7767517
# What stands before weights says the type that they are stored in.
FLOAT32_TAG = np.zeros(1, np.uint32).tobytes()
INT8_TAG = np.uint32(0x000D4B38).tobytes()
ALIGNMENT = 4  # bytes, of what follows int8 weights
CODES_IN, CODES_IN_AND_OUT = 1, 101  # the setting 8 of a layer that multiplies int8
ACTIVATION = {RELU: " 9=1", RELU6: " 9=3 -23310=2,0.0,6.0"}  # of convolutions and dense layers
FUSED = {"sigmoid": " 9=4", "hard_swish": f" 9=6 -23310=2,{1 / 6},0.5"}  # the same; its optimiser puts these into the layer before
CLIPS = {RELU: ("ReLU", ""), RELU6: ("Clip", " 0=0.0 1=6.0")}
HARD = f" 0={1 / 6} 1=0.5"
FUNCTIONS = {
    "sigmoid": ("Sigmoid", ""),
    "silu": ("Swish", ""),
    "tanh": ("TanH", ""),
    "hard_sigmoid": ("HardSigmoid", HARD),
    "hard_swish": ("HardSwish", HARD),
}
MAX, AVERAGE = 0, 1
VALID = 1
SUM, PRODUCT = 0, 2
LARGEST = float(np.finfo(np.float32).max)


def ncnn_files(network: PlainNetwork) -> tuple[str, bytes]:
    """Return the listing and the weights; blobs are called 'b0' (the input), ..., 'output'. Both ends are float32."""
    return _Writer(_with_functions_fused(network)).finish()


def _with_functions_fused(network: PlainNetwork) -> PlainNetwork:
    """Put functions into the layers before them, where nothing else reads these."""
    readers = Counter(name for layer in network.layers for name in layer.inputs)
    makers = {layer.output: layer for layer in network.layers}
    fused = {}
    for layer in network.layers:
        before = makers.get(layer.inputs[0])
        alone = before is not None and readers[before.output] == 1 and before.output not in network.outputs
        if alone and layer.function in FUSED and before.kind in {"convolution", "dense"} and before.clip == NO_CLIP:
            fused[before.output] = layer
    layers = []
    for layer in network.layers:
        if layer.output in fused:
            after = fused[layer.output]
            layers.append(replace(layer, output=after.output, function=after.function))
        elif all(layer is not after for after in fused.values()):
            layers.append(layer)
    return replace(network, layers=tuple(layers))


def _vectors(network: PlainNetwork) -> set[str]:
    """Return the values that ncnn has without places: those of dense layers and pools over everything, and what is made of them."""
    vectors: set[str] = set()
    for layer in network.layers:
        whole = layer.kind == "pool" and is_global(layer.window, network.values[layer.inputs[0]].shape)
        if whole or layer.kind == "dense" or vectors.issuperset(layer.inputs):
            vectors.add(layer.output)
    return vectors


class _Writer:
    def __init__(self, network: PlainNetwork) -> None:
        self._network = network
        self._lines: list[str] = []
        self._weights: list[bytes] = []
        self._blobs = 0
        # A blob has one reader: a value with more is split first, and each reader takes a copy.
        self._readers = Counter(name for layer in network.layers for name in layer.inputs)
        self._available: dict[str, list[str]] = {}
        others = {name for layer in network.layers if layer.kind != "convolution" for name in layer.inputs}
        self._stays_codes = set(network.values) - others - set(network.outputs)
        self._vectors = _vectors(network)
        self._layer("Input", "", [], network.input)
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

    def finish(self) -> tuple[str, bytes]:
        listing = [str(MAGIC), f"{len(self._lines)} {self._blobs}", *self._lines, ""]
        return "\n".join(listing), b"".join(self._weights)

    def _layer(self, kind: str, settings: str, inputs: list[str], value: str) -> None:
        """Add a layer that makes `value`, and the split where several layers read it."""
        blob = "output" if value == self._network.output else self._blob()
        self._blobs += value == self._network.output
        self._line(kind, inputs, [blob], settings)
        readers = self._readers[value]
        if readers > 1:
            copies = [self._blob() for _ in range(readers)]
            self._line("Split", [blob], copies, "")
            self._available[value] = copies
        else:
            self._available[value] = [blob]

    def _blob(self) -> str:
        self._blobs += 1
        return f"b{self._blobs - 1}"

    def _line(self, kind: str, inputs: list[str], outputs: list[str], settings: str) -> None:
        names = " ".join([*inputs, *outputs])
        self._lines.append(f"{kind} layer{len(self._lines)} {len(inputs)} {len(outputs)} {names}{settings}")

    def _take(self, layer: Layer) -> list[str]:
        return [self._available[name].pop() for name in layer.inputs]

    def _keep(self, *arrays: np.ndarray) -> None:
        self._weights += [np.ascontiguousarray(array, np.float32).tobytes() for array in arrays]

    def _convolution(self, layer: Layer) -> None:
        channels, kh, kw, _ = layer.weight.shape
        if layer.inputs[0] in self._vectors:
            if layer.groups > 1 or (kh, kw) != (1, 1):
                raise NotExportedError("windows over a vector")
            self._dense(layer)  # the same, and what ncnn asks for
            return
        top, left, bottom, right = layer.padding
        settings = (
            f" 0={channels} 1={kw} 11={kh} 3={layer.strides[1]} 13={layer.strides[0]} 4={left} 14={top} 15={right} 16={bottom}"
        )
        kind = "Convolution"
        if layer.groups > 1:
            kind, settings = "ConvolutionDepthWise", f"{settings} 7={layer.groups}"
        self._weighted(kind, f"{settings} 5=1 6={layer.weight.size}", layer)

    def _dense(self, layer: Layer) -> None:
        self._weighted("InnerProduct", f" 0={len(layer.weight)} 1=1 2={layer.weight.size}", layer)

    def _weighted(self, kind: str, settings: str, layer: Layer) -> None:
        """Add a layer with its weights, bias and activation, and in int8 with its scales."""
        activation = FUSED[layer.function] if layer.function else ACTIVATION.get(layer.clip, "")
        weight = layer.weight.transpose(0, 3, 1, 2)
        if not self._network.integer:
            self._layer(kind, settings + activation, self._take(layer), layer.output)
            self._weights.append(FLOAT32_TAG)
            self._keep(weight, layer.bias)
            return
        codes_out = layer.output in self._stays_codes - self._vectors
        settings += f" 8={CODES_IN_AND_OUT if codes_out else CODES_IN}"
        self._layer(kind, settings + activation, self._take(layer), layer.output)
        codes = np.maximum(weight, -INT8_HIGH).astype(np.int8).tobytes()
        self._weights += [INT8_TAG, codes, bytes(-len(codes) % ALIGNMENT)]
        given = self._network.values[layer.inputs[0]].scale
        self._keep(layer.bias * (given * layer.weight_scale), self._scales(layer), self._codes_in_one(layer.inputs[0]))
        if codes_out:
            self._keep(self._codes_in_one(layer.output))

    def _scales(self, layer: Layer) -> np.ndarray:
        """Return how many codes of the weights are 1, by channel; of a depthwise convolution by group."""
        if layer.groups not in {1, len(layer.weight)}:
            raise NotExportedError("int8 groups of several channels")
        return 1 / layer.weight_scale

    def _codes_in_one(self, name: str) -> np.ndarray:
        """Return how many of its codes around zero are 1."""
        value = self._network.values[name]
        return np.array([INT8_HIGH / (value.scale * max(value.zero_point - INT8_LOW, INT8_HIGH - value.zero_point))])

    def _affine(self, layer: Layer) -> None:
        self._clipped("Scale", f" 0={len(layer.a)} 1=1", layer)
        self._keep(layer.a, layer.d)

    def _pool(self, layer: Layer) -> None:
        window = layer.window
        if window.dilations != (1, 1) or (window.padding != (0, 0, 0, 0) and window.function != "max"):
            raise NotExportedError("a padded average, or a dilated pool")
        settings = f" 0={MAX if window.function == 'max' else AVERAGE}"
        if layer.output in self._vectors:
            settings += " 4=1"
        else:
            (kh, kw), (sh, sw), (top, left, bottom, right) = window.kernel, window.strides, window.padding
            settings += f" 1={kw} 11={kh} 2={sw} 12={sh} 3={left} 13={top} 14={right} 15={bottom} 5={VALID}"
        self._layer("Pooling", settings, self._take(layer), layer.output)

    def _sum(self, layer: Layer) -> None:
        self._clipped("BinaryOp", f" 0={SUM}", layer)

    def _product(self, layer: Layer) -> None:
        self._layer("BinaryOp", f" 0={PRODUCT}", self._take(layer), layer.output)

    def _function(self, layer: Layer) -> None:
        low, high = layer.clip
        kind, settings = FUNCTIONS.get(layer.function, ("Clip", f" 0={max(low, -LARGEST)} 1={min(high, LARGEST)}"))
        self._layer(kind, settings, self._take(layer), layer.output)

    def _concat(self, layer: Layer) -> None:
        self._layer("Concat", " 0=0", self._take(layer), layer.output)

    def _resize(self, layer: Layer) -> None:
        self._layer("Interp", " 0=1 1=2.0 2=2.0", self._take(layer), layer.output)

    def _softmax(self, layer: Layer) -> None:
        if layer.beta != 1:
            raise NotExportedError("a softmax with beta")
        self._layer("Softmax", " 0=0 1=1", self._take(layer), layer.output)

    def _clipped(self, kind: str, settings: str, layer: Layer) -> None:
        """Add a layer that has no activation of its own, and the activation."""
        if layer.clip not in CLIPS:
            self._layer(kind, settings, self._take(layer), layer.output)
            return
        blob, inputs = self._blob(), self._take(layer)
        self._line(kind, inputs, [blob], settings)
        clip, bounds = CLIPS[layer.clip]
        self._layer(clip, bounds, [blob], layer.output)

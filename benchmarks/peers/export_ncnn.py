"""Writes plain float32 layers as ncnn's two files: a text that lists layers, and their weights, channels first.

The numbered settings are those of ncnn's operator table (`operation-param-weight-table` of its wiki).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from benchmarks.peers.plain import RELU, RELU6, Layer, NotExportedError, PlainNetwork

MAGIC = 7767517
FLOAT32_TAG = np.zeros(1, np.uint32).tobytes()  # stands before weights that may also be stored in other types
ACTIVATION = {RELU: " 9=1", RELU6: " 9=3 -23310=2,0.0,6.0"}  # of convolutions and dense layers
CLIPS = {RELU: ("ReLU", ""), RELU6: ("Clip", " 0=0.0 1=6.0")}
MAX, AVERAGE = 0, 1
VALID = 1


def ncnn_files(network: PlainNetwork) -> tuple[str, bytes]:
    """Return the listing and the weights; blobs are called 'b0' (the input), ..., 'output'."""
    if network.integer:
        raise NotExportedError("ncnn's int8 files come from its own quantisation tool")
    return _Writer(network).finish()


class _Writer:
    def __init__(self, network: PlainNetwork) -> None:
        self._network = network
        self._lines: list[str] = []
        self._weights: list[bytes] = []
        self._blobs = 0
        # A blob has one reader: a value with more is split first, and each reader takes a copy.
        self._readers = Counter(name for layer in network.layers for name in layer.inputs)
        self._available: dict[str, list[str]] = {}
        self._layer("Input", "", [], network.input)
        write = {
            "convolution": self._convolution,
            "dense": self._dense,
            "affine": self._affine,
            "pool": self._pool,
            "add": self._sum,
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
        top, left, bottom, right = layer.padding
        settings = (
            f" 0={channels} 1={kw} 11={kh} 3={layer.strides[1]} 13={layer.strides[0]} 4={left} 14={top} 15={right} 16={bottom}"
        )
        settings += f" 5=1 6={layer.weight.size}{ACTIVATION.get(layer.clip, '')}"
        kind = "Convolution"
        if layer.groups > 1:
            kind, settings = "ConvolutionDepthWise", f"{settings} 7={layer.groups}"
        self._layer(kind, settings, self._take(layer), layer.output)
        self._weights.append(FLOAT32_TAG)
        self._keep(layer.weight.transpose(0, 3, 1, 2), layer.bias)

    def _dense(self, layer: Layer) -> None:
        settings = f" 0={len(layer.weight)} 1=1 2={layer.weight.size}{ACTIVATION.get(layer.clip, '')}"
        self._layer("InnerProduct", settings, self._take(layer), layer.output)
        self._weights.append(FLOAT32_TAG)
        self._keep(layer.weight.transpose(0, 3, 1, 2), layer.bias)

    def _affine(self, layer: Layer) -> None:
        self._clipped("Scale", f" 0={len(layer.a)} 1=1", layer)
        self._keep(layer.a, layer.d)

    def _pool(self, layer: Layer) -> None:
        window = layer.window
        if window.padding != (0, 0, 0, 0) or window.dilations != (1, 1):
            raise NotExportedError("a padded pool")
        settings = f" 0={MAX if window.function == 'max' else AVERAGE}"
        if self._network.values[layer.output].shape[:2] == (1, 1):
            settings += " 4=1"
        else:
            (kh, kw), (sh, sw) = window.kernel, window.strides
            settings += f" 1={kw} 11={kh} 2={sw} 12={sh} 5={VALID}"
        self._layer("Pooling", settings, self._take(layer), layer.output)

    def _sum(self, layer: Layer) -> None:
        self._clipped("BinaryOp", " 0=0", layer)

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

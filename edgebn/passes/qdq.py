"""Quantize/Dequantize pairs to integer layers: a graph that simulates int8 in float32 becomes one whose values are int8 codes.

What a value means as codes is found in four ways, first come: it is codes already or stands behind a Dequantize; a Quantize reads
it; every layer that reads it only moves or clips its elements into values with one meaning; it is made from codes by a layer
whose range is known. A value left without a meaning runs in float32 between integer layers, and the network is refused by the
name of that layer. It knows no file format.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.functions import FUNCTIONS, prelu
from edgebn.graph import Graph, rebuilt
from edgebn.layers import (
    Activation,
    Add,
    BatchNorm,
    Concat,
    Constant,
    Convolution,
    Crop,
    Dense,
    Dequantize,
    Identity,
    Layer,
    Multiply,
    Pad,
    Pool,
    Quantization,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Softmax,
    Transpose,
    TransposedConvolution,
)

SOFTMAX = Quantization.per_tensor(1 / 256, -128)  # what it means where the file does not say
WEIGHTED = (Convolution, TransposedConvolution, Dense)
MOVING = (Identity, Reshape, Transpose, Crop, Pad, Resize, Concat)


def moves(layer: Layer) -> bool:
    """Whether a layer only moves or selects elements, so that its output's codes mean what its input's do."""
    if isinstance(layer, (Pool, Reduce)):
        return layer.function == "max"
    return isinstance(layer, MOVING)


def clips(layer: Layer) -> bool:
    """Whether a layer is a clip: it can work on any codes."""
    return isinstance(layer, Activation) and layer.function == "clip"


def same(a: Quantization | None, b: Quantization | None) -> bool:
    """Whether two meanings agree."""
    if a is None or b is None:
        return a is b
    return np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point) and a.axis == b.axis


def collapse(graph: Graph) -> Graph:
    """Return `graph` without Quantize/Dequantize pairs: every value int8 codes, or every value float32.

    Parameters
    ----------
    graph : Graph
        Weights of layers between a Dequantize and a Quantize are int8 with `weight_quantization`; their biases are int32 codes or
        real numbers that stand for such codes.

    Returns
    -------
    Graph
        Quantised: each tensor has a quantisation, weights are int8, biases int32 (scale = input scale * weight scale), a
        Quantize that is left changes one meaning of codes into another; inputs and outputs keep their names. A graph without
        any quantisation is returned as it is.

    Raises
    ------
    UnsupportedLayerError
        Naming the layer that would run in float32 between integer layers.
    """
    if all(tensor.quantization is None for tensor in graph.tensors.values()):
        return graph
    return _Collapse(graph).run()


class _Collapse:
    """One run over one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.meaning: dict[str, Quantization] = {
            name: tensor.quantization for name, tensor in graph.tensors.items() if tensor.quantization is not None
        }
        self.readers: dict[str, list[Layer]] = {name: [] for name in graph.tensors}
        for layer in graph.layers:
            for name in layer.inputs:
                self.readers[name].append(layer)
        self.maker = {layer.output: layer for layer in graph.layers}
        self.layers: list[Layer] = []
        self.alias: dict[str, str] = {}  # float32 values and codes that are now one value: name -> its name among `layers`

    def run(self) -> Graph:
        self._find_meanings()
        for layer in self.graph.layers:
            self._translate(layer)
        outputs = self._keep_output_names()
        quantizations: dict[str, Quantization | None] = {layer.output: self.meaning[layer.output] for layer in self.layers}
        quantizations.update({name: self.meaning[name] for name in self.graph.inputs})
        return rebuilt(self.graph, self.layers, outputs=outputs, quantizations=quantizations)

    def _find_meanings(self) -> None:
        meaning = self.meaning
        for layer in self.graph.layers:
            if isinstance(layer, Dequantize):
                meaning[layer.output] = meaning[layer.inputs[0]]
            elif isinstance(layer, Quantize):
                meaning.setdefault(layer.inputs[0], meaning[layer.output])
        for name in [*(layer.output for layer in reversed(self.graph.layers)), *self.graph.inputs]:
            if name not in meaning and name not in self.graph.outputs:
                self._from_readers(name)
        for layer in self.graph.layers:
            if layer.output not in meaning:
                self._from_inputs(layer)
        for name in self.graph.inputs:
            if name not in meaning:
                raise UnsupportedLayerError(
                    f"{self.graph.source}: the input '{name}' is not quantised while other values are; "
                    "quantise the whole model, or load the float32 one"
                )

    def _from_readers(self, name: str) -> None:
        readers = self.readers[name]
        if not readers or not all(moves(layer) or clips(layer) for layer in readers):
            return
        found = [self.meaning.get(layer.output) for layer in readers]
        if found[0] is not None and all(same(found[0], other) for other in found):
            self.meaning[name] = found[0]

    def _from_inputs(self, layer: Layer) -> None:
        if isinstance(layer, Constant):
            return  # given a meaning where it is used
        known = bool(layer.inputs) and layer.inputs[0] in self.meaning
        if isinstance(layer, Softmax) and known:
            self.meaning[layer.output] = SOFTMAX
        elif (moves(layer) or clips(layer)) and self._one_meaning(layer):
            self.meaning[layer.output] = self.meaning[layer.inputs[0]]
        elif isinstance(layer, (BatchNorm, Activation)) and known and not clips(layer):
            self.meaning[layer.output] = self._reach(layer)
        elif (scaled := self._scaled(layer)) is not None:
            self.meaning[layer.output] = scaled
        elif isinstance(layer, (Add, Multiply)) and all(name in self.meaning for name in layer.inputs):
            a, b = (self._codes(name)[[0, -1]] for name in layer.inputs)
            self.meaning[layer.output] = self._holding(layer, np.add.outer(a, b) if isinstance(layer, Add) else np.outer(a, b))
        else:
            raise UnsupportedLayerError(
                f"{self.graph.source}: layer '{layer.name}' ({layer.kind}) runs in float32 between integer layers, since no "
                "QuantizeLinear follows it; quantise the whole model, or load the float32 one"
            )

    def _reach(self, layer: BatchNorm | Activation) -> Quantization:
        """Return the 8-bit scale that holds whatever a layer can make of codes.

        onnxruntime leaves a batch norm or an activation in float32 where no integer operator follows at once (conv, norm, ReLU,
        mean) or the network ends.
        """
        real = self._codes(layer.inputs[0])[:, None]
        if isinstance(layer, BatchNorm):
            a = layer.gamma / np.sqrt(layer.variance.astype(np.float64) + layer.epsilon)
            values = (real - layer.mean) * a + layer.beta
        elif layer.function == "prelu":
            assert layer.slope is not None
            values = prelu(real, layer.slope.reshape(1, -1))
        else:
            values = FUNCTIONS[layer.function](real, layer)
        return self._holding(layer, values)

    def _codes(self, name: str) -> np.ndarray:
        """Return the real numbers behind all codes of a value, shape (256,)."""
        given = self.meaning[name]
        return np.asarray(given.scale[0] * (np.arange(-128.0, 128.0) - given.zero_point[0]))

    def _holding(self, layer: Layer, values: np.ndarray) -> Quantization:
        """Return the scale that holds `values` and 0, cut by a clip that alone reads the layer."""
        low, high = min(values.min(), 0.0), max(values.max(), 0.0)
        readers = self.readers[layer.output]
        if len(readers) == 1 and isinstance(readers[0], Activation) and clips(readers[0]):
            low, high = max(low, min(readers[0].low, 0.0)), min(high, max(readers[0].high, 0.0))
        scale = float(max(high - low, np.finfo(np.float32).tiny)) / 255
        return Quantization.per_tensor(scale, int(np.rint(-128 - low / scale)))

    def _scaled(self, layer: Layer) -> Quantization | None:
        """Return what codes mean after a product with one number: the same codes, or -1 - code where it is negative."""
        found = self._real_constant(layer) if isinstance(layer, Multiply) else None
        if found is None or found[1].size != 1 or float(found[1].reshape(())) == 0.0:
            return None
        given = self.meaning.get(layer.inputs[1 - found[0]])
        if given is None:
            return None
        factor = float(found[1].reshape(()))
        zero_point = int(given.zero_point[0])
        return Quantization.per_tensor(float(given.scale[0]) * abs(factor), zero_point if factor > 0 else -1 - zero_point)

    def _one_meaning(self, layer: Layer) -> bool:
        found = [self.meaning.get(name) for name in layer.inputs]
        return found[0] is not None and all(same(found[0], other) for other in found)

    def _name(self, name: str) -> str:
        return self.alias.get(name, name)

    def _translate(self, layer: Layer) -> None:
        if isinstance(layer, Dequantize):
            self.alias[layer.output] = self._name(layer.inputs[0])
        elif isinstance(layer, Quantize):
            source = self._name(layer.inputs[0])
            if same(self.meaning[source], self.meaning[layer.output]):
                self.alias[layer.output] = source
            else:
                self.layers.append(replace(layer, inputs=(source,)))
        elif isinstance(layer, Constant):
            if layer.output in self.meaning and layer.value.dtype == np.int8:
                self.layers.append(layer)  # a real constant is appended where it is used
        elif isinstance(layer, (Add, Multiply)) and self._real_constant(layer) is not None:
            self._affine(layer)
        else:
            inputs = tuple(self._name(name) for name in layer.inputs)
            moved = replace(layer, inputs=inputs)
            if isinstance(moved, WEIGHTED):
                moved = self._integer_weights(moved)
            self.layers.append(moved)

    def _integer_weights(self, layer: Layer) -> Layer:
        assert isinstance(layer, WEIGHTED)
        if layer.weight_quantization is None or layer.weight.dtype != np.int8:
            raise UnsupportedLayerError(
                f"{self.graph.source}: layer '{layer.name}' ({layer.kind}) has float32 weights between integer layers; "
                "quantise its weights to int8 too, or load the float32 model"
            )
        if layer.bias is None or layer.bias.dtype == np.int32:
            return layer
        scale = self.meaning[layer.inputs[0]].scale[0] * layer.weight_quantization.scale
        codes = np.rint(layer.bias.astype(np.float64) / scale)
        limits = np.iinfo(np.int32)
        if not ((codes >= limits.min) & (codes <= limits.max)).all():
            raise ModelError(
                f"{self.graph.source}: layer '{layer.name}' ({layer.kind}) has a bias that overflows 32-bit integers at its "
                "scale; quantise the model with another calibration"
            )
        return replace(layer, bias=codes.astype(np.int32))

    def _real_constant(self, layer: Layer) -> tuple[int, np.ndarray] | None:
        """Return (which input, array) where one input of an Add or Multiply is a float32 constant."""
        for place, name in enumerate(layer.inputs):
            maker = self.maker.get(name)
            if isinstance(maker, Constant) and maker.value.dtype != np.int8:
                return place, maker.value
        return None

    def _affine(self, layer: Layer) -> None:
        """Write an Add or Multiply with a float32 constant, one number or one a channel, as a batch norm: it loses nothing."""
        found = self._real_constant(layer)
        assert found is not None
        assert isinstance(layer, (Add, Multiply))
        place, constant = found
        shape = self.graph.tensors[layer.inputs[1 - place]].shape
        if self.graph.tensors[layer.output].shape != shape or constant.ndim > len(shape):
            raise self._refused_constant(layer)
        wide = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
        varying = [axis for axis, size in enumerate(wide.shape) if size > 1]
        if len(varying) > 1 or not shape:
            raise self._refused_constant(layer)
        axis = varying[0] if varying else 0
        vector = np.broadcast_to(wide.reshape(-1), (shape[axis],)).astype(np.float32)
        zeros, ones = np.zeros(shape[axis], np.float32), np.ones(shape[axis], np.float32)
        gamma, beta = (vector, zeros) if isinstance(layer, Multiply) else (ones, vector)
        source = self._name(layer.inputs[1 - place])
        self.layers.append(BatchNorm(layer.name, (source,), layer.output, gamma, beta, zeros, ones, 0.0, axis))

    def _refused_constant(self, layer: Layer) -> UnsupportedLayerError:
        return UnsupportedLayerError(
            f"{self.graph.source}: layer '{layer.name}' ({layer.kind}) joins codes with a float32 constant that differs along "
            "several axes; quantise that constant too"
        )

    def _keep_output_names(self) -> tuple[str, ...]:
        """Give the values behind the outputs the outputs' names again."""
        renamed: dict[str, str] = {}
        copies: list[Layer] = []
        taken = {self._name(name) for name in self.graph.outputs if self._name(name) == name}
        for name in self.graph.outputs:
            source = self._name(name)
            if source == name:
                continue
            self.meaning[name] = self.meaning[source]
            if source in self.graph.inputs or source in taken or source in renamed:
                copies.append(Identity(f"{name}/copy", (source,), name))
            else:
                renamed[source] = name
        rename = [
            replace(
                layer,
                inputs=tuple(renamed.get(name, name) for name in layer.inputs),
                output=renamed.get(layer.output, layer.output),
            )
            for layer in [*self.layers, *copies]
        ]
        self.layers = rename
        return self.graph.outputs

"""Quantize/Dequantize pairs to integer layers: what a file says in float32 between such pairs becomes layers on int8 codes.

A layer becomes an integer one where its inputs are codes and everything that reads its output takes it for codes of one
quantisation: a Quantize, or layers that only move or clip elements into such values. All other layers stay float32, as the file has
them, and a Quantize or Dequantize stands wherever a value passes from one kind to the other. It knows no file format.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from edgebn.functions import OF_REALS
from edgebn.graph import Graph, rebuilt
from edgebn.layers import (
    Activation,
    Add,
    BatchNorm,
    Binary,
    Constant,
    Convolution,
    Dense,
    Dequantize,
    Identity,
    Layer,
    Multiply,
    Normalization,
    Pad,
    Quantization,
    Quantize,
    Softmax,
    TransposedConvolution,
)
from edgebn.passes.graph.one_quantization import follows_codes, interpolates
from edgebn.passes.graph.requantizations import same_codes
from edgebn.passes.graph.states import state_pairs
from edgebn.passes.lowering.lower_quantized import LOWERINGS
from edgebn.passes.names import unused_name
from edgebn.quick_dataclass import replace

WEIGHTED = (Convolution, TransposedConvolution, Dense)
# The integer softmax has steps of 1/256, which would fill a few codes only of an output with finer ones. With these it is one off,
# which layers behind it would magnify: it stands where its codes leave the network.
FINEST_SOFTMAX = 0.9 / 256
INT16_BITS = 16  # codes between which onnxruntime has no integer kernels: it dequantises, computes and quantises, and so do we
EXACT = 1e-6  # of a scale: how near a real number must be to that of a code to count as the same


def collapse(graph: Graph, floats: Collection[str] = ()) -> Graph:
    """Return `graph` with integer layers in place of Quantize/Dequantize pairs, as far as the file quantises.

    Parameters
    ----------
    graph : Graph
        Weights of layers between a Dequantize and a Quantize are int8 with `weight_quantization`; their biases are int32 codes or
        real numbers that stand for such codes. Readers of one float32 value agree on its quantization (`one_quantization.py`).
    floats : collection of str
        Names of layers that shall stay float32, because they have no integer form.

    Returns
    -------
    Graph
        Values are codes, with a quantisation, or float32. Integer layers have int8 weights and int32 biases (scale = input scale *
        weight scale). A Quantize turns float32 numbers into codes, or codes of one quantisation into those of another. Inputs and
        outputs keep their names; an input that only Quantize layers read is codes. A graph without any quantisation is returned as
        it is.
    """
    if all(tensor.quantization is None for tensor in graph.tensors.values()):
        return graph
    return _Collapse(graph, floats).run()


class _Collapse:
    """One run over one graph.

    Every value of the graph has a name among the new layers as codes (`codes`), as float32 (`real`), or after a while both.
    """

    def __init__(self, graph: Graph, floats: Collection[str]) -> None:
        self.graph = graph
        self.floats = floats
        self.file_quantizations: dict[str, Quantization] = {
            name: tensor.quantization for name, tensor in graph.tensors.items() if tensor.quantization is not None
        }
        self.readers: dict[str, list[Layer]] = {name: [] for name in graph.tensors}
        for layer in graph.layers:
            for name in dict.fromkeys(layer.inputs):
                self.readers[name].append(layer)
        self.maker = {layer.output: layer for layer in graph.layers}
        self.layers: list[Layer] = []
        self.codes: dict[str, str] = {}
        self.real: dict[str, str] = {}
        self.quantizations: dict[str, Quantization | None] = {}  # of the new graph's values
        self.taken = set(graph.tensors)
        # Float32 states stay so: codes that a run leaves under one scale and the next reads under another would be other numbers.
        self.states = {name for pair in state_pairs(graph) for name in pair if name not in self.file_quantizations}

    def run(self) -> Graph:
        for name in [*(layer.output for layer in reversed(self.graph.layers)), *self.graph.inputs]:
            self._find_quantization(name)
        for name in self.graph.inputs:
            (self.codes if name in self.file_quantizations else self.real)[name] = name
            self.quantizations[name] = self.file_quantizations.get(name)
        for layer in self.graph.layers:
            self._translate(layer)
        outputs = self._keep_output_names()
        return rebuilt(self.graph, self.layers, outputs=outputs, quantizations=self.quantizations)

    def _find_quantization(self, name: str) -> None:
        """Give a float32 value the quantization that all of its readers take it for, if there is one."""
        readers = self.readers[name]
        if name in self.file_quantizations or name in self.states or name in self.graph.outputs or not readers:
            return
        wanted = [
            self.file_quantizations.get(layer.output) if isinstance(layer, Quantize) or follows_codes(layer) else None
            for layer in readers
        ]
        made = self.maker.get(name)
        if wanted[0] is not None and not isinstance(made, Dequantize) and all(same_codes(wanted[0], other) for other in wanted):
            self.file_quantizations[name] = wanted[0]

    def _translate(self, layer: Layer) -> None:
        output = layer.output
        if isinstance(layer, Dequantize):
            self.codes[output] = self._codes(layer.inputs[0])
        elif isinstance(layer, Quantize):
            self._quantize(layer)
        elif isinstance(layer, Constant):
            self._add(layer, self.file_quantizations.get(output) if layer.value.dtype == np.int8 else None)
        else:
            quantization = self._output_quantization(layer)
            integer = None if quantization is None else self._integer(layer, quantization)
            if integer is None:
                self._add(self._float(layer), None)
            else:
                self._add(integer, quantization)

    def _add(self, layer: Layer, quantization: Quantization | None) -> None:
        """Append a layer whose output keeps its name."""
        self.layers.append(layer)
        (self.real if quantization is None else self.codes)[layer.output] = layer.output
        self.quantizations[layer.output] = quantization

    def _quantize(self, layer: Quantize) -> None:
        source, quantization = layer.inputs[0], self.file_quantizations[layer.output]
        if source not in self.codes:
            self._add(replace(layer, inputs=(self.real[source],)), quantization)
            if same_codes(self.file_quantizations.get(source), quantization):
                self.codes[source] = layer.output
        elif same_codes(self.quantizations[self.codes[source]], quantization):
            self.codes[layer.output] = self.codes[source]
        else:
            self._add(replace(layer, inputs=(self.codes[source],)), quantization)

    def _can_be_codes(self, name: str) -> bool:
        return name in self.codes or (name in self.file_quantizations and name in self.real)

    def _quantization_of(self, name: str) -> Quantization | None:
        """Return the quantization of the codes of `name`."""
        return self.quantizations[self.codes[name]] if name in self.codes else self.file_quantizations.get(name)

    def _codes(self, name: str) -> str:
        """Return the value that holds the codes of `name`."""
        if name not in self.codes:
            output = self._unused(f"{name}/codes")
            self._add(Quantize(f"{name}/quantize", (self.real[name],), output), self.file_quantizations[name])
            self.codes[name] = output
        return self.codes[name]

    def _real(self, name: str) -> str:
        """Return the value that holds the real numbers of `name`."""
        if name not in self.real:
            codes = self.codes[name]
            output = self._unused(f"{name}/real")
            made, stated = self.maker.get(codes), self.maker.get(name)
            if isinstance(made, Constant):
                self._add(replace(made, name=f"{made.name}/real", output=output, value=self._dequantized(made)), None)
            else:
                label = stated.name if isinstance(stated, Dequantize) else f"{name}/dequantize"
                self._add(Dequantize(label, (codes,), output), None)
            self.real[name] = output
        return self.real[name]

    def _dequantized(self, constant: Constant) -> np.ndarray:
        quantization = self.file_quantizations[constant.output]
        return (np.float32(quantization.scale[0]) * (constant.value.astype(np.int32) - quantization.zero_point[0])).astype(
            np.float32
        )

    def _unused(self, base: str) -> str:
        name = unused_name(base, self.taken)
        self.taken.add(name)
        return name

    def _output_quantization(self, layer: Layer) -> Quantization | None:
        """Return the quantization of a layer's output as codes: what its readers take it for, or that of the codes it moves."""
        if layer.kind not in LOWERINGS or layer.name in self.floats or not all(map(self._can_be_codes, self._values(layer))):
            return None
        # Quotients and norms by the sample's own statistics have no integer form that rounds once.
        if isinstance(layer, Normalization) or (isinstance(layer, Binary) and layer.function in OF_REALS):
            return None
        if any(
            quantization is not None and quantization.bits == INT16_BITS
            for quantization in (*map(self._quantization_of, self._values(layer)), self.file_quantizations.get(layer.output))
        ):
            return None
        if layer.output in self.file_quantizations:
            quantization = self.file_quantizations[layer.output]
            # between codes of two quantisations an interpolation would be rounded twice
            return (
                quantization
                if not interpolates(layer) or same_codes(self._quantization_of(layer.inputs[0]), quantization)
                else None
            )
        if isinstance(layer, Multiply):
            return self._scaled(layer)
        if not follows_codes(layer) or any(name not in self.codes for name in layer.inputs):
            return None
        found = [self.quantizations[self.codes[name]] for name in layer.inputs]
        if found[0] is None or not all(same_codes(found[0], other) for other in found) or not _is_exact(layer, found[0]):
            return None
        return found[0]

    def _scaled(self, layer: Multiply) -> Quantization | None:
        """Return the quantization of codes after a product with one number: the same codes, or -1 - code where it is negative.

        It loses nothing, and where the next layer is an integer one (a number less a value: a product and a sum) it saves two
        conversions.
        """
        values = self._values(layer)
        others = [name for name in layer.inputs if name not in values]
        if (
            len(values) != 1
            or len(others) != 1
            or not any(reader.output in self.file_quantizations for reader in self.readers[layer.output])
        ):
            return None
        constant = self.maker[others[0]]
        assert isinstance(constant, Constant)
        source_quantization = self.quantizations[self.codes[values[0]]] if values[0] in self.codes else None
        if source_quantization is None or constant.value.size != 1 or float(constant.value.reshape(())) == 0.0:
            return None
        factor, zero_point = float(constant.value.reshape(())), int(source_quantization.zero_point[0])
        return Quantization.per_tensor(
            float(source_quantization.scale[0]) * abs(factor), zero_point if factor > 0 else -1 - zero_point
        )

    def _values(self, layer: Layer) -> list[str]:
        """Return the inputs of a layer but for real constants."""
        return [name for name in layer.inputs if not self._is_real_constant(name)]

    def _is_real_constant(self, name: str) -> bool:
        maker = self.maker.get(name)
        return isinstance(maker, Constant) and maker.value.dtype != np.int8

    def _integer(self, layer: Layer, quantization: Quantization) -> Layer | None:
        """Return a layer on codes, or None where it cannot be one."""
        if isinstance(layer, Softmax) and (
            quantization.scale[0] < FINEST_SOFTMAX or not self._only_leaves(layer.output, quantization)
        ):
            return None
        if any(self._is_real_constant(name) for name in layer.inputs):
            return self._affine(layer) if isinstance(layer, Add | Multiply) else None
        if isinstance(layer, WEIGHTED):
            return self._integer_weights(layer)
        return replace(layer, inputs=tuple(map(self._codes, layer.inputs)))

    def _only_leaves(self, name: str, quantization: Quantization) -> bool:
        """Whether a value goes to outputs of the network alone, moved at most: nothing makes more of a code that is one off.

        Codes of a finer scale than `quantization`'s would.
        """
        return all(
            (isinstance(layer, Quantize | Dequantize) or follows_codes(layer))
            and self.file_quantizations.get(layer.output, quantization).scale[0] > 0.9 * quantization.scale[0]
            and self._only_leaves(layer.output, quantization)
            for layer in self.readers[name]
        )

    def _integer_weights(self, layer: Convolution | TransposedConvolution | Dense) -> Layer | None:
        weight_quantization = layer.weight_quantization
        if (
            weight_quantization is None
            or layer.weight.dtype not in (np.int8, np.int16)  # int16 holds what a zero point makes of 8 bits
            or weight_quantization.zero_point.any()
            or weight_quantization.axis not in {None, 0}
        ):
            return None
        source = self._codes(layer.inputs[0])
        source_quantization = self.quantizations[source]
        assert source_quantization is not None
        bias = layer.bias
        if bias is not None and bias.dtype != np.int32:
            codes = np.rint(bias.astype(np.float64) / (source_quantization.scale[0] * weight_quantization.scale))
            limits = np.iinfo(np.int32)
            if not ((codes >= limits.min) & (codes <= limits.max)).all():
                return None
            bias = codes.astype(np.int32)
        return replace(layer, inputs=(source,), bias=bias)

    def _affine(self, layer: Add | Multiply) -> Layer | None:
        """Write a sum or product with one number, or one a channel, as a batch norm: it loses nothing. None for other constants."""
        place = next(place for place, name in enumerate(layer.inputs) if self._is_real_constant(name))
        maker = self.maker[layer.inputs[place]]
        assert isinstance(maker, Constant)
        constant, value = maker.value, layer.inputs[1 - place]
        shape = self.graph.tensors[value].shape
        bounded = (layer.low, layer.high) != (-np.inf, np.inf)
        if (
            self._is_real_constant(value)
            or self.graph.tensors[layer.output].shape != shape
            or constant.ndim > len(shape)
            or bounded
        ):
            return None
        wide = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
        varying = [axis for axis, size in enumerate(wide.shape) if size > 1]
        if len(varying) > 1 or not shape:
            return None
        axis = varying[0] if varying else 0
        vector = np.broadcast_to(wide.reshape(-1), (shape[axis],)).astype(np.float32)
        zeros, ones = np.zeros(shape[axis], np.float32), np.ones(shape[axis], np.float32)
        gamma, beta = (vector, zeros) if isinstance(layer, Multiply) else (ones, vector)
        return BatchNorm(layer.name, (self._codes(value),), layer.output, gamma, beta, zeros, ones, 0.0, axis)

    def _float(self, layer: Layer) -> Layer:
        """Return a layer on real numbers; its weights are dequantised later (`simplify.py`), a bias in codes here."""
        changed = replace(layer, inputs=tuple(map(self._real, layer.inputs)))
        if isinstance(changed, WEIGHTED) and changed.bias is not None and changed.bias.dtype == np.int32:
            source_quantization, weight_quantization = self.file_quantizations[layer.inputs[0]], changed.weight_quantization
            assert weight_quantization is not None
            changed = replace(
                changed, bias=(changed.bias * (source_quantization.scale[0] * weight_quantization.scale)).astype(np.float32)
            )
        return changed

    def _keep_output_names(self) -> tuple[str, ...]:
        """Give the codes behind the outputs the outputs' names again."""
        renamed: dict[str, str] = {}
        copies: list[Layer] = []
        outputs = tuple(self._real(name) if name in self.states else name for name in self.graph.outputs)
        others = [name for name in self.graph.outputs if name not in self.states]
        made = [name for name in others if self.real.get(name) != name]
        taken = {name for name in others if self.real.get(name) == name or self.codes[name] == name}
        for name in made:
            source = self.codes[name]
            if source == name:
                continue
            self.quantizations[name] = self.quantizations[source]
            if source in self.graph.inputs or source in taken or source in renamed:
                copies.append(Identity(f"{name}/copy", (source,), name))
            else:
                renamed[source] = name
        self.layers = [
            replace(
                layer,
                inputs=tuple(renamed.get(name, name) for name in layer.inputs),
                output=renamed.get(layer.output, layer.output),
            )
            for layer in [*self.layers, *copies]
        ]
        return outputs


def _is_exact(layer: Layer, quantization: Quantization) -> bool:
    """Whether codes hold what a layer puts in their place: the bounds of a clip, the value of a padding."""
    numbers: tuple[float, ...] = ()
    if isinstance(layer, Activation):
        numbers = (layer.low, layer.high)
    elif isinstance(layer, Pad):
        numbers = (layer.value,)
    for number in numbers:
        code = number / quantization.scale[0] + quantization.zero_point[0]
        bounds_nothing = isinstance(layer, Activation) and (code <= -128 if number == layer.low else code >= 127)
        if not bounds_nothing and (not -128 <= code <= 127 or abs(code - np.rint(code)) > EXACT * max(1.0, abs(code))):
            return False
    return True

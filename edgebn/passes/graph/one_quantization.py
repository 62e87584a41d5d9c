"""Float32 values between Quantize and Dequantize layers that are read under several quantisations become several values.

Behind this pass all layers that read such a value agree on the scale and zero point that its codes may have, so that what one of
them clips (a ReLU that a quantizer wrote as zero point -128) is not clipped for the others; or one of them reads it as float32, and
then it stays that for all.
"""

from __future__ import annotations

from edgebn.graph import Graph, rebuilt
from edgebn.layers import Activation, Concat, Constant, Dequantize, Layer, Pad, Quantization, Quantize, Resize
from edgebn.passes.graph.requantizations import keeps_codes, same_codes
from edgebn.passes.names import unused_name
from edgebn.quick_dataclass import replace

Group = tuple[Quantization | None, list[str]]  # a quantization, and the layers that want it, by output


def interpolates(layer: Layer) -> bool:
    """Whether a layer makes values between those that it reads."""
    return isinstance(layer, Resize) and layer.function != "nearest"


def follows_codes(layer: Layer) -> bool:
    """Whether a layer only moves, selects or clips elements, so that it may work in the codes that its output shall have."""
    clip = isinstance(layer, Activation) and layer.function == "clip"
    return clip or isinstance(layer, Concat) or (keeps_codes(layer) and not interpolates(layer))


def one_quantization_each(graph: Graph) -> Graph:
    """Return `graph` with the layer that makes a value of several quantisations once for each of them.

    What only moves codes about is not made twice: its value becomes codes of their own quantization, which loses nothing.
    """
    return _Apart(graph).result()


class _Apart:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.maker = {layer.output: layer for layer in graph.layers}
        self.layers: dict[str, Layer] = {}  # what has been placed so far, by output; last ones first
        self.readers: dict[str, list[str]] = {}
        self.wanted: dict[str, Quantization | None] = {}  # by value: what all its readers take it for
        self.quantizations: dict[str, Quantization | None] = {}  # of new codes
        self.names = set(graph.tensors)

    def result(self) -> Graph:
        for layer in reversed(self.graph.layers):
            self._place(layer)
        ordered = list(reversed(self.layers.values()))
        if len(ordered) == len(self.graph.layers):
            return self.graph
        return rebuilt(self.graph, ordered, quantizations=self.quantizations)

    def _place(self, layer: Layer) -> None:
        fixed = self.graph.tensors[layer.output].quantization is not None or isinstance(layer, Constant | Dequantize)
        groups = [] if fixed else self._groups(layer.output)
        codes = self._codes_behind(layer)
        if len(groups) < 2:
            self._put(layer, groups[0][0] if groups else None)
        elif codes is None and any(quantization is None for quantization, _ in groups):
            self._put(layer, None)
        elif codes is not None:
            inner, held = self._unused(f"{layer.output}/moved"), self._unused(f"{layer.output}/codes")
            self.quantizations[held] = codes
            self._put(Dequantize(f"{layer.name}/dequantize", (held,), layer.output), None)
            self._put(Quantize(f"{layer.name}/quantize", (inner,), held), None)
            self._put(replace(layer, output=inner), codes)
        else:
            for count, (quantization, readers) in enumerate(groups):
                if count == 0:
                    self._put(layer, quantization)
                    continue
                output = self._unused(layer.output)
                for name in readers:
                    reader = self.layers[name]
                    inputs = tuple(output if value == layer.output else value for value in reader.inputs)
                    self.layers[name] = replace(reader, inputs=inputs)
                self._put(replace(layer, name=f"{layer.name}/{count + 1}", output=output), quantization)

    def _groups(self, value: str) -> list[Group]:
        """Return who reads a float32 value under which quantization; the group that keeps its name comes first."""
        groups: list[Group] = [(None, [])] if value in self.graph.outputs else []
        for name in self.readers.get(value, []):
            reader = self.layers[name]
            quantization = self._quantization_for(reader)
            for known, names in groups:
                if (known is None and quantization is None) or same_codes(known, quantization):
                    names.append(name)
                    break
            else:
                groups.append((quantization, [name]))
        return groups

    def _quantization_for(self, reader: Layer) -> Quantization | None:
        """Return what a layer takes its input for."""
        if isinstance(reader, Quantize):
            return self.quantizations.get(reader.output) or self.graph.tensors[reader.output].quantization
        return self.wanted[reader.output] if follows_codes(reader) else None

    def _codes_behind(self, layer: Layer) -> Quantization | None:
        """Return the quantization of the codes that a layer moves; None where its value is more than moved codes."""
        while keeps_codes(layer) and not interpolates(layer) and not isinstance(layer, Pad):
            made = self.maker.get(layer.inputs[0])
            if isinstance(made, Dequantize):
                return self.graph.tensors[made.inputs[0]].quantization
            if made is None:
                return None
            layer = made
        return None

    def _put(self, layer: Layer, wanted: Quantization | None) -> None:
        self.layers[layer.output] = layer
        self.wanted[layer.output] = wanted
        for name in dict.fromkeys(layer.inputs):
            self.readers.setdefault(name, []).append(layer.output)

    def _unused(self, base: str) -> str:
        name = unused_name(base, self.names)
        self.names.add(name)
        return name

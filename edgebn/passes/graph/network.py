"""A graph opened for rewriting: who makes and who reads each value, kept up to date while rules replace layers.

Every pass opens a `Network`, rewrites it and closes it into a `Graph` once. It knows layers, not what any rule is for.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.graph import Graph, Shape, rebuilt
from edgebn.layers import Layer, Quantization, Reshape
from edgebn.passes.names import unused_name
from edgebn.program import hwc
from edgebn.quick_dataclass import replace


class Network:
    """A mutable view of a `Graph`.

    Attributes
    ----------
    source : str
        The file's name, for messages.
    maker : dict of str to Layer
        The layer that makes each value (network inputs have none).
    shapes : dict of str to shape
    quantizations : dict of str to Quantization or None
    inputs, outputs : tuple of str
    in_file : frozenset of str
        The names of the layers it was opened with, to tell them from those that rules put in.
    notes : dict of str to str
        What became of layers that a rule took out, by layer name, for `Program.records`.
    """

    def __init__(self, graph: Graph, notes: dict[str, str] | None = None) -> None:
        self._graph = graph
        self.notes = {} if notes is None else notes
        self.source = graph.source
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.in_file = frozenset(layer.name for layer in graph.layers)
        self.maker: dict[str, Layer] = {}
        self.shapes: dict[str, Shape] = {name: tensor.shape for name, tensor in graph.tensors.items()}
        self.quantizations: dict[str, Quantization | None] = {name: tensor.quantization for name, tensor in graph.tensors.items()}
        self._readers: dict[str, dict[str, None]] = {}
        self._position: dict[str, int] = {}
        self._less_read: list[str] = []
        for position, layer in enumerate(graph.layers):
            self._position[layer.output] = position
            self._link(layer)

    def _link(self, layer: Layer) -> None:
        self.maker[layer.output] = layer
        for name in layer.inputs:
            self._readers.setdefault(name, {})[layer.output] = None

    def _unlink(self, layer: Layer) -> None:
        del self.maker[layer.output]
        for name in set(layer.inputs):
            del self._readers[name][layer.output]
            self._less_read.append(name)

    def put(self, layer: Layer, near: str, quantization: Quantization | None = None) -> None:
        """Add `layer`, or replace the one that makes the same value, at the place of the value `near`."""
        if layer.output in self.maker:
            self._unlink(self.maker[layer.output])
        self._position.setdefault(layer.output, self._position[near])
        self._link(layer)
        try:
            self.shapes[layer.output] = layer.output_shape(*(self.shapes[name] for name in layer.inputs))
        except ModelError as error:
            raise type(error)(f"{self.source}: layer '{layer.name}' ({layer.kind}): {error}") from None
        self.quantizations.setdefault(layer.output, quantization)

    def remove(self, value: str) -> None:
        """Remove the layer that makes `value`; nobody reads it any more."""
        self._unlink(self.maker[value])

    def prune(self) -> None:
        """Remove the layers that lost their last reader since the last call."""
        while self._less_read:
            value = self._less_read.pop()
            if value in self.maker and not self._readers.get(value) and value not in self.outputs:
                self.remove(value)

    def readers(self, value: str) -> list[Layer]:
        """Return the layers that read `value`."""
        return [self.maker[output] for output in self._readers.get(value, {})]

    def only_reader(self, value: str) -> Layer | None:
        """Return the layer that alone reads `value`; None when there are several, none, or `value` leaves the network."""
        readers = self._readers.get(value, {})
        if len(readers) != 1 or value in self.outputs:
            return None
        return self.maker[next(iter(readers))]

    def read_instead(self, old: str, new: str) -> None:
        """Make every reader of `old` read `new`."""
        for layer in self.readers(old):
            self._unlink(layer)
            self._link(replace(layer, inputs=tuple(new if name == old else name for name in layer.inputs)))

    def rename(self, old: str, new: str) -> None:
        """Give the value `old`, which a layer makes, the name `new`."""
        layer = self.maker[old]
        self._unlink(layer)
        self._position[new] = self._position[old]
        self.shapes[new] = self.shapes[old]
        self.quantizations[new] = self.quantizations[old]
        self._link(replace(layer, output=new))
        self.read_instead(old, new)

    def bypass(self, layer: Layer) -> bool:
        """Take out a layer that changes nothing; where its output must keep its name, leave a plain copy. Whether it changed."""
        value, output = layer.inputs[0], layer.output
        if output not in self.outputs:
            self.read_instead(output, value)
            self.remove(output)
            return True
        before, after = self.quantizations[value], self.quantizations[output]
        retyped = before is not None and after is not None and before.unsigned != after.unsigned  # uint8 leaves what int8 makes
        if value in self.maker and value not in self.outputs and self.maker[value].kind != "Constant" and not retyped:
            self.remove(output)
            self.rename(value, output)
            return True
        if layer.kind == "Reshape":
            return False
        self.put(Reshape(layer.name, (value,), output, self.shapes[value]), output)
        return True

    def reshaped(self, layer: Layer, value: str, shape: Shape) -> str:
        """Put a Reshape of `value` before `layer`, under whose name it goes; return the value that it makes."""
        output = self.new_value(f"{value}/shaped")
        self.put(Reshape(f"{layer.name}/reshape", (value,), output, shape), layer.output, self.quantizations[value])
        return output

    def new_value(self, base: str) -> str:
        """Return a name that no value has, beginning with `base`."""
        return unused_name(base, self.shapes)

    def layers(self) -> list[Layer]:
        """Return the layers in topological order, as close to the file's order as that allows."""
        waiting = {output: sum(1 for name in set(layer.inputs) if name in self.maker) for output, layer in self.maker.items()}
        ready = [(self._position[output], output) for output, count in waiting.items() if count == 0]
        heapq.heapify(ready)
        ordered = []
        while ready:
            _, output = heapq.heappop(ready)
            ordered.append(self.maker[output])
            for reader in self._readers.get(output, {}):
                waiting[reader] -= 1
                if waiting[reader] == 0:
                    heapq.heappush(ready, (self._position[reader], reader))
        return ordered

    def close(self) -> Graph:
        """Return the rewritten graph, without layers that no output needs."""
        return rebuilt(self._graph, self.layers(), quantizations=dict(self.quantizations))


def refuse(source: str, layer: Layer, reason: str) -> UnsupportedLayerError:
    """Return the error for a layer that cannot run, with file, name and type; `reason` says why and what to do."""
    return UnsupportedLayerError(f"{source}: layer '{layer.name}' ({layer.kind}): {reason}")


def check_broadcast(source: str, layer: Layer, lowered: Sequence[Shape], shapes: Sequence[Shape]) -> None:
    """Refuse a sum or product that does not broadcast over (height, width, channels).

    Parameters
    ----------
    source : str
        The file's name.
    layer : Layer
    lowered : sequence of (height, width, channels)
        Of its inputs.
    shapes : sequence of shape
        Of its inputs, then of its output, as the graph has them.
    """
    *inputs, output = shapes
    fits = all(size in (1, whole) for shape in lowered for size, whole in zip(shape, hwc(output), strict=True))
    if len(lowered) < 2 or not fits:
        raise refuse(
            source,
            layer,
            f"its inputs of shapes {tuple(inputs)} do not broadcast as values of (height, width, channels); reshape them first",
        )

"""The network as the model file says it: layers, explicit batch norms, shapes, and quantisation if the file has it.

Readers build a `Graph` with `GraphBuilder`, which infers and checks every shape; passes rewrite it. It knows nothing of
devices, of memory or of any file format. The layer classes are in `layers.py`.

Shapes here leave out the batch axis: an image batch (N, H, W, C) has shape (H, W, C).
"""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError
from edgebn.layers import Identity, Layer, Quantization
from edgebn.quick_dataclass import dataclass, field, replace

Shape = tuple[int, ...]

# A tensor larger than this is a damaged or hostile file, not a network for a small board (elements per sample).
MAX_TENSOR_ELEMENTS = 1 << 26


@dataclass(frozen=True)
class Tensor:
    """One value that flows between layers.

    Attributes
    ----------
    name : str
        Unique in the graph.
    shape : tuple of int
        Without the batch axis.
    quantization : Quantization or None
        Set when the file stores this value as int8 codes (uint8 files are shifted by -128 by their reader).
    """

    name: str
    shape: Shape
    quantization: Quantization | None = None


@dataclass(frozen=True)
class Graph:
    """A network in topological order.

    Attributes
    ----------
    name : str
        The model's own name.
    source : str
        The file it was read from, for messages.
    format : str
        'keras', 'onnx', 'tflite', 'torch'.
    channels_first : bool
        Whether the file's layout is NCHW (or NCL). Sessions are NHWC either way.
    tensors : dict of str to Tensor
    layers : tuple of Layer
        Each layer's inputs are produced before it.
    inputs, outputs : tuple of str
        Tensor names.
    integer_rounding : {'single', 'double'}
        How integer layers of an already quantised file round: 'double' is TensorFlow Lite Micro's.
    states : tuple of ndarray
        What lives from run to run: as many of the last inputs as there are arrays are read from it, as many of the last outputs
        become it, in the same order. Each array is what the first run reads, in the file's layout: codes (int8) or float32.
    """

    name: str
    source: str
    format: str
    channels_first: bool
    tensors: dict[str, Tensor]
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integer_rounding: str = "single"
    states: tuple[np.ndarray, ...] = ()

    def producer(self, tensor: str) -> Layer | None:
        """Return the layer that makes `tensor`, or None for an input of the network."""
        return next((layer for layer in self.layers if layer.output == tensor), None)

    def consumers(self, tensor: str) -> list[Layer]:
        """Return the layers that read `tensor`, in order."""
        return [layer for layer in self.layers if tensor in layer.inputs]


@dataclass(frozen=False)
class GraphBuilder:
    """Collects layers in topological order and checks each as it comes.

    Parameters are the fields of `Graph`. `add_input` and `add` return tensor names to feed to the next layer.
    """

    name: str
    source: str
    format: str
    channels_first: bool = False
    integer_rounding: str = "single"
    tensors: dict[str, Tensor] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)

    def _define(self, name: str, shape: Shape, quantization: Quantization | None, layer_name: str) -> None:
        if name in self.tensors:
            raise ModelError(
                f"{self.source}: two layers make the value '{name}' (the second is '{layer_name}'); the file is damaged"
            )
        shape = tuple(int(size) for size in shape)
        elements = 1
        for size in shape:
            elements *= size
        if any(size < 1 for size in shape) or elements > MAX_TENSOR_ELEMENTS:
            raise ModelError(
                f"{self.source}: layer '{layer_name}' makes a value of shape {shape}, which is empty or too large; "
                "give the input shape with input_shape=, or repair the file"
            )
        self.tensors[name] = Tensor(name, shape, quantization)

    def add_input(self, name: str, shape: Shape, quantization: Quantization | None = None) -> str:
        """Declare an input of the network; `shape` leaves out the batch axis."""
        self._define(name, shape, quantization, name)
        self.inputs.append(name)
        return name

    def infer(self, layer: Layer) -> Shape:
        """Check `layer` and return the shape of its output, without appending it; errors as of `add`."""
        shapes = []
        for name in layer.inputs:
            if name not in self.tensors:
                raise ModelError(
                    f"{self.source}: layer '{layer.name}' reads the value '{name}', which no layer before it makes; "
                    "the file is damaged or its graph has a cycle"
                )
            shapes.append(self.tensors[name].shape)
        try:
            layer.check()
            return layer.output_shape(*shapes)
        except ModelError as error:
            raise type(error)(f"{self.source}: layer '{layer.name}' ({layer.kind}): {error}") from None

    def add(self, layer: Layer, quantization: Quantization | None = None) -> str:
        """Append `layer`, infer its output's shape, and return the output's name.

        Raises
        ------
        ModelError
            Naming the file and the layer: an input nobody makes, shapes that do not fit, weights that are not finite.
        """
        shape = self.infer(layer)
        self._define(layer.output, shape, quantization, layer.name)
        self.layers.append(layer)
        return layer.output

    def finish(self, outputs: list[str]) -> Graph:
        """Return the finished graph; layers that no output needs are left out.

        A value that is listed as an output more than once becomes `NAME/output2`, ... from the second time on: outputs have names.
        """
        missing = [name for name in outputs if name not in self.tensors]
        if missing or len(outputs) <= len(self.states) or len(self.inputs) <= len(self.states):
            raise ModelError(f"{self.source}: the network has no input or no output ({missing or 'none named'})")
        outputs = [self._again(name, outputs[:place].count(name)) for place, name in enumerate(outputs)]
        return without_dead_layers(
            Graph(
                self.name,
                self.source,
                self.format,
                self.channels_first,
                dict(self.tensors),
                tuple(self.layers),
                tuple(self.inputs),
                tuple(outputs),
                self.integer_rounding,
                tuple(self.states),
            )
        )

    def _again(self, name: str, times: int) -> str:
        """Return `name`, or a value equal to it where an output has that name `times` times already."""
        if not times:
            return name
        wanted = f"{name}/output{times + 1}"
        while wanted in self.tensors:
            wanted += "_"
        return self.add(Identity(wanted, (name,), wanted), self.tensors[name].quantization)


def without_dead_layers(graph: Graph) -> Graph:
    """Return `graph` without the layers and values that no output depends on (network inputs are kept)."""
    needed = set(graph.outputs)
    kept = []
    for layer in reversed(graph.layers):
        if layer.output in needed:
            kept.append(layer)
            needed.update(layer.inputs)
    needed.update(graph.inputs)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in needed}
    return replace(graph, layers=tuple(reversed(kept)), tensors=tensors)


def rebuilt(
    graph: Graph,
    layers: list[Layer],
    inputs: dict[str, Shape] | None = None,
    outputs: tuple[str, ...] | None = None,
    quantizations: dict[str, Quantization | None] | None = None,
) -> Graph:
    """Return a graph with `layers` in place of the old ones, all shapes inferred anew: how passes rewrite.

    Parameters
    ----------
    graph : Graph
        Gives everything that is not named otherwise.
    layers : list of Layer
        In topological order.
    inputs : dict of str to shape, optional
        The network's inputs when their shapes change (layout).
    outputs : tuple of str, optional
    quantizations : dict, optional
        Quantisation of values whose name is new or whose quantisation changes; others keep the old tensor's by name.
    """
    builder = GraphBuilder(graph.name, graph.source, graph.format, graph.channels_first, graph.integer_rounding)
    builder.states.extend(graph.states)
    changed = quantizations or {}

    def quantization(name: str) -> Quantization | None:
        if name in changed:
            return changed[name]
        return graph.tensors[name].quantization if name in graph.tensors else None

    for name in graph.inputs:
        shape = inputs[name] if inputs else graph.tensors[name].shape
        builder.add_input(name, shape, quantization(name))
    for layer in layers:
        builder.add(layer, quantization(layer.output))
    return builder.finish(list(outputs if outputs is not None else graph.outputs))


def constant_value(graph: Graph, tensor: str) -> np.ndarray | None:
    """Return the array behind `tensor` when a Constant layer makes it, else None."""
    layer = graph.producer(tensor)
    return getattr(layer, "value", None) if layer is not None and layer.kind == "Constant" else None

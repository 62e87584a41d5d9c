"""Turns nodes into layers of a `Graph`: names, the batch axis and quantisation are minded here, once for all operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.graph import GraphBuilder, Shape
from edgebn.layers import Constant, Dequantize, Identity, Layer, Quantization


@dataclass
class Context:
    """The graph under construction.

    Attributes
    ----------
    builder : GraphBuilder
    batch : int or None
        Size of axis 0 of every value (1 where the file leaves it open); None when no axis is the batch.
    integer : bool
        Whether values of the network are integers somewhere.
    """

    builder: GraphBuilder
    batch: int | None
    integer: bool

    @property
    def leading(self) -> int:
        """How many axes of a full shape the graph's shapes leave out."""
        return 0 if self.batch is None else 1

    def full_shape(self, tensor: str) -> Shape:
        """Return a value's shape with its batch axis."""
        sample = self.builder.tensors[tensor].shape
        return sample if self.batch is None else (self.batch, *sample)

    def sample_shape(self, node: Node, shape: tuple[int, ...]) -> Shape:
        """Take the batch axis off a full shape, or refuse a shape that hides it."""
        if self.batch is None:
            return shape
        if not shape or shape[0] != self.batch:
            raise node.refuse(
                f"it makes a value of shape {shape}, which mixes the batch axis with others; "
                "read the file with batch_axis=False if its first axis is no batch"
            )
        return shape[1:]

    def axis(self, node: Node, axis: int, rank: int) -> int:
        """Return an axis of a full shape as an axis of the sample, negative ones resolved."""
        if not -rank <= axis < rank:
            raise node.damaged(f"its axis {axis} is outside a value of {rank} axes")
        axis %= rank
        if axis < self.leading:
            raise node.refuse("it works along the batch axis; read the file with batch_axis=False if its first axis is no batch")
        return axis - self.leading

    def emit(
        self,
        node: Node,
        kind: type[Layer],
        /,
        *inputs: Dynamic,
        part: str = "",
        output: int = 0,
        quantization: Quantization | None = None,
        shift: int = 0,
        **fields: Any,
    ) -> Dynamic:
        """Append a layer and return its output.

        Parameters
        ----------
        part : str
            Names a helper layer of a node that becomes several; empty for the layer that makes the node's output.
        output : int
            Which of the node's outputs it makes.
        quantization, shift
            Of the output, when it is int8 codes.
        """
        made = node.outputs[output] if node.outputs and output < len(node.outputs) else ""
        if not made and not part:
            raise node.damaged("it makes no output")
        name = node.name if output == 0 else f"{node.name}:{output}"
        if part:
            name, made = f"{name}/{part}", f"{made}/{part}"
        layer = kind(name=name, inputs=tuple(value.tensor for value in inputs), output=made, **fields)
        self.builder.add(layer, quantization)
        return Dynamic(made, self.full_shape(made), quantization, shift)

    def emit_same_codes(
        self, node: Node, kind: type[Layer], value: Dynamic, /, part: str = "", output: int = 0, **fields: Any
    ) -> Dynamic:
        """Append a layer that moves or selects elements: integer codes keep their meaning."""
        return self.emit(node, kind, value, part=part, output=output, quantization=value.quantization, shift=value.shift, **fields)

    def identity(self, node: Node, value: Dynamic) -> Dynamic:
        """Append a layer that does nothing, so that the node's output has its name."""
        return self.emit_same_codes(node, Identity, value)

    def constant(self, node: Node, value: Static, array: np.ndarray, part: str) -> Dynamic:
        """Append a constant layer holding `array` (the sample's share of `value`), quantised if the file stores it so."""
        codes = value.codes
        if codes is not None and self.integer and codes.quantization.axis is None and codes.array.dtype == np.int8:
            stored = self.emit(
                node,
                Constant,
                part=f"{part}_codes",
                quantization=codes.quantization,
                value=codes.array.reshape(array.shape),
            )
            return self.emit(node, Dequantize, stored, part=part)
        return self.emit(node, Constant, part=part, value=np.asarray(array, np.float32, order="C"))

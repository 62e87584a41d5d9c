"""Turns nodes into layers of a `Graph`: names and the batch axis are minded here, once for all operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.graph import GraphBuilder, Shape
from edgebn.layers import Constant, Layer


@dataclass
class Context:
    """The graph under construction.

    Attributes
    ----------
    builder : GraphBuilder
    batch : int
        Size of axis 0 of every value, as the module was exported.
    """

    builder: GraphBuilder
    batch: int

    def full_shape(self, tensor: str) -> Shape:
        """Return a value's shape with its batch axis."""
        return (self.batch, *self.builder.tensors[tensor].shape)

    def dynamic(self, tensor: str) -> Dynamic:
        """Return the value behind a tensor of the graph, with memory of its own."""
        return Dynamic(tensor, self.full_shape(tensor), tensor, tensor)

    def sample_shape(self, node: Node, shape: tuple[int, ...]) -> Shape:
        """Take the batch axis off a full shape, or refuse a shape that hides it."""
        if not shape or shape[0] != self.batch:
            raise node.refuse(f"it makes a value of shape {shape}, which mixes the batch axis with others; keep it first")
        return shape[1:]

    def axis(self, node: Node, axis: int, rank: int) -> int:
        """Return an axis of a full shape as an axis of the sample, negative ones resolved."""
        if not -rank <= axis < rank:
            raise node.damaged(f"its axis {axis} is outside a value of {rank} axes")
        axis %= rank
        if axis == 0:
            raise node.refuse("it works along the batch axis; edgebn runs each sample by itself")
        return axis - 1

    def emit(self, node: Node, kind: type[Layer], *inputs: Dynamic, part: str = "", output: int = 0, **fields: Any) -> Dynamic:
        """Append a layer and return its output.

        Parameters
        ----------
        part : str
            Names a helper layer of a node that becomes several; empty for the layer that makes the node's output.
        output : int
            Which of the node's outputs it makes.
        """
        if output >= len(node.outputs):
            raise node.damaged("it makes no output")
        made = node.outputs[output]
        name = node.name if output == 0 else f"{node.name}:{output}"
        if part:
            name, made = f"{name}/{part}", f"{made}/{part}"
        self.builder.add(kind(name=name, inputs=tuple(value.tensor for value in inputs), output=made, **fields))
        return self.dynamic(made)

    def constant(self, node: Node, array: np.ndarray, part: str) -> Dynamic:
        """Append a constant layer holding `array` (one sample's share)."""
        return self.emit(node, Constant, part=part, value=np.ascontiguousarray(array, np.float32).reshape(array.shape))

    def without_batch(self, node: Node, array: np.ndarray, rank: int) -> np.ndarray:
        """Return a constant that is to be broadcast against a value of `rank` axes, without its batch axis."""
        if array.ndim < rank:
            return array
        if array.ndim > rank or array.shape[0] not in (1, self.batch) or (array != array[:1]).any():
            raise node.refuse(f"its constant of shape {array.shape} differs along the batch axis; edgebn runs samples alone")
        return array[0]

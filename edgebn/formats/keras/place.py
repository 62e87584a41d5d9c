"""What a layer function gets: its settings, weights and input values, and the means to add layers to the graph.

Knows the graph and the settings; nothing of any particular layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.keras.definitions import LayerDefinition
from edgebn.formats.keras.settings import Settings
from edgebn.formats.keras.weights import Weights
from edgebn.graph import GraphBuilder
from edgebn.layers import Constant, Layer

# More layers than any network for a small board; models within models called many times would multiply without end.
MAX_LAYERS = 10_000

Shape = tuple[int, ...]


class Value(str):
    """The name of a value of the graph among a call's arguments: tells it from plain text."""

    __slots__ = ()


@dataclass
class Reading:
    """One file being read.

    Attributes
    ----------
    builder : GraphBuilder
    version : tuple of int
        Keras' major and minor version: some functions changed between 2 and 3.
    weights : Weights
    input_shapes : dict of str to tuple of int
        What the user says about inputs whose size the file leaves open; key '' where there is one input.
    layouts : dict of str to bool
        For values that a layer with a data format reads: whether that format is channels first.
    calls : int
        How many calls of layers were made so far.
    """

    builder: GraphBuilder
    version: tuple[int, int]
    weights: Weights
    input_shapes: dict[str, Shape]
    layouts: dict[str, bool] = field(default_factory=dict)
    calls: int = 0

    def count_call(self) -> None:
        """Refuse models that multiply without end."""
        self.calls += 1
        if self.calls > MAX_LAYERS:
            raise ModelError(f"the network has more than {MAX_LAYERS} layers; the file is damaged")


@dataclass(frozen=True)
class Place:
    """One call of one layer.

    Attributes
    ----------
    reading : Reading
    definition : LayerDefinition
    name : str
        The layer's name with those of the models around it, and the number of the call after the first: unique.
    inputs : list of str
        The values that enter, in order.
    args, kwargs : list, dict
        The call's arguments as the file has them, value names in place of tensors.
    settings : Settings
        The layer's, or those of an activation inside it.
    given : list of ndarray, optional
        What stands in place of stored weights, where code gives them in its call.
    """

    reading: Reading
    definition: LayerDefinition
    name: str
    inputs: list[str]
    args: list[Any]
    kwargs: dict[str, Any]
    settings: Settings
    given: list[np.ndarray] | None = None

    @property
    def keras2(self) -> bool:
        """Whether Keras 2 wrote the file."""
        return self.reading.version[0] < 3

    @property
    def input(self) -> str:
        """The only input."""
        if len(self.inputs) != 1:
            raise ModelError(f"it has {len(self.inputs)} inputs; it should have one")
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """The only input's shape, without the batch."""
        return self.shape_of(self.input)

    def shape_of(self, value: str) -> Shape:
        """Return a value's shape, without the batch."""
        return self.reading.builder.tensors[value].shape

    def add(self, kind: type[Layer], inputs: list[str] | None = None, stage: str = "", output: str = "", **fields: Any) -> str:
        """Add a graph layer and return the value that it makes.

        Parameters
        ----------
        kind : type of Layer
        inputs : list of str, optional
            Value names; the call's only input by default.
        stage : str, optional
            Sets apart the graph layers that one Keras layer becomes; '' for the main one.
        output : str, optional
            Sets apart the value that it makes; the last graph layer's is '', so that it has the Keras layer's own name.
        **fields
            The rest of `kind`.
        """
        builder = self.reading.builder
        if len(builder.layers) >= MAX_LAYERS:
            raise ModelError(f"the network has more than {MAX_LAYERS} layers; the file is damaged")
        name = f"{self.name}/{stage}" if stage else self.name
        value = f"{self.name}/{output}" if output else self.name
        return builder.add(kind(name, tuple([self.input] if inputs is None else inputs), value, **fields))

    def constant(self, array: Any, stage: str) -> str:
        """Add a constant and return its value's name."""
        value = np.asarray(array, dtype=np.float32)
        if any(self.shape_of(name) for name in self.inputs):  # beside samples that are single numbers a constant has no axis either
            value = np.atleast_1d(value)
        return self.add(Constant, [], stage, stage, value=value)

    def channels_first(self) -> bool:
        """Return the layer's data format, and note it for the layout of the whole network."""
        first = self.settings.channels_first()
        self.reading.layouts.setdefault(self.input, first)
        return first

    def spatial(self, rank: int) -> tuple[Shape, int, bool]:
        """Return (height, width) (height 1 where `rank` is 1), the channels, and whether channels come first."""
        if len(self.shape) != rank + 1:
            raise ModelError(f"its input has shape {self.shape} without the batch; it should have {rank + 1} axes")
        first = self.channels_first()
        spatial = self.shape[1:] if first else self.shape[:-1]
        return ((1, *spatial) if rank == 1 else spatial), self.shape[0 if first else -1], first

    def weight(
        self,
        index: int,
        what: str,
        shape: Shape,
        prepare: Callable[[np.ndarray], np.ndarray] | None = None,
        inside: tuple[str, ...] = (),
    ) -> np.ndarray:
        """Return a stored weight.

        Parameters
        ----------
        index : int
            Its place in Keras' order.
        what : str
            For messages.
        shape : tuple of int
            What the configuration and the input make of it; checked before anything is read.
        prepare : callable, optional
            Lays the array out as the graph wants it; runs once, so that all calls of a layer share one array.
        inside : tuple of str, optional
            The layers within the layer that hold its weights, in order, by the names that archives have for them.
        """
        if self.given is not None:
            array = self.given[index]
            if array.shape != shape:
                raise ModelError(f"its {what} has shape {array.shape}; its arguments and input make it {shape}")
            return np.ascontiguousarray(array if prepare is None else prepare(array))
        if index in self.definition.prepared:
            return self.definition.prepared[index]
        stored = self.reading.weights.of(self.definition.address, inside)
        if index >= len(stored):
            raise ModelError(f"the file lacks its {what} (it holds {len(stored)} weights for it); save the whole model again")
        if stored[index].shape != shape:
            raise ModelError(f"its {what} has shape {stored[index].shape} in the file; its configuration and input make it {shape}")
        array = stored[index].read()
        self.definition.prepared[index] = np.ascontiguousarray(array if prepare is None else prepare(array))
        return self.definition.prepared[index]

    def unsupported(self, reason: str) -> UnsupportedLayerError:
        """Return the error that refuses this layer; `network` adds its name and class."""
        return UnsupportedLayerError(reason)


# It returns the value that the call makes, or all of them in order.
LayerFunction = Callable[[Place], str | list[str]]

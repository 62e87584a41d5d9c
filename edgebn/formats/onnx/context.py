"""Turns nodes into layers of a `Graph`: names, the batch axis and quantisation are minded here, once for all operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.vacant import Vacant
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.formats.sample_context import SampleContext
from edgebn.formats.unfolding import Windows
from edgebn.layers import Constant, Dequantize, Identity, Layer, Pair, Quantization


@dataclass
class Context(SampleContext[Dynamic]):
    """The graph under construction.

    Attributes
    ----------
    integer : bool
        Whether values of the network are integers somewhere.
    vacant : Vacant
        Which have rows that may hold nothing.
    channels_first : dict from str to Dynamic
        What channels-last values of the file were made of, by their tensors.
    undone : dict of str to (Dynamic, Windows, (height, width))
        By the places of a MaxPool's maxima: those inside their windows, the windows, and the image's size.
    """

    integer: bool
    vacant: Vacant = field(default_factory=Vacant)
    channels_first: dict[str, Dynamic] = field(default_factory=dict)
    undone: dict[str, tuple[Dynamic, Windows, Pair]] = field(default_factory=dict)

    def emit(
        self,
        node: Node,
        kind: type[Layer],
        /,
        *inputs: Dynamic,
        part: str = "",
        output: int = 0,
        place: Place | None = None,
        quantization: Quantization | None = None,
        shift: int = 0,
        whole: bool = False,
        **fields: Any,
    ) -> Dynamic:
        """Append a layer and return its output; see `append`.

        `quantization` and `shift` are the output's, if it is int8 codes; `whole` says whether it is whole numbers.
        """
        made = self.append(node, kind, inputs, part=part, output=output, place=place, quantization=quantization, fields=fields)
        if not self.vacant.follow(kind, (value.tensor for value in inputs), made.tensor, fields.get("starts", ())):
            raise node.refuse(
                "it works on all boxes that NonMaxSuppression leaves, whose number only a run tells; end the network before it"
            )
        return Dynamic(made.tensor, made.shape, made.place, quantization, shift, whole=whole)

    def moved(
        self,
        node: Node,
        kind: type[Layer],
        /,
        *values: Dynamic,
        part: str = "",
        output: int = 0,
        place: Place | None = None,
        **fields: Any,
    ) -> Dynamic:
        """Append a layer that moves or selects elements: integer codes keep their meaning."""
        first = values[0]
        inherited: dict[str, Any] = {"quantization": first.quantization, "shift": first.shift, "whole": first.whole}
        return self.emit(node, kind, *values, part=part, output=output, place=place, **inherited, **fields)

    def whole_numbers(
        self, node: Node, kind: type[Layer], /, *values: Dynamic, part: str, place: Place, function: str, **fields: Any
    ) -> Dynamic:
        """Append a helper layer that makes whole numbers."""
        return self.emit(node, kind, *values, part=part, place=place, whole=True, function=function, **fields)

    def identity(self, node: Node, value: Dynamic) -> Dynamic:
        """Append a layer that does nothing, so that the node's output has its name."""
        return self.moved(node, Identity, value)

    def constant(self, node: Node, value: Static, array: np.ndarray, part: str) -> Dynamic:
        """Append a constant layer holding `array` (the sample's share of `value`), quantised if the file stores it so, or int32."""
        codes = value.codes
        entire = codes is not None and codes.quantization.axis is None and codes.array.size == array.size
        if codes is not None and entire and self.integer and codes.array.dtype == np.int8:
            stored = self.emit(
                node,
                Constant,
                part=f"{part}_codes",
                quantization=codes.quantization,
                value=codes.array.reshape(array.shape),
            )
            return self.emit(node, Dequantize, stored, part=part)
        dtype = np.int32 if array.dtype == np.int32 else np.float32
        held = np.ascontiguousarray(array, dtype).reshape(array.shape)
        return self.emit(node, Constant, part=part, whole=dtype == np.int32, value=held)

    def number(self, node: Node, value: float, part: str) -> Dynamic:
        """Append a constant layer holding one number."""
        array = np.full((), value, np.float32)
        return self.constant(node, Static(array), array, part)

    def array(self, node: Node, array: np.ndarray, part: str) -> Dynamic:
        """Append a constant layer holding `array` (the sample's share of a constant)."""
        return self.constant(node, Static(array), array, part)

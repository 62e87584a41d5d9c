"""Turns nodes into layers of a `Graph`: names and the batch axis are minded here, once for all operators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.sample_context import ALONE, SampleContext
from edgebn.formats.torch.archive import TRUTH
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import Cast, Constant, GatherND, Layer, Quantization, Select, makes_integers


@dataclass
class Context(SampleContext[Dynamic]):
    """The graph under construction; its batch has the size that the module was exported with, 1 meaning that of one sample.

    Attributes
    ----------
    integer : bool
        Whether a value so far is codes.
    """

    integer: bool = False

    def emit(
        self,
        node: Node,
        kind: type[Layer],
        /,
        *inputs: Dynamic,
        part: str = "",
        output: int = 0,
        place: Place | None = None,
        **fields: Any,
    ) -> Dynamic:
        """Append a layer and return its output, in memory of its own; see `append`."""
        integers = {value.tensor for value in inputs if value.whole}
        made = self.append(node, kind, inputs, part=part, output=output, place=place, quantization=None, fields=fields)
        whole = makes_integers(self.builder.layers[-1], integers)
        mixed = len(integers) < len({value.tensor for value in inputs})
        if integers and kind not in (Cast, GatherND, Select) and (mixed or not whole):
            raise node.refuse("it computes with whole numbers of the network; cast them first: x.float()")
        truth = whole and not part and node.kind == TRUTH
        return Dynamic(made.tensor, made.shape, made.place, made.tensor, made.tensor, whole=whole, truth=truth)

    def codes(self, node: Node, kind: type[Layer], x: Dynamic, quantization: Quantization, shift: int) -> Dynamic:
        """Append a layer that makes codes; `shift` is what the file's are larger by."""
        made = self.append(
            node, kind, [x], part="", output=0, place=None, quantization=replace(quantization, unsigned=bool(shift)), fields={}
        )
        self.integer = True
        return Dynamic(made.tensor, made.shape, made.place, made.tensor, made.tensor, quantization=quantization)

    moved = whole_numbers = emit  # whether values are whole follows from the layers

    def constant(self, node: Node, array: np.ndarray, part: str) -> Dynamic:
        """Append a constant layer holding `array` (one sample's share), float32 or int32."""
        dtype = np.int32 if array.dtype == np.int32 else np.float32
        return self.emit(node, Constant, part=part, value=np.ascontiguousarray(array, dtype).reshape(array.shape))

    def number(self, node: Node, value: float, part: str) -> Dynamic:
        """Append a constant layer holding one number."""
        return self.constant(node, np.array(value, np.float32), part)

    def array(self, node: Node, array: np.ndarray, part: str) -> Dynamic:
        """Append a constant layer holding `array` (one sample's share)."""
        return self.constant(node, array, part)

    def check_apart(self, node: Node, x: Dynamic, axes: Iterable[int]) -> None:
        """Refuse what would need a whole batch: axes that hold the batch, were it of one sample."""
        wanted = {self.resolved(node, axis, len(x.shape)) for axis in axes}
        if x.place.axis in wanted and (x.place.leading or not self.batch.single):
            raise node.refuse(f"it works along the batch axis; {ALONE}")

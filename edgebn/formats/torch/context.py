"""Turns nodes into layers of a `Graph`: names and the batch axis are minded here, once for all operators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.sample_context import ALONE, SampleContext
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import Constant, Layer


@dataclass
class Context(SampleContext[Dynamic]):
    """The graph under construction; its batch has the size that the module was exported with, 1 meaning that of one sample."""

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
        made = self.append(node, kind, inputs, part=part, output=output, place=place, quantization=None, fields=fields)
        return Dynamic(made.tensor, made.shape, made.place, made.tensor, made.tensor)

    moved = emit  # values are float32: what only moves them needs nothing more

    def constant(self, node: Node, array: np.ndarray, part: str) -> Dynamic:
        """Append a constant layer holding `array` (one sample's share)."""
        return self.emit(node, Constant, part=part, value=np.ascontiguousarray(array, np.float32).reshape(array.shape))

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

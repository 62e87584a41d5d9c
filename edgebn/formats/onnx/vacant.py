"""Values with rows that may hold nothing, since their number is known only when the network runs.

Knows kinds of layers; knows nothing of nodes and what made such rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from edgebn.layers import (
    Activation,
    Add,
    Binary,
    Cast,
    Concat,
    Crop,
    Gather,
    GatherND,
    Identity,
    IntegerBinary,
    Layer,
    Multiply,
    Pad,
    Reshape,
    Select,
    Transpose,
)

# Layers that do to a row the same whatever the others hold, and of these the ones that leave its sign.
KEEPS_SIGN = (Cast, Concat, Crop, Gather, Identity, Reshape, Transpose)
ROW_BY_ROW = (*KEEPS_SIGN, Activation, Add, Binary, GatherND, IntegerBinary, Multiply, Pad, Select)


@dataclass
class Vacant:
    """The values that have such rows, by their tensors.

    Attributes
    ----------
    rows : set of str
    signs : set of str
        Those of them that are negative in the rows which hold nothing.
    """

    rows: set[str] = field(default_factory=set)
    signs: set[str] = field(default_factory=set)

    def begin(self, tensor: str) -> None:
        """Remember a value whose vacant rows are negative."""
        self.rows.add(tensor)
        self.signs.add(tensor)

    def follow(self, kind: type[Layer], inputs: Iterable[str], made: str) -> bool:
        """Remember what a layer makes of such values; return whether it may read them."""
        read = [name for name in inputs if name in self.rows]
        if not read:
            return True
        self.rows.add(made)
        if issubclass(kind, KEEPS_SIGN) and any(name in self.signs for name in read):
            self.signs.add(made)
        return issubclass(kind, ROW_BY_ROW)

"""Values with rows that may hold nothing, since their number is known only when the network runs.

Knows kinds of layers; knows nothing of nodes and what made such rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
# Layers whose first rows are those of their input.
SAME_ROWS = (Activation, Add, Binary, Cast, Crop, Identity, IntegerBinary, Multiply, Reshape, Select, Transpose)
ROW_BY_ROW = (*KEEPS_SIGN, Activation, Add, Binary, GatherND, IntegerBinary, Multiply, Pad, Select)


@dataclass
class Vacant:
    """The values that have such rows, by their tensors.

    Attributes
    ----------
    rows : set of str
    signs : set of str
        Those of them that are negative in the rows which hold nothing.
    zeros : set of str
        Those that are 0 there.
    holds : dict of str to value of the network
        For some, whole numbers (rows, 1) that are 0 where a row holds nothing; a value of fewer rows has the first of those.
    """

    rows: set[str] = field(default_factory=set)
    signs: set[str] = field(default_factory=set)
    zeros: set[str] = field(default_factory=set)
    holds: dict[str, Any] = field(default_factory=dict)

    def begin(self, tensor: str) -> None:
        """Remember a value whose vacant rows are negative."""
        self.rows.add(tensor)
        self.signs.add(tensor)

    def end(self, tensor: str) -> None:
        """Remember that all rows of a value hold something."""
        for listed in (self.rows, self.signs, self.zeros):
            listed.discard(tensor)
        self.holds.pop(tensor, None)

    def zero(self, tensor: str, holds: Any) -> None:
        """Remember that the vacant rows of a value are 0, and which they are."""
        self.rows.add(tensor)
        self.signs.discard(tensor)
        self.zeros.add(tensor)
        self.holds[tensor] = holds

    def follow(self, kind: type[Layer], inputs: Iterable[str], made: str, starts: Iterable[int] = ()) -> bool:
        """Remember what a layer makes of such values; return whether it may read them. `starts` are a Crop's."""
        named = list(inputs)
        read = [name for name in named if name in self.rows]
        if not read:
            return True
        self.rows.add(made)
        if issubclass(kind, KEEPS_SIGN) and any(name in self.signs for name in read):
            self.signs.add(made)
        if issubclass(kind, KEEPS_SIGN) and all(name in self.zeros for name in named):
            self.zeros.add(made)
        known = [self.holds.get(name) for name in read]
        if issubclass(kind, SAME_ROWS) and not any(starts) and known[0] is not None and all(one is known[0] for one in known):
            self.holds[made] = known[0]
        return issubclass(kind, ROW_BY_ROW)

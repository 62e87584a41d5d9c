"""Goes over the adjacent numbers of a row by vectors: by wide ones, then by single ones, then over what is less than one.

So statistics of a row are computed lane by lane in the order of memory, and lanes are joined by halves: nothing else decides what
is added to what, and every row by itself gives the same bytes wherever it lies.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.pointwise import ELEMENT, Adjacent
from edgebn.kernels.vectors import F32, I32, I64, constant, load, shuffle, splat, vector

Join = Callable[[ir.Value, ir.Value], ir.Value]


def halved(builder: ir.IRBuilder, values: ir.Value, join: Join) -> ir.Value:
    """Return what `join` makes of both halves of a vector."""
    half = values.type.count // 2
    return join(*(shuffle(builder, values, None, range(start, start + half)) for start in (0, half)))


class Row:
    """Writes loops over `count` numbers, and what their lanes have in common.

    Parameters
    ----------
    count : Value
        int64.
    together : int
        Vectors in a wide one: as many are computed side by side.

    Attributes
    ----------
    sizes : set of int
        Numbers of a wide vector and of a single one, which is `lanes`; they may be the same.
    """

    def __init__(self, builder: ir.IRBuilder, isa: InstructionSet, count: ir.Value, together: int) -> None:
        self._builder, self._adjacent = builder, Adjacent(isa)
        self.lanes = isa.pointwise_lanes
        self._wide = self.lanes * together
        self.sizes = {self.lanes, self._wide}
        self._turns = builder.udiv(count, ir.Constant(I64, self._wide))
        self._done = builder.mul(self._turns, ir.Constant(I64, self._wide))
        self._singles = builder.udiv(builder.sub(count, self._done), ir.Constant(I64, self.lanes))
        self._begun = builder.add(self._done, builder.mul(self._singles, ir.Constant(I64, self.lanes)))
        self._left = builder.sub(count, self._begun)
        places = ir.Constant(vector(I32, self.lanes), list(range(self.lanes)))
        self._exist = builder.icmp_signed("<", places, splat(builder, builder.trunc(self._left, I32), self.lanes))

    def slots(self, kind: ir.Type) -> dict[int, ir.Value]:
        """Return by size where a vector of `kind` is kept."""
        return {size: cgutils.alloca_once(self._builder, vector(kind, size)) for size in self.sizes}

    def fill(self, slots: dict[int, ir.Value], value: float) -> None:
        """Store a number in all lanes."""
        for size, slot in slots.items():
            self._builder.store(constant(slot.type.pointee.element, size, value), slot)

    def every(self, whole: Callable[[int, ir.Value], None], rest: Callable[[ir.Value], None]) -> None:
        """Write what goes over all numbers: `whole` takes the size and the place of a vector in bytes, `rest` the last place."""
        builder = self._builder
        with cgutils.for_range(builder, self._turns) as turn:
            whole(self._wide, builder.mul(turn.index, ir.Constant(I64, self._wide * ELEMENT)))
        if self._wide != self.lanes:
            with cgutils.for_range(builder, self._singles) as turn:
                at = builder.add(self._done, builder.mul(turn.index, ir.Constant(I64, self.lanes)))
                whole(self.lanes, builder.mul(at, ir.Constant(I64, ELEMENT)))
        with builder.if_then(builder.icmp_signed("!=", self._left, ir.Constant(I64, 0))):
            rest(builder.mul(self._begun, ir.Constant(I64, ELEMENT)))

    def load(self, size: int, base: ir.Value, at: ir.Value) -> ir.Value:
        """Load a whole vector."""
        return load(self._builder, vector(F32, size), base, at)

    def load_rest(self, base: ir.Value, at: ir.Value) -> ir.Value:
        """Load what is less than a vector; the other lanes hold anything."""
        return self._adjacent.load_first(self._builder, self._builder.add(base, at), self._left)

    def store_rest(self, value: ir.Value, base: ir.Value, at: ir.Value) -> None:
        """Store what is less than a vector, and nothing behind it."""
        self._adjacent.store_first(self._builder, value, self._builder.add(base, at), self._left)

    def or_else(self, value: ir.Value, other: ir.Value) -> ir.Value:
        """Return a last vector with the lanes of `other` where it has no number."""
        return self._builder.select(self._exist, value, other)

    def joined(self, slots: dict[int, ir.Value], join: Join) -> ir.Value:
        """Return what `join` makes of all lanes."""
        builder = self._builder
        values = builder.load(slots[self._wide])
        while values.type.count > self.lanes:
            values = halved(builder, values, join)
        if self._wide != self.lanes:
            values = join(values, builder.load(slots[self.lanes]))
        while values.type.count > 1:
            values = halved(builder, values, join)
        return builder.extract_element(values, ir.Constant(I32, 0))

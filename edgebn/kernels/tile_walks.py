"""How register tiles go over the pixels of a convolution: row by row, or on from the end of a row to the beginning of the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.vectors import I64, either


@dataclass(frozen=True)
class Place:
    """Where a tile is.

    Attributes
    ----------
    row, column : Value
        Of its first pixel.
    line : Value
        The row whose weights it takes.
    mark : callable ()
        Returns its index among all tiles.
    before_end : Value, or None
        How many pixels there are from its first to the end of the row; None where a tile never goes on behind it.
    """

    row: ir.Value
    column: ir.Value
    line: ir.Value
    mark: Callable[[], ir.Value]
    before_end: ir.Value | None = None


class RowByRow:
    """Tiles of one row each. The last of a row moves left instead of reaching over the end: some pixels are computed twice."""

    def __init__(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], mr: int) -> None:
        self._builder, self._arguments, self._mr = builder, arguments, mr
        self._tiles = builder.udiv(builder.add(arguments["columns"], ir.Constant(I64, mr - 1)), ir.Constant(I64, mr))

    def prepare(self) -> None:
        """Compute what all tiles share of the last one."""
        self._last_column = self._builder.sub(self._arguments["columns"], ir.Constant(I64, self._mr))

    @contextmanager
    def places(self) -> Iterator[Place]:
        """Write the loops over the tiles."""
        builder = self._builder
        with cgutils.for_range(builder, self._arguments["rows"]) as row, cgutils.for_range(builder, self._tiles) as tile:
            x = builder.mul(tile.index, ir.Constant(I64, self._mr))
            x = builder.select(builder.icmp_signed("<", x, self._last_column), x, self._last_column)
            yield Place(row.index, x, row.index, lambda: builder.add(builder.mul(row.index, self._tiles), tile.index))

    def inputs(self, place: Place) -> Callable[[ir.Value], list[ir.Value]]:  # noqa: ARG002  # as the other's
        """Return what gives the addresses of all pixels' inputs from the first's."""

        def addresses(first: ir.Value) -> list[ir.Value]:
            step = self._arguments["column_step"]
            return [self._builder.add(first, self._builder.mul(step, ir.Constant(I64, i))) for i in range(self._mr)]

        return addresses

    def steps(self, place: Place, row_step: str, column_step: str) -> None:
        """Return None: pixels are equally far from each other."""

    def write(self, place: Place, write: Callable[[list[ir.Value] | None], None]) -> None:  # noqa: ARG002  # as the other's
        """Write the code that stores a tile, whose pixels are equally far from each other."""
        write(None)


class AcrossRows:
    """Tiles of all rows as if they were one, each of pixels of two rows at most; rows with weights of their own go one by one."""

    def __init__(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], mr: int, *, real: bool) -> None:
        self._builder, self._arguments, self._mr = builder, arguments, mr
        self._writes_in_two_ways = real  # the end of an int8 tile is long beside what addresses take
        apart = builder.icmp_signed("!=", arguments["weight_row_step"], ir.Constant(I64, 0))
        self._lines = builder.select(apart, arguments["rows"], ir.Constant(I64, 1))
        self._pixels = builder.select(apart, arguments["columns"], builder.mul(arguments["rows"], arguments["columns"]))
        self._tiles = builder.udiv(builder.add(self._pixels, ir.Constant(I64, mr - 1)), ir.Constant(I64, mr))
        self._row, self._column = cgutils.alloca_once(builder, I64), cgutils.alloca_once(builder, I64)

    def prepare(self) -> None:
        """Compute what all tiles share of the last one."""
        self._last_pixel = self._builder.sub(self._pixels, ir.Constant(I64, self._mr))

    @contextmanager
    def places(self) -> Iterator[Place]:
        """Write the loops over the tiles."""
        builder, columns = self._builder, self._arguments["columns"]
        zero, pixels = ir.Constant(I64, 0), ir.Constant(I64, self._mr)
        with cgutils.for_range(builder, self._lines) as line:
            builder.store(line.index, self._row)
            builder.store(zero, self._column)
            with cgutils.for_range(builder, self._tiles) as tile:
                # The last tile moves back instead of reaching over the end: some pixels are computed twice.
                too_far = builder.sub(builder.mul(tile.index, pixels), self._last_pixel)
                back = builder.select(builder.icmp_signed(">", too_far, zero), too_far, zero)
                column = builder.sub(builder.load(self._column), back)
                is_above = builder.icmp_signed("<", column, zero)
                row = builder.sub(builder.load(self._row), builder.zext(is_above, I64))
                column = builder.select(is_above, builder.add(column, columns), column)
                after = builder.add(column, pixels)
                is_at_end = builder.icmp_signed(">=", after, columns)
                builder.store(builder.add(row, builder.zext(is_at_end, I64)), self._row)
                builder.store(builder.select(is_at_end, builder.sub(after, columns), after), self._column)

                def mark() -> ir.Value:
                    return builder.add(builder.mul(line.index, self._tiles), tile.index)

                yield Place(row, column, line.index, mark, builder.sub(columns, column))

    def inputs(self, place: Place) -> Callable[[ir.Value], list[ir.Value]]:
        """Return what gives the addresses of all pixels' inputs from the first's."""
        builder = self._builder
        in_row = [builder.mul(self._arguments["column_step"], ir.Constant(I64, i)) for i in range(self._mr)]
        steps = either(builder, self._goes_on(place), lambda: self.steps(place, "row_step", "column_step"), in_row)
        return lambda first: [builder.add(first, step) for step in steps]

    def steps(self, place: Place, row_step: str, column_step: str) -> list[ir.Value]:
        """Return the bytes from the first pixel to each, by the names of the bytes between rows and between pixels."""
        builder, arguments = self._builder, self._arguments
        gap = builder.sub(arguments[row_step], builder.mul(arguments["columns"], arguments[column_step]))
        found = []
        for i in range(self._mr):
            in_row = builder.mul(arguments[column_step], ir.Constant(I64, i))
            is_below = builder.icmp_signed("<=", place.before_end, ir.Constant(I64, i))
            found.append(builder.select(is_below, builder.add(in_row, gap), in_row))
        return found

    def write(self, place: Place, write: Callable[[list[ir.Value] | None], None]) -> None:
        """Write the code that stores a tile: that of the many in one row, and that of the few in two, or what does for both."""
        if not self._writes_in_two_ways:
            write(self.steps(place, "dst_row", "dst_pixel"))
            return
        with self._builder.if_else(self._goes_on(place), likely=False) as (in_two, in_one):
            with in_two:
                write(self.steps(place, "dst_row", "dst_pixel"))
            with in_one:
                write(None)

    def _goes_on(self, place: Place) -> ir.Value:
        return self._builder.icmp_signed("<", place.before_end, ir.Constant(I64, self._mr))

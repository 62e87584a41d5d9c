"""How the rows of two steps are cut so that they go strip by strip (`strip_pairs.py`).

A large map that one step writes and the next reads leaves the nearer caches between the two. Strip by strip it stays there: the
first step writes each strip to where its first one stood, and the second takes it from there. No byte of what leaves changes.
Threads share steps by parts of their own (`splitting.py`), so this is for the tables that one thread walks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from edgebn.kernels import isa, tile_shapes
from edgebn.quick_dataclass import dataclass, replace
from edgebn.session.packer import WHOLE, Row
from edgebn.session.shares import KINDS, Arguments

# Bytes of a strip, in whole rows of the map. Of 32, 64, 128 and 256 KiB, 128 are the fastest (1 x 1 from 32 to 96 channels on
# 112 x 112 with SiLU, Sapphire Rapids: 0.8 of the time without strips).
STRIP = 1 << 17

FIRST = frozenset({"tile_f32", "tile_i8", "depthwise_tile_f32", "depthwise_tile_i8"})


@dataclass(frozen=True)
class Map:
    """Where a map stands.

    Attributes
    ----------
    begin : int
        Its address.
    rows, pitch, pixel : int
        How many rows, and the bytes of one and of a pixel; nothing is between them.
    """

    begin: int
    rows: int
    pitch: int
    pixel: int


def interleaved(first: Sequence[Row], second: Sequence[Row], place: Map) -> list[Row] | None:
    """Return the rows of two steps strip by strip, for tables that one thread walks; None where that is not possible.

    Parameters
    ----------
    first, second : sequence of Row
        Of the step that writes the map, and of the one that reads it.
    place : Map
    """
    writing = [row for row in first if WHOLE in row.tables]
    reading = [row for row in second if WHOLE in row.tables]
    before = [row for row in reading if row.operation == "fill_halo"]
    reading = reading[len(before) :]
    if len(reading) != 1 or not writing or not all(_can_be_cut(row, place) for row in writing):
        return None
    kind = KINDS.get(reading[0].operation)
    axis = next(iter(kind.axes(reading[0].arguments)), None) if kind is not None else None
    if axis is None or axis.count(reading[0].arguments) != place.rows or axis.take(reading[0].arguments, 0, 1).get("rows") != 1:
        return None
    ends = _ends(writing, place)
    if len(ends) < 3:
        return None
    cut = []
    for begin, end in itertools.pairwise(ends):
        strip = [piece for row in writing for piece in _piece(row, place, begin, end)]
        arguments = reading[0].arguments
        strip.append(replace(reading[0], arguments={**arguments, **axis.take(arguments, begin, end - begin)}))
        cut += [_moved(row, place, begin) for row in strip]
    return [replace(row, observing=None, tables=frozenset({WHOLE})) for row in [*before, *cut]]


def _ends(writing: Sequence[Row], place: Map) -> list[int]:
    """Return the rows of the map where strips begin and end: where a convolution is cut already, else as near as can be."""
    cut: list[Arguments] = [row.arguments for row in writing if not _is_flat(row)]
    fewest = min((arguments["rows"] for arguments in cut), default=place.rows)
    if fewest < place.rows:
        return [*range(0, place.rows, fewest), place.rows]
    pixels = max((_tile_pixels(row) for row in writing if _is_flat(row)), default=1)  # a tile is never of fewer
    height = max(1, STRIP // place.pitch, -(-pixels * place.pixel // place.pitch))
    count = place.rows // height
    return [place.rows * i // count for i in range(count + 1)] if count else []


def _tile_pixels(row: Row) -> int:
    """Return the pixels of the tiles that a row of the table computes."""
    arguments: Arguments = row.arguments
    return tile_shapes.shapes(isa.SELECTED, real=row.operation == "tile_f32")[arguments["variant"]][0]


def _is_flat(row: Row) -> bool:
    """Whether a row of the table goes through all pixels of the map as if they were one row."""
    arguments: Arguments = row.arguments
    return bool(arguments["rows"] == 1 and not arguments["dst_row"])


def _can_be_cut(row: Row, place: Map) -> bool:
    """Whether some rows of the map alone can be computed."""
    if row.operation not in FIRST or row.band is not None:
        return False
    arguments: Arguments = row.arguments
    if arguments["dst_pixel"] != place.pixel or arguments.get("weight_row_step"):
        return False
    if _is_flat(row):
        return bool(arguments["columns"] * place.pixel == place.rows * place.pitch)
    return bool(arguments["dst_row"] == place.pitch and arguments["columns"] * place.pixel == place.pitch)


def _piece(row: Row, place: Map, begin: int, end: int) -> list[Row]:
    """Return what computes the map's rows from `begin` to `end`, as far as `row` does."""
    arguments: Arguments = row.arguments
    if _is_flat(row):
        pixels = place.pitch // place.pixel
        return [_advanced(row, "columns", begin * pixels, (end - begin) * pixels, arguments["column_step"], arguments["dst_pixel"])]
    mine = (arguments["dst"] - place.begin) // place.pitch
    begin, end = max(begin - mine, 0), min(end - mine, arguments["rows"])
    return [_advanced(row, "rows", begin, end - begin, arguments["row_step"], arguments["dst_row"])] if begin < end else []


def _advanced(row: Row, count: str, first: int, taken: int, source: int, target: int) -> Row:
    arguments: Arguments = row.arguments
    changed = {count: taken, "src": arguments["src"] + first * source, "dst": arguments["dst"] + first * target}
    return replace(row, arguments={**arguments, **changed})


def _moved(row: Row, place: Map, begin: int) -> Row:
    """Return a row whose addresses in the map are those of the first strip."""
    end = place.begin + place.rows * place.pitch
    arguments: Arguments = row.arguments
    inside = {name: value for name, value in arguments.items() if isinstance(value, int) and place.begin <= value < end}
    moved = {name: value - begin * place.pitch for name, value in inside.items()}
    return replace(row, arguments={**arguments, **moved})

"""Where the operations of a step are cut for threads: into an even part for each, and each part into shares that become smaller.

What can be cut, along which axes and what it costs, `shares.py` says; nothing here knows an operation but the filling of halos.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from edgebn.quick_dataclass import dataclass, replace
from edgebn.session import shares as sharing
from edgebn.session.packer import OBSERVING, SHARED, WHOLE, Row
from edgebn.session.parts import MAX_SHARES, PARTS, fractions
from edgebn.session.shares import KINDS, Axis, Kind, nanoseconds

# Parts whose largest is larger than an even one by this factor are cut once more, along another axis: the last to end holds all up.
EVEN = 1.03
# Parts that are less even than this are not cut any finer, but whole pieces go to whom has least.
NEARLY_EVEN = 1.15
# Nanoseconds of unevenness that a further cut is not worth.
MIN_GAIN = 700.0
# Units of every operation from which on a share takes the same part of each, and with it whole pixels where they are pixels.
MANY_UNITS = 8


def shared(rows: Sequence[Row], threads: int, *, by_block: bool = True) -> list[Row]:
    """Return a step's rows with those that are worth it in shares (`Row.share`), in the order of the table.

    Parameters
    ----------
    rows : sequence of Row
        Of one step. Those of bands stay as they are.
    threads : int
    by_block : bool
        Whether blocks of channels may be split: not where epilogues are looked for by their address (`refolding.py`).
    """
    found: list[Row] = []
    begin, phase = 0, 0
    while begin < len(rows):
        # What is written around a buffer goes with what is written into it: neither reads or writes a byte of the other.
        first = begin
        while first < len(rows) - 1 and rows[first].operation == "fill_halo" and rows[first].band is None:
            first += 1
        end = first + 1
        if rows[first].band is not None:
            while end < len(rows) and rows[end].band is not None:
                end += 1
            found += [replace(row, share=(phase, rows[first].band or 0)) for row in rows[begin:first]]
            found += [replace(row, share=(phase, row.band or 0)) for row in rows[first:end]]
        else:
            while end < len(rows) and _runs_beside(rows[first], rows[end]):
                end += 1
            found += _split(rows[begin:first], rows[first:end], threads, phase, by_block=by_block)
        begin, phase = end, phase + 1
    return found


def _runs_beside(row: Row, other: Row) -> bool:
    kind = KINDS.get(row.operation)
    return kind is not None and kind.beside and other.operation == row.operation and other.band is None


def _split(halos: Sequence[Row], rows: Sequence[Row], threads: int, phase: int, *, by_block: bool) -> list[Row]:
    """Cut rows that may run at once into shares, those of a thread's part one after the other."""
    whole = [*halos, *rows]
    total = sum(nanoseconds(row) for row in rows)
    kind = KINDS.get(rows[0].operation)
    workers = min(threads, int(total / sharing.MIN_SHARE), MAX_SHARES)
    if kind is None or workers < 2:
        return whole
    parts = _parts(rows, workers, by_block=by_block)
    parts = [part for part in parts if part]
    if len(parts) < 2:
        return whole
    for index, filling in enumerate(_parts(halos, len(parts), by_block=by_block)):
        parts[index] = [*filling, *parts[index]]
    count = max(1, min(len(PARTS), int(total / sharing.MIN_SHARE / threads), MAX_SHARES // len(parts)))
    if len(parts) < threads:
        count = 1  # a part for some, and nothing to take over
    cut = [_in_shares(part, count, by_block=by_block) for part in parts]
    # Everybody's part must have as many shares (`kernels/work_sharing.py`).
    fewest = min(map(len, cut))
    cut = [
        shares if len(shares) == fewest else _in_shares(part, fewest, by_block=by_block)
        for shares, part in zip(cut, parts, strict=True)
    ]
    shares = [share for part in cut for share in part]
    scratch = {name: max(kind.scratch(row.arguments)[name] for row in rows) for name in kind.scratch(rows[0].arguments)}
    found = []
    for which, share in enumerate(shares):
        for row in share:
            places = {name: row.arguments[name] + which * size for name, size in scratch.items() if row.operation != "fill_halo"}
            found.append(replace(row, arguments={**row.arguments, **places}, share=(phase, which)))
    # What keeps accumulators has a mark a row or tile, and stays whole.
    observed = any(row.observing is not None for row in whole)
    shared_in, whole_in = ({SHARED}, {WHOLE, OBSERVING}) if observed else ({SHARED, OBSERVING}, {WHOLE})
    return [replace(row, tables=row.tables & shared_in) for row in found] + [
        replace(row, tables=row.tables & whole_in) for row in whole
    ]


def _parts(rows: Sequence[Row], workers: int, *, by_block: bool) -> list[list[Row]]:
    """Return what each of `workers` does of rows that may run at once, in about the same time."""
    parts: list[list[Row]] = [[] for _ in range(workers)]
    single: list[Row] = []
    if _are_strips(rows):
        return _walk(rows, _fractions_of(workers), by_block=by_block)
    for row in rows:
        even, rest = _evenly(row, workers, by_block=by_block)
        for part, mine in zip(parts, even, strict=True):
            part += mine
        single += rest
    loads = [sum(map(nanoseconds, part)) for part in parts]
    for row in sorted(single, key=nanoseconds, reverse=True):  # the longest first, each to whom has least
        least = loads.index(min(loads))
        loads[least] += nanoseconds(row)
        parts[least].append(row)
    return parts


def _fractions_of(workers: int) -> list[float]:
    return [(i + 1) / workers for i in range(workers)]


def _are_strips(rows: Sequence[Row]) -> bool:
    """Whether rows do the same to one strip of pixels after the other, and not each a part of what is done to all."""
    weights = {str(row.arguments.get("weight")) for row in rows}
    return len(rows) > 1 and len(weights) < len(rows)


@dataclass(frozen=True)
class _Cut:
    """A way to cut an operation for workers.

    Attributes
    ----------
    first : Axis
        Of whose units every worker has as many; what is left over is cut along `second`, or given to single workers.
    second : Axis or None
    unevenness : float
        The largest part over an even one.
    """

    first: Axis
    second: Axis | None
    unevenness: float


def _cuts(row: Row, axes: Sequence[Axis], workers: int) -> Iterator[_Cut]:
    """Yield the ways to cut an operation, those that move less data first."""
    for axis in axes:
        units = axis.count(row.arguments)
        yield _Cut(axis, None, -(-units // workers) * workers / units)
        each, over = divmod(units, workers)
        for other in axes:
            count = other.count(row.arguments)
            if other is axis or not over or not (each or workers % units == 0):
                continue
            # What is left over is cut into as many parts as there are workers for each of its units, or for all of them.
            for_one = workers // units if not each else workers
            parts = over if each else 1
            yield _Cut(axis, other, (each + parts * -(-count // for_one) / count) * workers / units)


def _evenly(row: Row, workers: int, *, by_block: bool) -> tuple[list[list[Row]], list[Row]]:
    """Return a part of a row for each worker, all of about the same work, and what is left in pieces that go to one worker each."""
    kind, work = KINDS[row.operation], nanoseconds(row)
    axes = [axis for axis in _axes(kind, row, by_block=by_block) if axis.count(row.arguments) > 1]
    if not axes or work < MIN_GAIN:
        return [[] for _ in range(workers)], [row]
    cuts = list(_cuts(row, axes, workers))
    enough = (cut for cut in cuts if cut.unevenness <= EVEN or work / workers * (cut.unevenness - 1) < MIN_GAIN)
    cut = next(enough, None) or min(cuts, key=lambda cut: cut.unevenness)
    units = cut.first.count(row.arguments)
    whole = units - units % workers
    if cut.second is None:
        if cut.unevenness <= NEARLY_EVEN:
            pieces = _pieces(row, cut.first, _even_ends(units, workers))
            return [[piece] for piece in pieces] + [[] for _ in range(workers - len(pieces))], []
        single = _pieces(row, cut.first, range(whole, units + 1))
    elif whole:
        (rest,) = _pieces(row, cut.first, [whole, units])
        single = _pieces(rest, cut.second, _even_ends(cut.second.count(rest.arguments), workers))
    else:
        ends = _even_ends(cut.second.count(row.arguments), workers // units)
        single = [piece for unit in _pieces(row, cut.first, range(units + 1)) for piece in _pieces(unit, cut.second, ends)]
    if not whole:
        return [[] for _ in range(workers)], single
    return [[piece] for piece in _pieces(row, cut.first, [whole * i // workers for i in range(workers + 1)])], single


def _even_ends(units: int, workers: int) -> list[int]:
    """Return where pieces of `units` begin and end that are as many as the workers, or as the units."""
    pieces = min(units, workers)
    return [units * i // pieces for i in range(pieces + 1)]


def _in_shares(part: Sequence[Row], count: int, *, by_block: bool) -> list[list[Row]]:
    """Cut one thread's part into at most `count` shares, the largest first."""
    if count == 1:
        return [list(part)]
    ends = fractions(count, 1)
    axes = [_finest(row, by_block=by_block) for row in part]
    if not _are_strips(part) and all(
        axis is not None and axis.count(row.arguments) >= MANY_UNITS for row, axis in zip(part, axes, strict=True)
    ):
        found: list[list[Row]] = [[] for _ in ends]
        for row, axis in zip(part, axes, strict=True):
            assert axis is not None
            units = axis.count(row.arguments)
            for share, piece in zip(found, _pieces(row, axis, [0, *(round(units * end) for end in ends)]), strict=True):
                share.append(piece)
        return found
    return [share for share in _walk(part, ends, by_block=by_block) if share]


def _walk(rows: Sequence[Row], ends: Sequence[float], *, by_block: bool) -> list[list[Row]]:
    """Cut rows, one after the other, where each of `ends` is reached, a fraction of the work of all of them."""
    total = sum(map(nanoseconds, rows))
    found: list[list[Row]] = [[] for _ in ends]
    done, share = 0.0, 0
    for row in rows:
        mine = nanoseconds(row)
        axis = _finest(row, by_block=by_block)
        units = axis.count(row.arguments) if axis is not None else 1
        first = 0
        while share < len(ends) - 1 and ends[share] * total < done + mine * (1 - 0.5 / units):
            unit = round((ends[share] * total - done) / mine * units)
            if unit > first:
                found[share] += _pieces(row, axis, [first, unit])
                first = unit
            share += 1
        if first < units:
            found[share] += _pieces(row, axis, [first, units])
        done += mine
    return found


def _pieces(row: Row, axis: Axis | None, ends: Sequence[int]) -> list[Row]:
    """Return a row in pieces, each from one of `ends` to the next, in units of the axis."""
    found = []
    for first, end in itertools.pairwise(ends):
        if axis is None or end - first == axis.count(row.arguments):
            found.append(row)
        else:
            found.append(replace(row, arguments={**row.arguments, **axis.take(row.arguments, first, end - first)}))
    return found


def _axes(kind: Kind, row: Row, *, by_block: bool) -> list[Axis]:
    return [axis for axis in kind.axes(row.arguments) if by_block or "epilogue" not in axis.take(row.arguments, 0, 1)]


def _finest(row: Row, *, by_block: bool) -> Axis | None:
    """Return the first axis of many units, else the one of most; None where there is nothing to cut."""
    axes = _axes(KINDS[row.operation], row, by_block=by_block)
    many = (axis for axis in axes if axis.count(row.arguments) >= MANY_UNITS)
    return next(many, None) or max(axes, key=lambda axis: axis.count(row.arguments), default=None)

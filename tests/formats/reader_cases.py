"""What the tests of the readers' rows share: a case is a small file with what its own framework makes of it.

A case is good for a row when it passes as things are and fails when another operator stands in the row's place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

Table = MutableMapping[str, Callable]


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes
    ----------
    name : str
    error : callable
        Reads the file, runs it, and returns the largest error in parts of what is allowed: at most 1 where all is well.
    """

    name: str
    error: Callable[[], float]

    def passes(self) -> bool:
        """Whether the file reads, and what it computes is its framework's."""
        try:
            return self.error() <= 1
        except Exception:  # noqa: BLE001  # another operator in a row's place may raise anything
            return False


def error_between(got: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-5) -> float:
    """Return the largest difference in parts of `tolerance` times the wanted values' range; infinite where shapes differ."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    if got.shape != wanted.shape:
        return np.inf
    return float(np.abs(got - wanted).max() / (tolerance * max(np.ptp(wanted), 1e-3)))


def same(one: Callable, other: Callable) -> bool:
    """Whether two functions are one: the same object, or made alike by the same maker."""
    if one is other:
        return True
    codes, cells = ([getattr(function, "__code__", function) for function in (one, other)], [_closed(one), _closed(other)])
    return codes[0] is codes[1] and len(cells[0]) == len(cells[1]) and all(map(_equal, *cells))


def _closed(function: Callable) -> list:
    return [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]


def _equal(one: object, other: object) -> bool:
    return same(one, other) if callable(one) and callable(other) else one == other


def neighbours(table: Table, row: str, equal: Collection[str] = ()) -> list[Callable]:
    """Return the functions of the nearest rows before and behind that are other functions, and not among those called `equal`."""
    rows = list(table)
    place = rows.index(row)
    found = []
    for side in (rows[place - 1 :: -1] if place else [], rows[place + 1 :]):
        differing = (table[name] for name in side if not same(table[name], table[row]))
        other = next((function for function in differing if function.__qualname__.split(".")[0] not in equal), None)
        if other is not None:
            found.append(other)
    return found


@contextmanager
def standing_in(table: Table, row: str, function: Callable) -> Iterator[None]:
    """Put another function into a row."""
    own = table[row]
    table[row] = function
    try:
        yield
    finally:
        table[row] = own


def rows_read(tables: list[Table], case: Case) -> tuple[bool, set[tuple[int, str]]]:
    """Return whether a case passes, and the rows (number of the table, name) that it runs through."""
    used: set[tuple[int, str]] = set()
    own = [dict(table) for table in tables]

    def noting(place: int, row: str) -> Callable:
        def note(*arguments, **keywords):
            used.add((place, row))
            return own[place][row](*arguments, **keywords)

        return note

    try:
        for place, table in enumerate(tables):
            table.update({row: noting(place, row) for row in table})
        passed = case.passes()
    finally:
        for table, rows in zip(tables, own, strict=True):
            table.update(rows)
    return passed, used

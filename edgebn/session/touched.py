"""Which bytes the phases of a table read and write: in the arena, in the user's arrays, and in the table itself.

What a step touches is known by buffers and scratch, whole, with halos and what vectors read behind the end: never less than what
its rows touch. Packed constants change between runs alone, and count as nothing.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor
from edgebn.quick_dataclass import dataclass
from edgebn.session.layout import Layout

Span = tuple[int, int]  # first address, end

EVERYTHING: Span = (-(1 << 62), 1 << 62)
# Rows that write addresses into others, and come before all of them.
POINTING = ("point_words", "read_in_place")


@dataclass(frozen=True)
class Touched:
    """The bytes that some rows read and write.

    Attributes
    ----------
    reads, writes : tuple of (first address, end)
        Addresses below zero are the user's: outputs have one each, and an input may be in the same memory as any of them.
    points : bool
        Whether the rows do nothing but write addresses into others.
    """

    reads: tuple[Span, ...]
    writes: tuple[Span, ...]
    points: bool = False

    @property
    def size(self) -> int:
        """How many bytes, roughly."""
        return sum(end - begin for begin, end in (*self.reads, *self.writes) if begin >= 0)


@dataclass(frozen=True)
class Rows:
    """The rows of a table and whose they are.

    Attributes
    ----------
    words : ndarray of int64, shape (operations, width)
    owners : sequence of str
        For each row the name of the step it belongs to, or of the buffer that it fills or moves.
    ends : sequence of int
        Where the rows of the first step begin, and where those of each step end.
    places : sequence of ndarray of int64, shape (n, 3)
        What the rows of `POINTING` name by address: (address of a word, -, -).
    """

    words: np.ndarray
    owners: Sequence[str]
    ends: Sequence[int]
    places: Sequence[np.ndarray]


def touched(program: p.Program, layout: Layout, arena: int, rows: Rows, phases: Sequence[tuple[int, int]]) -> list[Touched]:
    """Return what each of `phases` touches, given as its first row and the end of its rows.

    Parameters
    ----------
    program : Program
    layout : Layout
    arena : int
        Its address.
    rows : Rows
        Of a table of kind `SHARED`, from which nothing leaves but the outputs.
    phases : sequence of (int, int)
        Each of rows of one step, or of one buffer that comes or goes.
    """
    memory = _Memory(program, layout, arena, rows)
    return [memory.of(first, end) for first, end in phases]


def pointing(words: np.ndarray) -> list[int]:
    """Return the rows that do nothing but write addresses into others."""
    codes = {executor.operations()[name].code for name in POINTING}
    return [row for row, code in enumerate(words[:, 0].tolist()) if code in codes]


def dependences(found: Sequence[Touched]) -> list[int]:
    """Return for each phase, as bits, those before it that it must come after: they meet in bytes that one of them writes."""
    reads = [(*span, index) for index, one in enumerate(found) for span in one.reads]
    writes = [(*span, index) for index, one in enumerate(found) for span in one.writes]
    written = np.array(writes, np.int64).reshape(-1, 3)
    every = np.array([*reads, *writes], np.int64).reshape(-1, 3)
    one, other = np.nonzero((written[:, None, 0] < every[:, 1]) & (every[:, 0] < written[:, None, 1]))
    ours, theirs = written[one, 2], every[other, 2]
    after = np.zeros((len(found), len(found)), bool)
    after[np.maximum(ours, theirs), np.minimum(ours, theirs)] = True
    np.fill_diagonal(after, val=False)
    return [int.from_bytes(bits.tobytes(), "little") for bits in np.packbits(after, axis=1, bitorder="little")]


class _Memory:
    """What the rows of a table touch."""

    def __init__(self, program: p.Program, layout: Layout, arena: int, rows: Rows) -> None:
        self._program, self._layout, self._arena, self._rows = program, layout, arena, rows
        self._outputs = {name: (-index - 1, -index) for index, name in enumerate(program.outputs)}
        self._inputs = (-len(program.outputs), 0)
        self._width = rows.words.strides[0]
        self._operations = executor.by_code()
        # By row that writes addresses into others, those others; and by row of a step, what is the user's of what it touches.
        self._pointing = dict(self._find_pointing())
        self._users: dict[int, list[tuple[bool, str]]] = {}
        for by, pointed in self._pointing.items():
            for row in pointed:
                self._users.setdefault(row, []).append((self._operation(by) == "read_in_place", rows.owners[by]))
        self._scratch: dict[str, list[Span]] = {}
        for (step, what), offset in layout.scratch.items():
            self._scratch.setdefault(step, []).append(self._span(offset, layout.scratch_sizes[step, what]))

    def of(self, first: int, end: int) -> Touched:
        """Return what the rows from `first` to `end` touch."""
        reads, writes = [self._words_of(first, end)], list[Span]()
        if first in self._pointing:
            writes += [self._words_of(row, row + 1) for row in self._pointing[first]]
            if self._operation(first) == "read_in_place":  # or from a copy that it makes
                reads.append(self._inputs)
                writes += self._buffers(self._rows.owners[first])
            return Touched(tuple(reads), tuple(writes), points=True)
        step = bisect.bisect_right(self._rows.ends, first) - 1
        if 0 <= step < len(self._program.steps):
            one = self._program.steps[step]
            reads += self._buffers(*one.inputs)
            writes += [*self._buffers(one.output), *self._scratch.get(one.name, ())]
            users = {one for row in range(first, end) for one in self._users.get(row, ())}
            for is_input, name in sorted(users):
                if is_input:
                    reads.append(self._inputs)
                else:
                    writes.append(self._outputs[name])
        elif self._program.states or self._operation(first) == "fill_halo":
            writes.append(EVERYTHING)
        elif step < 0:
            reads.append(self._inputs)
            writes += self._buffers(self._rows.owners[first])
        else:
            reads += self._buffers(self._rows.owners[first])
            writes.append(self._outputs[self._rows.owners[first]])
        return Touched(tuple(reads), tuple(writes))

    def _operation(self, row: int) -> str:
        return self._operations[int(self._rows.words[row, 0])].name

    def _words_of(self, first: int, end: int) -> Span:
        begin = self._rows.words.ctypes.data
        return begin + first * self._width, begin + end * self._width

    def _span(self, offset: int, size: int) -> Span:
        return self._arena + offset, self._arena + offset + size

    def _buffers(self, *names: str) -> list[Span]:
        places, layouts = self._layout.places, self._layout.buffers
        return [self._span(places[name], layouts[name].size) for name in names if name in places]

    def _find_pointing(self) -> Iterator[tuple[int, list[int]]]:
        """Yield the rows that write addresses into others, and which rows those are."""
        known = {places.ctypes.data: places for places in self._rows.places}
        begin = self._rows.words.ctypes.data
        for row in pointing(self._rows.words):
            column = 1 + [name for name, _ in self._operations[int(self._rows.words[row, 0])].arguments].index("places")
            places = known[int(self._rows.words[row, column])]
            yield row, sorted({(address - begin) // self._width for address in places[:, 0].tolist()})

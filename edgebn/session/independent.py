"""Which phases of a table become one: those of steps that do not depend on each other, where that makes an inference shorter.

A phase whose tasks are few, or uneven, leaves threads without work, and each is handed over. So phases that meet in no byte that
one of them writes (`touched.py`) may share one (`merging.py`). Phases that meet keep the order of the table, and so every byte is
what one thread computes.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor
from edgebn.session import shares
from edgebn.session.layout import Layout
from edgebn.session.merging import Phase, Task, merged
from edgebn.session.packer import Row
from edgebn.session.touched import Rows, dependences, pointing, touched

# Nanoseconds a byte of what `shares.py` does not know.
UNKNOWN = 0.1

Phases = tuple[np.ndarray, np.ndarray]  # as `bands.tasks` returns them


def at_once(tasks: Phases, rows: Rows, program: p.Program, layout: Layout, arena: int, threads: int) -> Phases:
    """Return a table's phases and tasks with those in one that are better off so.

    Parameters
    ----------
    tasks : (ndarray of int64, ndarray of int64)
        Phases and tasks as `bands.tasks` returns them.
    rows : Rows
    program : Program
    layout : Layout
    arena : int
        Its address.
    threads : int
    """
    spans = _by_owner(tasks, rows)
    found = touched(program, layout, arena, rows, [(phase[0][0], phase[-1][1]) for phase in spans])
    phases = [
        Phase(tuple(_task(rows.words, *span, index / len(phase), one.size / len(phase)) for index, span in enumerate(phase)), after)
        for phase, one, after in zip(spans, found, dependences(found), strict=True)
    ]
    # Rows that point others to the user's arrays depend on nothing, and much on them.
    left = sorted(range(len(phases)), key=lambda index: not found[index].points)
    return _as_arrays(merged(phases, left, threads))


def _by_owner(tasks: Phases, rows: Rows) -> list[list[tuple[int, int]]]:
    """Return the first row of each task and the end of its rows, by phase: what nobody shares a phase for each step or buffer."""
    found = []
    starts = {*rows.ends, *(row for row in range(1, len(rows.owners)) if rows.owners[row] != rows.owners[row - 1])}
    starts |= {row + after for row in pointing(rows.words) for after in (0, 1)}
    for first, count in tasks[0].tolist():
        spans = [(task[0], task[1]) for task in tasks[1][first : first + count].tolist()]
        if count > 1:
            found.append(spans)
            continue
        ((begin, end),) = spans
        inside = [row for row in range(begin + 1, end) if row in starts]
        found += [[span] for span in itertools.pairwise([begin, *inside, end])]
    return found


def _as_arrays(phases: Iterable[Sequence[Task]]) -> Phases:
    """Return phases and tasks as `bands.tasks` does; what one thread does, row after row, is one task."""
    counts: list[int] = []
    found: list[tuple[int, int]] = []
    for tasks in phases:
        if len(tasks) == 1 and counts and counts[-1] == 1 and found[-1][1] == tasks[0].first:
            found[-1] = found[-1][0], tasks[0].end
            continue
        counts.append(len(tasks))
        found += [(task.first, task.end) for task in tasks]
    each = np.array(counts, np.int64)
    return np.stack([np.cumsum(each) - each, each], axis=1), np.array(found, np.int64)


def _task(words: np.ndarray, first: int, end: int, home: float, size: float) -> Task:
    """Return a task of some rows of a table, which touches `size` bytes."""
    taken = 0.0
    for line in words[first:end].tolist():
        operation, names = _operation(line[0])
        taken += shares.nanoseconds(Row(operation, dict(zip(names, line[1:], strict=False)), None))
    return Task(first, end, taken or UNKNOWN * size, home)


@functools.cache
def _operation(code: int) -> tuple[str, tuple[str, ...]]:
    """Return the name of an operation and those of its arguments."""
    operation = executor.by_code()[code]
    return operation.name, tuple(name for name, _ in operation.arguments)

"""Which steps may run before their turn, beside an earlier one, and from when on what they write has memory of its own for that.

The arena is planned for one step after the other, where the output of a step may stand on what an earlier one reads. Where steps do
not depend on each other and threads may gain by running them at once (`merging.py`), the later one's output and scratch are kept
apart from what the steps from the earlier one on use, as long as no moment needs more memory than the fullest does anyway. Knows
programs, no rows of tables: what really runs at once, `independent.py` looks for in the plan.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.memory import Request
from edgebn.quick_dataclass import replace
from edgebn.session import bands, parts, shares
from edgebn.session.layout import ALIGNMENT
from edgebn.session.merging import Phase, Task, merged

# Multiply-accumulates a nanosecond and lane of a vector, roughly, of what `bands.work_of` counts.
SPEED = {"float32": 6, "int8": 18, "int16": 2}


Scratch = tuple[str, str]  # step name, and what it is for


def kept_apart(
    program: p.Program, roots: Mapping[str, str], requests: Mapping[str, Request], scratch: Mapping[Scratch, Request], threads: int
) -> tuple[dict[str, Request], dict[Scratch, Request]]:
    """Return the requests of buffers and of scratch, some of which begin earlier. Step i runs at time i + 1.

    Parameters
    ----------
    program : Program
    roots : dict of str to str
        For each buffer in the arena the one whose memory it uses.
    requests : dict of str to Request
        One a root.
    scratch : dict of (step name, what) to Request
    threads : int
    """
    found, found_scratch = dict(requests), dict(scratch)
    live = np.zeros(len(program.steps) + 2, np.int64)
    for request in (*requests.values(), *scratch.values()):
        live[request.first : request.last + 1] += _size(request)
    most = live.max()
    of_step: dict[str, list[Scratch]] = {}
    for key in scratch:
        of_step.setdefault(key[0], []).append(key)
    writers = {step.output: index for index, step in enumerate(program.steps)}
    wanted = turns(program, roots, threads)
    turn = list(range(len(program.steps)))  # of each step, as memory allows
    for index, step in enumerate(program.steps):
        mine = wanted[index]
        before = [writers[roots[name]] for name in step.inputs if roots.get(name) in writers]
        if mine == index or any(turn[one] > mine or (turn[one] == mine and wanted[one] != mine) for one in before):
            continue
        grown = live.copy()
        for request in (found[roots[step.output]], *(scratch[key] for key in of_step.get(step.name, ()))):
            grown[mine + 1 : request.first] += _size(request)
        if grown.max() > most:
            continue
        live, turn[index] = grown, mine
        found[step.output] = replace(found[step.output], first=min(found[step.output].first, mine + 1))
        for key in of_step.get(step.name, ()):
            found_scratch[key] = replace(scratch[key], first=mine + 1)
    return found, found_scratch


def _size(request: Request) -> int:
    return -(-request.size // ALIGNMENT) * ALIGNMENT


def turns(program: p.Program, roots: Mapping[str, str], threads: int) -> list[int]:
    """Return for each step the position of the step with which it would run at best: its own, or that of an earlier one.

    Parameters
    ----------
    program : Program
    roots : dict of str to str
        For each buffer in the arena the one whose memory it uses. Steps that only rename one take no time.
    threads : int
    """
    moving = [index for index, step in enumerate(program.steps) if roots.get(step.output) == step.output]
    place = {program.steps[index].output: at for at, index in enumerate(moving)}
    phases = []
    for at, index in enumerate(moving):
        step = program.steps[index]
        read = {roots[name] for name in step.inputs if name in roots}
        phases.append(
            Phase(_tasks(at, _nanoseconds(step, program), threads), sum(1 << place[name] for name in read if name in place))
        )
    found = list(range(len(program.steps)))
    for tasks in merged(phases, range(len(phases)), threads, for_any_gain=True):
        together = {at for task in tasks for at in range(task.first, task.end)}
        for at in together:
            found[moving[at]] = moving[min(together)]
    return found


def _nanoseconds(step: p.Step, program: p.Program) -> float:
    """Return what a step takes on one core, very roughly."""
    dtype = p.step_dtype(step, program)
    return bands.work_of(step, program) / (SPEED.get(dtype, SPEED["float32"]) * max(isa.SELECTED.lanes, 1))


def _tasks(at: int, nanoseconds: float, threads: int) -> tuple[Task, ...]:
    """Return tasks as `splitting.py` would cut them, all as row `at`."""
    workers = min(threads, int(nanoseconds / shares.MIN_SHARE), parts.MAX_SHARES)
    if workers < 2:
        return (Task(at, at + 1, nanoseconds),)
    each = 1 if workers < threads else max(1, min(len(parts.PARTS), int(nanoseconds / shares.MIN_SHARE / threads)))
    count = workers * min(each, parts.MAX_SHARES // workers)
    ends = [0.0, *parts.fractions(count, workers)]
    return tuple(
        Task(at, at + 1, nanoseconds * (end - begin), index / count) for index, (begin, end) in enumerate(itertools.pairwise(ends))
    )

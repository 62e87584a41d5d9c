"""Which networks are shared among threads, how rows of convolutions with scratch are split, and which rows of a table run at once.

Convolutions with a pool or Winograd's planes go by bands of rows, each with scratch of its own; all else is split operation by
operation (`shares.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.session import parts

# A band with fewer multiply-accumulates, some microseconds, costs more to hand over than it saves (measured on x86-64).
MIN_MACS = {"float32": 200_000, "int8": 800_000, "int16": 200_000}
# A network with fewer, a tenth of a millisecond or two, may lose more than it gains where data goes slowly from core to core.
MIN_PROGRAM_MACS = {"float32": 12_000_000, "int8": 40_000_000, "int16": 12_000_000}
BATCH = 4  # times as much work is in the smallest batch that threads share out: they sleep, and come late
MAX_BRIEF_MACS_A_LANE = 20_000  # of a vector: below some ten microseconds
MACS_AN_OUTPUT = 8  # that take as long as whatever else is done for one number of a step's output, roughly

Band = tuple[int, int]  # first row, rows


def macs(step: p.Step, program: p.Program) -> int:
    """Return the multiply-accumulates of a step."""
    if isinstance(step, p.Recurrence):
        return int(np.prod(program.buffers[step.inputs[0]].shape[:2])) * step.weight.size
    if not isinstance(step, p.Convolution):
        return 0
    rows, columns, _ = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
    return rows * columns * step.weight.size


def bands(step: p.Convolution, program: p.Program, threads: int, unit: int) -> list[Band]:
    """Split the output rows of a convolution, pooled where it has a pool.

    Parameters
    ----------
    step : Convolution
    program : Program
    threads : int
    unit : int
        Every band but the last has a multiple of so many rows, and the last at least so many; 0 for rows that must stay together.

    Returns
    -------
    list of (first row, rows)
        In order; one where the layer or the network is too small to be worth it.
    """
    rows = program.buffers[step.output].shape[0]
    fewest = MIN_MACS[p.step_dtype(step, program)]
    most = min(rows // unit if unit else 1, macs(step, program) // fewest, parts.most_shares(threads))
    if threads == 1 or most < 2 or is_small(program):
        return [(0, rows)]
    if most > threads:
        most -= most % threads
    starts = [0, *(unit * round(rows // unit * end) for end in parts.fractions(most, threads)[:-1])]
    starts = sorted(set(starts))
    return [(start, end - start) for start, end in zip(starts, [*starts[1:], rows], strict=True)]


def is_small(program: p.Program) -> bool:
    """Whether a whole network, with steps of either type, has too little work for threads to share."""
    return _share_of_least(program) < 1


def least_batch(program: p.Program) -> int:
    """Return the fewest samples that have work enough for threads to share out."""
    share = _share_of_least(program)
    return math.ceil(BATCH / share) if share < BATCH else 1


def _share_of_least(program: p.Program) -> float:
    """Return a network's work, of steps of either type, over the least that threads share."""
    work = _work(program)
    return sum(work[dtype] / max(fewest, 1) for dtype, fewest in MIN_PROGRAM_MACS.items())


def is_brief(program: p.Program) -> bool:
    """Whether a whole network is done in so few microseconds that nobody waits for Python's lock meanwhile."""
    return sum(_work(program).values()) < MAX_BRIEF_MACS_A_LANE * isa.SELECTED.lanes


def _work(program: p.Program) -> dict[str, int]:
    """Return by type the multiply-accumulates that take as long as a whole network's steps, roughly."""
    work = dict.fromkeys(MIN_PROGRAM_MACS, 0)
    for step in program.steps:
        dtype = p.step_dtype(step, program)
        dtype = dtype if dtype in work else "float32"
        work[dtype] += work_of(step, program)
    return work


def work_of(step: p.Step, program: p.Program) -> int:
    """Return the multiply-accumulates that take as long as a step, roughly."""
    return macs(step, program) + MACS_AN_OUTPUT * int(np.prod(program.buffers[step.output].shape))


def tasks(shares: Sequence[tuple[int, int, int] | None]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the phases and tasks of a table whose row i belongs to `shares[i]`, or None where no rows may run at once.

    Parameters
    ----------
    shares : sequence of (step, phase, share), or None for a row that nothing runs beside

    Returns
    -------
    phases : ndarray of int64, shape (phases, 2)
        First task, and how many.
    tasks : ndarray of int64, shape (tasks, 2)
        First row, and the end of its rows.
    """
    if not any(shares):
        return None
    phases: list[list[int]] = []
    found: list[list[int]] = []
    for row, share in enumerate(shares):
        if row and share == shares[row - 1]:
            found[-1][1] = row + 1
            continue
        before = shares[row - 1] if row else None
        if share is None or before is None or share[:2] != before[:2]:
            phases.append([len(found), 0])
        phases[-1][1] += 1
        found.append([row, row + 1])
    return np.array(phases, np.int64), np.array(found, np.int64)

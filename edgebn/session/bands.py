"""How the rows of large convolutions are split among threads, and which rows of a table may then run at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebn import program as p

# A band with fewer multiply-accumulates, some microseconds, costs more to hand over than it saves (measured on x86-64).
FEWEST_MACS = {"float32": 400_000, "int8": 1_600_000}
# A network with fewer, a millisecond or less, may lose more than it gains where data goes slowly from core to core (measured).
FEWEST_PROGRAM_MACS = {"float32": 50_000_000, "int8": 200_000_000}
# More bands than threads, so that a thread that comes late or is held up leaves its share to others.
BANDS_A_THREAD = 2

Band = tuple[int, int]  # first row, rows


def macs(step: p.Step, program: p.Program) -> int:
    """Return the multiply-accumulates of a step."""
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
    fewest = FEWEST_MACS[p.step_dtype(step, program)]
    most = min(rows // unit if unit else 1, macs(step, program) // fewest, threads * BANDS_A_THREAD)
    if threads == 1 or most < 2 or _is_small(program):
        return [(0, rows)]
    starts = [unit * (rows // unit * i // most) for i in range(most)]
    return [(start, end - start) for start, end in zip(starts, [*starts[1:], rows], strict=True)]


def _is_small(program: p.Program) -> bool:
    """Whether a whole network, with steps of either type, has too few multiply-accumulates."""
    work = dict.fromkeys(FEWEST_PROGRAM_MACS, 0)
    for step in program.steps:
        work[p.step_dtype(step, program)] += macs(step, program)
    fewest = FEWEST_PROGRAM_MACS
    return work["float32"] * fewest["int8"] + work["int8"] * fewest["float32"] < fewest["float32"] * fewest["int8"]


def tasks(strands: Sequence[tuple[int, int] | None]) -> np.ndarray | None:
    """Return the tasks of a table whose row i belongs to `strands[i]`, or None where no rows may run at once.

    Parameters
    ----------
    strands : sequence of (step, band), or None for a row that nothing runs beside

    Returns
    -------
    ndarray of int64, shape (tasks, TASK_WORDS), or None
        First row, end of its rows, tasks that must be done before: tasks of one step's bands wait for the same.
    """
    if not any(strands):
        return None
    found: list[list[int]] = []
    phase = -1  # the step whose bands are being listed
    begun = 0  # how many tasks stood before them
    previous: object = ()
    for row, strand in enumerate(strands):
        if strand == previous:
            found[-1][1] = row + 1
            continue
        step = -1 if strand is None else strand[0]
        if step == -1 or step != phase:
            begun = len(found)
        phase, previous = step, strand
        found.append([row, row + 1, begun])
    return np.array(found, np.int64)

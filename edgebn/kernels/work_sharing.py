"""How several threads walk one operation table together: phase after phase, whose tasks may run at once in any order.

A task is a range of rows. The word of state says which phase goes on and which of its tasks nobody has taken; whoever is free takes
one. Who finishes a phase's last task opens the next, and keeps a phase of one task for itself: between them nothing is handed over.
The main thread, the one that was asked for the inference, opens the first phase for each sample; workers join when they come. So
the main thread alone finishes everything when no worker comes, and nobody waits but for a task that another has in hand.

Every thread has its own part of a phase's tasks, those of the same rows as in the phase before, which its caches hold. Who is
through takes the last of another's part: packers make those the smallest.
"""

from __future__ import annotations

from edgebn.kernels.atomics import (
    add,
    exchange,
    highest_bit,
    look,
    lowest_bit,
    nanoseconds,
    publish,
    rest,
)
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i64, store_i64
from edgebn.kernels.records import (
    MASK_BITS,
    SHARING_ENDED,
    SHARING_LEFT,
    SHARING_LINGER,
    SHARING_PRESENT,
    SHARING_STATE,
    SHARING_THREADS,
)

MASK = (1 << MASK_BITS) - 1
# Nanoseconds that a worker looks for another call of the same table before it goes back to sleep, from which it comes back late: on
# a virtual machine after a millisecond. It looks for long where calls follow on each other so closely.
LINGER, LONG_LINGER = 50_000, 1_000_000


@kernel
def _open(sharing: int, phases: int, count: int, phase: int) -> int:
    """Begin a phase, all tasks before which are done; return its only task, or -1 when there are several to take, or none."""
    if phase == count:
        publish(sharing, SHARING_STATE, phase << MASK_BITS)
        return -1
    first, tasks = load_i64(phases, 2 * phase), load_i64(phases, 2 * phase + 1)
    if tasks == 1:
        return phase << MASK_BITS | first
    publish(sharing, SHARING_LEFT, tasks)
    publish(sharing, SHARING_STATE, phase << MASK_BITS | ((1 << tasks) - 1))
    return -1


@kernel
def _choose(mask: int, tasks: int, who: int, threads: int) -> int:
    """Return the task that a thread takes of those in `mask`: the next of its own part, or the last of all."""
    first, end = who * tasks // threads, (who + 1) * tasks // threads
    own = mask & ((1 << end) - (1 << first))
    return lowest_bit(own) if own != 0 else highest_bit(mask)


@kernel
def begin(sharing: int, phases: int, count: int) -> int:
    """Open a sample's first phase. The main thread's, when all tasks of the sample before are done; returns what `_open` does."""
    apart = nanoseconds(0) - load_i64(sharing, SHARING_ENDED)
    store_i64(sharing, SHARING_LINGER, LONG_LINGER if apart < LONG_LINGER else LINGER)
    publish(sharing, SHARING_STATE, 0)  # workers shall know that it goes on, also while the main thread keeps a phase for itself
    return _open(sharing, phases, count, 0)


@kernel
def next_task(sharing: int, phases: int, count: int, who: int, last: int) -> int:
    """Finish the task in hand and take another.

    Parameters
    ----------
    sharing, phases, count : int
        The words that the threads share; first task and tasks of each phase, and how many phases.
    who : int
        0 for the main thread, or the worker's number.
    last : int
        What this function or `begin` returned last; -1 where nothing is in hand.

    Returns
    -------
    int
        The task, with its phase above `MASK_BITS`; -1 when there is none: for the main thread when the sample is done.
    """
    if last >= 0:
        phase = last >> MASK_BITS
        if load_i64(phases, 2 * phase + 1) == 1 or add(sharing, SHARING_LEFT, -1) == 1:
            opened = _open(sharing, phases, count, phase + 1)
            if opened >= 0:
                return opened
    looks = waited = began = 0
    while True:
        word = look(sharing, SHARING_STATE)
        phase = word >> MASK_BITS
        if word & MASK != 0:
            first, tasks = load_i64(phases, 2 * phase), load_i64(phases, 2 * phase + 1)
            task = _choose(word & MASK, tasks, who, load_i64(sharing, SHARING_THREADS))
            if exchange(sharing, SHARING_STATE, word, word - (1 << task)):
                return phase << MASK_BITS | (first + task)
            continue
        if phase == count and who == 0:
            store_i64(sharing, SHARING_ENDED, nanoseconds(0))
            return -1
        if phase == count:  # between samples, and between calls
            if waited == 0:
                began = nanoseconds(0)
            elif nanoseconds(waited) - began > load_i64(sharing, SHARING_LINGER):
                return -1
            looks = 0
            waited += 1
        looks = rest(looks)


@kernel
def join(sharing: int) -> None:
    """Say that one more worker looks at the table."""
    add(sharing, SHARING_PRESENT, 1)


@kernel
def leave(sharing: int) -> None:
    """Say that a worker looks at the table no more."""
    add(sharing, SHARING_PRESENT, -1)

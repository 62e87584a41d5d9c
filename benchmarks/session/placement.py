"""Where a shared machine has put two threads at this moment: on cores of their own or on one, and near to each other or far.

A virtual machine's processors move between the cores of its host, several times a second, and may be two threads of one core, which
together do little more than one alone, or stand under different last-level caches. Neither can be asked for; both can be measured.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from edgebn.kernels.atomics import add, look, nanoseconds, publish
from edgebn.kernels.jit import decorator

TURNS = 6  # of which the fastest counts: others were interrupted
HANDS = 500  # how often a word goes to and fro
LOOPS = 10_000  # of arithmetic, some tens of microseconds
APART = 64  # words between two that share no cache line

without_lock = decorator(nogil=True)  # Python's


@dataclass(frozen=True)
class Placement:
    """Two threads as they stand.

    Attributes
    ----------
    cores : float
        What both compute at once over what one computes alone: 2 on cores of their own, little more than 1 on one.
    nanoseconds : float
        From one thread's store to the other's sight of it.
    """

    cores: float
    nanoseconds: float

    def fits(self, cores: float, nanoseconds: float) -> bool:
        """Whether they compute so much, and stand as near as that."""
        return self.cores >= cores and self.nanoseconds <= nanoseconds


@without_lock
def _meet(words: int) -> None:
    come = add(words, 0, 1) + 1
    while look(words, 0) < come + (come & 1):
        pass


@without_lock
def _compute(loops: int, x: int) -> int:
    """Keep the one multiplier of whole numbers that a core has busy, by chains that do not wait for each other."""
    a = b = c = d = e = f = g = h = x
    for _ in range(loops):
        a, b, c, d = a * x + 1, b * x + 2, c * x + 3, d * x + 4
        e, f, g, h = e * x + 5, f * x + 6, g * x + 7, h * x + 8
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h


@without_lock
def _computing(words: int, threads: int, x: int) -> tuple[int, int]:
    """Return the nanoseconds of the fastest of some computations, side by side where there are two threads, and a result."""
    least, total = 1 << 60, 0
    for _ in range(TURNS):
        if threads > 1:
            _meet(words)
        begun = nanoseconds(0)
        total ^= _compute(LOOPS, x)
        least = min(least, nanoseconds(0) - begun)
    return least, total


@without_lock
def _handing(words: int, who: int) -> int:
    """Return the nanoseconds in which a word went to and fro, the fastest of some turns."""
    least, value = 1 << 60, who
    for _ in range(TURNS):
        _meet(words)
        begun = nanoseconds(0)
        for _ in range(HANDS):
            while look(words, APART) != value:
                pass
            publish(words, APART, value + 1)
            value += 2
        least = min(least, nanoseconds(0) - begun)
    return least


def placement() -> Placement:
    """Measure the first two processors, in some milliseconds."""
    words = np.zeros(2 * APART, np.int64)
    at, x = words.ctypes.data, 0x5851F42D4C957F2D  # of a generator of random numbers: no sum nor shift does the same
    alone = _computing(at, 1, x)[0]
    both = _at_once(lambda _: _computing(at, 2, x)[0])
    handing = _at_once(lambda who: _handing(at, who))
    return Placement(alone / both[0] + alone / both[1], max(handing) / (2 * HANDS))


def _at_once(run: Callable[[int], int]) -> list[int]:
    """Return what `run` returns in each of two threads, which meet in it."""
    found = [0, 0]

    def on_processor(who: int) -> None:
        with _on_processor(who):
            found[who] = run(who)

    other = threading.Thread(target=on_processor, args=(1,))
    other.start()
    on_processor(0)
    other.join()
    return found


@contextmanager
def _on_processor(which: int) -> Iterator[None]:
    """Keep the calling thread on one of its processors, where the system has a call for it: new threads may share one at first."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(usual)[which % len(usual)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)

"""Which phases become one, given what each depends on and how long its tasks take. Knows no rows of tables and no memory.

Greedy, in the order of the table: each phase that is next takes in those after it that depend on nothing left and make the whole
shorter, as threads take tasks (`kernels/work_sharing.py`). What one thread does anyway, one phase of one task after the other, may
become one task beside others.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from edgebn.quick_dataclass import dataclass
from edgebn.session.parts import MAX_SHARES

# Nanoseconds that it costs to hand a phase over, and to take one more task of it (measured on x86-64: 0.3 to 0.6 us for two tasks).
HANDING_OVER, TAKING = 400.0, 100.0
# What must be gained, in nanoseconds and of the time of the phases: caches hold what the phase before wrote.
MIN_GAIN, MIN_FRACTION = 300.0, 0.01
# Phases that are looked at beyond the next, and the most that become one task.
WINDOW, LONGEST_CHAIN = 24, 8


@dataclass(frozen=True)
class Task:
    """Some rows of a table.

    Attributes
    ----------
    first, end : int
    nanoseconds : float
        What they take, roughly.
    home : float
        Which of the threads' parts of its phase the task belongs to, as a fraction of all; -1 where that does not matter.
    """

    first: int
    end: int
    nanoseconds: float
    home: float = -1.0


@dataclass(frozen=True)
class Phase:
    """Tasks that may run at once.

    Attributes
    ----------
    tasks : tuple of Task
    after : int
        As bits, the phases that must have ended before.
    """

    tasks: tuple[Task, ...]
    after: int


def merged(phases: Sequence[Phase], order: Sequence[int], threads: int, *, for_any_gain: bool = False) -> list[list[Task]]:
    """Return the tasks of each phase that is left when some are done at once.

    Parameters
    ----------
    phases : sequence of Phase
        In the order of the table.
    order : sequence of int
        In which they are looked at.
    threads : int
    for_any_gain : bool
        Whether they are better off so however little is gained.
    """
    found: list[list[Task]] = []
    left, done = list(order), 0
    while left:
        begun = [_Bunch(phases, chain, done, threads, for_any_gain=for_any_gain) for chain in _chains(phases, left[0], done)]
        for bunch in begun:
            for index in left[1 : 1 + WINDOW]:
                bunch.take(index)
        bunch = max(begun, key=lambda one: one.gain)  # of those alike the shortest chain
        found.append(bunch.in_order())
        left = [index for index in left if not bunch.members >> index & 1]
        done |= bunch.members
    return found


def _chains(phases: Sequence[Phase], first: int, done: int) -> Iterator[list[int]]:
    """Yield what may be one task, or one phase: a phase alone, and with those of one task that follow on it in the table."""
    chain = [first]
    yield chain
    done |= 1 << first
    while len(chain) < LONGEST_CHAIN and chain[-1] + 1 < len(phases) and len(phases[chain[-1]].tasks) == 1:
        phase = phases[chain[-1] + 1]
        if len(phase.tasks) > 1 or phase.after & ~done or done >> (chain[-1] + 1) & 1:
            return
        chain = [*chain, chain[-1] + 1]
        done |= 1 << chain[-1]
        yield chain


class _Bunch:
    """Phases that become one.

    Attributes
    ----------
    members : int
        As bits.
    gain : float
        Nanoseconds less than one after the other.
    """

    def __init__(self, phases: Sequence[Phase], chain: Sequence[int], done: int, threads: int, *, for_any_gain: bool) -> None:
        self._phases, self._done, self._threads, self._for_any_gain = phases, done, threads, for_any_gain
        self._whole = [_joined(phases, chain)]
        self._cost = cost(self._whole[0], threads)
        self.members, self.gain = _bits(chain), 0.0

    def take(self, index: int) -> None:
        """Take a phase, and what follows on it as one task, if that is gained by it."""
        if self.members >> index & 1 or self._phases[index].after & ~self._done:
            return
        best: tuple[float, float, list[int]] | None = None
        for chain in _chains(self._phases, index, self._done):
            tasks = [task for one in self._whole for task in one] + _joined(self._phases, chain)
            if self.members & _bits(chain) or len(tasks) > MAX_SHARES:
                return
            together = cost(tasks, self._threads)
            apart = self._cost + sum(cost(self._phases[one].tasks, self._threads) for one in chain)
            gain = apart - together
            least = 0.0 if self._for_any_gain else max(MIN_GAIN, MIN_FRACTION * apart)
            if gain >= least and (best is None or gain > best[0]):
                best = gain, together, chain
        if best is not None:
            gain, self._cost, chain = best
            self.gain += gain
            self.members |= _bits(chain)
            self._whole.append(_joined(self._phases, chain))

    def in_order(self) -> list[Task]:
        """Return the tasks, those of a thread's part one after the other, the smallest last (`kernels/work_sharing.py`)."""
        if len(self._whole) == 1:
            return self._whole[0]
        count, threads = sum(map(len, self._whole)), self._threads
        room = [count * (who + 1) // threads - count * who // threads for who in range(threads)]
        found: list[list[Task]] = [[] for _ in range(threads)]
        others = []
        for tasks in self._whole:
            if len(tasks) % threads:  # not a part of as many for everybody
                others += tasks
                continue
            for task in tasks:
                found[int(task.home * threads + 1e-6)].append(task)
        loads = [sum(task.nanoseconds for task in part) for part in found]
        for task in sorted(others, key=lambda task: -task.nanoseconds):
            who = min((who for who in range(threads) if len(found[who]) < room[who]), key=lambda who: loads[who])
            found[who].append(task)
            loads[who] += task.nanoseconds
        return [task for part in found for task in sorted(part, key=lambda task: -task.nanoseconds)]


def _bits(indices: Sequence[int]) -> int:
    return sum(1 << index for index in indices)


def _joined(phases: Sequence[Phase], chain: Sequence[int]) -> list[Task]:
    """Return the tasks of a phase, or the one task of several that follow on each other."""
    if len(chain) == 1:
        return list(phases[chain[0]].tasks)
    (first,), (last,) = phases[chain[0]].tasks, phases[chain[-1]].tasks
    return [Task(first.first, last.end, sum(phases[one].tasks[0].nanoseconds for one in chain))]


def cost(tasks: Sequence[Task], threads: int) -> float:
    """Return roughly the nanoseconds that a phase takes."""
    if len(tasks) == 1:
        return tasks[0].nanoseconds
    ends = [0.0] * threads
    for taken in sorted((task.nanoseconds for task in tasks), reverse=True):
        heapq.heapreplace(ends, ends[0] + TAKING + taken)
    return HANDING_OVER + max(ends)

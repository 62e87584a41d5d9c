"""How many threads are best for a network on this machine: `threads="auto"` measures it once, when a session is made."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgebn.program import Program, takes_codes

WARM_UP_CALLS = 2
CALLS = 3  # of each number of threads, one after the other, in a round
ROUNDS = 7
# Seconds after which no further round begins: large networks are measured in fewer.
ENOUGH = 0.5
# More threads must be this much faster than fewer: they take cores from others.
WORTH = 0.9


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def candidates(cores: int) -> list[int]:
    """Return the numbers of threads worth trying: powers of two, and all cores."""
    return sorted({*(1 << i for i in range(cores.bit_length()) if 1 << i <= cores), cores})


def best(seconds: Mapping[int, float]) -> int:
    """Return the least number of threads that no larger one beats clearly."""
    chosen = min(seconds)
    for threads in sorted(seconds):
        if seconds[threads] < WORTH * seconds[chosen]:
            chosen = threads
    return chosen


def chosen(program: Program, open_session: Callable[[int], Any]) -> int:
    """Return the number of threads that runs `program` fastest here and now, with 10 % for those that others may want.

    Parameters
    ----------
    program : Program
    open_session : callable (threads) -> Session
    """
    sessions = {}
    for threads in candidates(usable_cores()):
        sessions[threads] = open_session(threads)
        if threads > 1 and not sessions[threads].is_shared:
            return 1
    if len(sessions) == 1:
        return 1
    dtype = np.int8 if takes_codes(program) else np.float32
    x = {name: np.zeros((1, *program.shapes[name]), dtype) for name in program.inputs}
    times: dict[int, list[float]] = {threads: [] for threads in sessions}
    begun = time.perf_counter()
    for turn in range(ROUNDS):
        for threads, session in sessions.items():
            for _ in range(CALLS if turn else WARM_UP_CALLS + CALLS):
                before = time.perf_counter()
                session.run(x)
                times[threads].append(time.perf_counter() - before)
            if not turn:
                del times[threads][:WARM_UP_CALLS]
        if time.perf_counter() - begun > ENOUGH:
            break
    return best({threads: statistics.median(found) for threads, found in times.items()})

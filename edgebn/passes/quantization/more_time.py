"""How many milliseconds more an inference takes than that of another program. Is handed what opens programs."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgebn.program import Program

Inference = Callable[[], object]
MIN_ROUNDS, MAX_ROUNDS = 3, 30
ROUNDS_END = 50_000_000  # nanoseconds of both, after which no further round begins


class MoreTime:
    """Compares programs with a first one: both run in turn, so that what else the machine does meets both, and the least counts.

    Parameters
    ----------
    first : Program
    open_inference : callable
        Takes a program and returns a function that runs one sample.
    """

    def __init__(self, first: Program, open_inference: Callable[[Program], Inference]) -> None:
        self._open, self._first = open_inference, open_inference(first)

    def __call__(self, program: Program) -> float:
        """Return milliseconds; less than nothing where a program is faster."""
        both = (self._first, self._open(program))
        for inference in both:
            inference()
        least = [_timed(inference) for inference in both]
        rounds, spent = 1, sum(least)
        while rounds < MIN_ROUNDS or (rounds < MAX_ROUNDS and spent < ROUNDS_END):
            times = [_timed(inference) for inference in both]
            least = [min(pair) for pair in zip(least, times, strict=True)]
            rounds, spent = rounds + 1, spent + sum(times)
        return (least[1] - least[0]) / 1e6


def _timed(inference: Inference) -> int:
    begin = time.perf_counter_ns()
    inference()
    return time.perf_counter_ns() - begin

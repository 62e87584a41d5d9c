"""Whether to share the next call among threads: by what the last calls took, shared and alone.

On a quiet machine sharing wins; where other processes keep the cores busy, a worker is held up with work in hand and everybody with
it; where two processors of a virtual machine are one core's threads, nobody wins. All of that changes, some times a second. So both
ways are timed, the faster is taken, and the other tried now and then: tries may cost no more than a small part of all time, so that
one that cost nothing is soon repeated, and one that cost much long after.
"""

from __future__ import annotations

from _thread import allocate_lock  # all that a start needs of `threading`
from collections import deque
from collections.abc import Iterable

# Calls of a try, of which the first does not count: workers wake up, caches are cold. Where each of so many that count took so much
# longer than the way that is taken typically does, the try ends: on a quiet machine every call alone takes nearly twice as long.
TRY = 6
CLEAR, CLEARLY_SLOWER = 2, 1.25
# The part of the time until the next try that the last one may have cost. Alone, a machine that became quiet shall be noticed soon.
COST_SHARED, COST_ALONE = 0.004, 0.04
# Calls between two tries, at least and at most.
SHORTEST, LONGEST = 16, 1024
# Calls of the way that is taken which are looked at for whether to try at once. Shared ones must be slower than going alone was: a
# virtual machine whose processors are moved makes all calls slower by half and more, for a while, and sharing stays right. Those
# alone must be so much slower than usual.
WINDOW = 16
SLOWER = 1.5
# A way must be this much faster than the other to take its place, so that times that are alike do not change places for ever:
# sharing, which the caller asked for, and going alone.
FASTER_SHARED, FASTER_ALONE = 0.97, 0.93


def typical(seconds: Iterable[float]) -> float:
    """Return the mean of the three quarters that took least: a call that the system held up for once says nothing of either way."""
    found = sorted(seconds)
    least = found[: max(1, 3 * len(found) // 4)]
    return sum(least) / len(least)


class Pace:
    """The times of one table's calls, and the way that the next one goes."""

    def __init__(self) -> None:
        self._shared = True
        self._taken: deque[float] = deque(maxlen=WINDOW)  # seconds a sample, of the way that is taken
        self._usual = self._other = float("inf")  # what they, and those of the other way, took when the ways were compared last
        self._tried: list[float] = []  # of the other way, in a try
        self._left = SHORTEST  # calls until the other way is tried
        self._lock = allocate_lock()

    @property
    def shares(self) -> bool:
        """Whether the next call is shared."""
        return self._shared if self._left > 0 else not self._shared

    def note(self, seconds: float) -> None:
        """Take the time of a sample of the call that went the way `shares` said; not while another thread's is taken."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._take(seconds)
        finally:
            self._lock.release()

    def _take(self, seconds: float) -> None:
        if self._left > 0:
            self._taken.append(seconds)
            self._left -= 1
            if self._left % WINDOW == 0 and typical(self._taken) > (self._other if self._shared else SLOWER * self._usual):
                self._left = 0
            return
        self._tried.append(seconds)
        tried = self._tried[1:]
        is_clear = len(tried) >= CLEAR and min(tried) > CLEARLY_SLOWER * typical(self._taken)
        if len(self._tried) < TRY and not is_clear:
            return
        taken, self._other = typical(self._taken), typical(tried)
        cost = sum(self._tried) / taken - len(self._tried)  # in calls of the way that is taken
        if self._other < (FASTER_ALONE if self._shared else FASTER_SHARED) * taken:
            self._shared = not self._shared
            taken, self._other = self._other, taken
            self._taken = deque(tried, maxlen=WINDOW)
        self._left = int(min(max(SHORTEST, cost / (COST_SHARED if self._shared else COST_ALONE)), LONGEST))
        self._usual, self._tried = taken, []

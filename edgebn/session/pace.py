"""Whether to share the next call among threads: by what the last calls took, shared and alone.

On a quiet machine sharing wins; where other processes keep the cores busy, a worker is held up with work in hand and everybody with
it. So both ways are timed; the faster is taken, and the other tried now and then, more and more seldom while it stays the slower.
"""

from __future__ import annotations

# Calls of a try, of which the first does not count: workers wake up, caches are cold.
TRY = 3
# Calls between two tries: at first, and at most. A try that takes three times as long then costs one in a hundred.
FIRST_INTERVAL, LONGEST_INTERVAL = 8, 512
# Part of a new time in the average of a way.
SHARE_OF_NEW = 0.25
# A way must be this much faster than the other to take its place: times that are alike shall not change places for ever.
FASTER = 0.97


class Pace:
    """The times of one table's calls, and the way that the next one goes."""

    def __init__(self) -> None:
        self._shared = True
        self._average = 0.0  # seconds a sample, of the way that is taken; 0 where none was timed
        self._interval = FIRST_INTERVAL
        self._left = FIRST_INTERVAL  # calls until the other way is tried; 0 and below in a try
        self._tried = 0.0  # seconds of the tries that count

    @property
    def shares(self) -> bool:
        """Whether the next call is shared."""
        return self._shared if self._left > 0 else not self._shared

    def note(self, seconds: float) -> None:
        """Take the time of a sample of the call that went the way `shares` said."""
        if self._left > 0:
            if self._average == 0.0:
                self._average = seconds
            self._average += SHARE_OF_NEW * (seconds - self._average)
            self._left -= 1
            return
        if self._left < 0:
            self._tried += seconds / (TRY - 1)
        self._left -= 1
        if self._left > -TRY:
            return
        if self._tried < FASTER * self._average:
            self._shared, self._average, self._interval = not self._shared, self._tried, FIRST_INTERVAL
        else:
            self._interval = min(2 * self._interval, LONGEST_INTERVAL)
        self._left, self._tried = self._interval, 0.0

"""Batches side by side: every thread takes whole samples, in memory of its own, until none is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgebn.session.tables import Table

# A thread takes this part of its even share of what is left: runs become shorter, for the last to end holds all up.
PART = 0.5
LOOKS = 200  # at who has samples in hand, before the calling thread sleeps until they are done


class Batch:
    """The samples of a batch that nobody has taken, and how many runs of them are in hand.

    Parameters
    ----------
    execute : callable (call, batch, argument) -> int
        The executor.
    tables : sequence of Table
        One for each thread, of which no two share memory that either writes.
    arrays : tuple of ndarray
        The user's, of the tables' inputs and then of their outputs.
    samples : int

    Attributes
    ----------
    failed : int
        What the executor returned of the first run that failed, or 0.
    """

    def __init__(
        self, execute: Callable[[int, int, int], int], tables: Sequence[Table], arrays: tuple[np.ndarray, ...], samples: int
    ) -> None:
        self._execute, self._tables, self._arrays = execute, tables, arrays
        self._next, self._end = 0, samples
        self._in_hand = 0
        self._changed = threading.Condition(threading.Lock())
        self.failed = 0

    def go_through(self, number: int) -> None:
        """Take samples until none is left, as the thread of a number: 0 for the one that was asked for the batch."""
        table = self._tables[number]
        while (taken := self._take()) is not None:
            failed = 0
            try:
                alive = table.bind(tuple(array[taken] for array in self._arrays))
                failed = self._execute(table.call, taken.stop - taken.start, 0)
                del alive
            finally:
                self._put_back(failed)

    def finish(self) -> None:
        """Leave nothing to take, and wait until nobody has any sample in hand."""
        with self._changed:
            self._next = self._end
        for _ in range(LOOKS):
            if not self._in_hand:
                return
            time.sleep(0)
        with self._changed:
            self._changed.wait_for(lambda: not self._in_hand)

    def _take(self) -> slice | None:
        with self._changed:
            left = self._end - self._next
            if not left:
                return None
            begin = self._next
            self._next += max(1, int(PART * left / len(self._tables)))
            self._in_hand += 1
            return slice(begin, self._next)

    def _put_back(self, failed: int) -> None:
        with self._changed:
            self._in_hand -= 1
            if failed:
                self.failed, self._next = self.failed or failed, self._end
            if not self._in_hand:
                self._changed.notify_all()


def nan_in(arrays: Sequence[np.ndarray]) -> int:
    """Return 1 + the index of the first array that holds a NaN, or 0."""
    return next((i for i, array in enumerate(arrays, start=1) if array.dtype == np.float32 and np.isnan(array).any()), 0)

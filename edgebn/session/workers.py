"""Threads of a session that help with large networks and batches: they sleep between, and know whose table or batch to join."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgebn.kernels.records import JOIN, SHARING_PRESENT
from edgebn.session.batches import Batch
from edgebn.session.pace import Pace

MAX_SAMPLES = 64  # batches of more go the way of those of as many


class Workers:
    """Sleeping threads; daemons, so that a forgotten session keeps no process alive.

    A batch never waits for a worker to wake up: who comes too late finds nothing to do. So a process that was forked, where there
    are no workers, still computes everything.

    Parameters
    ----------
    execute : callable (call, batch, argument) -> int
        The executor.
    count : int
        How many.
    """

    def __init__(self, execute: Callable[[int, int, int], int], count: int) -> None:
        self._execute = execute
        self._calls: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(count)]
        self._paces: dict[int, Pace] = {}
        for number, calls in enumerate(self._calls, start=1):
            threading.Thread(target=_work, args=(execute, calls, number), name="edgebn worker", daemon=True).start()

    def run(self, table: Any, arrays: tuple[Any, ...], batch: int) -> int:
        """Do what the executor does with the call of `table` between the user's arrays, and let the others help where that pays."""
        if batch == 0:
            return 0
        pace = table.pace
        shares = table.alone is None or pace.shares
        chosen = table if shares else table.alone
        alive = chosen.bind(arrays)
        if shares:
            self.wake(table)
        begun = time.perf_counter()
        failed = self._execute(chosen.call, batch, 0)
        if table.alone is not None:
            pace.note((time.perf_counter() - begun) / batch)
        del alive
        return failed

    def pace(self, samples: int) -> Pace:
        """Return how long batches of so many samples take, shared out by samples or else."""
        return self._paces.setdefault(min(samples, MAX_SAMPLES), Pace())

    def run_side_by_side(self, tables: Sequence[Any], arrays: tuple[Any, ...], samples: int) -> int:
        """Do what the executor does with a batch, every thread by a table of its own, samples in any order."""
        batch = Batch(self._execute, tables, arrays, samples)
        for calls in self._calls:
            calls.put(batch)
        try:
            batch.go_through(0)
        finally:
            batch.finish()
        return batch.failed

    def wake(self, table: Any) -> None:
        """Ask everybody to join those who walk `table`: those who do not look at it still, and have not been asked."""
        if table.sharing[SHARING_PRESENT] < len(self._calls):
            for calls in self._calls:
                if calls.empty():
                    calls.put(table)

    def dismiss(self) -> None:
        """Let the threads end."""
        for calls in self._calls:
            calls.put(None)


def _work(execute: Callable[[int, int, int], int], calls: queue.SimpleQueue[Any], number: int) -> None:
    while True:
        task = calls.get()  # what is held here keeps the memory that the executor looks at alive
        if task is None:
            return
        if isinstance(task, Batch):
            task.go_through(number)
        else:
            execute(task.call, JOIN, number)
        del task

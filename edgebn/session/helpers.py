"""Threads of a session that help with large layers: they sleep between batches and know nothing but whose table to join."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from edgebn.kernels.records import HELP


class Helpers:
    """Sleeping threads; daemons, so that a forgotten session keeps no process alive.

    A batch never waits for a helper to wake up: who comes too late finds nothing to do. So a process that was forked, where there
    are no helpers, still computes everything.

    Parameters
    ----------
    execute : callable (call, batch, x, out) -> int
        The executor.
    count : int
        How many.
    """

    def __init__(self, execute: Callable[[int, int, int, int], int], count: int) -> None:
        self._execute = execute
        self._calls: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(count)]
        for calls in self._calls:
            threading.Thread(target=_help, args=(execute, calls), name="edgebn helper", daemon=True).start()

    def run(self, table: Any, batch: int) -> int:
        """Do what the executor does with the call of `table`, and let the others help."""
        if batch == 0:
            return 0
        with table.open_to_helpers():
            self.wake(table)
            return self._execute(table.call, batch, 0, 0)

    def wake(self, table: Any) -> None:
        """Ask everybody to join those who walk `table`."""
        for calls in self._calls:
            calls.put(table)

    def dismiss(self) -> None:
        """Let the threads end."""
        for calls in self._calls:
            calls.put(None)


def _help(execute: Callable[[int, int, int, int], int], calls: queue.SimpleQueue[Any]) -> None:
    while True:
        table = calls.get()  # what is held here keeps the memory that the executor looks at alive
        if table is None:
            return
        execute(table.call, HELP, 0, 0)
        del table

"""Signals that end the command let it clean up: SIGTERM and SIGHUP unwind it as Ctrl-C does. Knows no verbs."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

_SIGNALS = ("SIGTERM", "SIGHUP")  # the second is none of Windows'
_PATIENCE = 10.0  # seconds that cleaning up may take before another signal ends it


class StoppedError(BaseException):
    """A signal asked the command to end; no `except Exception` swallows it.

    Attributes
    ----------
    status : int
        The exit code that says so.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.status = 128 + number


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise `StoppedError` in the main thread when a signal arrives that would end the process, where nobody handles it yet.

    What arrives while the first is being obeyed is ignored: terminals that close send SIGHUP twice.
    """
    raised: list[float] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not raised or now - raised[-1] > _PATIENCE:
            raised.append(now)
            raise StoppedError(number)

    ours = []
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)

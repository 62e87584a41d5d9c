"""Signals that end the command let it clean up: SIGTERM and SIGHUP unwind it as Ctrl-C does. Knows no verbs."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

_SIGNALS = ("SIGTERM", "SIGHUP")  # the second is none of Windows'
_PATIENCE = 10.0  # seconds that cleaning up may take before another signal ends it
_LOOK_AGAIN = 0.5  # seconds until it is seen whether the command unwinds


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

    What arrives while the first is being obeyed is ignored: terminals that close send SIGHUP twice. Python drops what a handler
    raises while it runs a finaliser or a callback from C; such a signal is sent again.
    """
    raised: list[float] = []
    last = 0

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if not raised or now - raised[-1] > _PATIENCE:
            raised.append(now)
            last = number
            _wake_in(_LOOK_AGAIN)
            raise StoppedError(number)

    def look(_number: int, _frame: FrameType | None) -> None:
        if _unwinds():
            _wake_in(_LOOK_AGAIN)
        else:
            raised.clear()
            signal.raise_signal(last)  # through whatever handles it now: what must not be cut in two has handlers of its own

    ours = []
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    if ours and hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, look)
    try:
        yield
    finally:
        if ours and hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _wake_in(seconds: float) -> None:
    """Have SIGALRM come once; where there is none (Windows), nothing."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _unwinds() -> bool:
    """Whether the main thread is on its way out, in some `finally`, `except` or `with`."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, StoppedError):
            return True
        error = error.__context__
    return False

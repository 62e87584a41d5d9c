"""Work that a signal must not cut in two, and temporary folders that none leaves behind. Knows no boards.

A handler that raises does so between any two steps of the main thread: also between making a folder and noting that it is there.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is none of Windows'
_ATTEMPTS = 5  # at removing a folder in which something that is ending may still write


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let signals wait until the context is left; those that end the process at once, as nobody handles them, do so."""
    if threading.current_thread() is not threading.main_thread():  # handlers run in the main thread alone
        yield
        return
    waiting: list[int] = []

    def wait(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)

    def deliver() -> None:
        if waiting:
            signal.raise_signal(waiting[0])

    with contextlib.ExitStack() as stack:  # its callbacks all run, whatever one of them raises
        stack.callback(deliver)
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            handler = signal.getsignal(number)
            if callable(handler):
                stack.callback(signal.signal, number, handler)
                signal.signal(number, wait)
        yield


@contextlib.contextmanager
def temporary_folder(prefix: str, where: Path | None = None) -> Iterator[Path]:
    """Make a folder, in `where` or among the system's temporary files, and remove it with all that is in it."""
    path: Path | None = None

    def remove() -> None:
        with undisturbed():
            for _ in range(_ATTEMPTS):
                if path is not None and path.exists():
                    shutil.rmtree(path, ignore_errors=True)

    try:
        with undisturbed():
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
        yield path
    finally:
        try:
            remove()
        finally:
            remove()  # again, for a signal that came on the way into the first

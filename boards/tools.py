"""Runs compilers and their like so that nothing of them outlives its caller. Knows no boards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from boards.tidy import undisturbed

SECONDS = 300  # more than any compiler needs for one network
_ENDING = 5.0  # seconds that a compiler has to remove its temporary files


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said.

    It has a process group of its own. Where waiting for it is cut short (by a signal, or as it takes too long), the whole group
    is asked to end: a compiler is a driver with children, and removes its temporary files if it is asked, not if it is killed.
    """
    process = None
    try:
        with undisturbed():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        said, complained = process.communicate(timeout=SECONDS)
    except BaseException:
        if process is not None:
            _end(process)
        raise
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and its children."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_ENDING)  # closes its pipes as well
            return

"""Runs compilers and their like so that nothing of them outlives its caller. Knows no boards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from boards.tidy import temporary_folder, undisturbed

SECONDS = 300  # more than any compiler needs for one network
_ENDING = 5.0  # seconds that a compiler has to remove its temporary files


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said.

    It has a process group of its own. Where waiting for it is cut short (by a signal, or as it takes too long), the whole group
    is asked to end, for a compiler is a driver with children. What it leaves behind even so goes with the folder that it has for
    temporary files: a driver that is asked to end between making a file and noting that it is there forgets it.
    """
    process = None
    with temporary_folder("edgebn-tools-") as folder:
        try:
            with undisturbed():
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    env={**os.environ, "TMPDIR": str(folder)},
                    start_new_session=True,
                )
            said, complained = process.communicate(timeout=SECONDS)
        except BaseException:
            if process is not None:
                _end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and, where there are process groups (not on Windows), its children."""
    for name in ("SIGTERM", "SIGKILL"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, getattr(signal, name))
            else:
                process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_ENDING)  # closes its pipes as well
            return

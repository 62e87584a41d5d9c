"""The command's front door: calls one verb, turns errors and signals into one line and an exit code.

Exit codes: 0 it worked, 1 it ran and failed, 2 the command line was wrong, 128 + N a signal stopped it. What verbs need is imported
inside `main`, so that a Ctrl-C is caught from the first moment on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

VERBS = (
    "demo",
    "convert",
    "quantize",
    "prepare",
    "run",
    "live",
    "evaluate",
    "bench",
    "analyze",
    "report",
    "adapt",
    "generate",
    "boards",
    "device",
    "fleet",
    "warmup",
    "doctor",
)  # each is a module of this package


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process when left out.

    Returns
    -------
    int
        The exit code.
    """
    try:
        from edgebn.cli.stopping import StoppedError, stoppable

        try:
            with stoppable():
                from edgebn.cli.command import execute

                return execute(sys.argv[1:] if argv is None else argv)
        except StoppedError as stop:
            status = stop.status
    except KeyboardInterrupt:
        status = 130
    print("edgebn: stopped", file=sys.stderr)
    return status

"""How a verb ends that ran to its end and found something wrong: its report is printed, and the exit code is 1."""

from __future__ import annotations

from typing import Any

from edgebn.errors import EdgebnError


class FailedCheckError(EdgebnError):
    """A check that failed.

    Parameters
    ----------
    message : str
        One line for people.
    report : dict
        What `--json` prints all the same.
    """

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report

"""What came of merging a group, and the report that says so at the broker: the same bytes from every merger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from edgebn.fleet.merging import Merged
from edgebn.fleet.topics import STATE, Address, parse


@dataclass(frozen=True)
class Outcome:
    """What came of one group.

    Attributes
    ----------
    model, group : str
    merged : Merged
    harm : str
        Why the prior is not published, or ''.
    parts : dict of str to tuple of str
        Found by themselves, where that was asked for.
    refused : dict of device to str
    seconds : float
    published : bool
        Whether something changed.
    """

    model: str
    group: str
    merged: Merged
    harm: str
    parts: dict[str, tuple[str, ...]]
    refused: dict[str, str]
    seconds: float
    published: bool


def group_report(merged: Merged, harm: str, parts: dict[str, tuple[str, ...]], refused: dict[str, str]) -> bytes:
    """Return a group's report: nothing but what follows from the states, so that every merger writes the same."""
    prior = None
    if merged.envelope is not None and not harm:
        prior = {"count": merged.envelope.count, "time": merged.envelope.time, "devices": len(merged.used)}
    report: dict[str, Any] = {
        "v": 1,
        "prior": prior,
        "harm": harm,
        "used": list(merged.used),
        "left_out": dict(sorted(merged.left_out.items())),
        "refused": dict(sorted(refused.items())),
        "parts": {leader: list(members) for leader, members in parts.items()},
    }
    return json.dumps(report, separators=(",", ":")).encode()


def members(report: bytes) -> list[str]:
    """Return the devices that a group's report knows of."""
    try:
        told = json.loads(report)
        names = [*told["used"], *told["left_out"], *told["refused"]]
    except (ValueError, RecursionError, LookupError, TypeError):
        return []
    return [name for name in names if isinstance(name, str) and parse(Address("0" * 32, "x", name).topic(STATE)) is not None]

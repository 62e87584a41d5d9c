"""What devices are told: commands, and in which part of a group they were found. Short JSON, read with suspicion."""

from __future__ import annotations

import json
import time
from typing import Any

from edgebn.errors import FleetError
from edgebn.fleet.topics import PART, is_group

COMMANDS = ("prior", "follow", "publish", "freeze", "thaw", "reset", "rollback")
LONGEST_COMMAND = 1024  # bytes


def read_command(payload: bytes) -> dict[str, Any] | None:
    """Return a command; None where it is none."""
    if len(payload) > LONGEST_COMMAND:
        return None
    try:
        order = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(order, dict) or order.get("do") not in COMMANDS:
        return None
    number, group = order.get("id"), order.get("group")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 1 << 63:
        return None
    if group is not None and not (isinstance(group, str) and is_group(group)):
        return None
    return order


def part_of(report: bytes, device: str) -> str | None:
    """Return the part that a group's report names a device in, if any."""
    try:
        parts = json.loads(report)["parts"]
        found = next((name for name, members in parts.items() if device in members), None)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    return found if found is not None and is_group(f"x{PART}{found}") else None


def command(do: str, group: str | None = None) -> bytes:
    """Return a command's bytes; of two the later one counts.

    Raises
    ------
    FleetError
        There is no such command.
    """
    if do not in COMMANDS:
        raise FleetError(f"there is no command '{do}'; choose one of {', '.join(COMMANDS)}")
    order: dict[str, Any] = {"v": 1, "id": time.time_ns() // 1000, "do": do}
    return json.dumps(order | ({"group": group} if group else {}), separators=(",", ":")).encode()

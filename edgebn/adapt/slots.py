"""Two slots of flash that hold the state between them: which one counts, and where the next write goes (docs/state-format.md).

The slot that counts is never touched by a write, so that power may fail at any byte: what is half written fails its checksum. This
is the specification of what firmware does, and reads dumps of its flash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgebn.adapt.state_file import Record, StateError, from_bytes, to_bytes

SLOTS = 2
SEQUENCES = 1 << 32


@dataclass(frozen=True)
class Write:
    """What the next write of a state puts where.

    Attributes
    ----------
    slot : int
        Erase this one, then program it from its first byte on.
    data : bytes
    """

    slot: int
    data: bytes


def newest(slots: Sequence[bytes], policy: int, model: bytes) -> tuple[int, Record] | None:
    """Return (slot, record) of the state that counts, or None where neither slot holds a whole one of this model and policy.

    Of two good slots the later sequence number counts, as serial numbers compare: a is later than b when (a - b) mod 2**32 is less
    than 2**31.
    """
    good: list[tuple[int, Record]] = []
    for index, data in enumerate(slots):
        try:
            record = from_bytes(data, f"slot {index}")
        except StateError:
            continue
        if (record.policy, record.model) == (policy, model):
            good.append((index, record))
    if not good:
        return None
    best = good[0]
    for other in good[1:]:
        if (other[1].sequence - best[1].sequence) % SEQUENCES < SEQUENCES // 2:
            best = other
    return best


def next_write(slots: Sequence[bytes], record: Record) -> Write:
    """Return where `record` goes, with the sequence number it gets: into the slot that does not count."""
    found = newest(slots, record.policy, record.model)
    if found is None:
        return Write(0, to_bytes(replace(record, sequence=1)))
    index, current = found
    return Write((index + 1) % SLOTS, to_bytes(replace(record, sequence=(current.sequence + 1) % SEQUENCES)))

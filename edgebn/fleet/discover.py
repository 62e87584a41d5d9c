"""Groups that are found by themselves: devices whose drift is alike. A function of the set of states, as merging is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn.fleet.merging import MIN_PART, MIN_SAMPLES, middle, samples
from edgebn.fleet.model import FleetModel, Known

ROUNDS = 5
MAX_PARTS = 64

Centre = tuple[np.ndarray, np.ndarray]


def discover(model: FleetModel, states: Mapping[str, Known]) -> dict[str, tuple[str, ...]]:
    """Return parts of a group: the name of each, which is its first device's, and its devices in order.

    Each device in turn joins the nearest part within reach or begins one; then middles and members are found again, a few times. A
    device that is like no other is a part of its own. Those that have learned too little are in none.
    """
    names = [name for name in sorted(states) if samples(model, states[name].state) >= MIN_SAMPLES]
    centres: list[Centre] = []
    for name in names:
        one = states[name]
        if _nearest(model, one, centres) is None and len(centres) < MAX_PARTS:
            centres.append((one.drift, one.ratio))
    members: list[list[str]] = []
    for _ in range(ROUNDS):
        found: list[list[str]] = [[] for _ in centres]
        for name in names:
            at = _nearest(model, states[name], centres)
            if at is not None:
                found[at].append(name)
        found = [part for part in found if part]
        if found == members:
            break
        members = found
        centres = _apart(model, [middle([states[name] for name in part]) for part in members])
    return {part[0]: tuple(part) for part in sorted(members)}


def _nearest(model: FleetModel, one: Known, centres: list[Centre]) -> int | None:
    far = [model.distance(one.drift, one.ratio, *centre) for centre in centres]
    at = int(np.argmin(far)) if far else None
    return at if at is not None and far[at] <= MIN_PART else None


def _apart(model: FleetModel, centres: list[Centre]) -> list[Centre]:
    """Return the middles, without those that another before them is next to."""
    kept: list[Centre] = []
    for centre in centres:
        if all(model.distance(*centre, *other) > MIN_PART / 2 for other in kept):
            kept.append(centre)
    return kept

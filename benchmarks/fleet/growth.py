"""How bytes and time of merging grow with the devices, and the arithmetic for a million."""

from __future__ import annotations

import math
import time

from benchmarks.fleet.parts import crowd_states
from benchmarks.fleet.world import World
from edgebn.fleet.envelope import to_bytes
from edgebn.fleet.harm import SourceReplay
from edgebn.fleet.merging import merge


def growth(place: World, counts: list[int]) -> list[dict]:
    print("\nmerging alone, by devices of one group: seconds to check, to merge, to replay home; bytes")
    rows = []
    for count in counts:
        messages, _, address = crowd_states(place, count)
        began = time.perf_counter()
        known = {name: place.model.read(payload, topic) for name, (topic, payload) in messages.items()}
        checked = time.perf_counter()
        envelope = merge(place.model, known).envelope
        merged = time.perf_counter()
        SourceReplay(place.model).refusal(place.model.state(envelope.state, "prior"))
        replayed = time.perf_counter()
        size = len(to_bytes(envelope, address.topic("state")))
        rows.append(
            {
                "devices": count,
                "check": checked - began,
                "merge": merged - checked,
                "replay": replayed - merged,
                "bytes": count * size,
            }
        )
        print(
            f"{count:7,}  {checked - began:7.2f}  {merged - checked:7.2f}  {replayed - merged:7.2f}  {count * size / 1e6:8.1f} MB",
            flush=True,
        )
    each = (rows[-1]["check"] + rows[-1]["merge"]) / rows[-1]["devices"]
    size = rows[-1]["bytes"] / rows[-1]["devices"]
    rate, merged, most = 1e6 / 300, 1e6 / 60, 1000  # a state every five minutes, each group merged once a minute
    brokers = math.ceil(rate / most)
    print(
        f"on paper, 10^6 devices in groups of 500, a state every 300 s: {rate:,.0f} messages/s, {rate * size / 1e6:.1f} MB/s in; "
        f"each group merged once a minute: {merged:,.0f} states/s and {merged * size / 1e6:.0f} MB/s out of the brokers "
        f"and {merged * each:.1f} cores of mergers; retained {1e6 * size / 1e9:.1f} GB\nsharded by the level of the group, which "
        f"nothing crosses: {brokers} brokers of {most:,} messages/s with {2000 / brokers:,.0f} groups and {1e6 / brokers:,.0f} "
        f"devices each, {merged / brokers * size / 1e6:.0f} MB/s out, {1e6 / brokers * size / 1e9:.1f} GB, and "
        f"{math.ceil(merged * each / brokers)} mergers of a core behind its shared subscription",
        flush=True,
    )
    return rows

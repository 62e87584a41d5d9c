"""`edgebn fleet merge`: keeps the priors of a fleet's groups."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from typing import Any

from edgebn.cli.fleet.options import (
    CONNECT_SECONDS,
    add_broker_options,
    add_policy_option,
    broker,
    fleet_model,
    models_at,
    name,
    seconds,
    wait,
)
from edgebn.cli.screen import Screen
from edgebn.cli.values import count
from edgebn.fleet.keys import read_master
from edgebn.fleet.merger import Merger
from edgebn.fleet.merging import MIN_DEVICES
from edgebn.fleet.outcome import Outcome

HELP = "publish what the devices of each group agree on"
DESCRIPTION = (
    "Merge the newest states of each group's devices into a prior, from which new devices start: a robust mean, without devices "
    "that see something else, and published only if home, replayed from the model's tables, is not harmed. Start as many as you "
    "like: they share the work, keep nothing, and end at the same bytes whatever is killed. Ends with Ctrl-C, or --once."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    text = "whose fleets to serve: .edgebn files with source tables; default those that lie at the broker (fleet publish)"
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL", help=text)
    add_policy_option(parser)
    parser.add_argument("--group", type=name, metavar="G", help="serve this group only")
    parser.add_argument("--discover", action="store_true", help="also find parts of groups: devices whose drift is alike")
    parser.add_argument(
        "--least", type=count, default=MIN_DEVICES, metavar="N", help=f"devices that must agree; default {MIN_DEVICES}"
    )
    parser.add_argument(
        "--max-age", type=seconds, metavar="SECONDS", help="leave out states so much older than their group's; default none are"
    )
    parser.add_argument("--fleet-key", type=Path, metavar="FILE", help="refuse states that are not signed, and sign priors")
    parser.add_argument("--once", action="store_true", help="merge everything once, and end")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so many seconds")
    add_broker_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Merge until something ends it."""
    at = broker(arguments)
    models = [fleet_model(path, arguments) for path in arguments.models] or models_at(at, arguments.policy)
    outcomes: dict[tuple[str, str], Outcome] = {}

    def told(outcome: Outcome) -> None:
        outcomes[outcome.model, outcome.group] = outcome
        if outcome.published:
            screen.say(_line(outcome))

    merger = Merger(
        models,
        at,
        group=arguments.group,
        master=read_master(arguments.fleet_key) if arguments.fleet_key else None,
        max_age=arguments.max_age,
        least=arguments.least,
        find_parts=arguments.discover,
        told=told,
    )
    merger.start(CONNECT_SECONDS)
    screen.say(
        f"merging at {arguments.broker.rpartition('@')[2]}: {', '.join(f'{one.source} ({one.name[:12]})' for one in models)}"
    )
    stop = threading.Event()
    limit = time.monotonic() + arguments.seconds if arguments.seconds else None
    warned = 0
    try:
        while True:
            while merger.step():
                pass
            if merger.late > warned:
                warned = merger.late
                screen.warn("the broker drops retained messages: raise its queue (Mosquitto: max_queued_messages 0)")
            if (arguments.once and merger.idle()) or not wait(stop, limit, 0.05):
                break
        merger.flush()
    finally:
        merger.stop()
    return {
        "merges": merger.merges,
        "refused": dict(merger.refused),
        "groups": [
            {
                "model": one.model,
                "group": one.group,
                "prior": one.merged.envelope is not None and not one.harm,
                "harm": one.harm,
                "used": list(one.merged.used),
                "left_out": one.merged.left_out,
                "refused": one.refused,
                "parts": {leader: list(members) for leader, members in one.parts.items()},
                "seconds": one.seconds,
            }
            for one in outcomes.values()
        ],
    }


def _line(outcome: Outcome) -> str:
    merged = outcome.merged
    if outcome.harm:
        what = f"no prior: {outcome.harm}"
    elif merged.envelope is None:
        what = f"no prior: {len(merged.used)} devices agree"
    else:
        what = f"a prior of {len(merged.used):,} devices"
    left = [f"{device}: {why}" for device, why in sorted((merged.left_out | outcome.refused).items())]
    parts = f"; parts {', '.join(f'{leader} ({len(of)})' for leader, of in outcome.parts.items())}" if outcome.parts else ""
    out = f"; without {'; '.join(left[:5])}{f' and {len(left) - 5} more' if len(left) > 5 else ''}" if left else ""
    return f"{outcome.group}: {what}{parts}{out} ({outcome.seconds:.1f} s)"

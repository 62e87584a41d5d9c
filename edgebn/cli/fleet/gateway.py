"""`edgebn fleet gateway`: boards behind serial lines as members of a fleet."""

from __future__ import annotations

import argparse
import re
import threading
import time
from pathlib import Path
from typing import Any

from edgebn.cli.fleet.options import (
    GROUP,
    add_broker_options,
    add_model,
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
from edgebn.errors import UsageError
from edgebn.fleet.broker import Broker
from edgebn.fleet.gateway import EVERY, POLL, Gateway, Line
from edgebn.fleet.keys import device_keys, read_master
from edgebn.fleet.model import FleetModel

HELP = "take boards behind serial lines into a fleet"
DESCRIPTION = (
    "Publish what boards have learned, and bring new ones their group's prior. They run firmware that `edgebn generate --main link "
    "--adapt` wrote. Lines that break and boards that restart are met again. Ends with Ctrl-C."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model(parser, optional="as the boards run it, with source tables; default the one that lies at the broker (fleet publish)")
    add_policy_option(parser)
    parser.add_argument(
        "--port", action="append", required=True, metavar="[NAME=]URL", help="a board's name and serial port; again for several"
    )
    parser.add_argument("--baud", type=count, default=115200, metavar="N", help="speed of the ports; default 115200")
    parser.add_argument("--group", type=name, default=GROUP, metavar="G", help=f'the boards\' group; default "{GROUP}"')
    parser.add_argument(
        "--every", type=seconds, default=EVERY, metavar="S", help=f"seconds until a state is published again; default {EVERY:g}"
    )
    parser.add_argument(
        "--poll", type=seconds, default=POLL, metavar="S", help=f"seconds between two questions to a board; default {POLL:g}"
    )
    parser.add_argument("--no-prior", action="store_true", help="bring new boards no prior")
    parser.add_argument("--keep", action="store_true", help="have boards keep the prior in their storage")
    parser.add_argument("--discover", action="store_true", help="bring boards the prior of the part that they are found in")
    parser.add_argument(
        "--fleet-key", type=Path, metavar="FILE", help="sign the boards' states, and refuse priors that are not signed"
    )
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so many seconds")
    add_broker_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Serve the lines until something ends it."""
    lines = [line_of(text, arguments.baud) for text in arguments.port]
    names = [line.device for line in lines]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"--port: two boards are called {twice}; give names: --port NAME=URL")
    at = broker(arguments)
    model = fleet_model(arguments.model, arguments) if arguments.model is not None else the_model(at, arguments.policy)
    master = read_master(arguments.fleet_key) if arguments.fleet_key else None
    gateways = [
        Gateway(
            model,
            at,
            arguments.group,
            line,
            every=arguments.every,
            poll=arguments.poll,
            keys=None if master is None else device_keys(master, line.device),
            take_prior=not arguments.no_prior,
            discover=arguments.discover,
            keep=arguments.keep,
            told=screen.say,
        )
        for line in lines
    ]
    limit = time.monotonic() + arguments.seconds if arguments.seconds else None
    stop, told = threading.Event(), ""
    for one in gateways:
        one.start()
    try:
        while wait(stop, limit):
            problem = gateways[0].broker_problem
            if problem and problem != told and gateways[0].broker_problem:
                screen.note(f"edgebn: {at} cannot be reached: {problem}; trying on")
            told = problem or told
    finally:
        for one in gateways:
            one.stop()
    return {
        "boards": [
            {
                "device": one.line.device,
                "port": one.line.url,
                "problem": one.problem,
                "priors_taken": one.taken,
                "published": one.published,
                "refused": one.refused,
            }
            for one in gateways
        ]
    }


def the_model(at: Broker, policy: str | None) -> FleetModel:
    """Return the model that lies at a broker.

    Raises
    ------
    UsageError
        Several do.
    """
    found = models_at(at, policy)
    if len(found) > 1:
        raise UsageError(f"{len(found)} models lie at {at}: say which one the boards run, and give it as MODEL")
    return found[0]


def line_of(text: str, baud: int) -> Line:
    """Return the board that --port names; without a name it is called as the port is.

    Raises
    ------
    FleetError
        The name can be none.
    """
    label, separator, url = text.partition("=")
    if not separator or "/" in label or ":" in label:
        label, url = re.sub(r"[^A-Za-z0-9._-]+", "-", text.rpartition("/")[2]).strip("-"), text
    return Line(name(label), url, baud)

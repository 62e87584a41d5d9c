"""`edgebn fleet tell`: a command for a device."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.fleet.options import CONNECT_SECONDS, add_broker_options, add_model, add_policy_option, broker, fleet_model, name
from edgebn.cli.screen import Screen
from edgebn.errors import FleetError
from edgebn.fleet.commands import COMMANDS, command
from edgebn.fleet.connection import Connection
from edgebn.fleet.topics import COMMAND, REPORT, STATE, Address

HELP = "have a device take the prior, freeze, thaw, reset, roll back or publish; or forget it"
DESCRIPTION = (
    "Leave a command for a device, which finds it when it is there. `forget` removes a device that is no more from the broker, and "
    "with that from its group's prior."
)
FORGET = "forget"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model(parser)
    parser.add_argument("group", type=name, metavar="GROUP")
    parser.add_argument("device", type=name, metavar="DEVICE")
    parser.add_argument(
        "what",
        choices=(*(one for one in COMMANDS if one != "follow"), FORGET),
        metavar="COMMAND",
        help=", ".join((*COMMANDS, FORGET)),
    )
    add_policy_option(parser)
    add_broker_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Publish it and wait until the broker has it."""
    model = fleet_model(arguments.model, arguments)
    address = Address(model.name, arguments.group, arguments.device)
    connection = Connection(broker(arguments), "tell", lambda *_: None)
    connection.start()
    try:
        connection.wait_up(CONNECT_SECONDS)
        if arguments.what == FORGET:
            for kind in (STATE, REPORT, COMMAND):
                connection.publish(address.topic(kind), b"")
        else:
            connection.publish(address.topic(COMMAND), command(arguments.what))
        if not connection.flush(CONNECT_SECONDS):
            raise FleetError(f"{connection.broker} has not taken the command: {connection.problem or 'no answer'}")
    finally:
        connection.stop()
    screen.say(f"{address.group}/{address.device}: {arguments.what}")
    return {"group": address.group, "device": address.device, "command": arguments.what}

"""`edgebn fleet`: many devices at an MQTT broker. One file an action."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.fleet import gateway, key, merge, publish, tell, watch
from edgebn.cli.screen import Screen

HELP = "states of many devices over MQTT: merge, watch, and take in boards behind serial lines"
DESCRIPTION = (
    "Let devices learn from their neighbours. Each publishes the state of its adaptation at an MQTT 5 broker, mergers publish what "
    "a group agrees on, and new devices start from it. No sample ever leaves a device."
)

ACTIONS = {"merge": merge, "gateway": gateway, "watch": watch, "tell": tell, "key": key, "publish": publish}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, module in ACTIONS.items():
        action = actions.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.configure(action)
        # Said before the action it counts as well: what is left out here overrides nothing.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Do one action."""
    return ACTIONS[arguments.action].run(arguments, screen)

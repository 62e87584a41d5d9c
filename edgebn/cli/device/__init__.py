"""`edgebn device`: a network on a board behind a serial port, or on an emulated one that is started for it. One file an action."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.device import adapt, bench, evaluate, flash, freeze, info, ports, reset, run_inputs, state, verify
from edgebn.cli.screen import Screen

HELP = "talk to a model on a board, over a serial port or in an emulator"
DESCRIPTION = (
    "Talk to a model on a board. With --port the board runs firmware that `edgebn generate --main link` wrote; with --board "
    "firmware is built for an emulated board, which is started and stopped for the occasion."
)

ACTIONS = {
    "info": info,
    "run": run_inputs,
    "verify": verify,
    "evaluate": evaluate,
    "bench": bench,
    "adapt": adapt,
    "state": state,
    "freeze": freeze,
    "reset": reset,
    "ports": ports,
    "flash": flash,
}


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

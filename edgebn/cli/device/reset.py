"""`edgebn device reset`: the model in its first state."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.device.target import add_target_options, open_target
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen

HELP = "put the model on the device into its first state"
DESCRIPTION = "Put the model on a device into its first state: no input, no output, source statistics. What it kept stays."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser, optional=True)
    add_target_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Reset it."""
    program = load_model(arguments.model, arguments) if arguments.model else None
    with open_target(arguments, program, screen) as target:
        target.device.reset()
        screen.say(f"{target.information.model} on {target.information.board} is in its first state")
        return target.facts()

"""`edgebn device freeze`: an adapting device that stops learning, or goes on."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.device.target import add_port_options, target_at
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen

HELP = "have the device stop learning, or go on"
DESCRIPTION = (
    "Have an adapting device keep its statistics as they stand until --off, a reset or a restart; predictions go on. A program of "
    "an edgebn before this action refuses it."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser, optional=True)
    parser.add_argument("--off", action="store_true", help="have it learn again")
    add_port_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Freeze it or let it go on."""
    program = load_model(arguments.model, arguments) if arguments.model else None
    with target_at(arguments, program) as target:
        target.device.freeze(not arguments.off)
        done = "learns again" if arguments.off else "has stopped learning"
        screen.say(f"{target.information.model} on {target.information.board} {done}")
        return {**target.facts(), "frozen": not arguments.off}

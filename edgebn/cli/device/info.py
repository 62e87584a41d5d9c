"""`edgebn device info`: what is at the end of the line."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.device.target import add_target_options, open_target
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen

HELP = "what runs on the device"
DESCRIPTION = "Say what a device runs: the model and its hash, the board, sizes, clock."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser, optional=True)
    add_target_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Ask and show."""
    program = load_model(arguments.model, arguments) if arguments.model else None
    with open_target(arguments, program, screen) as target:
        known = target.information
        report = {
            **target.facts(),
            "input_bytes": known.input_bytes,
            "output_bytes": known.output_bytes,
            "ticks_per_second": known.ticks_per_second,
            "clock_overhead": known.clock_overhead,
        }
    screen.say(f"{known.model} on {known.board}, model hash {known.model_hash}")
    screen.say(f"  input {known.input_bytes:,} bytes, output {known.output_bytes:,} bytes, arena {known.arena_bytes:,} bytes")
    screen.say(f"  clock of {known.ticks_per_second:,} ticks a second")
    return report

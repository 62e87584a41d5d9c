"""`edgebn device state`: what a device has learned, to a file and back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgebn.adapt import Adapter
from edgebn.cli.device.target import Target, add_policy_option, add_target_options, open_target
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file
from edgebn.program import Program
from edgebn.session import Session

HELP = "show, take or bring back what the device has learned, and have it kept"
DESCRIPTION = (
    "Show the adaptation state of a device, take it to a file that Python reads too (Adapter.load), or bring one to it, and "
    "have the device keep it. A state of another model or policy, or a damaged one, is refused, and the device has what it had."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--save", type=new_file, metavar="FILE", help="write the device's state to a file")
    what.add_argument("--load", type=Path, metavar="FILE", help="bring a file's state to the device")
    add_keep_option(parser)
    add_policy_option(parser)
    add_target_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Take or bring a state; Python checks it either way."""
    program = load_model(arguments.model, arguments)
    adapter = adapter_of(program, arguments.policy)
    if arguments.load:
        adapter.load(arguments.load)
    with open_target(arguments, program, screen, policy=adapter.policy) as target:
        board = target.information.board
        if arguments.load:
            target.device.set_state(adapter.to_bytes())
            screen.say(f"{board} has the state of {arguments.load}")
        adapter.take_bytes(target.device.state(), board)
        kept = keep(target, screen, wanted=arguments.keep)
        facts = target.facts()
    if arguments.save:
        adapter.save(arguments.save)
        screen.say(f"wrote {arguments.save}: the state of {facts['model']} on {board}")
    screen.say(str(adapter.report()))
    state = arguments.save or arguments.load
    layers = adapter.report().as_dict()["layers"]
    return {**facts, "policy": adapter.policy, "state": str(state) if state else None, **kept, "layers": layers}


def add_keep_option(parser: argparse.ArgumentParser) -> None:
    """Add --keep."""
    parser.add_argument("--keep", action="store_true", help="have the device keep its state, and start from it the next time")


def keep(target: Target, screen: Screen, *, wanted: bool) -> dict[str, Any]:
    """Have the device keep its state where that is wanted, and say what it started from and what it keeps."""
    kept = target.device.keep_state() if wanted else target.device.kept()
    screen.say(f"{target.information.board} started from {'what it had kept' if kept.started else 'the source statistics'}")
    if kept.number:
        screen.say(f"it keeps state {kept.number}{', this one' if wanted else ''}")
    return {"started_from_kept": kept.started, "kept": kept.number}


def adapter_of(program: Program, policy: str | None) -> Adapter:
    """Return an adapter that understands the device's states.

    Raises
    ------
    ModelError
        The model has no source tables.
    """
    return Adapter(Session(program), policy)

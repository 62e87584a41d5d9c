"""`edgebn fleet publish`: a model's file at the broker, so that mergers and gateways need none."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.fleet.options import CONNECT_SECONDS, adaptable_model, add_broker_options, add_model, broker
from edgebn.cli.screen import Screen

HELP = "leave a model at the broker, for mergers and gateways that are started without one"
DESCRIPTION = (
    "Leave a model's file at the broker, retained. `edgebn fleet merge` and `edgebn fleet gateway` without a MODEL then take it "
    "from there, and take nothing that is not the model its topic names."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model(parser)
    add_broker_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Publish it and wait until the broker has it."""
    from edgebn.fleet.models import leave

    at = broker(arguments)
    name = leave(adaptable_model(arguments.model, arguments), at, CONNECT_SECONDS)
    screen.say(f"{arguments.model} lies at {at} as {name}")
    return {"model": name, "broker": str(at)}

"""What `edgebn live --fleet` takes, and the agent that it makes; imported with the option's use alone."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from edgebn.errors import UsageError
from edgebn.pipeline import Pipeline

if TYPE_CHECKING:
    from edgebn.fleet import Agent

# The options that say something about the fleet alone.
ONLY_WITH_FLEET = ("group", "device", "device_key", "password_file", "ca", "certificate", "key", "no_prior", "discover")


def add_fleet_options(parser: argparse.ArgumentParser) -> None:
    """Add --fleet and what goes with it."""
    group = parser.add_argument_group("fleet")
    group.add_argument(
        "--fleet", metavar="URL", help="share what is learned through an MQTT 5 broker: mqtt://[USER@]HOST[:PORT]; with --adapt"
    )
    group.add_argument("--group", metavar="G", help='devices that see the same world; default "default"')
    group.add_argument("--device", metavar="NAME", help="this device's name; default the machine's")
    group.add_argument("--device-key", type=Path, metavar="FILE", help="sign states, and refuse priors that are not signed")
    group.add_argument("--no-prior", action="store_true", help="do not start from what the group has learned")
    group.add_argument("--discover", action="store_true", help="follow the part of the group that a merger finds this device in")
    group.add_argument(
        "--password-file", type=Path, metavar="FILE", help="its first line is the password; default $EDGEBN_MQTT_PASSWORD"
    )
    group.add_argument("--ca", type=Path, metavar="FILE", help="PEM of who signed the broker's certificate; default the system's")
    group.add_argument("--certificate", type=Path, metavar="FILE", help="this side's own certificate, PEM")
    group.add_argument("--key", type=Path, metavar="FILE", help="and its key")


def check_fleet_options(arguments: argparse.Namespace) -> None:
    """Refuse options that would do nothing.

    Raises
    ------
    UsageError
        Something is said of a fleet that there is not, or nothing is learned that could be shared.
    """
    if arguments.fleet is None:
        idle = next((name for name in ONLY_WITH_FLEET if getattr(arguments, name)), None)
        if idle is not None:
            raise UsageError(f"--{idle.replace('_', '-')} does nothing here: give --fleet too, or leave it out")
    elif not arguments.adapt:
        raise UsageError("--fleet shares what is learned: give --adapt too")


def member_of_fleet(arguments: argparse.Namespace, pipeline: Pipeline) -> Agent:
    """Make the pipeline's adapter one of the fleet that the command line names, and have the agent run the network.

    Raises
    ------
    FleetError
        A name, a key or an address that is none, or no MQTT client installed.
    """
    from edgebn.cli.fleet.options import GROUP, broker
    from edgebn.fleet import Agent

    agent = Agent(
        pipeline.adapter,
        broker(arguments, arguments.fleet),
        arguments.group or GROUP,
        arguments.device or socket.gethostname(),
        keys=arguments.device_key,
        take_prior=not arguments.no_prior,
        discover=arguments.discover,
    )
    pipeline.run_by(agent.run)
    return agent

"""`edgebn fleet key`: makes a fleet's key, and from it a device's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgebn.cli.fleet.options import name
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file
from edgebn.fleet.keys import device_keys, read_master, write_device, write_master

HELP = "make the key of a fleet, or of one device"
DESCRIPTION = (
    "Without --device, write a new key for a fleet: it stays where states are merged and on gateways. With --device, write the "
    "keys of one device, made from the fleet's: it signs its states with its own, which is of no use for another's."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    parser.add_argument("fleet_key", type=Path, metavar="FLEET.key", help="the fleet's key: written, or with --device read")
    parser.add_argument("--device", type=name, metavar="NAME", help="make the keys of this device")
    parser.add_argument("--save", "-o", type=new_file, metavar="FILE", help="where to write them; default NAME.key")


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Write one file."""
    if arguments.device is None:
        path = arguments.fleet_key
        write_master(path)
    else:
        path = arguments.save or Path(f"{arguments.device}.key")
        write_device(path, device_keys(read_master(arguments.fleet_key), arguments.device))
    screen.say(f"wrote {path}, readable by you alone")
    return {"key": str(path), "device": arguments.device}

"""`edgebn device ports`: the serial ports of this computer, those of boards among them."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn.cli.screen import Screen
from edgebn.errors import LinkError

HELP = "list the serial ports of this computer"
DESCRIPTION = "List the serial ports of this computer, with what the system knows of each; nothing is opened."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare nothing: there are no arguments."""


def run(_: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """List them.

    Raises
    ------
    LinkError
        pyserial is not installed.
    """
    try:
        from serial.tools.list_ports import comports
    except ImportError as error:
        raise LinkError("the serial link needs pyserial and cobs: pip install edgebn[link]") from error
    found = [
        {
            "port": port.device,
            "description": port.description or "",
            "usb": None if port.vid is None else f"{port.vid:04x}:{port.pid:04x}",
            "serial_number": port.serial_number,
        }
        for port in sorted(comports())
    ]
    if found:
        rows = [(row["port"], row["description"], row["usb"] or "", row["serial_number"] or "") for row in found]
        screen.table("serial ports", ("port", "what it is", "USB", "serial number"), rows)
    else:
        screen.say("this computer has no serial ports; is the board connected, and may you read it (group dialout)?")
    return {"ports": found}

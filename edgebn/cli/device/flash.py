"""`edgebn device flash`: the image of a project onto a real board, by the tool that its maker's boards are flashed with."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import Any

import boards
from boards import Board, uf2
from edgebn.cli.screen import Screen
from edgebn.errors import BoardError, UsageError

HELP = "write a program's image into the flash of a real board"
DESCRIPTION = (
    "Write build/NAME.bin of a project into the flash of a real board, by picotool (Raspberry Pi), esptool (Espressif) or pyocd "
    "(others, through a debug probe), where that is installed. For the Picos NAME.uf2 is written beside the image first."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="build/NAME.bin, which `make` in a project makes")
    parser.add_argument("--board", required=True, metavar="NAME", help="the board that the project was written for")
    parser.add_argument("--port", metavar="PORT", help="serial port, for esptool; left out, it looks for one")


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Flash it.

    Raises
    ------
    BoardError
        An image that the board's flash cannot hold, a tool that is not installed, or one that failed.
    UsageError
        A board that is not real, or a port where none is used.
    """
    board = boards.load(arguments.board)
    if board.system is not None:
        raise UsageError(f"{board.name} is flashed by {board.system.tool}, in an example of the library that was written for it")
    if board.flasher is None:
        raise UsageError(f"{board.name} is not flashed: it is {board.kind}")
    if arguments.port is not None and board.flasher.tool != "esptool":
        raise UsageError(f"--port does nothing here: {board.flasher.tool} finds {board.name} by itself")
    try:
        image = arguments.image.read_bytes()
    except OSError as error:
        raise BoardError(f"{arguments.image}: {error.strerror}") from error
    if not 0 < len(image) <= board.flash.size or image.startswith(b"\x7fELF"):
        raise BoardError(f"{arguments.image} is no image for {board.name}: build/NAME.bin, at most {board.flash.size:,} bytes")
    written = _as_uf2(board, arguments.image, image) if board.flasher.family is not None else arguments.image
    command = _command(board, written, arguments.port)
    program = shutil.which(command[0])
    if program is None:
        by_hand = f"; or copy {written} to the board's drive" if board.flasher.family is not None else ""
        raise BoardError(f"{command[0]}, which flashes {board.name}, is not installed here{by_hand}")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, errors="replace", check=False)  # noqa: S603  # a flashing tool, with our own arguments
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise BoardError(f"{command[0]} failed with code {done.returncode}: {said}")
    screen.say(f"{written} is in the flash of {board.name}, by {command[0]}")
    return {"board": board.name, "image": str(written), "bytes": len(image), "address": board.flash_address, "command": command}


def _as_uf2(board: Board, path: Path, image: bytes) -> Path:
    assert board.flasher is not None
    assert board.flasher.family is not None
    written = path.with_suffix(".uf2")
    try:
        written.write_bytes(uf2.blocks(image, board.flash_address, board.flasher.family))
    except OSError as error:
        raise BoardError(f"{written}: {error.strerror}") from error
    return written


def _command(board: Board, image: Path, port: str | None) -> list[str]:
    flasher = board.flasher
    assert flasher is not None
    address = hex(board.flash_address)
    if flasher.tool == "picotool":
        return ["picotool", "load", "-x", str(image)]
    if flasher.tool == "esptool":
        return ["esptool", "--chip", flasher.target, *(["--port", port] if port else []), "write_flash", address, str(image)]
    return ["pyocd", "load", "--target", flasher.target, "--base-address", address, "--format", "bin", str(image)]

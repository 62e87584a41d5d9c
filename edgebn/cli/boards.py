"""`edgebn boards`: the boards that edgebn builds for, and what of them can be used on this machine."""

from __future__ import annotations

import argparse
from typing import Any

import boards as rooms
from boards import Board, emulator, toolchain
from edgebn.cli.screen import Screen

HELP = "list the boards that firmware can be built for"
DESCRIPTION = (
    "List boards: core, flash and RAM that a program may use, whether they are real or emulated, whether their compiler and "
    "emulator are installed here, and what is known to work."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: it has none."""


def run(_arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """List them."""
    known = [rooms.load(name) for name in rooms.names()]
    rows = [
        (board.name, board.core, board.flash.size, board.ram.size, board.kind, toolchain.has_compiler(board), _runs(board))
        for board in known
        if board.kind != "host"
    ]
    screen.table("boards", ("board", "core", "flash", "RAM", "kind", "builds here", "runs here"), rows)
    for board in known:
        screen.say(f"{board.name}: {board.title}; {board.note}")
    return {"boards": [_facts(board) for board in known]}


def _runs(board: Board) -> bool:
    return board.kind != "real" and emulator.is_available(board)


def _facts(board: Board) -> dict[str, Any]:
    return {
        "name": board.name,
        "title": board.title,
        "core": board.core,
        "kind": board.kind,
        "note": board.note,
        "flash": board.flash.size,
        "ram": board.ram.size,
        "compiler": board.compiler,
        "builds_here": toolchain.has_compiler(board),
        "runs_here": _runs(board),
        "counts_instructions": board.timer.ticks_per_instruction > 0,
    }

"""`edgebn boards`: the boards that edgebn builds for, and what of them can be used on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import boards as rooms
from boards import Board, emulator, toolchain
from edgebn.cli import on_board
from edgebn.cli.models import add_reading_options, load_model
from edgebn.cli.screen import Screen

HELP = "list the boards that firmware can be built for"
DESCRIPTION = (
    "List boards: core, flash and RAM that a program may use, whether they are real or emulated, whether their compiler and "
    "emulator are installed here, and what is known to work."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--model", type=Path, metavar="MODEL", help="say which boards a model fits, and what it takes of each")
    add_reading_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """List them."""
    known = [rooms.load(name) for name in rooms.names()]
    if arguments.model is not None:
        return _with_model(arguments, [board for board in known if board.kind != "host"], screen)
    rows = [
        (board.name, board.core, board.flash.size, board.ram.size, board.kind, toolchain.has_compiler(board), _runs(board))
        for board in known
        if board.kind != "host"
    ]
    screen.table("boards", ("board", "core", "flash", "RAM", "kind", "builds here", "runs here"), rows)
    for board in known:
        screen.say(f"{board.name}: {board.title}; {board.note}")
    return {"boards": [_facts(board) for board in known]}


def _with_model(arguments: argparse.Namespace, known: list[Board], screen: Screen) -> dict[str, Any]:
    """Say what one model takes of every board."""
    found = on_board.for_all(load_model(arguments.model, arguments), known, screen)
    rows = [
        (
            board.name,
            board.core,
            "yes" if told["fits"] else "no",
            told["flash_left"] - told.get("code_bytes", 0),
            told["ram_left"],
            _shown(told.get("stack_bytes")),
            _shown(told.get("instructions")),
            on_board.time_text(told),
        )
        for board, told in zip(known, found, strict=True)
    ]
    columns = ("board", "core", "fits", "flash left", "RAM left", "stack", "instructions", "time at the rated clock")
    screen.table(str(arguments.model), columns, rows)
    for method in sorted({told["method"] for told in found if "method" in told}):
        screen.say(method)
    return {"model": str(arguments.model), "boards": found}


def _shown(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


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

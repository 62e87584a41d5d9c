"""The boards that edgebn knows, one folder each: `load(name)` and `names()`.

Reads board.toml files; knows nothing of models.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from boards.board import Board, Clock, Emulator, Flasher, Memory, System, Timer, Uart
from edgebn.errors import BoardError

__all__ = ["Board", "Clock", "Emulator", "Flasher", "Memory", "System", "Timer", "Uart", "load", "names"]

# Of boards whose build system has them.
_NO_PARTS = dict.fromkeys(("startup", "linker_script", "clocks", "exit", "storage"), "")
_NO_UART = {"driver": "", "address": 0, "clock_hz": 0, "baud": 115200}
_NO_TIMER = {"driver": "", "address": 0, "hz": 1_000_000}

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Return the names of all boards, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/board.toml")))


def load(name: str) -> Board:
    """Return the board called `name`.

    Raises
    ------
    BoardError
        There is no such board (the message lists those there are), or its board.toml is wrong.
    """
    known = names()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise BoardError(f"there is no board {name!r}{hint}; known boards: {', '.join(known)}")
    path = FOLDER / name / "board.toml"
    try:
        return _board(name, tomllib.loads(path.read_text(encoding="utf-8")), path.parent)
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BoardError(f"{name}/board.toml cannot be used: {error}") from error


def _board(name: str, facts: dict[str, Any], folder: Path) -> Board:
    compiler, memory = facts["compiler"], facts["memory"]
    emulator, system = facts.get("emulator"), facts.get("system")
    parts = _NO_PARTS if system else facts["parts"]
    return Board(
        name=name,
        title=facts["title"],
        core=facts["core"],
        kind=facts["kind"],
        note=facts["note"],
        compiler=compiler["program"],
        flags=tuple(compiler["flags"]),
        link_flags=tuple(compiler["link_flags"]),
        flash=Memory(**memory["flash"]),
        ram=Memory(**memory["ram"]),
        pools={pool: Memory(**place) for pool, place in memory.get("pools", {}).items()},
        stack=memory["stack"],
        startup=parts["startup"],
        linker_script=parts["linker_script"],
        clocks=parts["clocks"],
        exit=parts["exit"],
        storage=parts["storage"],
        semihosting=parts.get("semihosting", ""),
        uart=Uart(**(_NO_UART if system else facts["uart"])),
        timer=Timer(**(_NO_TIMER if system else facts["timer"])),
        emulator=Emulator(emulator["program"], tuple(emulator["arguments"])) if emulator else None,
        clock=Clock(**facts["clock"]) if "clock" in facts else None,
        flasher=Flasher(**facts["flasher"]) if "flasher" in facts else None,
        folder=folder,
        system=_system(system) if system else None,
    )


def _system(facts: dict[str, Any]) -> System:
    pools = {pool: tuple(lines) for pool, lines in facts.get("pools", {}).items()}
    return System(facts["name"], facts["tool"], tuple(facts["settings"]), pools)

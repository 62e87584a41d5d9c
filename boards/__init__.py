"""The boards that edgebn knows, one folder each: `load(name)` and `names()`.

Reads board.toml files; knows nothing of models.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from boards.board import Board, Clock, Emulator, Flasher, Memory, Timer, Uart
from edgebn.errors import BoardError

__all__ = ["Board", "Clock", "Emulator", "Flasher", "Memory", "Timer", "Uart", "load", "names"]

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
    compiler, memory, parts = facts["compiler"], facts["memory"], facts["parts"]
    emulator = facts.get("emulator")
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
        uart=Uart(**facts["uart"]),
        timer=Timer(**facts["timer"]),
        emulator=Emulator(emulator["program"], tuple(emulator["arguments"])) if emulator else None,
        clock=Clock(**facts["clock"]) if "clock" in facts else None,
        flasher=Flasher(**facts["flasher"]) if "flasher" in facts else None,
        folder=folder,
    )

"""`board.h` of an example, and the C file that implements it by a system's own functions. Text only."""

from __future__ import annotations

from codegen.templating import fill


def files(system: str, source: str, board: str, hz: str, includes: str = "", baud: int = 0) -> dict[str, str]:
    """Return both, by name; `source` is a template, `board` and `hz` are C expressions for a name and for ticks a second."""
    header = fill("packages/board.h.in", system=system, board=board, hz=hz, includes=includes)
    return {"board.h": header, source: fill(f"packages/{source}.in", baud=baud)}


def below(folder: str, made: dict[str, str]) -> dict[str, str]:
    """Return files as they are called from above `folder`."""
    return {f"{folder}/{name}": text for name, text in made.items()}

"""`board.h` of examples that run on this computer, as boards/host has it."""

from __future__ import annotations

import boards

_USED = ("board.h", "board_config.h", "uart_host.c", "ticks_host.c", "storage_host.c", "exit_host.c")


def files() -> dict[str, str]:
    """Return its files, by their path in a layout."""
    found = boards.load("host").project_files()
    return {f"examples/board/{name}": found[name] for name in _USED}

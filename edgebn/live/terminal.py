"""The terminal's view: a table that is drawn again and again where there is rich and a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from edgebn.live.view import lines_of

LINE_EVERY = 1.0  # seconds, without a terminal


@contextlib.contextmanager
def terminal(say: Callable[[str], None]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Hand out a function that shows a state."""
    if not (sys.stdout.isatty() and find_spec("rich")):
        last = [time.monotonic()]

        def show(state: dict[str, Any]) -> None:
            if time.monotonic() - last[0] >= LINE_EVERY:
                last[0] = time.monotonic()
                say(f"{state['number']}: {state['line']} ({state['rate']:.1f} a second)")

        yield show
        return
    from rich.live import Live
    from rich.markup import escape
    from rich.table import Table

    def drawn(state: dict[str, Any]) -> Table:
        table = Table(title=escape(state["model"]), show_header=False, box=None, title_justify="left", title_style="bold")
        for name, value in lines_of(state):
            table.add_row(escape(name), escape(value))
        return table

    with Live(auto_refresh=False) as live:
        yield lambda state: live.update(drawn(state), refresh=True)

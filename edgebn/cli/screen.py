"""What people see: lines, tables and progress, with rich on a terminal that has it and in plain text elsewhere.

With --json nothing here writes to standard output. It knows nothing of models.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from edgebn.errors import BatchWarning, InputRangeWarning

Progress = Callable[[int, int | None], None]


class Screen:
    """Where a verb shows things.

    Parameters
    ----------
    as_json : bool
        Show no lines and no tables: standard output belongs to one JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.warnings: list[str] = []
        has_rich = find_spec("rich") is not None
        self._rich_tables = has_rich and sys.stdout.isatty() and not as_json
        self._rich_progress = has_rich and sys.stderr.isatty()

    def say(self, text: str = "") -> None:
        """Show one line (or several)."""
        if not self.as_json:
            print(text, flush=True)

    def note(self, text: str) -> None:
        """Show a message on standard error, with --json too."""
        print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Show a warning on standard error, and remember it for --json; once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self.note(f"edgebn: warning: {text}")

    @contextlib.contextmanager
    def showing_warnings(self) -> Iterator[None]:
        """Show, inside, each warning about inputs and networks as one line on standard error, and remember it for --json."""
        with warnings.catch_warnings():
            for category in (InputRangeWarning, BatchWarning):
                warnings.simplefilter("always", category)
            shown = warnings.showwarning

            def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
                if not issubclass(category, InputRangeWarning | BatchWarning):
                    shown(message, category, *where)
                else:
                    self.warn(str(message))

            warnings.showwarning = show  # type: ignore[assignment]  # its last two arguments may be left out
            yield

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table; columns whose cells are all numbers are aligned to the right."""
        if self.as_json:
            return
        cells = [[_text(value) for value in row] for row in rows]
        numeric = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(columns))]
        if self._rich_tables:
            _rich_table(title, columns, cells, numeric)
        else:
            print(_plain_table(title, columns, cells, numeric), flush=True)

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """Show how far a long job is, on standard error; tell the function handed out how many samples are done, of how many."""
        if not self._rich_progress:
            yield lambda _done, _total: None
            return
        from rich.console import Console
        from rich.progress import Progress as Bars

        with Bars(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(label, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value)


def _plain_table(title: str, columns: Sequence[str], cells: list[list[str]], numeric: list[bool]) -> str:
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        aligned = (
            text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, numeric, strict=True)
        )
        return "  ".join(aligned).rstrip()

    return "\n".join([title, line(columns), line(["-" * width for width in widths]), *(line(row) for row in cells), ""])


def _rich_table(title: str, columns: Sequence[str], cells: list[list[str]], numeric: list[bool]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, (column, right) in enumerate(zip(columns, numeric, strict=True)):
        widest = max((len(row[index]) for row in cells), default=0)  # numbers are never broken, words may be
        table.add_column(column, justify="right" if right else "left", min_width=widest if right else None, overflow="fold")
    for row in cells:
        table.add_row(*(escape(text) for text in row))
    Console().print(table)

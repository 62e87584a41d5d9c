"""Tables of the page: sorted by their heads, with a caption, and in a region that the keyboard scrolls. Every text is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

LONG = 30  # letters of a text from which on a cell breaks it


@dataclass(frozen=True)
class Bar:
    """A number whose cell shows its share of the column's largest."""

    value: float | None
    most: float


@dataclass(frozen=True)
class Link:
    """A text that leads to a place in the page."""

    text: str
    place: str


@dataclass(frozen=True)
class Image:
    """A picture, and what it shows for those who do not see it."""

    source: str
    text: str


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str, caption: str) -> str:
    """Return a table that can be sorted; the first column names the rows. Cells: texts, numbers, None, or the classes above."""
    head = "".join(_head(column, [row[at] for row in rows]) for at, column in enumerate(columns))
    lines = "".join(f"<tr>{''.join(_cell(value, first=not at) for at, value in enumerate(row))}</tr>" for row in rows)
    body = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}"><table id="{name}">{body}</table></div>'


def facts(mapping: Mapping[str, Any], caption: str) -> str:
    """Return names and what they are."""
    words = {name: name.replace("_", " ").replace("macs", "MACs") for name in mapping}
    rows = "".join(
        f'<tr><th scope="row">{escape(words[name])}</th><td>{escape(_fact(value))}</td></tr>' for name, value in mapping.items()
    )
    return f'<table class="facts"><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>'


def shown(value: float) -> str:
    """Return a number as a cell shows it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if abs(value) >= 0.1 or not value else f"{value:.3g}"


def _head(column: str, cells: Sequence[Any]) -> str:
    numbers = all(cell is None or isinstance(cell, int | float | Bar) for cell in cells)
    kind = ' class="number"' if numbers else ""
    return f'<th scope="col"{kind}><button type="button">{escape(column)}</button></th>'


def _fact(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return shown(value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    return {None: "no", False: "no", True: "yes"}.get(value, str(value))


def _cell(value: Any, *, first: bool) -> str:
    tag, end = ('th scope="row"', "th") if first else ("td", "td")
    share = ""
    if isinstance(value, Bar):
        share = f' style="--share:{100 * value.value / value.most:.1f}%"' if value.value and value.most > 0 else ""
        value = value.value
    if value is None:
        return f'<{tag} class="number" data-value=""></{end}>'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'<{tag} class="number"{share} data-value="{value}">{shown(value)}</{end}>'
    if isinstance(value, Link):
        return f'<{tag}><a href="#{escape(value.place)}">{escape(value.text)}</a></{end}>'
    if isinstance(value, Image):
        return f'<{tag}><img src="{escape(value.source)}" alt="{escape(value.text)}"></{end}>'
    kind = ' class="long"' if len(str(value)) > LONG else ""
    return f"<{tag}{kind}>{escape(str(value))}</{end}>"

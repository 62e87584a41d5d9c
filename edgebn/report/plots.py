"""Plots by matplotlib, as SVG that stands in the page, with text and axes in its colour. No numbers are made here."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from edgebn.errors import ModelError
from edgebn.report import panels

MISSING = "plots are left out: they need matplotlib; install it with: pip install 'edgebn[plots]'"
# What is drawn in this colour gets the colour of the page's text, light or dark.
TEXT = "#010203"
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edgebn",
    "font.size": 9.0,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), TEXT),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
SAID = 5  # buffers that the text beside the arena names
WIDE, SMALL = (9.4, 3.2), (3.6, 1.5)  # inches


class Plots:
    """The plots of one page, whose ids differ.

    Raises
    ------
    ModelError
        matplotlib is missing.
    """

    def __init__(self) -> None:
        try:
            import matplotlib as mpl
        except ImportError:
            raise ModelError(MISSING) from None
        self._context = lambda: mpl.rc_context(SETTINGS)
        self._numbers: Iterator[int] = itertools.count(1)

    def arena(self, facts: Mapping[str, Any]) -> str:
        """Draw who lives where in the arena, from which step to which; each rectangle says its name."""
        said = {f"buffer{number}": _words(one) for number, one in enumerate(facts["buffers"])}
        largest = sorted(facts["buffers"], key=lambda one: -one["bytes"])[:SAID]
        text = (
            f"The arena: {facts['bytes']:,} bytes over {len(facts['needed'])} steps, {len(said)} buffers; the largest: "
            + "; ".join(map(_words, largest))
        )
        return self._drawn(WIDE, 1, lambda axes: panels.arena(axes[0], facts), text, said)

    def histogram(self, row: Mapping[str, Any]) -> str:
        """Draw the values and the codes of one layer."""
        both = " and codes" if row["codes"] else ""
        text = f"Histogram of {row['layer']}: values{both} from {row['low']:.4g} to {row['high']:.4g}"
        return self._drawn(SMALL, 1, lambda axes: panels.histogram(axes[0], row), text)

    def accuracy(self, traces: Sequence[Mapping[str, Any]]) -> str:
        """Draw accuracy over a stream, of several policies."""
        errors = ", ".join(f"{one['policy']} {one['error']:.1f} % errors" for one in traces)
        return self._drawn(WIDE, 1, lambda axes: panels.accuracy(axes[0], traces), f"Accuracy over the stream: {errors}")

    def adapting(self, trace: Mapping[str, Any]) -> str:
        """Draw drift and gate of each layer over a stream, and what the guards let through."""
        drift = ", ".join(f"{name} {values[-1]:.2f}" for name, values in trace["drift"].items())
        text = f"Drift and gate of each layer, and samples accepted, {trace['policy']}; drift at the end: {drift}"

        def draw(axes: Sequence[Any]) -> None:
            panels.drift(axes[0], trace)
            panels.gate(axes[1], trace)
            panels.guards(axes[2], trace)

        return self._drawn((WIDE[0], 2.8), 3, draw, text)

    def _drawn(self, size: tuple[float, float], columns: int, draw: Any, text: str, said: Mapping[str, str] | None = None) -> str:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        with self._context():
            figure = Figure(figsize=size, layout="constrained")
            draw(figure.subplots(1, columns, squeeze=False)[0])
            written = io.StringIO()
            FigureCanvasSVG(figure).print_svg(written, metadata=NO_METADATA)
        return inlined(written.getvalue(), f"p{next(self._numbers)}-", text, said or {})


def inlined(svg: str, prefix: str, text: str, said: Mapping[str, str]) -> str:
    """Return an SVG file as an element of a page.

    Parameters
    ----------
    svg : str
        As matplotlib writes it.
    prefix : str
        What ids begin with, so that those of several plots differ.
    text : str
        What it shows, for those who do not see it.
    said : mapping of str to str
        By id, what an element says when it is pointed at.
    """
    body = svg[svg.index("<svg") :]
    opening, body = body.split(">", 1)
    box = re.search(r'viewBox="([^"]+)"', opening)
    assert box is not None
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href").replace(TEXT, "currentColor")
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", body)
    body = re.sub(r'(\bid="|href="#|url\(#)', lambda found: found[0] + prefix, body)
    for name, words in said.items():
        at = f'<g id="{prefix}{name}">'
        body = body.replace(at, f"{at}<title>{escape(words)}</title>", 1)
    body = re.sub(r"\s*\n\s*", " ", body)
    return f'<svg viewBox="{box[1]}" role="img" aria-label="{escape(text)}">{body.strip()}'


def _words(one: Mapping[str, Any]) -> str:
    return f"{one['name']}: {one['bytes']:,} bytes from {one['offset']:,}, steps {one['first']} to {one['last']}"

"""From the gathered numbers to one HTML page: style, script and pictures in it, every text escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from edgebn.report import sections
from edgebn.report.plots import Plots

FOLDER = Path(__file__).parent
TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: edgebn report</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{about}</p>
<nav aria-label="Sections"><ul>{contents}</ul></nav>
</header>
<main>
{body}
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(report: dict[str, Any], plots: Plots | None, pictures: Mapping[int, str] | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    report : dict
        What was gathered: the same numbers stand in the page.
    plots : Plots or None
        None: there is no library that plots, and the page says so.
    pictures : mapping of int to str, optional
        Samples as data URIs.
    """
    model = report["model"]
    found = sections.sections(report, plots, pictures or {})
    body = "".join(
        f'<details open id="s{number}"><summary><h2>{escape(title)}</h2></summary>{content}</details>'
        for number, (title, content) in enumerate(found)
    )
    contents = "".join(f'<li><a href="#s{number}">{escape(title)}</a></li>' for number, (title, _) in enumerate(found))
    data = json.dumps(report, allow_nan=False).replace("<", "\\u003c")
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    return TEMPLATE.format(
        title=escape(model["name"]),
        about=escape(f"{model['source']}, {model['format']}, {model['dtype']}"),
        contents=contents,
        body=body,
        data=data,
        style=style,
        script=script,
    )

"""From the gathered numbers to one HTML page: style, script and pictures in it, every text escaped."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from edgebn.report import drawing

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
<main>
<h1>{title}</h1>
<p>{about}</p>
{body}
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(report: dict[str, Any]) -> str:
    """Return the page."""
    model = report["model"]
    sections = [
        ("Totals", _facts(report["totals"])),
        ("Layers of the file", _layers(report["layers"])),
        ("Steps that run", _steps(report["steps"])),
        ("The arena over time", _arena(report["arena"])),
        *([("On the board", _board(report["board"]))] if "board" in report else []),
        *([("What int8 costs each layer", _errors(report["quantisation"]))] if "quantisation" in report else []),
        *([("Right and wrong", _confusion(report["confusion"]))] if "confusion" in report else []),
        *([("Answers that int8 changes", _changed(report["changed"]))] if "changed" in report else []),
        ("How it was made", _facts({**model, **report["made"], **report.get("files", {})})),
    ]
    body = "".join(
        f'<details open><summary><h2 id="s{number}">{escape(title)}</h2></summary>{content}</details>'
        for number, (title, content) in enumerate(sections)
    )
    data = json.dumps(report, allow_nan=False).replace("<", "\\u003c")
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    return TEMPLATE.format(
        title=escape(model["name"]),
        about=escape(f"{model['source']}, {model['format']}, {model['dtype']}"),
        body=body,
        data=data,
        style=style,
        script=script,
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> str:
    """Return a table that can be sorted; cells are texts, numbers, or (number, HTML that shows it)."""
    head = "".join(f'<th scope="col"><button type="button">{escape(column)}</button></th>' for column in columns)
    lines = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f'<div class="wide"><table id="{name}"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        number, shown = value
        return f'<td data-value="{number}">{shown}</td>'
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
        return f'<td class="number" data-value="{value}">{shown}</td>'
    return f"<td>{escape(str(value))}</td>"


def _facts(facts: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:,}"
        return json.dumps(value) if isinstance(value, dict | list) else "no" if value in (None, False) else str(value)

    rows = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text(value))}</td></tr>' for name, value in facts.items())
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _layers(layers: list[dict[str, Any]]) -> str:
    most = max((layer["macs"] for layer in layers), default=0)
    columns = (
        "layer",
        "kind",
        "output",
        "parameters",
        "MACs",
        "",
        "weight bytes",
        "epilogue bytes",
        "activation bytes",
        "step",
        "became",
    )
    rows = [
        (
            *(layer["name"], layer["kind"], " x ".join(map(str, layer["output_shape"])), layer["parameters"], layer["macs"]),
            (layer["macs"], drawing.bar(layer["macs"], most)),
            *(layer["weight_bytes"], layer["epilogue_bytes"], layer["activation_bytes"], layer["step"], layer["became"]),
        )
        for layer in layers
    ]
    return table(columns, rows, "layers")


def _steps(steps: list[dict[str, Any]]) -> str:
    number = {step["output"]: index for index, step in enumerate(steps)}
    rows = [
        (
            *(index, step["name"], step["kind"]),
            ", ".join(str(number[name]) if name in number else name for name in step["inputs"]),
            *(" x ".join(map(str, step["shape"])), step["dtype"], ", ".join(step["layers"])),
        )
        for index, step in enumerate(steps)
    ]
    return table(("step", "name", "kind", "reads", "gives", "type", "folded in"), rows, "steps")


def _arena(given: dict[str, Any]) -> str:
    words = f"{given['bytes']:,} bytes; proved lower bound {given['lower_bound']:,}, decided by the step {given['decided_by']!r}."
    return f"<p>{escape(words)}</p>{drawing.arena(given)}"


def _errors(rows: list[dict[str, Any]]) -> str:
    finite = [row["sqnr"] for row in rows if row["sqnr"] is not None and math.isfinite(row["sqnr"])]
    most = max(finite, default=0.0)
    lines = [
        (
            *(row["layer"], row["kind"], "exact" if row["sqnr"] is None else row["sqnr"]),
            (0 if row["sqnr"] is None else row["sqnr"], drawing.bar(row["sqnr"] or 0.0, most)),
            *(row["saturation"], row["scale"], row["zero_point"]),
        )
        for row in rows
    ]
    return table(("layer", "kind", "signal to noise, dB", "", "saturated %", "scale", "zero point"), lines, "quantisation")


def _confusion(given: dict[str, Any]) -> str:
    right = f"{given['correct']} of {given['samples']} are right: {100 * given['accuracy']:.2f} %"
    words = f"{right}. Rows are true classes, columns what was said."
    names = given["names"]
    rows = [(name, *counts) for name, counts in zip(names, given["matrix"], strict=True)]
    return f"<p>{escape(words)}</p>{table(('', *names), rows, 'confusion')}"


def _board(given: dict[str, Any]) -> str:
    words = "".join(f"<p>{escape(line)}.</p>" for line in given["said"])
    layers = given.get("layers")
    if not layers:
        return words
    most = max(row["instructions"] or 0 for row in layers)
    rows = [
        (row["step"], row["name"], row["instructions"], (row["instructions"] or 0, drawing.bar(row["instructions"] or 0, most)))
        for row in layers
    ]
    return words + table(("step", "layer", "instructions", ""), rows, "board")


def _changed(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "<p>None.</p>"
    lines = [tuple(row[name] for name in ("sample", "true", "before", "after")) for row in rows]
    return table(("sample", "true", "float32", "int8"), lines, "changed")

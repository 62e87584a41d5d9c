"""The sections of the page, one function each: what it says of the numbers, its tables and its plots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from edgebn.report.graph import WORDS, graph
from edgebn.report.plots import MISSING, Plots
from edgebn.report.tables import Bar, Image, Link, facts, table

MAX_HISTOGRAMS = 120  # of the layers that int8 costs most
FEW_CLASSES = 40  # up to which a confusion matrix is shown whole


def sections(report: dict[str, Any], plots: Plots | None, pictures: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return titles and contents, in order; of what was not gathered there is nothing."""
    found = [
        ("Totals", _totals(report)),
        ("What each layer costs", _layers(report)),
        ("Steps that run", _steps(report)),
        ("The arena over time", _arena(report["arena"], plots)),
    ]
    if "board" in report:
        found.append(("On the board", _board(report["board"])))
    if "bench" in report:
        found.append(("Time of an inference here", facts(report["bench"], "what `edgebn bench` measured")))
    if "quantisation" in report or "histograms" in report:
        found.append(("Values and codes of each layer", _quantisation(report, plots)))
    if "confusion" in report:
        found.append(("Right and wrong", _confusion(report["confusion"])))
    if "changed" in report:
        found.append(("Answers that int8 changes", _changed(report["changed"], pictures)))
    if "ranking" in report:
        found.append(("Which layers to adapt", _ranking(report["ranking"])))
    found += [
        (f"Adapting: {one['domain']}, {one['order']}", _adaptation(one, plots, at))
        for at, one in enumerate(report.get("adaptation", ()))
    ]
    return [*found, ("How it was made", _made(report))]


def _said(*lines: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _figure(svg: str, caption: str, place: str = "") -> str:
    at = f' id="{place}"' if place else ""
    return f"<figure{at}>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _totals(report: dict[str, Any]) -> str:
    return facts(report["totals"], "of the whole network; bytes unless it says otherwise")


def _layers(report: dict[str, Any]) -> str:
    layers, time, board = report["layers"], report.get("time"), report.get("board", {})
    counted = bool(board.get("layers"))
    timed = bool(time and "steps" in time)
    words = []
    if time:
        words.append(time["method"] if timed else f"Not timed: {time['not_timed']}.")
    columns: list[tuple[str, str]] = [("MACs", "macs"), *([("time here, µs", "microseconds")] if timed else [])]
    if counted:
        columns.append(("instructions on the board", "instructions"))
    if board.get("milliseconds") is not None and counted:
        columns.append(("estimated ms there", "milliseconds"))
        words.append("Of the time on the board a layer has its share of the instructions.")
    columns += [(name.replace("_", " "), name) for name in ("parameters", "weight_bytes", "epilogue_bytes", "activation_bytes")]
    most = {key: max((layer.get(key) or 0 for layer in layers), default=0) for _, key in columns}
    barred = {"macs", "microseconds", "instructions"}
    rows = [
        (
            *(layer["name"], layer["kind"], _shape(layer["output_shape"])),
            *(Bar(layer.get(key), most[key]) if key in barred else layer.get(key) for _, key in columns),
            *(layer["step"], layer["became"]),
        )
        for layer in layers
    ]
    heads = ("layer", "kind", "output", *(head for head, _ in columns), "step", "became")
    return _said(*words) + table(heads, rows, "layers", "layers of the file, in its order; bars: shares of the largest")


def _shape(shape: Any) -> str:
    return " x ".join(map(str, shape))


def _steps(report: dict[str, Any]) -> str:
    steps = report["steps"]
    number = {step["output"]: index for index, step in enumerate(steps)}
    rows = [
        (
            *(index, step["name"], step["kind"]),
            ", ".join(str(number[name]) if name in number else name for name in step["inputs"]),
            *(_shape(step["shape"]), step["dtype"], ", ".join(step["layers"])),
        )
        for index, step in enumerate(steps)
    ]
    heads = ("step", "name", "kind", "reads", "gives", "type", "folded in")
    drawn = f'<div class="wide" role="region" tabindex="0" aria-label="the graph of steps, drawn">{graph(report)}</div>'
    return _figure(drawn, WORDS) + table(
        heads, rows, "steps", "the graph of steps: each reads what the steps of these numbers give"
    )


def _arena(facts: dict[str, Any], plots: Plots | None) -> str:
    words = f"{facts['bytes']:,} bytes; proved lower bound {facts['lower_bound']:,}, decided by the step {facts['decided_by']!r}."
    if plots is None:
        return _said(words, f"{MISSING}.")
    drawn = plots.arena(facts)
    return _said(words) + _figure(
        drawn,
        "Each rectangle is a buffer: from the step that writes it to the last that reads it. Hatched: the step that decides; "
        "dashed: the proved lower bound.",
    )


def _board(facts: dict[str, Any]) -> str:
    words = _said(*(f"{line}." for line in facts["said"]))
    layers = facts.get("layers")
    if not layers:
        return words
    most = max(row["instructions"] or 0 for row in layers)
    timed = any("milliseconds" in row for row in layers)
    rows = [
        (row["step"], row["name"], Bar(row["instructions"], most), *([row.get("milliseconds")] if timed else [])) for row in layers
    ]
    heads = ("step", "layer", "instructions", *(["estimated ms"] if timed else []))
    return words + table(heads, rows, "board", "instructions of each step of the firmware; steps that another does are not listed")


def _quantisation(report: dict[str, Any], plots: Plots | None) -> str:
    errors, drawn = report.get("quantisation"), report.get("histograms", [])
    by_layer = {row["layer"]: row for row in drawn}
    order = [row["layer"] for row in errors if row["layer"] in by_layer] if errors is not None else list(by_layer)
    order = order[:MAX_HISTOGRAMS] if plots is not None else []
    text = _said(f"{MISSING}.") if plots is None and drawn else ""
    if errors is not None:
        finite = [row["sqnr"] for row in errors if row["sqnr"] is not None and math.isfinite(row["sqnr"])]
        most = max(finite, default=0.0)
        lines = [
            (
                Link(row["layer"], f"h{order.index(row['layer'])}") if row["layer"] in order else row["layer"],
                *(row["kind"], "exact" if row["sqnr"] is None else Bar(row["sqnr"], most)),
                *(row["saturation"], row["scale"], row["zero_point"]),
            )
            for row in errors
        ]
        heads = ("layer", "kind", "signal to noise, dB", "saturated %", "scale", "zero point")
        text += table(heads, lines, "quantisation", "what int8 costs each layer, the worst first")
    if order and plots is not None:
        area = "Area: values of the float network. " if any(row["values"] for row in drawn) else ""
        line = (
            "Line: codes, as the numbers that they stand for; dotted: the ends of what codes stand for."
            if any(row["codes"] for row in drawn)
            else ""
        )
        text += _said(f"{area}{line} Counts upwards on a logarithmic scale.")
        if len(by_layer) > len(order):
            text += _said(f"Drawn: {len(order)} of {len(by_layer)} layers.")
        figures = (_figure(plots.histogram(by_layer[name]), _caption(by_layer[name]), f"h{at}") for at, name in enumerate(order))
        text += f'<div class="grid">{"".join(figures)}</div>'
    return text


def _caption(row: dict[str, Any]) -> str:
    off = row["below"] + row["above"]
    return row["layer"] + (f" ({off:,} values lie off the picture)" if off else "")


def _confusion(facts: dict[str, Any]) -> str:
    words = f"{facts['correct']} of {facts['samples']} are right: {100 * facts['accuracy']:.2f} %."
    names, matrix = facts["names"], facts["matrix"]
    if len(names) <= FEW_CLASSES:
        most = max(map(max, matrix))
        rows: list[tuple[Any, ...]] = [
            (name, *(Bar(count, most) for count in counts)) for name, counts in zip(names, matrix, strict=True)
        ]
        return _said(words) + table(("true class", *names), rows, "confusion", "rows: true classes; columns: what was said")
    pairs = [(count, names[true], names[said]) for true, counts in enumerate(matrix) for said, count in enumerate(counts) if count]
    rows = [(true, said, count) for count, true, said in sorted(pairs, reverse=True) if true != said]
    return _said(words) + table(("true class", "was said", "samples"), rows, "confusion", "classes that were taken for others")


def _changed(rows: list[dict[str, Any]], pictures: Mapping[int, str]) -> str:
    if not rows:
        return "<p>None.</p>"
    known, shown = "true" in rows[0], any(row["sample"] in pictures for row in rows)
    lines = [
        (
            row["sample"],
            *([_picture(row, pictures)] if shown else []),
            *([row["true"]] if known else []),
            *(row["before"], row["after"]),
        )
        for row in rows
    ]
    heads = ("sample", *(["picture"] if shown else []), *(["true class"] if known else []), "float32 says", "int8 says")
    some = f"; the first {len(pictures)} with their pictures" if shown and len(pictures) < len(rows) else ""
    return table(heads, lines, "changed", f"{len(rows)} samples whose class differs{some}")


def _picture(row: dict[str, Any], pictures: Mapping[int, str]) -> Image | str:
    source = pictures.get(row["sample"])
    return Image(source, f"sample {row['sample']}, {row.get('true', row['before'])}") if source else ""


def _adaptation(facts: dict[str, Any], plots: Plots | None, at: int) -> str:
    policies = facts["policies"]
    before = policies[0]["error"]
    rows = [
        (
            *(one["policy"], one["samples"], one["error"], one["error"] - before, one["learned_from"], len(one["trips"])),
            "; ".join(f"{count:,} times: {why}" for why, count in one["refused"].items()),
        )
        for one in policies
    ]
    heads = ("policy", "samples", "errors %", "change", "learned from", "watchdog trips", "refused")
    text = table(heads, rows, f"adaptation{at}", "policies on this stream; labels only count errors")
    trips = [(one["policy"], when, why) for one in policies for when, why in one["trips"]]
    if trips:
        text += table(("policy", "after", "why"), trips, f"trips{at}", "when the watchdog returned to the factory state")
    if plots is None:
        return text + _said(f"{MISSING}.")
    text += _figure(plots.accuracy(policies), "Accuracy over the stream.")
    for one in policies:
        if one["at"]:
            text += _figure(
                plots.adapting(one),
                f"{one['policy']}: how far each layer moved, how much of it its gate lets through, and what the guards accept.",
            )
    return text


def _ranking(facts: dict[str, Any]) -> str:
    errors = facts["errors"]
    words = (
        f"{errors['none']:.1f} % errors without adaptation, {errors['all']:.1f} % with all layers, {errors['chosen']:.1f} % with "
        f"those chosen for {facts['board']}; {facts['policy']}."
    )
    rows = [
        (
            *(one["step"], one["cost"]["ram"], one["cost"]["flash"], one["cost"]["instructions"], one["benefit"]),
            *(one["uncertainty"], one["benefit_per_kilobyte"], "yes" if one["chosen"] else "no"),
        )
        for one in facts["layers"]
    ]
    heads = ("layer", "RAM bytes", "flash bytes", "instructions", "benefit", "standard error", "benefit for 1 kB", "adapt")
    return _said(words) + table(heads, rows, "ranking", "what adapting each layer is worth, in points of error")


def _made(report: dict[str, Any]) -> str:
    made = dict(report["made"])
    files = made.pop("files", [])
    text = facts({**report["model"], **made}, "the model, the versions and the command")
    if files:
        rows = [(one["role"], one["file"], one["bytes"], one["sha256"]) for one in files]
        text += table(("what", "file", "bytes", "SHA-256"), rows, "files", "the files that were read")
    return text

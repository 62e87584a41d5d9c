"""A fleet as one HTML file that needs nothing beside it: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Any

from edgebn.fleet.watching import DRIFT, ENERGY, GATE, LARGEST, SPREAD, Watch, WatchedDevice

WIDTH, HEIGHT = 220, 40  # of a curve, in pixels
MAX_ROWS = 2000  # devices with a row of their own; the rest are counted
MAX_EVENTS = 200
COLOURS = ("#0b6e99", "#c2571a", "#3a7d34", "#8a3ffc", "#b3261e", "#5c6b73", "#a07800", "#00796b")
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:78rem;padding:0 1rem;color:#1c2226;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #dde3e6;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.there{color:#3a7d34}.gone{color:#b3261e}.out{background:#fff3e6}.cards{display:flex;gap:1rem;flex-wrap:wrap}
.card{border:1px solid #dde3e6;border-radius:6px;padding:.6rem 1rem;min-width:8rem}.card b{display:block;font-size:1.4rem}
.small{color:#5c6b73;font-size:.85rem}svg{display:block}
@media (prefers-color-scheme:dark){body{background:#14191c;color:#e4e9ec}th,td,.card{border-color:#37424a}.out{background:#3a2c17}}
"""


def page(watch: Watch) -> str:
    """Return the report."""
    devices, groups = watch.devices(), watch.groups()
    there, left = sum(one.online is True for one in devices), sum(bool(one.left_out) for one in devices)
    cards = (
        ("devices", len(devices)),
        ("there now", there),
        ("left their group", left),
        ("groups", len(groups)),
        ("samples", sum(one.seen for one in devices)),
        ("watchdog trips", sum(one.trips for one in devices)),
        ("messages refused", sum(watch.refused.values())),
    )
    explained = (
        "<p class=small>Drift: the largest root mean square of a layer, in source standard deviations. Curves: one for each "
        "layer, over time.</p>"
    )
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Fleet at {escape(str(watch.connection.broker))}</title><style>{STYLE}</style>",
        f"<h1>Fleet at {escape(str(watch.connection.broker))}</h1><p class=small>As of {_when(time.time())} (UTC).</p>",
        "<div class=cards>" + "".join(f"<div class=card><b>{count:,}</b>{name}</div>" for name, count in cards) + "</div>",
        "<h2>Groups</h2>",
        _table(("model", "group", "#made of", "#left out", "prior", "found parts"), [_group_row(*one) for one in groups]),
        f"<h2>Devices</h2>{explained}",
        _table(
            ("group", "device", "", "#samples", "#drift", "#largest", "#gate", "#trips", "drift over time", "left its group"),
            [_device_row(one) for one in devices[:MAX_ROWS]],
            [bool(one.left_out) for one in devices[:MAX_ROWS]],
        ),
        f"<p class=small>and {len(devices) - MAX_ROWS:,} more</p>" if len(devices) > MAX_ROWS else "",
        "<h2>Layers</h2>",
        _layers(watch, devices),
        "<h2>What happened</h2>",
        _table(
            ("when (UTC)", "group", "device", "what"),
            [
                tuple(map(escape, (_when(one.time), one.address.group, one.address.device, one.what)))
                for one in reversed(watch.events()[-MAX_EVENTS:])
            ],
        ),
        "</html>\n",
    ]
    return "\n".join(parts)


def _group_row(address: Any, report: dict[str, Any], prior: Any) -> tuple[str, ...]:
    state = "none"
    if prior is not None:
        state = f"of {_when(prior.time / 1000)}"
    elif report.get("harm"):
        state = f"none: {report['harm']}"
    parts = ", ".join(f"{name} ({len(of)})" for name, of in report.get("parts", {}).items())
    used, left = len(report.get("used", [])), len(report.get("left_out", {}))
    return escape(address.model[:12]), escape(address.group), f"{used:,}", f"{left:,}", escape(state), escape(parts)


def _device_row(one: WatchedDevice) -> tuple[str, ...]:
    state = {True: "<span class=there>there</span>", False: "<span class=gone>gone</span>", None: ""}[one.online]
    since = f"since {_when(one.left_at)}: " if one.left_at is not None else ""
    return (
        escape(one.address.group),
        escape(one.address.device),
        state,
        f"{one.seen:,}",
        f"{one.figure(DRIFT):.3f}",
        f"{one.figure(LARGEST):.2f}",
        f"{one.figure(GATE):.2f}",
        f"{one.trips:,}",
        curve(one),
        escape(since + one.left_out) if one.left_out else "",
    )


def curve(one: WatchedDevice) -> str:
    """Return the drift of a device's layers over time as SVG."""
    if len(one.points) < 2:
        return ""
    times = [when for when, _ in one.points]
    layers = min(len(table) for _, table in one.points)
    rows = [[float(table[layer, DRIFT]) for _, table in one.points] for layer in range(layers)]
    top = max((value for row in rows for value in row), default=0.0) or 1.0
    span = (times[-1] - times[0]) or 1.0
    lines = []
    for layer, row in enumerate(rows):
        places = " ".join(
            f"{(when - times[0]) / span * (WIDTH - 2) + 1:.1f},{HEIGHT - 1 - value / top * (HEIGHT - 2):.1f}"
            for when, value in zip(times, row, strict=True)
        )
        lines.append(f"<polyline fill=none stroke='{COLOURS[layer % len(COLOURS)]}' points='{places}'/>")
    title = f"<title>0 to {top:.3f}, {_when(times[0])} to {_when(times[-1])}</title>"
    return f"<svg width={WIDTH} height={HEIGHT} viewBox='0 0 {WIDTH} {HEIGHT}' role=img>{title}{''.join(lines)}</svg>"


def _layers(watch: Watch, devices: Sequence[WatchedDevice]) -> str:
    """Return the median and largest numbers of each layer over the devices."""
    tables = [one.envelope.drift for one in devices if one.envelope is not None]
    count = max((len(table) for table in tables), default=0)
    names = watch.layers if len(watch.layers) == count else tuple(str(i) for i in range(count))
    rows = []
    for layer, name in enumerate(names):
        numbers = [table[layer] for table in tables if len(table) == count]
        cells = [escape(name)]
        for column in (DRIFT, SPREAD, ENERGY):
            values = sorted(float(row[column]) for row in numbers)
            cells += [f"{values[len(values) // 2]:.3f}", f"{values[-1]:.3f}"]
        rows.append(tuple(cells))
    return _table(("layer", "#drift", "#largest", "#spread", "#largest", "#energy", "#largest"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> str:
    """Return a table; columns whose name begins with # hold numbers. Cells are HTML already."""
    kinds = [" class=n" if name.startswith("#") else "" for name in columns]
    head = "".join(f"<th{kind}>{name.lstrip('#')}</th>" for name, kind in zip(columns, kinds, strict=True))
    lines = []
    for number, row in enumerate(rows):
        mark = " class=out" if number < len(marked) and marked[number] else ""
        lines.append(f"<tr{mark}>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _when(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):  # a device's clock may say anything
        return "?"

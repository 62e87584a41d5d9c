"""What is drawn into one pair of matplotlib's axes; `plots.py` and `edgebn adapt --plot` share it. Imports no matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Seen apart on white and on black, and by those who see fewer colours.
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#999999")
MANY = 12  # lines from which on a legend says nothing


def arena(axes: Any, facts: Mapping[str, Any]) -> None:
    """Draw a rectangle for each buffer, the step that decides, and the proved lower bound."""
    from matplotlib.patches import Rectangle

    count = max(1, len(facts["needed"]))
    for number, one in enumerate(facts["buffers"]):
        place, width = (one["first"], one["offset"]), one["last"] - one["first"] + 1
        colour = COLOURS[number % len(COLOURS)]
        axes.add_patch(
            Rectangle(place, width, one["bytes"], facecolor=colour, edgecolor="#80808080", linewidth=0.6, gid=f"buffer{number}")
        )
    if facts["needed"]:
        most = int(np.argmax(facts["needed"]))
        axes.axvspan(most, most + 1, facecolor="#80808040", edgecolor="#808080", hatch="//", linewidth=0.8, zorder=3, fill=False)
    axes.axhline(facts["lower_bound"], color=axes.xaxis.label.get_color(), linestyle="--", linewidth=1)
    axes.set(xlim=(0, count), ylim=(0, max(1, facts["bytes"]) * 1.02), xlabel="step", ylabel="bytes of the arena")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.get_major_locator().set_params(integer=True)


def histogram(axes: Any, row: Mapping[str, Any]) -> None:
    """Draw the values of a layer as an area and its codes as a line over it; dashed lines stand where codes end."""
    for name, settings in (("values", {"fill": True, "alpha": 0.55}), ("codes", {"fill": False, "linewidth": 1.1})):
        counts = row[name]
        if counts:
            edges = np.linspace(row["low"], row["high"], len(counts) + 1)
            colour = COLOURS[0] if name == "values" else COLOURS[4]
            axes.stairs(counts, edges, color=colour, **settings)
    for end in row["ends"] or ():
        axes.axvline(end, color="#808080", linestyle=":", linewidth=0.9)
    axes.set(xlim=(row["low"], row["high"]), yticks=())
    axes.set_yscale("symlog", linthresh=1)
    axes.set(yticks=())
    axes.minorticks_off()
    axes.locator_params(axis="x", nbins=4)
    axes.spines["left"].set_visible(False)


def accuracy(axes: Any, traces: Sequence[Mapping[str, Any]]) -> None:
    """Draw the accuracy of each policy over a stream."""
    for number, trace in enumerate(traces):
        label = f"{trace['policy']} ({trace['error']:.1f} % errors)"
        axes.plot(trace["accuracy_at"], trace["accuracy"], label=label, color=COLOURS[number % len(COLOURS)])
    window = traces[0]["window"] if traces else 0
    axes.set(xlabel="samples", ylabel=f"accuracy, mean of {window} (%)", ylim=(0, 100))
    axes.legend(fontsize="small", loc="lower right")


def drift(axes: Any, trace: Mapping[str, Any]) -> None:
    """Draw how far each layer has moved."""
    _lines(axes, trace, "drift")
    axes.set(title=f"drift per layer, {trace['policy']}", xlabel="samples", ylabel="RMS of mean and ln variance")


def gate(axes: Any, trace: Mapping[str, Any]) -> None:
    """Draw how much of the drift each layer follows."""
    _lines(axes, trace, "gate")
    axes.set(title="gate per layer", xlabel="samples", ylim=(-0.02, 1.02))


def guards(axes: Any, trace: Mapping[str, Any]) -> None:
    """Draw how many samples were learned from, of all, and when the watchdog returned to the factory state."""
    axes.plot(trace["at"], trace["at"], color="#808080", linestyle="--", linewidth=0.9, label="seen")
    axes.plot(trace["at"], trace["accepted"], color=COLOURS[2], label="learned from")
    for number, (when, _) in enumerate(trace["trips"]):
        axes.axvline(when, color=COLOURS[4], linewidth=1, label=None if number else "watchdog")
    axes.set(title="what the guards let through", xlabel="samples")
    axes.legend(fontsize="small", loc="upper left")


def _lines(axes: Any, trace: Mapping[str, Any], what: str) -> None:
    layers = trace[what]
    for number, (name, values) in enumerate(layers.items()):
        axes.plot(trace["at"], values, label=name, color=COLOURS[number % len(COLOURS)], linewidth=1.1)
    if 0 < len(layers) <= MANY:
        axes.legend(fontsize="x-small", loc="upper left")

"""Draws how long every engine takes beside edgebn. Knows the results' form, nothing of how they came about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.inference import ENGINES, Times

HEIGHT_OF_CASE = 0.75  # inches


def draw(results: Mapping[str, Mapping[str, Times]], title: str, path: Path) -> None:
    """Write a chart of median times in units of edgebn's, one group of bars a case."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 1.5 + HEIGHT_OF_CASE * len(results)), layout="constrained")
    width = 0.8 / len(ENGINES)
    for position, engine in enumerate(ENGINES):
        offset = (position - (len(ENGINES) - 1) / 2) * width
        places = [index + offset for index, row in enumerate(results.values()) if engine in row]
        rows = [row for row in results.values() if engine in row]
        bars = axes.barh(places, [row[engine].median / row["edgebn"].median for row in rows], width, label=engine)
        axes.bar_label(bars, [f"{row[engine].median:.1f} µs" for row in rows], padding=3, fontsize=7)
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("median time of one inference on one thread, edgebn = 1 (longer is slower)")
    axes.set_title(title, fontsize=10)
    axes.legend(loc="lower right")
    axes.margins(x=0.12)
    figure.savefig(path, dpi=150)
    plt.close(figure)

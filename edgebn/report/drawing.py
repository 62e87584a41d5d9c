"""SVG for the report, drawn from its numbers: the arena over time, and bars. Colours come from the page's style."""

from __future__ import annotations

from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM = 900, 320, 90, 24
HUES = 8  # colours that buffers take in turn


def arena(given: dict[str, Any]) -> str:
    """Return the arena: steps from left to right, bytes upwards, a rectangle for each buffer, which says its name."""
    count, size = max(1, len(given["needed"])), max(1, given["bytes"])
    across, up = (WIDTH - LEFT) / count, (HEIGHT - BOTTOM) / size
    words = f"arena of {given['bytes']} bytes over {len(given['needed'])} steps"
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">']
    for number, one in enumerate(given["buffers"]):
        x, width = LEFT + one["first"] * across, (one["last"] - one["first"] + 1) * across
        height = one["bytes"] * up
        y = (HEIGHT - BOTTOM) - one["offset"] * up - height
        words = f"{one['name']}: {one['bytes']:,} bytes from {one['offset']:,}, steps {one['first']} to {one['last']}"
        parts.append(
            f'<rect class="hue{number % HUES}" x="{x:.1f}" y="{y:.1f}" '
            f'width="{max(width, 0.5):.1f}" height="{max(height, 0.5):.1f}">'
            f"<title>{escape(words)}</title></rect>"
        )
    bound = (HEIGHT - BOTTOM) - given["lower_bound"] * up
    parts += [
        f'<line class="bound" x1="{LEFT}" x2="{WIDTH}" y1="{bound:.1f}" y2="{bound:.1f}"><title>proved lower bound</title></line>',
        f'<text x="{LEFT - 6}" y="12" text-anchor="end">{given["bytes"]:,} B</text>',
        f'<text x="{LEFT - 6}" y="{HEIGHT - BOTTOM}" text-anchor="end">0</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 6}">step 0</text>',
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{max(0, len(given["needed"]) - 1)}</text>',
        "</svg>",
    ]
    return "".join(parts)


def bar(value: float, most: float) -> str:
    """Return a bar of a share of the widest."""
    share = 0.0 if most <= 0 else max(0.0, min(1.0, value / most))
    rectangle = f'<rect class="hue1" width="{100 * share:.1f}" height="10"/>'
    return f'<svg class="bar" viewBox="0 0 100 10" aria-hidden="true">{rectangle}</svg>'

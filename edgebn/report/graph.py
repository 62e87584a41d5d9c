"""The graph of steps as SVG, drawn as version control draws a history: a row for each step, lanes for what is read further down.

Knows the gathered numbers only. The table of steps says the same in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

ROW, LANE = 24, 12  # pixels from node to node, and from lane to lane
CORNER = 5  # radius of a lane's corners
APART = 3  # an edge that arrives from a lane does so this much above a node's middle; one that leaves, as much below
SMALL, LARGE = 4, 8  # radius of a node, and of one that holds a number
LETTER = 7.5  # width of a letter, about
LONG = 110  # letters of a row's text, at most: the whole then stands in its title
WORDS = (
    "Steps from top to bottom. A line leads from a step to one that reads what it gives; lanes on the left pass steps by. "
    "Squares are inputs, dashed squares what a run keeps for the next; a ring marks an output; "
    "the number in a node counts the layers of the file that are folded into the step."
)


@dataclass(frozen=True)
class Node:
    """A row: a step, or a buffer that has a value when the run begins."""

    key: str  # the step's number; of a buffer "in" and its number
    kind: str  # "step", "input" or "state"
    gives: str  # name of the buffer
    line: str
    title: str
    folded: int = 0
    output: bool = False


def graph(report: Mapping[str, Any]) -> str:
    """Return the drawing. Every edge is a path with `data-from` and `data-to`: the `data-node` of its two ends."""
    nodes, edges = rows(report), []
    at = {node.gives: row for row, node in enumerate(nodes)}
    by_key = {node.key: row for row, node in enumerate(nodes)}
    for number, step in enumerate(report["steps"]):
        reader = by_key[str(number)]
        edges += [(at[name], reader) for name in dict.fromkeys(step["inputs"])]
    lane_of = lanes(edges)
    trunk = LANE * (max(lane_of.values(), default=0) + 1) + SMALL
    lines = "".join(_edge(nodes, edge, trunk, trunk - LANE * lane_of.get(edge[0], 0)) for edge in edges)
    drawn = "".join(_node(node, row, trunk) for row, node in enumerate(nodes))
    width = trunk + 2 * LANE + int(LETTER * max(len(node.line) for node in nodes))
    return (
        f'<svg class="graph" viewBox="0 0 {width} {ROW * len(nodes)}" style="width:{width}px" role="img" '
        'aria-labelledby="graph-title graph-words"><title id="graph-title">the graph of steps</title>'
        f'<desc id="graph-words">{escape(WORDS)} The table of steps says the same.</desc>{lines}{drawn}</svg>'
    )


def rows(report: Mapping[str, Any]) -> list[Node]:
    """Return the nodes from top to bottom; what a run begins with stands just above the first step that reads it."""
    steps, states = report["steps"], report["states"]
    outputs = report["model"]["outputs"]
    begin = {}
    for number, name in enumerate([*report["model"]["inputs"], *states]):
        kind, word = ("state", "kept from the run before") if name in states else ("input", "input")
        output = name in outputs
        begin[name] = Node(f"in {number}", kind, name, *_text(f"{name}: {word}{' and output' * output}", ""), output=output)
    read = {name for step in steps for name in step["inputs"]}
    found = [begin.pop(name) for name in [*begin] if name not in read]
    for number, step in enumerate(steps):
        found += [begin.pop(name) for name in dict.fromkeys(step["inputs"]) if name in begin]
        name, layers = step["output"], step["layers"]
        line = f"{number}  {step['name']}: {step['kind']}"
        line += " → output" * (name in outputs) + " → kept for the next run" * (name in states.values())
        line += f" ← {', '.join(layers)}" if layers else ""
        gives = f"gives {' x '.join(map(str, step['shape']))} {step['dtype']}"
        found.append(Node(str(number), "step", name, *_text(line, gives), folded=len(layers), output=name in outputs))
    return found


def lanes(edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the lane of each row whose value passes others by; all readers branch off from that one. 1 is next to the nodes."""
    last: dict[int, int] = {}
    for source, reader in edges:
        if reader > source + 1:
            last[source] = max(last.get(source, 0), reader)
    found: dict[int, int] = {}
    taken: list[int] = []  # until which row each lane is
    for source in sorted(last):
        lane = next((lane for lane, until in enumerate(taken) if until <= source), len(taken))
        taken[lane : lane + 1] = [last[source]]
        found[source] = lane + 1
    return found


def _text(line: str, title: str) -> tuple[str, str]:
    if len(line) <= LONG:
        return line, title
    return line[: LONG - 1] + "…", f"{line}; {title}" if title else line


def _middle(row: int) -> int:
    return ROW * row + ROW // 2


def _edge(nodes: list[Node], edge: tuple[int, int], trunk: int, lane: int) -> str:
    source, reader = edge
    top, bottom = _middle(source), _middle(reader)
    ends = f'data-from="{nodes[source].key}" data-to="{nodes[reader].key}"'
    if reader == source + 1:
        return f'<path {ends} d="M{trunk} {top}V{bottom}"/>'
    down, up = f"q-{CORNER} 0-{CORNER} {CORNER}", f"q0 {CORNER} {CORNER} {CORNER}"  # the corners
    way = f"M{trunk} {top + APART}H{lane + CORNER}{down}V{bottom - APART - CORNER}{up}H{trunk}"
    return f'<path {ends} class="by" d="{way}"/>'


def _node(node: Node, row: int, trunk: int) -> str:
    y, radius = _middle(row), LARGE if node.folded else SMALL
    ring = f'<circle cx="{trunk}" cy="{y}" r="{radius + 3}"/>' if node.output else ""
    if node.kind == "step":
        mark = f'<circle cx="{trunk}" cy="{y}" r="{radius}"/>'
    else:
        mark = f'<rect x="{trunk - SMALL}" y="{y - SMALL}" width="{2 * SMALL}" height="{2 * SMALL}"/>'
    kind = f' class="{node.kind}"' * (node.kind != "step")
    held = f'<text class="held" x="{trunk}" y="{y + 3}">{node.folded}</text>' if node.folded else ""
    title = f"<title>{escape(node.title)}</title>" if node.title else ""
    words = f'<text x="{trunk + 16}" y="{y + 4}">{escape(node.line)}</text>'
    return f'<g data-node="{node.key}"{kind}>{title}{ring}{mark}{held}{words}</g>'

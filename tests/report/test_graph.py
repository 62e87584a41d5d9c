"""The drawn graph of steps: read back from the SVG, its nodes and edges are the program's, and no two lanes lie on each other."""

import itertools
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import program as p
from edgebn.report.gather import gathered
from edgebn.report.graph import APART, CORNER, graph
from tests.demo_model import demo_int8

SVG = "{http://www.w3.org/2000/svg}"


def read(svg):
    """Return the drawing as a tree; a name or title that breaks it is an error here."""
    return ET.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def drawn_edges(svg):
    return sorted((path.get("data-from"), path.get("data-to")) for path in read(svg).iter(f"{SVG}path"))


def edges_of(program):
    """Return the edges as the program itself says them: who makes what each step reads."""
    makers = {name: f"in {number}" for number, name in enumerate(program.entering)}
    makers |= {step.output: str(number) for number, step in enumerate(program.steps)}
    return sorted(
        (makers[name], str(number))
        for number, step in enumerate(program.steps)
        for name in set(step.inputs) - set(program.constants)
    )


def chain(reads, **changes):
    """Return a program whose step `i` adds the buffers that `reads[i]` names: "x" and "y" from outside, "b3" from step 3."""
    count = len(reads)
    buffers = {name: p.Buffer(name, (1, 2, 3), "float32") for name in ("x", "y", *(f"b{at}" for at in range(count)))}
    steps = tuple(p.Add(f"step <{at}> & so on", tuple(names), f"b{at}") for at, names in enumerate(reads))
    whole = {"inputs": ("x", "y"), "outputs": (f"b{count - 1}",), **changes}
    shapes = dict.fromkeys((*whole["inputs"], *whole["outputs"]), (2, 3))
    return p.Program("it", "it", "test", False, buffers, {}, steps, whole["inputs"], whole["outputs"], shapes)


def mobilenet():
    from benchmarks.models.mobilenet import mobilenet_v2

    return mobilenet_v2(size=96)


@pytest.mark.parametrize("made", [demo_int8, mobilenet])
def test_every_edge_is_drawn_once(made):
    program = made()
    svg = graph(gathered(program))
    assert drawn_edges(svg) == edges_of(program)
    nodes = [node.get("data-node") for node in read(svg).iter(f"{SVG}g")]
    assert sorted(nodes) == sorted([*(f"in {at}" for at in range(len(program.entering))), *map(str, range(len(program.steps)))])


@given(st.data())
def test_any_order_of_reading_is_drawn(data):
    count = data.draw(st.integers(1, 12))
    reads = [
        data.draw(st.lists(st.sampled_from(["x", "y", *(f"b{i}" for i in range(at))]), min_size=2, max_size=4))
        for at in range(count)
    ]
    program = chain(reads, outputs=tuple(data.draw(st.sets(st.sampled_from([f"b{at}" for at in range(count)]), min_size=1))))
    svg = graph(gathered(program))
    assert drawn_edges(svg) == edges_of(program)
    tree = read(svg)
    rows = {
        node.get("data-node"): float(mark.get("cy") or float(mark.get("y")) + float(mark.get("height")) / 2)
        for node in tree.iter(f"{SVG}g")
        for mark in node
        if mark.tag in {f"{SVG}circle", f"{SVG}rect"}
    }
    heights = [rows[str(number)] for number in range(count)]
    assert heights == sorted(set(heights))  # in order, each with a row of its own
    stretches = []
    for path in tree.iter(f"{SVG}path"):
        source, reader = (path.get(f"data-{end}") for end in ("from", "to"))
        top, bottom = rows[source], rows[reader]
        assert top < bottom
        way = path.get("d")
        if "q" not in way:
            assert not any(top < row < bottom for row in rows.values())  # a straight line passes no node
            assert re.fullmatch(rf"M\d+ {top:g}V{bottom:g}", way)
            continue
        trunk, first, lane, last = map(int, re.fullmatch(r"M(\d+) (\d+)H(\d+)q[^V]+V(\d+)q[^H]+H\1", way).groups())
        assert 0 < lane - CORNER < trunk - CORNER  # inside the picture, beside the nodes
        assert (first, last) == (top + APART, bottom - APART - CORNER)
        stretches.append((lane, source, first, last))
    for (lane, source, first, last), other in itertools.combinations(stretches, 2):
        assert lane != other[0] or source == other[1] or last < other[2] or other[3] < first


def test_marks():
    """Inputs, outputs, what a run keeps and how many layers are folded, as the program says."""
    program = demo_int8()
    report = gathered(program)
    groups = {node.get("data-node"): node for node in read(graph(report)).iter(f"{SVG}g")}
    for number, step in enumerate(report["steps"]):
        node = groups[str(number)]
        words = " ".join(node.itertext())
        assert step["name"] in words
        held = [text.text for text in node if text.get("class") == "held"]
        assert held == ([str(len(step["layers"]))] if step["layers"] else [])
        assert all(name in words for name in step["layers"])
        assert len(node.findall(f"{SVG}circle")) == 1 + (step["output"] in program.outputs)
    assert any(step["layers"] for step in report["steps"])


def test_states_are_drawn():
    report = gathered(chain([["x", "y"], ["b0", "x"]]))
    report["model"]["inputs"].pop("y")
    report["states"] = {"y": "b0"}
    groups = {
        node.get("class"): " ".join(node.itertext()) for node in read(graph(report)).iter(f"{SVG}g") if node.get("data-node") != "1"
    }
    assert "kept from the run before" in groups["state"]
    assert "kept for the next run" in groups[None]


def test_three_hundred_steps_stay_small():
    """Residual blocks with names as exporters write them."""
    report = gathered(
        chain([["x", "y"], *([f"b{at - 1}", f"b{max(0, at - 3)}" if at % 3 == 0 else f"b{at - 1}"] for at in range(1, 300))])
    )
    for number, step in enumerate(report["steps"]):
        step["name"] = f"/backbone/features.{number}/residual/conv/Conv"
        step["layers"] = [f"/backbone/features.{number}/norm"] if number % 3 else []
    assert len(graph(report).encode()) < 100_000

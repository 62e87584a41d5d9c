"""What the report says, as plain data: the same that `--json` prints and that stands in the page."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edgebn import __version__
from edgebn.adapt.evaluate import Trace
from edgebn.analysis import analyze
from edgebn.analysis.arena import arena, buffer_bytes
from edgebn.analysis.layer_rows import row_of_each_step
from edgebn.formats.native import program_hash
from edgebn.program import Program, Reshape

FACTS = ("name", "source", "format", "dtype", "layout", "inputs", "outputs", "steps")  # of the analysis
TOTALS = ("parameters", "macs", "weight_bytes", "epilogue_bytes", "arena_bytes", "arena_lower_bound", "state_bytes")
WINDOW = 100  # samples that a point of accuracy averages
POINTS = 400  # of a curve, at most


def gathered(program: Program) -> dict[str, Any]:
    """Return what a program itself tells: totals, layers, steps, the arena over time, where it comes from."""
    report = analyze(program)
    return {
        "model": {
            **{name: getattr(report, name) for name in FACTS},
            "hash": program_hash(program),
            "adaptable": program.adaptation is not None,
            "preparation": asdict(program.preparation) if program.preparation else None,
        },
        "made": {
            "edgebn": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        "totals": {name: getattr(report, name) for name in TOTALS},
        "layers": [asdict(row) for row in report.rows],
        "steps": steps(program),
        "states": {state.reads: state.writes for state in program.states},  # what a run keeps for the next
        "arena": arena_over_time(program),
    }


def add_costs(report: dict[str, Any], program: Program) -> None:
    """Write what each layer takes here and on the board, where that was measured, into the rows of the layers.

    Of a board every instruction is given the same time: the layer's share of the inference's.
    """
    row_of, rows = row_of_each_step(program), report["layers"]
    for name, microseconds in report.get("time", {}).get("steps", {}).items():
        _add(rows[row_of[name]], "microseconds", microseconds)
    board = report.get("board", {})
    for layer in board.get("layers", ()):
        row, instructions = rows[row_of[program.steps[layer["step"]].name]], layer["instructions"]
        if instructions is None:
            continue
        _add(row, "instructions", instructions)
        if board.get("milliseconds") is not None:
            layer["milliseconds"] = board["milliseconds"] * instructions / board["instructions"]
            _add(row, "milliseconds", layer["milliseconds"])


def _add(row: dict[str, Any], name: str, value: float) -> None:
    row[name] = row.get(name, 0) + value


def adaptation(domain: str, order: str, traces: Sequence[Trace]) -> dict[str, Any]:
    """Return what happened on one stream, by policy, in curves of a few hundred points."""
    return {"domain": domain, "order": order, "policies": curves(traces)}


def curves(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Return the traces as plain data, each with no more than a few hundred points a curve."""
    return [_policy(trace) for trace in traces]


def _policy(trace: Trace) -> dict[str, Any]:
    after, accuracy = smoothed(trace.correct, WINDOW)
    every = max(1, -(-len(after) // POINTS))
    looks = slice(None, None, max(1, -(-len(trace.at) // POINTS)))
    return {
        "policy": trace.policy,
        "samples": len(trace.correct),
        "error": trace.error,
        "window": min(WINDOW, len(trace.correct)),
        "accuracy_at": after[::every].tolist(),
        "accuracy": accuracy[::every].tolist(),
        "at": trace.at[looks].tolist(),
        "drift": {name: values[looks].tolist() for name, values in zip(trace.layers, trace.drift.T, strict=True)},
        "gate": {name: values[looks].tolist() for name, values in zip(trace.layers, trace.gate.T, strict=True)},
        "accepted": trace.accepted[looks].tolist(),
        "learned_from": int(trace.accepted[-1]) if len(trace.accepted) else 0,
        "refused": trace.refused,
        "trips": [list(one) for one in trace.trips],
    }


def smoothed(correct: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return after how many samples, and the share of right answers among the last `window` of them, in percent."""
    width = min(window, len(correct))
    sums = np.concatenate([[0], np.cumsum(correct)])
    return np.arange(width, len(correct) + 1), 100.0 * (sums[width:] - sums[:-width]) / width


def steps(program: Program) -> list[dict[str, Any]]:
    """Return the steps in order: what each reads and gives, and which layers of the file it does."""
    made_of: dict[str, list[str]] = {}
    for record in program.records:
        made_of.setdefault(record.step, []).append(record.name)
    return [
        {
            "name": step.name,
            "kind": step.kind,
            "inputs": [name for name in step.inputs if name not in program.constants],
            "output": step.output,
            "shape": list(program.buffers[step.output].shape),
            "dtype": program.buffers[step.output].dtype,
            "layers": [name for name in made_of.get(step.name, []) if name != step.name],
        }
        for step in program.steps
    ]


def arena_over_time(program: Program) -> dict[str, Any]:
    """Return where each buffer stands, from which step to which, and the step that needs most at once."""
    plan = arena(program)
    end = len(program.steps)
    owner = {name: name for name in program.entering}
    first: dict[str, int] = dict.fromkeys(program.entering, 0)
    last = dict(first)
    for index, step in enumerate(program.steps):
        for name in step.inputs:
            if name in owner:
                last[owner[name]] = index
        shares = isinstance(step, Reshape) and step.inputs[0] in owner
        owner[step.output] = owner[step.inputs[0]] if shares else step.output
        first.setdefault(owner[step.output], index)
        last[owner[step.output]] = index
    for name in program.leaving:
        if name in owner:
            last[owner[name]] = max(end - 1, 0)
    buffers: list[dict[str, Any]] = [
        {
            "name": name,
            "offset": plan.offsets[name],
            "bytes": buffer_bytes(program.buffers[name]),
            "first": first[name],
            "last": last[name],
        }
        for name in first
        if name in plan.offsets
    ]
    needed = [sum(one["bytes"] for one in buffers if one["first"] <= index <= one["last"]) for index in range(end)]
    return {
        "bytes": plan.size,
        "lower_bound": plan.lower_bound,
        "decided_by": program.steps[int(np.argmax(needed))].name if needed else "",
        "buffers": buffers,
        "needed": needed,
    }


def confusion(answers: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the confusion matrix (true, predicted); predictions of -1 count as wrong and stand in no column."""
    classes = int(max(labels.max(), answers.max())) + 1
    matrix = np.zeros((classes, classes), np.int64)
    known = answers >= 0
    np.add.at(matrix, (labels[known], answers[known]), 1)
    correct = int((answers == labels).sum())
    return {
        "samples": len(labels),
        "correct": correct,
        "accuracy": correct / len(labels),
        "names": [names[index] if index < len(names) else str(index) for index in range(classes)],
        "matrix": matrix.tolist(),
    }

"""`edgebn analyze`: what every layer holds and costs, what became of each batch norm, and the memory of the whole."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from edgebn.analysis import Analysis, analyze
from edgebn.cli import analyze_adapt
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.scaling import text
from edgebn.cli.screen import Screen

HELP = "show each layer's parameters, MACs and bytes, and the memory of the whole"
DESCRIPTION = (
    "Show per layer: output shape, parameters, MACs, weight bytes, activation bytes and what became of it; then the totals."
)

COLUMNS = ("layer", "type", "output", "parameters", "MACs", "weights B", "activations B")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    analyze_adapt.add_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Analyse one model."""
    program = load_model(arguments.model, arguments)
    report = analyze(program)
    kept = {name: text(scaling) for name, scaling in (program.input_scaling or {}).items()}
    found = {**asdict(report), "batch_norms": report.batch_norms(), "input_scaling": kept}
    if arguments.adapt:
        return found | {"adaptation": analyze_adapt.run(program, arguments, screen)}
    show(report, screen)
    for name, options in kept.items():
        screen.say(f"stored numbers become the input {name} by {options}, where a command does not say otherwise")
    return found


def show(report: Analysis, screen: Screen) -> None:
    """Draw the table and the totals."""
    costs = [
        (
            row.name,
            row.kind,
            shape_text(row.output_shape),
            row.parameters,
            row.macs,
            row.weight_bytes,
            row.activation_bytes,
        )
        for row in report.rows
    ]
    screen.table(f"{report.name} ({report.dtype}, from {report.source}); sizes in bytes (B)", COLUMNS, costs)
    screen.table("what became of each layer", ("layer", "became"), [(row.name, row.became) for row in report.rows])
    for line in totals(report):
        screen.say(line)


def totals(report: Analysis) -> list[str]:
    """Return the totals in words."""
    ends = [
        (kind, name, shape) for kind, part in (("input", report.inputs), ("output", report.outputs)) for name, shape in part.items()
    ]
    over = report.arena_bytes / report.arena_lower_bound - 1 if report.arena_lower_bound else 0.0
    return [
        *(f"{kind} {name}: (N, {', '.join(map(str, shape))})" for kind, name, shape in ends),
        f"{report.parameters:,} parameters, {report.macs:,} MACs, {report.steps} steps",
        f"weights {report.weight_bytes:,} bytes, epilogues {report.epilogue_bytes:,} bytes",
        f"largest buffer {report.largest_buffer_bytes:,} bytes ({report.largest_buffer})",
        f"arena {report.arena_bytes:,} bytes, proved lower bound {report.arena_lower_bound:,} bytes (+{over:.1%})",
        *([f"states {report.state_bytes:,} bytes, which live from run to run"] if report.state_bytes else []),
        "a Session adds a halo of padding round each value and a little scratch: `edgebn bench` shows its own arena",
        report.layout,
    ]


def shape_text(shape: tuple[int, ...]) -> str:
    """Return 28x28x1."""
    return "x".join(map(str, shape))

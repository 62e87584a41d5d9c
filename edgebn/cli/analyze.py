"""`edgebn analyze`: what every layer holds and costs, what became of each batch norm, and the memory of the whole."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import boards
from codegen.emit import list_network
from codegen.pools import Filled, Pool, sized
from edgebn.analysis import Analysis, analyze
from edgebn.cli import analyze_adapt, on_board, page_file
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.pools import add_pool_option, add_weights_option, said, said_of_weights, told_of_weights
from edgebn.cli.scaling import text
from edgebn.cli.screen import Screen
from edgebn.errors import ModelError
from edgebn.program import Program

HELP = "show each layer's parameters, MACs and bytes, and the memory of the whole"
DESCRIPTION = (
    "Show per layer: output shape, parameters, MACs, weight bytes, activation bytes and what became of it; then the totals."
)

COLUMNS = ("layer", "type", "output", "parameters", "MACs", "weights B", "activations B")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("--board", metavar="NAME", help="whose flash, RAM and instructions count: see `edgebn boards`")
    add_pool_option(parser)
    add_weights_option(parser)
    page_file.add_report_option(parser)
    analyze_adapt.add_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Analyse one model."""
    program = load_model(arguments.model, arguments)
    report, told = on_device(program, arguments.board, arguments.pool, arguments.weights_in_ram)
    kept = {name: text(scaling) for name, scaling in (program.input_scaling or {}).items()}
    found = {**asdict(report), "batch_norms": report.batch_norms(), "input_scaling": kept, **told}
    if arguments.adapt:
        ranked = analyze_adapt.run(program, arguments, screen)
        if arguments.report:
            page_file.write(arguments.report, program, arguments, screen, {"ranking": ranked})
        return found | {"adaptation": ranked}
    if told.get("fits"):
        told |= on_board.cost_of(
            program, boards.load(arguments.board), screen, pools=arguments.pool, weights_in_ram=arguments.weights_in_ram
        )
    found |= told
    show(report, screen)
    if told.get("layers"):
        layers = [(row["step"], row["name"], row["instructions"]) for row in told["layers"]]
        screen.table(f"instructions on a {boards.load(arguments.board).core}", ("step", "layer", "instructions"), layers)
    pools = [Filled(**row) for row in told.get("pools", ())]
    for line in (*said(pools), *said_of_weights(told.get("weights_in_ram")), *(on_board.said(told) if "board" in told else ())):
        screen.say(line)
    for name, options in kept.items():
        screen.say(f"stored numbers become the input {name} by {options}, where a command does not say otherwise")
    if arguments.report:
        parts = {"board": told | {"said": on_board.said(told)}} if "board" in told else {}
        page_file.write(arguments.report, program, arguments, screen, parts)
    return found


def on_device(
    program: Program, name: str | None, pools: Sequence[Pool] = (), weights_in_ram: Sequence[str] | str = ()
) -> tuple[Analysis, dict[str, Any]]:
    """Analyse a program with the arena that its firmware has, and say what that takes of a board.

    Parameters
    ----------
    program : Program
    name : str or None
        The board's.
    pools : sequence of Pool
        Memories to spread the arena over.
    weights_in_ram : sequence of str, or 'auto'
        Layers whose weights are copied to RAM.

    Returns
    -------
    report : Analysis
    told : dict
        Bytes of flash (constants alone) and RAM that the network takes and leaves, and why it does not fit if it does not; empty
        without a board.

    Raises
    ------
    BoardError
        No such board.
    ModelError
        It is no network for firmware, and a board is named.
    """
    board = boards.load(name) if name is not None else None
    report = analyze(program)
    pools = sized(pools, board.pool_sizes if board else {}, board.name if board else "no board")
    if not program.steps:
        return report, {}
    try:
        listing = list_network(program, pools=pools, in_ram=weights_in_ram)
    except ModelError:  # it is none for firmware; for a session it may do
        if board is not None or weights_in_ram:
            raise
        return report, {}
    report = replace(report, arena_bytes=listing.arena.size, arena_lower_bound=listing.arena.lower_bound)
    told: dict[str, Any] = {"pools": [asdict(filled) for filled in listing.arena.pools]} if pools else {}
    if weights_in_ram:
        told["weights_in_ram"] = told_of_weights(listing.in_ram)
    return report, told if board is None else told | on_board.memory_of(listing, board)


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
        f"firmware's arena {report.arena_bytes:,} bytes, proved lower bound {report.arena_lower_bound:,} bytes (+{over:.1%})",
        *([f"states {report.state_bytes:,} bytes, which live from run to run"] if report.state_bytes else []),
        "a Session has an arena of its own, with halos of padding: `edgebn bench` shows it",
        report.layout,
    ]


def shape_text(shape: tuple[int, ...]) -> str:
    """Return 28x28x1."""
    return "x".join(map(str, shape))

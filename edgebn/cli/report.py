"""`edgebn report`: one HTML file about a model, which needs no network."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boards
from edgebn import api
from edgebn.cli.evaluate import classify
from edgebn.cli.inputs import add_input_options, load_inputs, load_labelled, load_labels
from edgebn.cli.models import add_model_argument, load_model, scores
from edgebn.cli.scaling import keeping
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file
from edgebn.errors import ModelError, UsageError
from edgebn.formats.whole_file import write_whole
from edgebn.preparation.data import Classes
from edgebn.program import Program

HELP = "write one HTML file about a model: layers, steps, arena, errors"
DESCRIPTION = (
    "Write a page about a model that needs no network: what each layer costs and was folded into, the steps that run, the arena "
    "over time; with --board what it takes there; with --data and --compare FLOAT what int8 costs each layer, with "
    "--labels what is right and wrong, and which answers int8 changes."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("-o", "--output", type=new_file, required=True, metavar="REPORT.html", help="the file to write")
    parser.add_argument("--data", type=Path, metavar="DATA", help="inputs to run")
    parser.add_argument("--labels", metavar="KEY|FILE", help="their classes: an array of DATA's .npz, or a .npy file")
    parser.add_argument("--compare", type=Path, metavar="FLOAT", help="the float model that an int8 one was made of")
    parser.add_argument("--board", metavar="NAME", help="whose flash, RAM and instructions count: see `edgebn boards`")
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Gather and write."""
    from edgebn.cli.command import finite
    from edgebn.report.gather import changed, confusion, gathered
    from edgebn.report.page import page

    if arguments.data is None and (arguments.labels or arguments.compare):
        raise UsageError("--labels and --compare do nothing here: give --data too, or leave them out")
    program = load_model(arguments.model, arguments)
    report = gathered(program)
    report["files"] = {name: str(value) for name in ("model", "data", "labels", "compare") if (value := getattr(arguments, name))}
    if arguments.board:
        report["board"] = _on_board(program, arguments.board, screen)
    original = None
    if arguments.compare:
        original = load_model(arguments.compare, arguments)
        if (original.dtype, program.dtype) != ("float32", "int8"):
            raise ModelError(f"{arguments.compare}: --compare takes the float32 model that MODEL, an int8 one, was made of")
        kept = next(iter((program.input_scaling or {}).values()), None)
        original = original if original.input_scaling else keeping(original, kept)
        inputs = load_inputs(arguments.data, original, arguments)
        report["quantisation"] = [asdict(row) for row in api.error_table(original, program, inputs)]
    if arguments.labels:
        known = load_labels(arguments.labels, arguments.data)
        inputs, known = load_labelled(arguments.data, known, program, arguments)
        answers = classify(scores(program, inputs, screen, str(arguments.model)), known, str(arguments.model))
        after = program.preparation.after if program.preparation else None
        names = after.names if isinstance(after, Classes) else ()
        report["confusion"] = confusion(answers, known, names)
        if original is not None:
            before = classify(scores(original, inputs, screen, str(arguments.compare)), known, str(arguments.compare))
            report["changed"] = changed(before, answers, known, names)
    report = finite(report)
    text = page(report)
    write_whole(arguments.output, text.encode("utf-8"))
    screen.say(f"wrote {arguments.output}, {len(text.encode('utf-8')):,} bytes")
    return report


def _on_board(program: Program, name: str, screen: Screen) -> dict[str, Any]:
    """Return what the program takes of a board, as `edgebn analyze --board` has it, and the same in sentences."""
    from edgebn.cli import on_board
    from edgebn.cli.analyze import on_device

    _, told = on_device(program, name)
    if told.get("fits"):
        told |= on_board.cost_of(program, boards.load(name), screen)
    return told | {"said": on_board.said(told)}

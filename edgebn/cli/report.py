"""`edgebn report`: one HTML file about a model, which needs no network."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

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

HELP = "write one HTML file about a model: layers, steps, arena, errors"
DESCRIPTION = (
    "Write a page about a model that needs no network: what each layer costs and was folded into, the steps that run, the arena "
    "over time; with --data and --compare FLOAT what int8 costs each layer, with --labels what is right and wrong."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("-o", "--output", type=new_file, required=True, metavar="REPORT.html", help="the file to write")
    parser.add_argument("--data", type=Path, metavar="DATA", help="inputs to run")
    parser.add_argument("--labels", metavar="KEY|FILE", help="their classes: an array of DATA's .npz, or a .npy file")
    parser.add_argument("--compare", type=Path, metavar="FLOAT", help="the float model that an int8 one was made of")
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Gather and write."""
    from edgebn.cli.command import finite
    from edgebn.report.gather import confusion, gathered
    from edgebn.report.page import page

    if arguments.data is None and (arguments.labels or arguments.compare):
        raise UsageError("--labels and --compare do nothing here: give --data too, or leave them out")
    program = load_model(arguments.model, arguments)
    report = gathered(program)
    report["files"] = {name: str(value) for name in ("model", "data", "labels", "compare") if (value := getattr(arguments, name))}
    if arguments.compare:
        original = load_model(arguments.compare, arguments)
        if (original.dtype, program.dtype) != ("float32", "int8"):
            raise ModelError(f"{arguments.compare}: --compare takes the float32 model that MODEL, an int8 one, was made of")
        kept = next(iter((program.input_scaling or {}).values()), None)
        inputs = load_inputs(arguments.data, original if original.input_scaling else keeping(original, kept), arguments)
        report["quantisation"] = [asdict(row) for row in api.error_table(original, program, inputs)]
    if arguments.labels:
        known = load_labels(arguments.labels, arguments.data)
        inputs, known = load_labelled(arguments.data, known, program, arguments)
        answers = classify(scores(program, inputs, screen, str(arguments.model)), known, str(arguments.model))
        after = program.preparation.after if program.preparation else None
        report["confusion"] = confusion(answers, known, after.names if isinstance(after, Classes) else ())
    report = finite(report)
    text = page(report)
    write_whole(arguments.output, text.encode("utf-8"))
    screen.say(f"wrote {arguments.output}, {len(text.encode('utf-8')):,} bytes")
    return report

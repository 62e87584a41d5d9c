"""`edgebn device evaluate`: accuracy on the device, and how far its answers are from Python's and from another model's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.cli.device.measures import TEXT, measures
from edgebn.cli.device.run_inputs import as_given
from edgebn.cli.device.samples import from_bytes, sample, to_bytes
from edgebn.cli.device.target import Target, add_target_options, open_target
from edgebn.cli.evaluate import classify
from edgebn.cli.failure import FailedCheckError
from edgebn.cli.inputs import Inputs, add_input_options, load_labelled, load_labels, part
from edgebn.cli.models import add_model_argument, load_model, scores
from edgebn.cli.screen import Screen
from edgebn.errors import LinkError, ModelError
from edgebn.program import Program

HELP = "measure accuracy on the device, and how far it is from Python and from another model"
DESCRIPTION = (
    "Run labelled data on a device: accuracy, and RMSE, MAE, L2 relative error, NSE and cosine against the same model in "
    "Python and, with --compare, against another one, such as the float network. What a lost device had answered counts."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser)
    parser.add_argument("data", type=Path, metavar="DATA", help="the inputs")
    parser.add_argument("--labels", required=True, metavar="KEY|FILE", help="an array of DATA's .npz, or a .npy file")
    parser.add_argument("--compare", type=Path, metavar="OTHER", help="another model whose answers these are compared with")
    add_target_options(parser)
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Evaluate the device.

    Raises
    ------
    FailedCheckError
        The device was lost; the report is of the samples that it answered.
    LinkError
        It answered none.
    """
    program = load_model(arguments.model, arguments)
    if len(program.outputs) > 1 or program.states:
        raise ModelError(f"{arguments.model}: this action works with one output, and without states")
    inputs, labels = load_labelled(arguments.data, load_labels(arguments.labels, arguments.data), program, arguments)
    other = load_model(arguments.compare, arguments) if arguments.compare else None
    answers: list[np.ndarray] = []
    facts: dict[str, Any] = {}
    lost = None
    try:
        with open_target(arguments, program, screen) as target:
            facts = target.facts()
            _answer(target, program, inputs, len(labels), answers, screen)
    except LinkError as error:
        if not answers:
            raise
        lost = str(error)
    done = len(answers)
    found = as_given(program, program.outputs[0], np.stack(answers), inputs)
    known, images = labels[:done], part(inputs, 0, done)
    correct = int((classify(found, known, str(arguments.model)) == known).sum())
    rows: list[dict[str, Any]] = [_row(str(arguments.model), found, scores(program, images, screen, "the same in Python"))]
    if other is not None:
        reals, _ = load_labelled(arguments.data, load_labels(arguments.labels, arguments.data), other, arguments)
        rows.append(_row(str(arguments.compare), found, scores(other, part(reals, 0, done), screen, str(arguments.compare))))
    report = {
        **facts,
        "data": str(arguments.data),
        "samples": done,
        "asked": len(labels),
        "lost": lost,
        "correct": correct,
        "accuracy": correct / done,
        "against": rows,
    }
    screen.say(f"{correct} of {done} right on {facts['board']}: {correct / done:.2%}")
    columns = ("against", "same class %", "equal outputs", *TEXT.values())
    shown = [
        (row["model"], 100 * row["agreement"], row["equal"], *("none" if row[key] is None else f"{row[key]:.6g}" for key in TEXT))
        for row in rows
    ]
    screen.table("answers of the device", columns, shown)
    if lost is not None:
        raise FailedCheckError(
            f"the device was lost after {done} of {len(labels)} samples, which are what is shown: {lost}", report
        )
    return report


def _answer(target: Target, program: Program, inputs: Inputs, total: int, answers: list[np.ndarray], screen: Screen) -> None:
    """Run every sample, adding each answer as it comes."""
    with screen.progress(f"running on {target.information.board}") as progress:
        for index in range(total):
            done = target.device.run(to_bytes(program, sample(program, inputs, index)))
            answers.append(from_bytes(program, done.output)[program.outputs[0]])
            progress(index + 1, total)


def _row(model: str, found: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Return how the device's answers compare with a model's.

    Raises
    ------
    ModelError
        That model gives answers of another size.
    """
    rows = reference.reshape(len(found), -1)
    mine = found.reshape(len(found), -1)
    if rows.shape != mine.shape:
        raise ModelError(f"{model} gives {rows.shape[1]} numbers a sample, the device {mine.shape[1]}")
    return {
        "model": model,
        "agreement": float((mine.argmax(axis=1) == rows.argmax(axis=1)).mean()),
        "equal": int((mine == rows).all(axis=1).sum()),
        **measures(mine, rows),
    }

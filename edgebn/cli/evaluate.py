"""`edgebn evaluate`: accuracy on labelled data, of one model or of two side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.cli.inputs import add_input_options, load_labelled, load_labels
from edgebn.cli.models import add_model_argument, load_model, scores
from edgebn.cli.scaling import keeping
from edgebn.cli.screen import Screen
from edgebn.errors import ModelError

HELP = "measure accuracy on labelled data"
DESCRIPTION = "Measure top-1 accuracy, of one model or of two on the same data (--compare), and how often the two agree."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("data", type=Path, metavar="DATA", help="the inputs")
    parser.add_argument("--labels", required=True, metavar="KEY|FILE", help="an array of DATA's .npz, or a .npy file")
    parser.add_argument("--compare", type=Path, metavar="OTHER", help="a second model to measure on the same data")
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Evaluate one or two models."""
    labels = load_labels(arguments.labels, arguments.data)
    paths = [arguments.model, *([arguments.compare] if arguments.compare else [])]
    results, answers, rows = [], [], []
    programs = [load_model(path, arguments) for path in paths]
    # A model that keeps no scaling is fed as the other one.
    kept = next((next(iter(program.input_scaling.values())) for program in programs if program.input_scaling), None)
    for path, loaded in zip(paths, programs, strict=True):
        program = loaded if loaded.input_scaling else keeping(loaded, kept)
        inputs, known = load_labelled(arguments.data, labels, program, arguments)
        answer = classify(scores(program, inputs, screen, str(path)), known, str(path))
        if (answer < 0).any():
            screen.warn(f"{path} gives NaN for {np.count_nonzero(answer < 0)} of {len(known)} samples, which count as wrong")
        answers.append(answer)
        correct = int((answer == known).sum())
        results.append({"model": str(path), "dtype": program.dtype, "correct": correct, "accuracy": correct / len(known)})
        rows.append((str(path), program.dtype, correct, 100.0 * correct / len(known)))
    screen.table(f"{arguments.data}: {len(known)} samples", ("model", "type", "correct", "accuracy %"), rows)
    report: dict[str, Any] = {"data": str(arguments.data), "samples": len(known), "results": results}
    if len(answers) == 2:
        report["agreement"] = float(np.mean(answers[0] == answers[1]))
        screen.say(f"the two agree on {100 * report['agreement']:.2f} % of the samples")
    return report


def classify(values: np.ndarray, labels: np.ndarray, what: str) -> np.ndarray:
    """Return the best class of each sample, after checking that `labels` can be compared with it; -1 where a score is NaN.

    Raises
    ------
    ModelError
        The network gives no class scores, or the labels do not fit.
    """
    values = values.reshape(len(values), -1)
    if values.shape[1] < 2:
        raise ModelError(f"{what} gives one number a sample, not a score for each class")
    if len(values) != len(labels):
        raise ModelError(f"there are {len(values)} samples but {len(labels)} labels")
    if labels.max() >= values.shape[1]:
        raise ModelError(f"a label is {labels.max()}, but {what} knows classes 0 to {values.shape[1] - 1}")
    return np.where(np.isnan(values).any(axis=1), -1, values.argmax(axis=1))

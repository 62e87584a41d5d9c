"""`edgebn report`: one HTML file about a model, which needs no network."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import boards
from edgebn import api
from edgebn.cli import page_file
from edgebn.cli.evaluate import classify
from edgebn.cli.inputs import Inputs, add_input_options, load_inputs, load_labelled, load_labels, part, sample_count
from edgebn.cli.models import add_model_argument, load_model, scores
from edgebn.cli.scaling import keeping
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file
from edgebn.errors import EdgebnError, ModelError
from edgebn.preparation.data import Classes
from edgebn.program import Program

HELP = "write one HTML file about a model: layers, time, steps, arena, errors, adaptation"
DESCRIPTION = (
    "Write a page about a model that needs no network: what each layer costs, the time here among it, and was folded into, the "
    "steps that run, the arena over time; with --board what it takes there; with --data histograms of each layer, with --compare "
    "FLOAT too what int8 costs it and which answers int8 changes; with --labels what is right and wrong, and how a model with "
    "source tables adapts to the data in their order."
)
POLICY = "compensated-tracking"
SAMPLES = 100  # of the data, for histograms
PICTURES = 60  # of samples whose class changed


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
    program = load_model(arguments.model, arguments)
    parts: dict[str, Any] = {"time": timed(program, screen)}
    if arguments.board:
        parts["board"] = _on_board(program, arguments.board, screen)
    pictures: dict[int, str] = {}
    if arguments.data:
        original = _original(arguments, program)
        fed = original or program
        inputs = load_inputs(arguments.data, fed, arguments)
        parts |= quantised(original, program, inputs)
        labels = None
        if arguments.labels:
            inputs, labels = load_labelled(arguments.data, load_labels(arguments.labels, arguments.data), fed, arguments)
        if labels is not None or (original is not None and is_classifier(program)):
            found, pictures = _answers(original, program, inputs, labels, arguments, screen)
            parts |= found
        if labels is not None and program.adaptation is not None and program.adaptation.classes:
            parts["adaptation"] = [_adapting(program, inputs, labels, arguments, screen)]
    return page_file.write(arguments.output, program, arguments, screen, parts, pictures)


def timed(program: Program, screen: Screen, *, winograd: bool = True) -> dict[str, Any]:
    """Return how long each step takes here, and how that was measured."""
    from edgebn.cli.bench import made_up

    try:
        from edgebn.kernels import isa
        from edgebn.session.step_times import step_times

        with screen.progress("timing each layer"):
            found = step_times(program, made_up(program), winograd=winograd)
    except (EdgebnError, ValueError) as error:  # no kernels here: isa.IsaError is a ValueError
        return {"not_timed": str(error)}
    beside = "".join(
        f" {one} goes strip by strip with {other}, in whose time its own stands." for one, other in found.beside.items()
    )
    return {
        "method": f"Time here: the operations of each step called alone, in the order of an inference, on one thread "
        f"({isa.SELECTED.name}) with random inputs; medians of {found.rounds} rounds, less an empty call. An inference as a whole, "
        f"in turn with these: {found.whole:,.1f} µs; the steps together: {sum(found.steps.values()):,.1f} µs, "
        f"moving inputs and states {found.moving:,.1f} µs.{beside}",
        "instruction_set": isa.SELECTED.name,
        **asdict(found),
    }


def quantised(original: Program | None, program: Program, inputs: Inputs) -> dict[str, Any]:
    """Return histograms of each layer and, of an int8 network beside its original, what int8 costs it."""
    from edgebn.report.samples import histograms
    from edgebn.session import Session

    parts: dict[str, Any] = {}
    if original is not None:
        parts["quantisation"] = [asdict(row) for row in api.error_table(original, program, inputs)]
    runs = Session(original).run_buffers if original is not None else None, Session(program).run_buffers
    parts["histograms"] = histograms(original, program, runs, part(inputs, 0, SAMPLES))
    return parts


def is_classifier(program: Program) -> bool:
    """Whether there is one output of scores."""
    shapes = [program.shapes[name] for name in program.outputs]
    return len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] > 1


def differing(
    before: np.ndarray, after: np.ndarray, inputs: Inputs, labels: np.ndarray | None, program: Program
) -> tuple[dict[str, Any], dict[int, str]]:
    """Return the samples whose class differs, and pictures of the first of them."""
    from edgebn.report.samples import changed, pictures

    rows = changed(before, after, labels, _names(program))
    return {"changed": rows}, pictures(inputs, [row["sample"] for row in rows[:PICTURES]])


def _original(arguments: argparse.Namespace, program: Program) -> Program | None:
    if not arguments.compare:
        return None
    original = load_model(arguments.compare, arguments)
    if (original.dtype, program.dtype) != ("float32", "int8"):
        raise ModelError(f"{arguments.compare}: --compare takes the float32 model that MODEL, an int8 one, was made of")
    kept = next(iter((program.input_scaling or {}).values()), None)
    return original if original.input_scaling else keeping(original, kept)


def _names(program: Program) -> tuple[str, ...]:
    after = program.preparation.after if program.preparation else None
    return after.names if isinstance(after, Classes) else ()


def _answers(
    original: Program | None,
    program: Program,
    inputs: Inputs,
    labels: np.ndarray | None,
    arguments: argparse.Namespace,
    screen: Screen,
) -> tuple[dict[str, Any], dict[int, str]]:
    """Return what is right and wrong, and which answers int8 changes."""
    from edgebn.report.gather import confusion

    known = labels if labels is not None else np.zeros(sample_count(inputs), np.int64)  # any class: only lengths are checked
    answers = classify(scores(program, inputs, screen, str(arguments.model)), known, str(arguments.model))
    found = {} if labels is None else {"confusion": confusion(answers, labels, _names(program))}
    if original is None:
        return found, {}
    before = classify(scores(original, inputs, screen, str(arguments.compare)), known, str(arguments.compare))
    rows, pictures = differing(before, answers, inputs, labels, program)
    return found | rows, pictures


def _adapting(
    program: Program, inputs: Inputs, labels: np.ndarray, arguments: argparse.Namespace, screen: Screen
) -> dict[str, Any]:
    """Return how the network adapts to the data in their order, beside the network as it is."""
    from edgebn.adapt.evaluate import evaluate
    from edgebn.adapt.labels import checked_labels
    from edgebn.report.gather import adaptation

    assert program.adaptation is not None
    assert not isinstance(inputs, dict)  # networks with several inputs do not adapt
    checked_labels(program, labels, len(labels), program.adaptation.classes)
    with screen.progress("adapting") as progress:
        traces = [evaluate(program, inputs, labels, policy, progress=progress) for policy in (None, POLICY)]
    return adaptation(arguments.data.name, "in the order of the file", traces)


def _on_board(program: Program, name: str, screen: Screen) -> dict[str, Any]:
    """Return what the program takes of a board, as `edgebn analyze --board` has it, and the same in sentences."""
    from edgebn.cli import on_board
    from edgebn.cli.analyze import on_device

    _, told = on_device(program, name)
    if told.get("fits"):
        told |= on_board.cost_of(program, boards.load(name), screen)
    return told | {"said": on_board.said(told)}

"""`edgebn run`: one model, one file of inputs, the outputs."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.cli.answers import other_answers, show_answers
from edgebn.cli.inputs import add_input_options, load_inputs
from edgebn.cli.media import is_media, run_media
from edgebn.cli.models import add_model_argument, add_session_options, load_model, open_session
from edgebn.cli.prepared import files_of, is_prepared, picture_size
from edgebn.cli.screen import Screen
from edgebn.cli.values import count, new_file
from edgebn.errors import ModelError, UsageError
from edgebn.formats.whole_file import write_whole
from edgebn.live.answers import plain
from edgebn.preparation.answers import class_answers
from edgebn.preparation.data import Boxes, Classes
from edgebn.preparation.detections import BoxAnswer, box_answers
from edgebn.program import Program

HELP = "run a model on a file of inputs"
DESCRIPTION = "Run a model on every sample of a file. int8 arrays are raw codes for an int8 model; everything else is real numbers."

SHOWN_SAMPLES = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("input", type=Path, metavar="INPUT", help="the inputs")
    parser.add_argument(
        "more",
        type=Path,
        nargs="*",
        default=[],  # or Python calls it required
        metavar="MORE",
        help="more pictures, folders, films or sounds, where the model says how to take them",
    )
    parser.add_argument(
        "--draw", type=Path, metavar="FOLDER", help="write the pictures and films with the answers drawn into them to a folder"
    )
    parser.add_argument(
        "--adapt",
        action="store_true",
        help="go on learning from one picture, frame or piece of sound to the next, in their order; for models made adaptable",
    )
    parser.add_argument("-o", "--output", type=new_file, metavar="OUT.npy", help="write the outputs (.npz for several outputs)")
    parser.add_argument("--top", type=count, default=5, metavar="K", help="how many classes to show per sample; default 5")
    add_input_options(parser)
    add_session_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Run every sample."""
    program = load_model(arguments.model, arguments)
    if arguments.more or arguments.draw or arguments.adapt or is_media(arguments.input):
        if arguments.output:
            raise UsageError("--output does nothing here: answers to several files, films or drawings are no array; use --json")
        paths = [arguments.input, *arguments.more]
        if arguments.adapt and not (is_media(arguments.input) or is_prepared(arguments.input, program)):
            raise UsageError(
                f"--adapt learns from pictures, films and sounds, and {arguments.input} is no such file, or the model does not say "
                "how they become its input (`edgebn prepare`); `edgebn adapt` is for arrays"
            )
        return {"model": str(arguments.model)} | run_media(
            program, paths, arguments.draw, arguments.limit, arguments.threads, screen, adapt=arguments.adapt
        )
    inputs = load_inputs(arguments.input, program, arguments)
    result = open_session(program, screen, arguments.threads, winograd=arguments.winograd).run(inputs)
    outputs = result if isinstance(result, dict) else {program.outputs[0]: result}
    if arguments.output:
        write(arguments.output, outputs)
        screen.say(f"wrote {arguments.output}")
    named = answers(program, outputs, arguments.top)
    report: dict[str, Any] = {
        "model": str(arguments.model),
        "input": str(arguments.input),
        "outputs": {name: {"shape": values.shape, "dtype": str(values.dtype)} for name, values in outputs.items()},
        "output_file": str(arguments.output) if arguments.output else None,
    }
    boxes = found_boxes(program, outputs, arguments)
    if boxes is not None:
        show_boxes(boxes, screen)
        return report | {"boxes": plain(boxes)}
    if named is not None:
        show_classes(named, screen)
        return report | {"top": named}
    others = other_answers(program, outputs, inputs, arguments)
    if others is not None:
        show_answers(others, screen)
        return report | {"answers": plain(others)}
    return report | show_outputs(outputs, arguments.top, screen)


def answers(program: Program, outputs: dict[str, np.ndarray], top: int) -> list[list[dict[str, Any]]] | None:
    """Return the best classes by name with their probabilities, of a network whose classes have names."""
    after = program.preparation.after if program.preparation else None
    if not isinstance(after, Classes):
        return None
    found = class_answers(outputs[program.outputs[0]], program, top)
    return [[{"class": answer.index, "name": answer.name, "score": answer.score} for answer in best] for best in found]


def found_boxes(program: Program, outputs: dict[str, np.ndarray], arguments: argparse.Namespace) -> list[list[BoxAnswer]] | None:
    """Return what a detector found in each picture, in pixels of the picture; None of other networks and files."""
    if not (program.preparation and isinstance(program.preparation.after, Boxes) and is_prepared(arguments.input, program)):
        return None
    files = files_of(arguments.input)[: arguments.limit]
    samples = [{name: values[index] for name, values in outputs.items()} for index in range(len(files))]
    return [box_answers(sample, program, picture_size(file)) for sample, file in zip(samples, files, strict=True)]


def show_boxes(found: list[list[BoxAnswer]], screen: Screen) -> None:
    """Draw the first samples' boxes."""
    rows = [
        (sample, box.name, f"{box.score:.3f}", *(f"{side:.1f}" for side in (box.left, box.top, box.right, box.bottom)))
        for sample, boxes in enumerate(found[:SHOWN_SAMPLES])
        for box in boxes
    ]
    screen.table("boxes in pixels", ("sample", "class", "score", "left", "top", "right", "bottom"), rows)


def show_outputs(outputs: dict[str, np.ndarray], top: int, screen: Screen) -> dict[str, Any]:
    """Draw the best classes of each sample, or the ranges of outputs that are no class scores; return what --json adds."""
    if len(outputs) == 1:
        values = next(iter(outputs.values()))
        if values.ndim == 2 and values.shape[1] > 1:
            best = top_classes(values, top)
            show_classes(best, screen)
            return {"top": best}
    rows = [(name, str(values.shape), *map(float, (values.min(), values.mean(), values.max()))) for name, values in outputs.items()]
    screen.table("outputs", ("output", "shape", "minimum", "mean", "maximum"), rows)
    return {}


def top_classes(values: np.ndarray, top: int) -> list[list[dict[str, Any]]]:
    """Return, per sample, the `top` classes with their scores, best first (the lower class first among equals)."""
    order = np.argsort(-values.astype(np.float64), axis=1, kind="stable")[:, :top]
    return [[{"class": int(index), "score": row[index].item()} for index in best] for row, best in zip(values, order, strict=True)]


def show_classes(best: list[list[dict[str, Any]]], screen: Screen) -> None:
    """Draw the first samples' classes."""
    columns = ("sample", *(f"{rank}." for rank in range(1, len(best[0]) + 1)))
    rows = [
        (sample, *(f"{entry.get('name') or entry['class']}: {entry['score']:.4g}" for entry in row))
        for sample, row in enumerate(best[:SHOWN_SAMPLES])
    ]
    screen.table("class: score", columns, rows)
    if len(best) > SHOWN_SAMPLES:
        screen.say(f"... and {len(best) - SHOWN_SAMPLES} more samples; -o writes them all")


def write(path: Path, outputs: dict[str, np.ndarray]) -> None:
    """Write one array as .npy, several as .npz."""
    data = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(data, allow_pickle=False, **outputs)
    elif len(outputs) == 1:
        np.save(data, next(iter(outputs.values())), allow_pickle=False)
    else:
        raise ModelError(f"the network has {len(outputs)} outputs; write them to an .npz file, not to {path}")
    write_whole(path, data.getvalue())

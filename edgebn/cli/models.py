"""The MODEL argument that most verbs share: how it is named on the command line and how it is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebn import api, formats
from edgebn.cli import usage
from edgebn.cli.inputs import Inputs, part, sample_count
from edgebn.cli.screen import Screen
from edgebn.cli.values import custom_layer, shape, state, threads
from edgebn.errors import ModelError
from edgebn.program import Program

if TYPE_CHECKING:
    from edgebn.session import Session  # imports Numba, which analyze and convert do without

BATCH = 32  # samples handed to a session at once: often enough for a progress bar


def add_model_argument(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add MODEL and what a reader may need to be told about it."""
    files = ".h5, .keras, .onnx, .tflite, .pt2 or .edgebn"
    if optional:
        parser.add_argument("model", nargs="?", type=Path, metavar="MODEL", help=files)
    else:
        parser.add_argument("model", type=Path, metavar="MODEL", help=files)
    add_reading_options(parser)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add what a reader may need to be told about a model."""
    group = parser.add_argument_group("reading the model")
    group.add_argument(
        "--input-shape",
        type=shape,
        metavar="H,W,C",
        help="one sample's shape in the file's own layout, where the file leaves it open",
    )
    group.add_argument(
        "--custom-layer",
        type=custom_layer,
        action="append",
        default=[],
        metavar="NAME=KERAS_CLASS",
        help="read a custom Keras layer as a known one, for example BNLayer=BatchNormalization",
    )
    group.add_argument(
        "--state",
        type=state,
        action="append",
        default=[],
        metavar="INPUT=OUTPUT",
        help="an input that is a state, and the output that the next run reads there; begins with zeros",
    )


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """Add what a session may be told; see `docs/speed.md`."""
    group = parser.add_argument_group("running the model")
    group.add_argument(
        "--threads",
        type=threads,
        default=1,
        metavar="N",
        help="threads that may share an inference; auto measures once how many are best; default 1, which leaves other cores free",
    )
    group.add_argument("--no-winograd", dest="winograd", action="store_false", help="compute every product of convolutions")


def load_model(path: Path, arguments: argparse.Namespace) -> Program:
    """Load `path` with those options of the command line that its reader takes, and remember what the user calls it.

    Raises
    ------
    ModelError
        There is no such file, or it cannot be read.
    UsageError
        An option that the network has no use for.
    """
    if not path.exists():
        raise ModelError(f"{path}: there is no such file")
    options = {
        "input_shape": arguments.input_shape,
        "custom_layers": dict(arguments.custom_layer),
        "states": dict(arguments.state),
    }
    program = api.load(path, **{name: value for name, value in options.items() if value and formats.takes(path, name)})
    arguments.known_as[program.source] = str(path)
    usage.check_program(arguments, program)
    return program


def open_session(program: Program, screen: Screen, threads: int | str = 1, *, winograd: bool = True) -> Session:
    """Make a session; the first one on a machine compiles the kernels, which takes a while."""
    from edgebn.session import Session

    with screen.progress("making kernels ready (compiled on first use)"):
        return Session(program, threads, winograd=winograd)


def scores(program: Program, inputs: Inputs, screen: Screen, label: str) -> np.ndarray:
    """Run `inputs` through the only output of `program`: (N, ...) with the dtype that a session gives."""
    if len(program.outputs) > 1:
        raise ModelError(f"{program.source} has {len(program.outputs)} outputs; this verb works with one")
    session = open_session(program, screen)
    samples = sample_count(inputs)
    parts = []
    with screen.progress(f"running {label}") as progress:
        for start in range(0, samples, BATCH):
            parts.append(session.run(part(inputs, start, start + BATCH)))
            progress(min(start + BATCH, samples), samples)
    return np.concatenate(parts)

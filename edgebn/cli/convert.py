"""`edgebn convert`: any model file to an .edgebn file, batch norms folded and everything else as it was."""

from __future__ import annotations

import argparse
from typing import Any

from edgebn import api
from edgebn.analysis import analyze
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.scaling import add_scaling_options, input_scaling, keeping
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file

HELP = "turn a model file into an .edgebn file"
DESCRIPTION = (
    "Read a Keras, ONNX, TensorFlow Lite or PyTorch file and write an .edgebn file, which loads fast and needs no reader package. "
    "A float model stays float32; an int8 file stays int8, to the bit."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("-o", "--output", type=new_file, required=True, metavar="OUT.edgebn", help="the file to write")
    add_scaling_options(parser.add_argument_group("input files", "how the numbers in them become what the network takes, to keep"))


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Convert one file."""
    program = keeping(load_model(arguments.model, arguments), input_scaling(arguments))
    api.save(program, arguments.output)
    report = analyze(program)
    size = arguments.output.stat().st_size
    screen.say(f"{arguments.output}: {program.dtype}, {report.steps} steps, {size:,} bytes")
    for name, became in report.batch_norms().items():
        screen.say(f"  {name}: {became}")
    screen.say(report.layout)
    return {
        "model": str(arguments.model),
        "output": str(arguments.output),
        "dtype": program.dtype,
        "steps": report.steps,
        "file_bytes": size,
        "batch_norms": report.batch_norms(),
        "layout": report.layout,
    }

"""`edgebn device run`: every sample of a file through the network on the device."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from edgebn import reference
from edgebn.cli.device.samples import from_bytes, sample, to_bytes
from edgebn.cli.device.target import add_target_options, open_target
from edgebn.cli.inputs import Inputs, add_input_options, load_inputs, sample_count
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.run import show_outputs, write
from edgebn.cli.screen import Screen
from edgebn.cli.values import count, new_file
from edgebn.program import Program, holds_codes

HELP = "run a file of inputs on the device"
DESCRIPTION = (
    "Run every sample of a file on a device; a network with states begins a sequence with the first. int8 and int16 arrays are "
    "raw codes for a model of that type; everything else is real numbers."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser)
    parser.add_argument("input", type=Path, metavar="INPUT", help="the inputs")
    parser.add_argument("-o", "--output", type=new_file, metavar="OUT.npy", help="write the outputs (.npz for several outputs)")
    parser.add_argument("--top", type=count, default=5, metavar="K", help="how many classes to show per sample; default 5")
    add_target_options(parser)
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Run every sample."""
    program = load_model(arguments.model, arguments)
    inputs = load_inputs(arguments.input, program, arguments)
    total = sample_count(inputs)
    rows: dict[str, list[np.ndarray]] = {name: [] for name in program.outputs}
    ticks = []
    with open_target(arguments, program, screen) as target, screen.progress(f"running on {target.information.board}") as progress:
        if program.states:
            target.device.begin_sequence()
        for index in range(total):
            done = target.device.run(to_bytes(program, sample(program, inputs, index)))
            ticks.append(done.ticks)
            for name, value in from_bytes(program, done.output).items():
                rows[name].append(value)
            progress(index + 1, total)
        cost = target.cost(int(np.median(ticks)))
        milliseconds = target.milliseconds(int(np.median(ticks)))
        instructions = target.instructions(int(np.median(ticks)))
        facts = target.facts()
    outputs = {name: as_given(program, name, np.stack(values), inputs) for name, values in rows.items()}
    if arguments.output:
        write(arguments.output, outputs)
        screen.say(f"wrote {arguments.output}")
    report: dict[str, Any] = {
        **facts,
        "input": str(arguments.input),
        "outputs": {name: {"shape": values.shape, "dtype": str(values.dtype)} for name, values in outputs.items()},
        "output_file": str(arguments.output) if arguments.output else None,
        "samples": total,
        "instructions": instructions,
        "milliseconds": milliseconds,
    }
    report |= show_outputs(outputs, arguments.top, screen)
    screen.say(f"{cost} an inference")
    return report


def as_given(program: Program, name: str, codes: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Return outputs as a session would: real numbers, or codes where all inputs were codes."""
    buffer = program.buffers[name]
    arrays = inputs.values() if isinstance(inputs, dict) else (inputs,)
    as_codes = not holds_codes(buffer) or all(array.dtype in (np.int8, np.int16) for array in arrays)
    values = codes if as_codes else reference.dequantize(codes, buffer)
    return values.reshape(len(codes), *program.shapes[name])

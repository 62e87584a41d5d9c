"""`edgebn device bench`: what an inference and each of its layers take on the device."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from edgebn.cli.device.samples import drawn, sample, to_bytes
from edgebn.cli.device.target import add_target_options, open_target
from edgebn.cli.device.verify import show_layers
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen
from edgebn.cli.values import count

HELP = "time inferences and layers on the device"
DESCRIPTION = "Time inferences by the device's own clock, which emulators tie to the instructions that were executed."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser)
    parser.add_argument("--runs", type=count, default=5, metavar="N", help="timed inferences, each of another input; default 5")
    add_target_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Time one model."""
    program = load_model(arguments.model, arguments)
    inputs = drawn(program, arguments.runs)
    with open_target(arguments, program, screen) as target:
        ticks = []
        with screen.progress(f"timing on {target.information.board}") as progress:
            for index in range(arguments.runs):
                ticks.append(target.device.run(to_bytes(program, sample(program, inputs, index))).ticks)
                progress(index + 1, arguments.runs)
        layers = target.device.run_ticks(to_bytes(program, sample(program, inputs, 0))).layers
        median = int(np.median(ticks))
        report = {
            **target.facts(),
            "runs": arguments.runs,
            "ticks_per_second": target.information.ticks_per_second,
            "ticks": {"median": median, "minimum": min(ticks), "maximum": max(ticks)},
            "milliseconds": target.milliseconds(median),
            "instructions": target.instructions(median),
            "layers": [
                {
                    "step": layer.step,
                    "name": program.steps[layer.step].name,
                    "ticks": layer.ticks,
                    "instructions": target.instructions(layer.ticks),
                }
                for layer in layers
            ],
        }
        if layers:
            show_layers(program, target, layers, screen)
        known = target.information
        cost = f"{target.cost(median)} (median of {arguments.runs})"
        screen.say(f"{known.model} on {known.board}: {cost} an inference")
    return report

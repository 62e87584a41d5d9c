"""`edgebn device adapt`: a stream through an adapting network on the device, which learns from every sample; drift as it goes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from edgebn import reference
from edgebn.adapt import Adapter
from edgebn.cli.device.samples import from_bytes, sample, to_bytes
from edgebn.cli.device.state import adapter_of, add_keep_option, keep
from edgebn.cli.device.target import add_policy_option, add_target_options, open_target
from edgebn.cli.inputs import add_input_options, load_inputs, sample_count
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen
from edgebn.cli.values import count, new_file
from edgebn.errors import LinkError
from edgebn.program import Program, holds_codes

HELP = "run a stream on the device and have it learn from every sample"
DESCRIPTION = (
    "Run every sample of a file on a device whose firmware adapts, and learn from each after it was predicted. The model is one "
    "from edgebn.adaptable. What the device believes of its world is shown as it goes."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser)
    parser.add_argument("stream", type=Path, metavar="STREAM", help="the inputs, in the order in which they arrive")
    parser.add_argument("--every", type=count, default=50, metavar="N", help="show the drift after every N samples; default 50")
    parser.add_argument("--save", type=new_file, metavar="FILE", help="write the state that was learned")
    add_keep_option(parser)
    add_policy_option(parser)
    add_target_options(parser)
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Run the stream."""
    program = load_model(arguments.model, arguments)
    adapter = adapter_of(program, arguments.policy)
    inputs = load_inputs(arguments.stream, program, arguments)
    total = sample_count(inputs)
    predicted, drifts = [], []
    with (
        open_target(arguments, program, screen, policy=adapter.policy) as target,
        screen.progress(f"adapting on {target.information.board}") as progress,
    ):
        if target.device.is_frozen():
            raise LinkError(f"{target.information.board} has stopped learning; `edgebn device freeze --off` has it go on")
        if program.states:
            learned = target.device.state()
            target.device.begin_sequence()
            target.device.set_state(learned)
        for index in range(total):
            done = target.device.learn(to_bytes(program, sample(program, inputs, index)))
            predicted.append(_best(program, from_bytes(program, done.output)[program.outputs[0]]))
            if (index + 1) % arguments.every == 0 or index + 1 == total:
                adapter.take_bytes(target.device.state(), target.information.board)
                drifts.append(_line(adapter, index + 1, screen))
            progress(index + 1, total)
        kept = keep(target, screen, wanted=arguments.keep)
        facts = target.facts()
    if arguments.save:
        adapter.save(arguments.save)
        screen.say(f"wrote {arguments.save}")
    return {**facts, "policy": adapter.policy, "samples": total, **kept, "predicted": predicted, "drift": drifts}


def _best(program: Program, output: np.ndarray) -> int:
    """Return the class that an output is for; a single score is that of the second of two."""
    if output.size > 1:
        return int(np.argmax(output))
    buffer = program.buffers[program.outputs[0]]
    score = reference.dequantize(output, buffer) if holds_codes(buffer) else output
    return int(score.item() > 0.5)


def _line(adapter: Adapter, seen: int, screen: Screen) -> dict[str, Any]:
    """Show and return what the device believes after `seen` samples."""
    layers = adapter.report().layers
    strongest = max(layers, key=lambda layer: layer.drift)
    gate = max(layer.gate for layer in layers)
    screen.say(
        f"after {seen:5}: gate {gate:4.2f}, drift {np.mean([layer.drift for layer in layers]):.3f} sigmas, "
        f"most in {strongest.name} ({strongest.drift:.3f})"
    )
    return {"seen": seen, "gate": gate, "layers": {layer.name: layer.drift for layer in layers}}

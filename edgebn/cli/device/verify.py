"""`edgebn device verify`: every layer on the device against the reference; byte for byte in int8."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from codegen import answer
from codegen.describe import describe
from edgebn import reference
from edgebn.cli.device import way
from edgebn.cli.device.learning import UPDATES, factory_state, learns, policy_of
from edgebn.cli.device.samples import drawn, from_bytes, size_of, value_of
from edgebn.cli.device.target import Target, add_target_options, open_target
from edgebn.cli.device.way import Alone, Piece, Source, WholeWay
from edgebn.cli.failure import FailedCheckError
from edgebn.cli.inputs import add_input_options, load_inputs, sample_count
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.prepared import is_prepared
from edgebn.cli.screen import Progress, Screen
from edgebn.cli.values import count
from edgebn.errors import LinkError
from edgebn.link import Layer, Run
from edgebn.preparation.data import Sound
from edgebn.program import Program

HELP = "compare every layer on the device with the reference"
DESCRIPTION = (
    "Run samples on a device and compare every layer's output with the NumPy reference: byte for byte in int8, within 1e-5 of the "
    "value's range in float32; where a network has both, each layer with what the reference makes of that layer's inputs on the "
    "device. Of a model that keeps how pictures or sounds become its input and what its answers are (see `edgebn prepare`), the "
    "whole way: what preparation makes, every layer, the answer. "
    "Where the device adapts, the samples are learned from too, and the state compared; it has its own again afterwards. "
    "Exit code 1 where something differs; the first layer that does is named."
)

FLOAT_TOLERANCE = 1e-5  # of the larger of 1 and the largest magnitude that is expected
SAMPLES = 10
PREPARED = answer.PREPARED % 2**32  # the step that what preparation made is sent as
PREPARATION = "preparation"


@dataclass(frozen=True)
class Difference:
    """Where a device differs from the reference.

    Attributes
    ----------
    sample : int
    layer : str
        The step's name, 'output NAME', 'preparation' or 'answer'.
    step : int
        Its index in the program; -1 for the others.
    what : str
        The step in words.
    values, of : int
        How many of its output's values differ, of how many.
    first : tuple of int
        (row, column, channel) of the first of them.
    device, reference : float
        What is there.
    """

    sample: int
    layer: str
    step: int
    what: str
    values: int
    of: int
    first: tuple[int, ...]
    device: float
    reference: float


@dataclass(frozen=True)
class Verdict:
    """What verification found.

    Attributes
    ----------
    samples : int
    compared : int
        Layers compared of each sample, outputs not counted.
    mismatches : int
        Layers and outputs that differ, over all samples.
    first : Difference or None
    ticks : int
        Median of one inference.
    layers : tuple of Layer
        Of the last sample: steps and their ticks.
    preparation : Layer or None
        What preparation takes; None where the network alone was compared.
    learns : bool or None
        Whether the device learns what Python does; None where it does not adapt.
    """

    samples: int
    compared: int
    mismatches: int
    first: Difference | None
    ticks: int
    layers: tuple[Layer, ...]
    preparation: Layer | None = None
    learns: bool | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model_argument(parser)
    parser.add_argument(
        "input", nargs="?", type=Path, metavar="INPUT", help="a file of inputs, pictures or a recording; random ones where left out"
    )
    parser.add_argument("--samples", type=count, metavar="N", help=f"how many samples; default {SAMPLES}, or all of INPUT")
    add_target_options(parser)
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Verify one model."""
    program = load_model(arguments.model, arguments)
    path = arguments.input
    is_whole = not way.why_not(program) and (path is None or is_prepared(path, program))
    policy = policy_of(program, arguments.board)
    with open_target(arguments, program, screen, policy, pipeline=is_whole) as target:
        source, not_compared = source_of(program, target, arguments)
        if not_compared:
            screen.say(f"preparation and answer are not compared: {not_compared}")
        with (
            factory_state(program, target.device) as policy,
            screen.progress(f"verifying on {target.information.board}") as progress,
        ):
            verdict = verify(program, target, source, progress)
            if policy is not None:
                verdict = replace(verdict, learns=learns(program, target.device, policy, source))
        report = {**_report(target, verdict), "not_compared": not_compared}
        _show(program, target, verdict, screen)
    if verdict.mismatches:
        raise FailedCheckError(f"{arguments.model}: {verdict.mismatches} layers differ from the reference", report)
    if verdict.learns is False:
        raise FailedCheckError(f"{arguments.model}: the device learns something else than Python", report)
    return report


def source_of(program: Program, target: Target, arguments: argparse.Namespace) -> tuple[Source, str | None]:
    """Return what the device is given, and why it is not the whole way of a model that has one.

    That is frames or samples where the device goes the whole way, else samples of the network alone.

    Raises
    ------
    LinkError
        It takes something else.
    ModelError
        INPUT does not fit.
    """
    path, sizes = arguments.input, (target.information.input_bytes, target.information.output_bytes)
    why = way.why_not(program)
    takes_arrays = path is not None and not is_prepared(path, program)
    if not why and sizes == (way.input_bytes(program), way.output_bytes(program)):
        if takes_arrays:
            raise LinkError(f"the device takes frames or samples, and {path} has what the network takes; leave it out")
        return WholeWay(program, path, arguments.samples or (None if path else SAMPLES)), None
    inputs = load_inputs(path, program, arguments) if path else drawn(program, arguments.samples or SAMPLES)
    total = min(sample_count(inputs), arguments.samples or sample_count(inputs))
    alone = sum(size_of(program, name) for name in program.inputs), sum(size_of(program, name) for name in program.outputs)
    if sizes != alone:
        raise LinkError(
            f"the device's program takes {sizes[0]} bytes and answers {sizes[1]}, not as this model is prepared; write its "
            "firmware again with `edgebn generate --main link --pipeline`, and flash it"
        )
    source = Alone(program, inputs, total)
    if program.preparation is None or program.preparation.before is None:
        return source, None
    if why or takes_arrays:
        return source, why or f"{path} has what the network takes"
    return source, "the device's program has neither; write it with `edgebn generate --main link --pipeline`"


def verify(program: Program, target: Target, source: Source, progress: Progress) -> Verdict:
    """Compare every sample of a source, all layers.

    Raises
    ------
    LinkError
        The line fails, or the device reports no layers.
    """
    mismatches, first, ticks = 0, None, list[int]()
    layers: tuple[Layer, ...] = ()
    states = reference.initial_states(program)
    if source.is_sequence:
        target.device.begin_sequence()
    for piece in source.pieces(source.total):
        timed = target.device.run(piece.data)  # without the time that layers take to be sent
        done = target.device.run_layers(piece.data, timed)
        index = len(ticks)
        if piece.network_inputs is None:
            found = [too_early(done, index)]
        else:
            ticks.append(timed.ticks)
            layers = done.layers
            found = differences(program, source, piece, done, states, index)
        differing = [entry for entry in found if entry is not None]
        mismatches += len(differing)
        first = first or next(iter(differing), None)
        progress(len(ticks), source.total)
    prepared = next((layer for layer in layers if layer.step == PREPARED), None)
    of_network = tuple(layer for layer in layers if layer.step != PREPARED)
    return Verdict(len(ticks), len(of_network), mismatches, first, int(np.median(ticks)), of_network, prepared)


def too_early(done: Run, index: int) -> Difference | None:
    """Return the difference that an inference is which nobody expects yet."""
    if not done.layers:
        return None
    return Difference(index, PREPARATION, -1, "runs the network before it has heard enough", 1, 1, (0,), 1, 0)


def differences(
    program: Program, source: Source, piece: Piece, done: Run, states: dict[str, np.ndarray], index: int
) -> list[Difference | None]:
    """Compare one sample, the whole way that the device goes.

    Raises
    ------
    LinkError
        The device reports no layers, or some that the model does not have.
    """
    assert piece.network_inputs is not None
    layers, network_inputs, found = done.layers, piece.network_inputs, list[Difference | None]()
    if not layers:
        raise LinkError("the firmware reports no layers: build it with EDGEBN_TRACE, as the project's own build files do")
    if isinstance(source, WholeWay):
        prepared, layers = layers[0], layers[1:]
        name = program.inputs[0]
        if prepared.step != PREPARED or prepared.data is None or prepared.size != network_inputs[name].nbytes:
            raise LinkError("the device does not say what its preparation makes; is its program of another version?")
        made = value_of(program, name, prepared.data)
        what = "from samples to the network's input" if isinstance(source.before, Sound) else "from a frame to the network's input"
        found.append(compared(made, network_inputs[name], index, PREPARATION, -1, what))
        network_inputs = {name: made}
    before = dict(states)
    expected = expected_values(program, network_inputs, layers, states)
    found += [difference(program, index, layer, expected) for layer in layers]
    if isinstance(source, Alone):
        for name, value in from_bytes(program, done.output).items():
            found.append(compared(value, expected[name], index, f"output {name}", -1, "what the caller gets"))
        return found
    values = {**program.constants, **before, **network_inputs}
    for layer in layers:
        assert layer.data is not None
        values[program.steps[layer.step].output] = value_of(program, program.steps[layer.step].output, layer.data)
    wanted = source.answer(way.outputs_of(program, values), network_inputs[program.inputs[0]])
    for (part, value), (_, right) in zip(way.read(program, done.output), wanted, strict=True):
        found.append(compared(way.plain(value), way.plain(right), index, "answer", -1, f"the {part} of the answer"))
    return found


def expected_values(
    program: Program, network_inputs: dict[str, np.ndarray], layers: tuple[Layer, ...], states: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return what the reference makes of a sample, by buffer; `states` are what the network keeps, before it and then after.

    In a network with both types, codes made from float32 numbers may differ by what is allowed of these: each step is then compared
    with what the reference makes of the inputs that the device had.
    """
    if program.executor_dtype != "mixed":
        return reference.run_steps(program, network_inputs, states=states)
    reported = {layer.step: layer for layer in layers}
    expected, values = {**program.constants, **network_inputs, **states}, {**program.constants, **network_inputs, **states}
    for index, step in enumerate(program.steps):
        expected[step.output] = values[step.output] = reference.run_step(program, step, values)
        layer = reported.get(index)
        if layer is not None and layer.data is not None and layer.size == expected[step.output].nbytes:
            values[step.output] = value_of(program, step.output, layer.data)
    states.update({state.reads: values[state.writes] for state in program.states})
    return expected


def difference(program: Program, index: int, layer: Layer, expected: dict[str, np.ndarray]) -> Difference | None:
    """Compare one layer of one sample.

    Raises
    ------
    LinkError
        The device reports a step that the program does not have, or a value of another size.
    """
    if layer.step >= len(program.steps) or layer.data is None:
        raise LinkError(f"the device reports a layer {layer.step}, which the model does not have")
    step = program.steps[layer.step]
    if layer.size != expected[step.output].nbytes:
        raise LinkError(f"{step.name}: the device reports {layer.size} bytes, the reference has {expected[step.output].nbytes}")
    value = value_of(program, step.output, layer.data)
    return compared(value, expected[step.output], index, step.name, layer.step, describe(step, program))


def compared(value: np.ndarray, expected: np.ndarray, index: int, layer: str, step: int, what: str) -> Difference | None:
    """Return where a value differs: codes in any byte, float32 by more than a part of the largest finite number."""
    wrong = value != expected
    if expected.dtype == np.float32:
        finite = np.abs(expected[np.isfinite(expected)])  # the rest must be the same: a pool's padding may be all that it sees
        bound = FLOAT_TOLERANCE * max(1.0, float(finite.max(initial=0.0)))
        with np.errstate(invalid="ignore"):  # infinities
            wrong &= ~(np.abs(value - expected) <= bound) & ~(np.isnan(value) & np.isnan(expected))
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return Difference(index, layer, step, what, int(wrong.sum()), wrong.size, first, float(value[first]), float(expected[first]))


def _report(target: Target, verdict: Verdict) -> dict[str, Any]:
    return {
        **target.facts(),
        "samples": verdict.samples,
        "mismatches": verdict.mismatches,
        "instructions": target.instructions(verdict.ticks),
        "milliseconds": target.milliseconds(verdict.ticks),
        "layers_compared": verdict.compared,
        "preparation": _cost(target, verdict.preparation) if verdict.preparation else None,
        "learns_as_python": verdict.learns,
        "first_difference": asdict(verdict.first) if verdict.first else None,
        "layers": [{"step": layer.step, **_cost(target, layer)} for layer in verdict.layers],
    }


def _cost(target: Target, layer: Layer) -> dict[str, Any]:
    return {"bytes": layer.size, "instructions": target.instructions(layer.ticks), "ticks": layer.ticks}


def _show(program: Program, target: Target, verdict: Verdict, screen: Screen) -> None:
    known = target.information
    show_layers(program, target, (*([verdict.preparation] if verdict.preparation else []), *verdict.layers), screen)
    cost = target.cost(verdict.ticks)
    memory = f"arena {known.arena_bytes:,} bytes"
    if target.size is not None:
        memory += f", program {target.size.flash:,} bytes of flash and {target.size.ram:,} of RAM"
    screen.say(f"{known.model} on {known.board}: {cost} an inference, {memory}")
    steps = f"{verdict.compared} of {len(program.steps)} steps" if verdict.compared < len(program.steps) else "every step"
    if verdict.learns is not None:
        learned = "the same state" if verdict.learns else "ANOTHER STATE"
        screen.say(f"{UPDATES} samples learned from: {learned} as Python's")
    if verdict.first is None:
        whole = f"preparation, {steps}, every answer" if verdict.preparation else f"{steps}, all outputs"
        screen.say(f"{verdict.samples} samples, {whole}: as the reference has them")
        return
    found = verdict.first
    screen.say(
        f"{verdict.mismatches} layers of {verdict.samples} samples differ. The first, in sample {found.sample}: {found.what}"
    )
    screen.say(
        f"  {found.values:,} of {found.of:,} values, at {found.first}: {found.device:g}, the reference has {found.reference:g}"
    )


def show_layers(program: Program, target: Target, layers: tuple[Layer, ...], screen: Screen) -> None:
    """Draw what each layer costs."""
    total = max(1, sum(layer.ticks for layer in layers))
    counts = [target.instructions(layer.ticks) for layer in layers]
    unit = "ticks" if None in counts else "instructions"
    rows = [
        (
            PREPARATION if layer.step == PREPARED else program.steps[layer.step].name,
            layer.size,
            layer.ticks if cost is None else cost,
            100.0 * layer.ticks / total,
        )
        for layer, cost in zip(layers, counts, strict=True)
    ]
    screen.table("layers on the device", ("layer", "bytes", unit, "%"), rows)

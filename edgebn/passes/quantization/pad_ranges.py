"""What a Pad puts around a value must be among that value's codes: numbers that ranges must hold, values that change codes first.

A Pad keeps the codes of what it reads, and so do the steps before it that only move codes: what made them must hold its number too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.passes.quantization.quantize_buffers import fixed_codes, keeps_codes
from edgebn.program import Buffer, Elementwise, Pad, Pool, Program, Step


def held_numbers(program: Program) -> dict[str, list[float]]:
    """Return, by buffer of a float32 program, the numbers that its codes must be able to hold beside its values."""
    held: dict[str, list[float]] = {}
    for step in reversed(program.steps):
        if not keeps_codes(step, program):
            continue
        numbers = held.setdefault(step.inputs[0], [])
        numbers += held.get(step.output, [])
        if isinstance(step, Pad) and _counts(step, program):
            numbers.append(step.value)
    return held


def _counts(pad: Pad, program: Program) -> bool:
    """Whether a padding's number can be seen in what follows; zero is always a code."""
    if pad.value == 0 or not np.isfinite(pad.value):
        return False
    readers = [step for step in program.steps if pad.output in step.inputs]
    only_maxima = pad.output not in program.leaving and all(
        isinstance(step, Pool) and step.window.function == "max" for step in readers
    )
    return not (only_maxima and pad.value < 0)  # below every value it is the lowest code, which no more wins a maximum than it does


def with_pads_apart(program: Program) -> Program:
    """Return a float32 program in which no Pad puts a number around values whose codes are fixed and do not reach it.

    Such values (of a sigmoid, tanh or softmax) pass through a step in between that changes nothing, and has a range of its own.
    """
    makers = {step.output: step for step in program.steps}
    steps: list[Step] = []
    buffers = dict(program.buffers)
    for step in program.steps:
        if isinstance(step, Pad) and _counts(step, program) and _beyond(step, makers, program):
            source = step.inputs[0]
            name = f"{source}/wider"
            while name in buffers:
                name += "_"
            buffers[name] = Buffer(name, buffers[source].shape)
            steps += [Elementwise(f"{step.name}/wider", (source,), name, "clip"), replace(step, inputs=(name,))]
        else:
            steps.append(step)
    return replace(program, steps=tuple(steps), buffers=buffers)


def _beyond(pad: Pad, makers: dict[str, Step], program: Program) -> bool:
    """Whether a padding's number is more than a step beyond the fixed codes of what it surrounds."""
    made = makers.get(pad.inputs[0])
    while made is not None and keeps_codes(made, program):
        made = makers.get(made.inputs[0])
    codes = None if made is None else fixed_codes(made)
    if codes is None:
        return False
    scale, zero_point = codes
    return not scale * (-129 - zero_point) <= pad.value <= scale * (128 - zero_point)

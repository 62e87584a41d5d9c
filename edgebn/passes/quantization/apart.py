"""Float32 steps that int8 has only as several: fused average pools, and PReLU with a slope of its own at every pixel.

They are taken apart before calibration, so that every value between them is seen. Knows float32 programs only; runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.program import Add, Buffer, Convolution, Elementwise, Multiply, Pool, Program, Step, unpooled_shape


class _Taken:
    """The program as it is written anew."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.buffers = dict(program.buffers)
        self.constants = dict(program.constants)
        self.step_names = dict.fromkeys(step.name for step in program.steps)

    def make(self, name: str, shape: tuple[int, int, int]) -> str:
        """Add a buffer of about that name."""
        name = _unused(name, self.buffers)
        self.buffers[name] = Buffer(name, shape)
        return name

    def name(self, name: str) -> str:
        """Return about that name, for a step more."""
        name = _unused(name, self.step_names)
        self.step_names[name] = None
        return name


def _unused(name: str, taken: Mapping[str, object]) -> str:
    """Return `name`, made longer until nothing else has it."""
    while name in taken:
        name += "_"
    return name


def steps_apart(program: Program) -> Program:
    """Return a float32 program that computes the same with steps of which int8 has each."""
    taken = _Taken(program)
    steps = [part for step in program.steps for part in _PARTS.get(type(step), _whole)(step, taken)]
    return replace(program, steps=tuple(steps), buffers=taken.buffers, constants=taken.constants)


def _whole(step: Step, taken: _Taken) -> list[Step]:  # noqa: ARG001  # every step's function is called alike
    return [step]


def _convolution(step: Convolution, taken: _Taken) -> list[Step]:
    """A fused average pool is a step of its own: int8 wants the range of the rows before it, which a fused step never shows."""
    if step.pool is None or step.pool.function != "average":
        return [step]
    rows = taken.make(f"{step.output}/unpooled", unpooled_shape(step, taken.program.buffers[step.inputs[0]].shape))
    return [replace(step, output=rows, pool=None), Pool(taken.name(f"{step.name}/pool"), (rows,), step.output, step.pool)]


def _elementwise(step: Elementwise, taken: _Taken) -> list[Step]:
    """PReLU whose slope differs over space, which no table of codes holds: max(x, 0) + slope * min(x, 0)."""
    slope = step.slope
    if slope is None or slope.size in (1, slope.shape[-1]):
        return [step]
    shape = taken.program.buffers[step.output].shape
    above, below, bent = (taken.make(f"{step.output}/{part}", shape) for part in ("above", "below", "bent"))
    factor = taken.make(f"{step.output}/slope", slope.shape)
    taken.constants[factor] = np.ascontiguousarray(slope, np.float32)
    return [
        Elementwise(taken.name(f"{step.name}/above"), step.inputs, above, "clip", 0.0, np.inf),
        Elementwise(taken.name(f"{step.name}/below"), step.inputs, below, "clip", -np.inf, 0.0),
        Multiply(taken.name(f"{step.name}/slope"), (below, factor), bent),
        Add(step.name, (above, bent), step.output),
    ]


_PARTS: Mapping[type[Step], Callable[[Any, _Taken], list[Step]]] = {Convolution: _convolution, Elementwise: _elementwise}

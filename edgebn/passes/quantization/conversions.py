"""Steps of several types joined to one program: what stands where values pass from one type to another. Runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgebn import program as p
from edgebn.passes.integer.multipliers import rescaling

WIDEST = ("float32", "int16", "int8")
SUFFIXES = {"float32": "real", "int16": "wide", "int8": "codes"}


@dataclass(frozen=True)
class Values:
    """Every value and constant of a program in one type."""

    buffers: Mapping[str, p.Buffer]
    constants: Mapping[str, np.ndarray]


class Joining:
    """A program as it is written anew.

    Parameters
    ----------
    program : Program
        float32.
    values : mapping of str to Values
        As each type that is used has them.
    types : mapping of str to str
        The type of each step by name.
    """

    def __init__(self, program: p.Program, values: Mapping[str, Values], types: Mapping[str, str]) -> None:
        self._values = values
        self._types = types
        self._made = _types_of_values(program, types)
        self.buffers = {name: self._as(name, self._made[name]) for name in program.buffers}
        self.constants = {name: values[self._made[name]].constants[name] for name in program.constants}
        self.steps: list[p.Step] = []
        self._taken = {step.name for step in program.steps} | set(self.buffers)
        self._converted: dict[tuple[str, str, float], str] = {}

    def _as(self, name: str, dtype: str) -> p.Buffer:
        return self._values[dtype].buffers[name]

    def add(self, step: p.Step) -> None:
        """Append a step, and before it what brings its inputs to its type."""
        dtype = self._types[step.name]
        wanted = [self._as(name, dtype) for name in step.inputs]
        if isinstance(step, p.Concat) and dtype == "int16":  # it has no tables: the parts come in the scale of the whole
            wanted = [replace(buffer, scale=self.buffers[step.output].scale) for buffer in wanted]
        self.steps.append(replace(step, inputs=tuple(map(self._other, step.inputs, wanted))))

    def _other(self, name: str, wanted: p.Buffer) -> str:
        """Return the value as `wanted` has it."""
        source = self.buffers[name]
        if source.dtype == wanted.dtype and source.scale == wanted.scale:
            return name
        key = (name, wanted.dtype, wanted.scale)
        if key not in self._converted:
            new = f"{name}/{SUFFIXES[wanted.dtype]}"
            while new in self._taken:
                new += "_"
            self._taken.add(new)
            self._converted[key] = new
            self.buffers[new] = replace(wanted, name=new)
            if name in self.constants and self._as(name, wanted.dtype).scale == wanted.scale:
                self.constants[new] = self._values[wanted.dtype].constants[name]
            else:
                self.steps.append(_conversion(new, source, wanted))
        return self._converted[key]


def _conversion(name: str, source: p.Buffer, wanted: p.Buffer) -> p.Step:
    if source.dtype == "float32":
        return p.Quantize(name, (source.name,), name)
    if wanted.dtype == "float32":
        return p.Dequantize(name, (source.name,), name)
    codes = (wanted.zero_point, *p.CODE_RANGES[wanted.dtype])
    return p.Rescale(name, (source.name,), name, rescaling(source.scale, wanted.scale, codes, name))


def _types_of_values(program: p.Program, types: Mapping[str, str]) -> dict[str, str]:
    """Return the type of every value: of what makes it; of inputs the widest that reads them, of constants the narrowest."""
    found = {step.output: types[step.name] for step in program.steps}

    def readers(name: str) -> set[str]:
        return {types[step.name] for step in program.steps if name in step.inputs}

    narrowest = WIDEST[::-1]
    for name in program.inputs:
        found[name] = next((dtype for dtype in WIDEST if dtype in readers(name)), _usual(types))
    for name in program.constants:
        found[name] = next((dtype for dtype in narrowest if dtype in readers(name)), _usual(types))
    for _ in program.states:  # as often as states are handed on to others as they are
        found |= {state.reads: found.get(state.writes, _usual(types)) for state in program.states}
    return found


def _usual(types: Mapping[str, str]) -> str:
    """Return the type of a value that nothing reads: the narrowest there is."""
    return next((dtype for dtype in WIDEST[::-1] if dtype in types.values()), "float32")


def joined(program: p.Program, values: Mapping[str, Values], types: Mapping[str, str], steps: Iterable[p.Step]) -> p.Program:
    """Return the program of all types; `steps` are in order, each in its own type."""
    joining = Joining(program, values, types)
    for step in steps:
        joining.add(step)
    return replace(program, buffers=joining.buffers, constants=joining.constants, steps=tuple(joining.steps))

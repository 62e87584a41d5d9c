"""Which steps quantisation leaves in float32, and the conversions that stand where values pass from one type to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from edgebn import program as p
from edgebn.errors import QuantizationError
from edgebn.passes.quantization.quantize_buffers import keeps_codes

TYPES = ("float32",)
# Steps without an int8 form; those of int32 stay as they are, too.
FLOAT_ONLY = (p.Normalization, p.DetectionPostProcess, p.GatherND, p.Select)


def kept_steps(model: p.Program, apart: p.Program, keep: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the steps of `apart` that stay float32: those without an int8 form, and those that are named.

    Parameters
    ----------
    model, apart : Program
        The program as its user knows it, and the same with steps taken apart.
    keep : mapping of str to str
        The type of each layer, step or output by name: 'float32'. A name stands for all that begin with it and '/' or '.'. An
        output's name stands for the steps that make it: back through those that only move values to those that compute them.

    Raises
    ------
    QuantizationError
        A name that the network lacks, or another type.
    """
    if not isinstance(keep, Mapping) or not all(isinstance(name, str) for name in keep):
        raise QuantizationError(f"{model.source}: keep={keep!r}: give a dict of names and types, as {{'head': 'float32'}}")
    found: set[str] = {step.name for step in apart.steps if float_only(step) or _has_integers(step, apart)}
    for name, dtype in keep.items():
        if dtype not in TYPES:
            raise QuantizationError(f"{model.source}: keep={{'{name}': {dtype!r}}}: steps are kept in 'float32'")
        wanted = _named(name, model)
        if name in model.outputs:
            found |= tail(apart, name)
        elif not wanted:
            raise QuantizationError(f"{model.source}: there is no layer or output '{name}' to keep{_suggestion(name, model)}")
        found |= {step.name for step in apart.steps if any(_is_part(step.name, one) for one in wanted)}
    return frozenset(found)


def float_only(step: p.Step) -> bool:
    """Whether a step has no int8 form."""
    return isinstance(step, FLOAT_ONLY) or (isinstance(step, p.Binary) and step.function == "divide")


def _has_integers(step: p.Step, program: p.Program) -> bool:
    return any(program.buffers[name].dtype == "int32" for name in (*step.inputs, step.output))


def _named(name: str, model: p.Program) -> set[str]:
    """Return the steps that do the work of what is named."""
    layers = {record.step for record in model.records if record.step and _is_part(record.name, name)}
    return layers | {step.name for step in model.steps if _is_part(step.name, name)}


def _is_part(name: str, whole: str) -> bool:
    return name == whole or name.startswith((f"{whole}/", f"{whole}."))


def _suggestion(name: str, model: p.Program) -> str:
    names = dict.fromkeys([*model.outputs, *(step.name for step in model.steps), *(record.name for record in model.records)])
    close = get_close_matches(name, list(names), n=3, cutoff=0.5) or list(names)[-3:]
    return "; did you mean " + " or ".join(f"'{one}'" for one in close) + "?"


def tail(program: p.Program, name: str) -> set[str]:
    """Return the steps that make a value: back through those that only move numbers to those that compute them."""
    makers = {step.output: step for step in program.steps}
    found: set[str] = set()
    left = [name]
    while left:
        step = makers.get(left.pop())
        if step is None or step.name in found:
            continue
        found.add(step.name)
        if keeps_codes(step, program) or isinstance(step, p.Concat):
            left += step.inputs
    return found


def outer_steps(program: p.Program) -> frozenset[str]:
    """Return the steps that make the outputs: those that only move or join values, and those that compute these values."""
    return frozenset(name for output in program.outputs for name in tail(program, output))


def with_movement(program: p.Program, floats: Iterable[str]) -> frozenset[str]:
    """Return `floats` with the steps that only move what these make, where nothing in int8 reads it."""
    found = set(floats)
    readers: dict[str, list[p.Step]] = {}
    for step in program.steps:
        for name in step.inputs:
            readers.setdefault(name, []).append(step)
    wanted: set[str] = set()  # values that are best float32, if they are made so
    for step in reversed(program.steps):
        behind = readers.get(step.output, [])
        if all(one.name in found or (keeps_codes(one, program) and one.output in wanted) for one in behind):
            wanted.add(step.output)
    real: set[str] = set()
    for step in program.steps:
        if keeps_codes(step, program) and step.output in wanted and step.inputs[0] in real:
            found.add(step.name)
        if step.name in found:
            real.add(step.output)
    return frozenset(found)


def with_conversions(
    program: p.Program,
    codes: Mapping[str, p.Buffer],
    constants: Mapping[str, np.ndarray],
    steps: Iterable[p.Step],
    floats: frozenset[str],
) -> p.Program:
    """Return the program of both types.

    Parameters
    ----------
    program : Program
        float32.
    codes : mapping of str to Buffer
        Every buffer as int8.
    constants : mapping of str to ndarray
        The constants' codes.
    steps : iterable of Step
        Those of `program` in order: float32 where `floats` says so, else int8.
    floats : frozenset of str
        Names of steps.
    """
    real = {step.output for step in program.steps if step.name in floats}
    real |= {name for name in program.inputs if any(name in step.inputs and step.name in floats for step in program.steps)}
    real |= {state.reads for state in program.states if state.writes in real}
    real |= {name for name in program.constants if all(step.name in floats for step in program.steps if name in step.inputs)}
    buffers = {name: program.buffers[name] if name in real else codes[name] for name in program.buffers}
    arrays = {name: program.constants[name] if name in real else array for name, array in constants.items()}
    taken = {step.name for step in program.steps} | set(buffers)
    converted: dict[str, str] = {}
    made: list[p.Step] = []

    def other(name: str) -> str:
        """Return the value in the type that it is not made in."""
        if name not in converted:
            new = f"{name}/{'codes' if name in real else 'real'}"
            while new in taken:
                new += "_"
            taken.add(new)
            converted[name] = new
            buffers[new] = replace(codes[name] if name in real else program.buffers[name], name=new)
            if name in constants:
                arrays[new] = constants[name] if name in real else program.constants[name]
            else:
                made.append((p.Quantize if name in real else p.Dequantize)(new, (name,), new))
        return converted[name]

    for step in steps:
        is_float = step.name in floats
        inputs = tuple(name if (name in real) == is_float else other(name) for name in step.inputs)
        made.append(replace(step, inputs=inputs))
    return replace(program, buffers=buffers, constants=arrays, steps=tuple(made))

"""Which steps quantisation puts in other types than the rest, and the conversions where values pass from one type to another."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from edgebn import program as p
from edgebn.errors import QuantizationError
from edgebn.functions import OF_REALS
from edgebn.passes.quantization.quantize_buffers import keeps_codes

TYPES = ("float32", "int16")
# Steps without an int8 form; those of int32 stay as they are, too.
FLOAT_ONLY = (p.Normalization, p.Recurrence, p.DetectionPostProcess, p.NonMaxSuppression, p.GatherND, p.Select)


def kept_steps(model: p.Program, apart: p.Program, keep: Mapping[str, str]) -> dict[str, str]:
    """Return the type of the steps of `apart` that are named, by name, and of those without integer form, which stay float32.

    Parameters
    ----------
    model, apart : Program
        The program as its user knows it, and the same with steps taken apart.
    keep : mapping of str to str
        The type of each layer, step or output by name: 'float32' or 'int16'. A name stands for all that begin with it and '/' or
        '.'. An output's name stands for the steps that make it: back through those that only move values to those that compute
        them.

    Raises
    ------
    QuantizationError
        A name that the network lacks, or another type.
    """
    if not isinstance(keep, Mapping) or not all(isinstance(name, str) for name in keep):
        raise QuantizationError(f"{model.source}: keep={keep!r}: give a dict of names and types, as {{'head': 'float32'}}")
    found: dict[str, str] = {}
    for name, dtype in keep.items():
        if dtype not in TYPES:
            raise QuantizationError(f"{model.source}: keep={{'{name}': {dtype!r}}}: steps are kept in 'float32' or 'int16'")
        wanted = _named(name, model)
        if name in model.outputs:
            found |= dict.fromkeys(tail(apart, name), dtype)
        elif not wanted:
            raise QuantizationError(f"{model.source}: there is no layer or output '{name}' to keep{_suggestion(name, model)}")
        found |= {step.name: dtype for step in apart.steps if any(_is_part(step.name, one) for one in wanted)}
    return found | {step.name: "float32" for step in apart.steps if float_only(step) or _has_integers(step, apart)}


def float_only(step: p.Step) -> bool:
    """Whether a step has no int8 form."""
    return isinstance(step, FLOAT_ONLY) or (isinstance(step, p.Binary) and step.function in OF_REALS)


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


def with_movement(program: p.Program, types: Mapping[str, str]) -> dict[str, str]:
    """Return `types` with the steps that only move what these make, where nothing of another type reads it."""
    found = dict(types)
    for dtype in dict.fromkeys(types.values()):
        alike = _moving_alike(program, {name for name in types if types[name] == dtype})
        found |= {name: dtype for name in alike if name not in types}
    return found


def _moving_alike(program: p.Program, names: set[str]) -> set[str]:
    """Return `names` with the steps that only move what these make, where nothing else reads it."""
    found = set(names)
    readers: dict[str, list[p.Step]] = {}
    for step in program.steps:
        for name in step.inputs:
            readers.setdefault(name, []).append(step)
    wanted: set[str] = set()  # values that are best of this type, if they are made so
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
    return found

"""int8 steps whose every output follows from one input code of its channel become one table: x * sigmoid(x), max(x, slope * x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgebn.passes.checked import checked
from edgebn.program import Add, Affine, Binary, Lookup, Multiply, Program, Step
from edgebn.quick_dataclass import dataclass, replace

CODES = 256
# Runs one step on the values of its inputs: the specification, which no pass knows.
RunStep = Callable[[Program, Step, Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class _Follows:
    """What a buffer holds, said by codes of another: `table` int8 (1 or channels, 256), by code + 128."""

    source: str
    table: np.ndarray
    steps: int  # how many lie between


def join_tables(program: Program, run_step: RunStep) -> Program:
    """Return `program` with chains of tables, and of functions of two values that both follow from one, as one table.

    Every byte of every output stays what it was. Buffers that nobody reads any more are gone.

    Parameters
    ----------
    program : Program
    run_step : callable (program, step, values) -> value
        `reference.run_step`.
    """
    known: dict[str, _Follows] = {}
    for step in program.steps:
        found = _follows(program, step, known, run_step)
        if found is not None:
            known[step.output] = found
    joined = {step.name: known[step.output] for step in program.steps if step.output in known and _pays(program, step, known)}
    if not joined:
        return program
    steps = tuple(
        Lookup(step.name, (joined[step.name].source,), step.output, joined[step.name].table) if step.name in joined else step
        for step in program.steps
    )
    return checked(_without_unread(program, steps, {step.name for step in program.steps if step.output in known}))


def _pays(program: Program, step: Step, known: Mapping[str, _Follows]) -> bool:
    """Whether one table in a step's place is less work, and has an entry for each element at most: so much less is stored."""
    found = known[step.output]
    if isinstance(step, Lookup) and found.steps == 1:
        return False
    return found.table.size <= max(CODES, math.prod(program.buffers[step.output].shape))


def _follows(program: Program, step: Step, known: Mapping[str, _Follows], run_step: RunStep) -> _Follows | None:
    """Return what a step's output holds by codes of one buffer, or None where it does not follow from one."""
    output = program.buffers[step.output]
    if not isinstance(step, Lookup | Add | Multiply | Binary | Affine) or output.dtype != "int8":
        return None
    if isinstance(step, Affine) and step.epilogue.norms:  # whose numbers an adaptation changes
        return None
    if any(program.buffers[name].dtype != "int8" for name in step.inputs):
        return None
    varying = [name for name in step.inputs if name not in program.constants]
    sources = {known[name].source if name in known else name for name in varying}
    if len(sources) != 1 or any(program.buffers[name].shape != output.shape for name in varying):
        return None
    (source,) = sources
    constants = [program.constants[name] for name in step.inputs if name in program.constants]
    if any(constant.shape[:2] != (1, 1) for constant in constants):
        return None
    channels = output.shape[2]
    codes = np.arange(-CODES // 2, CODES // 2).astype(np.int8)
    values: dict[str, np.ndarray] = {}
    for name in step.inputs:
        if name in program.constants:
            values[name] = program.constants[name]
        else:
            table = known[name].table if name in known else codes[None]
            values[name] = np.ascontiguousarray(np.broadcast_to(table.T[None], (1, CODES, channels)))
    shaped = {name: replace(program.buffers[name], shape=(1, CODES, channels)) for name in (*varying, step.output)}
    found = run_step(replace(program, buffers={**program.buffers, **shaped}), step, values)[0].T
    table = found[:1] if (found == found[:1]).all() else found
    return _Follows(source, np.ascontiguousarray(table), 1 + max(known[name].steps if name in known else 0 for name in varying))


def _without_unread(program: Program, tables: Sequence[Step], candidates: set[str]) -> Program:
    """Return `program` with `tables` for its steps, and without those of `candidates` that nobody reads any more."""
    steps, gone = list(tables), {}
    wanted = set(program.leaving)
    if program.adaptation is not None:
        wanted.add(program.adaptation.logits)
    for step in reversed(tables):
        if step.name in candidates and step.output not in wanted:
            steps = [other for other in steps if other is not step]
            gone[step.name] = step.output
        else:
            wanted |= set(step.inputs)
    kept = {step.name for step in steps}
    into = {name: _taken_by(program, output, kept) for name, output in gone.items()}
    records = tuple(
        replace(record, step=into[record.step], became=f"in the table of {into[record.step]}" if into[record.step] else "vanished")
        if record.step in gone
        else record
        for record in program.records
    )
    used = {name for step in steps for name in (*step.inputs, step.output)} | wanted | set(program.entering)
    buffers = {name: buffer for name, buffer in program.buffers.items() if name in used}
    constants = {name: value for name, value in program.constants.items() if name in used}
    return replace(
        program,
        steps=tuple(steps),
        buffers=buffers,
        constants=constants,
        records=records,
        channel_factors={name: factor for name, factor in program.channel_factors.items() if name in buffers},
    )


def _taken_by(program: Program, buffer: str, kept: set[str]) -> str:
    """Return the first of the steps kept that followed from a buffer; '' where none did."""
    following = {buffer}
    for step in program.steps:
        if following & set(step.inputs):
            if step.name in kept:
                return step.name
            following.add(step.output)
    return ""

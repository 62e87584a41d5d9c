"""A program's buffers as requests to the arena planner, at their bare size: no engine's halo, no engine's alignment of rows."""

from __future__ import annotations

from edgebn.memory import Plan, Request, plan
from edgebn.program import Buffer, Program, Reshape

ITEM_BYTES = {"float32": 4, "int8": 1, "int16": 2, "int32": 4}


def buffer_bytes(buffer: Buffer) -> int:
    """Return the bytes of one sample's value."""
    height, width, channels = buffer.shape
    return height * width * channels * ITEM_BYTES[buffer.dtype]


def arena(program: Program, alignment: int = 16) -> Plan:
    """Plan an arena for every buffer that is not constant, one sample at a time.

    Parameters
    ----------
    program : Program
    alignment : int
        Bytes. 16 is what microcontroller libraries ask for; `Session` uses 64 for its vectors.

    Returns
    -------
    Plan
        Offsets by buffer name; the result of a `Reshape` step shares the offset of what it reads.
    """
    owner = _owners(program)
    end = len(program.steps)  # outputs are read after the last step
    first: dict[str, int] = {owner[name]: -1 for name in program.entering}
    last: dict[str, int] = dict(first)
    for index, step in enumerate(program.steps):
        for name in step.inputs:
            if name not in program.constants:
                last[owner[name]] = index
        first.setdefault(owner[step.output], index)
        last[owner[step.output]] = index
    for name in program.leaving:
        if name not in program.constants:
            last[owner[name]] = end
    found = plan([Request(name, buffer_bytes(program.buffers[name]), first[name], last[name]) for name in first], alignment)
    offsets = {name: found.offsets[holder] for name, holder in owner.items() if holder in found.offsets}
    return Plan(offsets, found.size, found.lower_bound)


def _owners(program: Program) -> dict[str, str]:
    """Return, for every buffer in the arena, the buffer whose bytes it uses: itself, or what its `Reshape` reads."""
    owner = {name: name for name in program.entering}
    for step in program.steps:
        shares = isinstance(step, Reshape) and step.inputs[0] in owner
        owner[step.output] = owner[step.inputs[0]] if shares else step.output
    return owner

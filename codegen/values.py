"""Which memory every buffer of a program is: the caller's, a constant array, a state, or a place in the arena.

Knows no sizes of arenas. The result of a `Reshape` is the memory it reads, unless both are the caller's or that is a state.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate

from codegen.naming import identifiers, parameter_names, stems
from edgebn.program import Buffer, Program, Reshape

STATE_ALIGNMENT = 8  # bytes
# dtype to its C type and bytes
ELEMENT = {"int8": ("int8_t", 1), "int16": ("int16_t", 2), "float32": ("float", 4), "int32": ("int32_t", 4)}


def count(buffer: Buffer) -> int:
    """Return the elements of one sample."""
    height, width, channels = buffer.shape
    return height * width * channels


def size_of(buffer: Buffer) -> int:
    """Return the bytes of one sample."""
    return count(buffer) * ELEMENT[buffer.dtype][1]


@dataclass(frozen=True)
class Values:
    """Where a program's values are, in C.

    Attributes
    ----------
    owner : dict of str to str
        Every buffer to the buffer whose memory it is; itself for most.
    expressions : dict of str to str
        Every buffer to a C expression that points to its first element.
    constants : dict of str to str
        Constant buffers to the name of their array.
    inputs, outputs : tuple of (str, str)
        The parameters of the run function: buffer and C name, in the program's order.
    copies : tuple of (str, str)
        Outputs that no step can write where the caller wants them: source expression and output's name, copied at the end.
    states : dict of str to int
        Buffers that are read from the memory of states, and where they begin there, in bytes.
    state_bytes : int
        Of all states.
    """

    owner: dict[str, str]
    expressions: dict[str, str]
    constants: dict[str, str]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, str], ...]
    states: dict[str, int]
    state_bytes: int


def place_values(program: Program, name: str, prefix: str) -> Values:
    """Decide what memory every buffer is and what it is called.

    Parameters
    ----------
    program : Program
    name : str
        The model's, for constant arrays.
    prefix : str
        Of the kernels: no value is called as one of them.

    Returns
    -------
    Values
    """
    inputs = tuple(zip(program.inputs, parameter_names("input", program.inputs, name), strict=True))
    outputs = tuple(zip(program.outputs, parameter_names("output", program.outputs, name), strict=True))
    parameters = [parameter for _, parameter in (*inputs, *outputs)]
    names = identifiers(program.buffers, parameters, reserved=(name, prefix))
    constants = {buffer: f"{stem}_constant" for buffer, stem in stems(program.constants, name, parameters).items()}
    states = {state.reads: names[state.reads] for state in program.states}
    fixed = {**constants, **dict(inputs), **states}  # not to be written
    wanted: dict[str, str] = {}  # buffers that are written straight into the caller's memory
    later = []
    for buffer, parameter in outputs:
        if buffer in fixed or buffer in wanted:
            later.append((buffer, parameter))
        else:
            wanted[buffer] = parameter
    owner, external = _share(program, {**fixed, **wanted}, apart=states)
    expressions = {buffer: external.get(owner[buffer], names[owner[buffer]]) for buffer in program.buffers}
    copies = tuple((expressions[buffer], parameter) for buffer, parameter in later)
    sizes = [-(-size_of(program.buffers[buffer]) // STATE_ALIGNMENT) * STATE_ALIGNMENT for buffer in states]
    begins = dict(zip(states, accumulate(sizes, initial=0), strict=False))
    return Values(owner, expressions, constants, inputs, outputs, copies, begins, sum(sizes))


def _share(program: Program, external: dict[str, str], apart: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return owners, and the expressions of those that are not in the arena; the memory of those `apart` is not shared."""
    owner = {buffer: buffer for buffer in program.buffers}
    expressions = dict(external)
    for step in program.steps:
        if not isinstance(step, Reshape):
            continue
        source, target = owner[step.inputs[0]], owner[step.output]
        if source in apart or (target in expressions and source in expressions):
            continue  # both are the caller's, or the source is to be written at the end: the step copies
        if target in expressions:
            expressions[source] = expressions[target]
        owner = {buffer: source if held == target else held for buffer, held in owner.items()}
    return owner, expressions

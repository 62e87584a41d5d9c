"""States in C: memory beside the arena that lives from run to run, how it is reset, and how a run reads and leaves it. C text."""

from __future__ import annotations

import numpy as np

from codegen.naming import stems
from codegen.project import Listing
from codegen.stepcode import CArray
from codegen.values import ELEMENT, Values, size_of
from edgebn.program import Program


def memory_name(listing: Listing) -> str:
    """Return what the function that gives their memory is called, and with `_BYTES` how large it is.

    "State" alone is the adaptation's in a network that has both.
    """
    return f"{listing.name}_kept" if listing.adaptation else f"{listing.name}_state"


def initial_arrays(program: Program, name: str, values: Values) -> dict[str, CArray]:
    """Return the constant arrays that states begin with, by buffer; those of one repeated byte are filled instead."""
    parameters = [parameter for _, parameter in (*values.inputs, *values.outputs)]
    called = stems(values.states, name, parameters)
    return {
        state.reads: CArray(
            f"{called[state.reads]}_initial",
            ELEMENT[program.buffers[state.reads].dtype][0],
            state.initial,
            f"{state.initial.shape}: what the state '{state.reads}' begins with",
        )
        for state in program.states
        if _repeated_byte(state.initial) is None
    }


def _repeated_byte(value: np.ndarray) -> int | None:
    """Return the byte that a value consists of, or None where it has several."""
    found = np.unique(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    return int(found[0]) if len(found) == 1 else None


def memory(listing: Listing) -> str:
    """Return the definition of the states' memory, where it is the network's own."""
    if not listing.values.states or listing.instances:
        return ""
    return f"""
/* What lives from run to run. */
static union {{
    int64_t alignment;
    int8_t bytes[{memory_name(listing).upper()}_BYTES];
}} {listing.name}_states;
"""


def functions(listing: Listing) -> str:
    """Return the functions that a caller has for the states."""
    if not listing.values.states:
        return ""
    name = listing.name
    lines = []
    for state in listing.program.states:
        place, nbytes = _place(listing, state.reads), state.initial.nbytes
        byte = _repeated_byte(state.initial)
        copied = f"memset({place}, {byte}" if byte is not None else f"memcpy({place}, {listing.initial[state.reads].name}"
        lines.append(f"    (void){copied}, {nbytes});")
    body = "\n".join(lines)
    head = f"void {name}_reset_state_of(struct {name} *instance)" if listing.instances else f"void {name}_reset_state(void)"
    whole = "" if listing.instances else f"void *{memory_name(listing)}(void) {{\n    return {name}_states.bytes;\n}}\n\n"
    return f"""\
{head} {{
{body}
}}

{whole}"""


def declarations(listing: Listing) -> str:
    """Return what the network's header says of them."""
    if not listing.values.states:
        return ""
    name, size = listing.name, f"{memory_name(listing).upper()}_BYTES"
    return f"""\
/* What lives from run to run: {size} bytes, beside the arena. */
#define {size} {listing.values.state_bytes}

/* Begins a new sequence: the next run is a first one. {name}_init does it too. */
void {name}_reset_state(void);

/* The memory itself: with a copy for each, one network follows several streams. */
void *{memory_name(listing)}(void);

"""


def reset(listing: Listing) -> str:
    """Return the call that puts the states into their first condition, or nothing."""
    if not listing.values.states:
        return ""
    return f"{listing.name}_reset_state_of(instance);" if listing.instances else f"{listing.name}_reset_state();"


def places(listing: Listing) -> list[str]:
    """Return the declarations of the values that a run reads from the states."""
    lines = []
    for buffer in listing.values.states:
        item = ELEMENT[listing.program.buffers[buffer].dtype][0]
        place = _place(listing, buffer)
        cast = place if item == "int8_t" else f"(const {item} *)(const void *)({place})"
        lines.append(f"    const {item} *const {listing.values.expressions[buffer]} = {cast};")
    return lines


def leaving(listing: Listing) -> list[str]:
    """Return the copies at the end of a run: what the next one reads."""
    program = listing.program
    return [
        f"    (void)memcpy({_place(listing, state.reads)}, {listing.values.expressions[state.writes]}, "
        f"{size_of(program.buffers[state.reads])});"
        for state in program.states
    ]


def _place(listing: Listing, buffer: str) -> str:
    begin = listing.values.states[buffer]
    place = "instance->states.bytes" if listing.instances else f"{listing.name}_states.bytes"
    return f"{place} + {begin}" if begin else place

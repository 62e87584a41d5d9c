"""Where a program that calls the network keeps inputs and outputs: in the arena, or in memory of its own. C text."""

from __future__ import annotations

from codegen.listing import accessors, item_of
from codegen.project import Listing


def in_arena(listing: Listing, parameter: str) -> bool:
    """Whether an input or output has a place in the arena."""
    return parameter in [name for name, _, _ in accessors(listing)]


def buffer_of(listing: Listing, parameter: str) -> str:
    """Return the buffer that an input or output is."""
    return next(buffer for buffer, name in (*listing.values.inputs, *listing.values.outputs) if name == parameter)


def place(listing: Listing, parameter: str) -> str:
    """Return the expression for an input's or output's memory: its place in the arena if it has one, else the caller's own."""
    return f"{listing.name}_{parameter}()" if in_arena(listing, parameter) else own(parameter)


def own(parameter: str) -> str:
    """Return the expression for memory that `memory` declares."""
    return f"{parameter}_values.elements"


def memory(listing: Listing, parameter: str) -> str:
    """Return the declaration of memory of the caller's own."""
    item = item_of(listing, buffer_of(listing, parameter))
    size = f"{listing.name.upper()}_{parameter.upper()}_SIZE"
    return f"\nstatic union {{\n    int64_t alignment;\n    {item} elements[{size}];\n}} {parameter}_values;\n"


def memory_outside(listing: Listing, parameters: list[str]) -> str:
    """Return declarations of memory for those that have no place in the arena."""
    return "".join(memory(listing, parameter) for parameter in parameters if not in_arena(listing, parameter))


def input_names(listing: Listing) -> list[str]:
    """Return the C names of the inputs, in the order of the run function's parameters."""
    return [name for _, name in listing.values.inputs]


def output_names(listing: Listing) -> list[str]:
    """Return the C names of the outputs, likewise."""
    return [name for _, name in listing.values.outputs]

"""`<name>.h`: what a caller of the emitted network sees. Text only."""

from __future__ import annotations

from codegen import adapting, instances, states
from codegen.constants import comment
from codegen.describe import shape_text
from codegen.emitters.text import float_literal
from codegen.listing import accessors, item_of, parameters, typed_places
from codegen.project import Listing
from codegen.values import count, size_of
from edgebn.program import holds_codes


def source(listing: Listing) -> str:
    """Return the text of `<name>.h`."""
    upper = listing.name.upper()
    places = [
        f"/* Memory in the arena for `{parameter}`, to save RAM of your own: {_warning(parameter)} */\n"
        f"{item_of(listing, buffer)} *{listing.name}_{parameter}(void);\n"
        for parameter, _, buffer in accessors(listing)
    ]
    adapted = adapting.declarations(listing, listing.adaptation) if listing.adaptation else ""
    functions = f"{states.declarations(listing)}{adapted}"
    return f"""\
/* {comment(listing.title)} in C, {listing.program.dtype}. See README.md. */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_MODEL_HASH "{listing.model_hash}"
#define {upper}_ARENA_BYTES {listing.arena.size}
{_pools(listing)}#define {upper}_STEPS {len(listing.program.steps)}

{_facts(listing)}
/* Call once, before anything else. */
void {listing.name}_init(void);

{chr(10).join(places)}
{functions}/* One inference. Every pointer must be a multiple of 4; input and output may be anywhere, but in the arena only at the
   places above. {_kept(listing)}; {"see " + listing.name + "_run_with" if listing.instances else "not reentrant"}. */
void {listing.name}_run({parameters(listing)});

{instances.declarations(listing, typed_places(listing), parameters(listing))}#ifdef __cplusplus
}}
#endif

#endif
"""


def _pools(listing: Listing) -> str:
    """Return the macros about the memories that the arena is spread over."""
    upper = listing.name.upper()
    taken = [filled for filled in listing.arena.pools if filled.taken]
    return "".join(f"#define {upper}_ARENA_{filled.name.upper()}_BYTES {filled.taken}\n" for filled in taken)


def _kept(listing: Listing) -> str:
    return "The states go on from one call to the next" if listing.program.states else "Nothing is kept from one call to the next"


def _warning(parameter: str) -> str:
    return "a run writes over it." if parameter.startswith("input") else "good until the next run."


def _facts(listing: Listing) -> str:
    """Return the macros about every input and output."""
    groups = []
    for buffer, parameter in (*listing.values.inputs, *listing.values.outputs):
        value = listing.program.buffers[buffer]
        stem = f"{listing.name}_{parameter}".upper()
        height, width, channels = value.shape
        lines = [
            f"/* {parameter} '{comment(buffer)}': {shape_text(value.shape)}, {value.dtype}, row by row, channels last */",
            f"#define {stem}_HEIGHT {height}",
            f"#define {stem}_WIDTH {width}",
            f"#define {stem}_CHANNELS {channels}",
            f"#define {stem}_SIZE {count(value)} /* elements */",
            f"#define {stem}_BYTES {size_of(value)}",
        ]
        if holds_codes(value):
            lines += [
                "/* real = scale * (code - zero point) */",
                f"#define {stem}_SCALE {float_literal(value.scale)}",
                f"#define {stem}_ZERO_POINT ({value.zero_point})",
            ]
        groups.append("\n".join(lines) + "\n")
    return "\n".join(groups)

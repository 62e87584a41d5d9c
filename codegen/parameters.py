"""`<name>_params.c` and its header: every constant array of a listing. Text only."""

from __future__ import annotations

from codegen.constants import comment, declarations, definition
from codegen.project import Listing
from edgebn.program import has_floats


def header(listing: Listing, section: str | None = None) -> str:
    """Return the text of `<name>_params.h`; `section` is where constant arrays go if EDGEBN_CONST says nothing else."""
    guard = f"{listing.name.upper()}_PARAMS_H"
    body = declarations(listing.arrays, section, floats=has_floats(listing.program))
    return (
        f"/* Constant arrays of {comment(listing.title)}: {listing.flash_bytes:,} bytes. */\n"
        f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n{body}\n#endif\n"
    )


def source(listing: Listing) -> str:
    """Return the text of `<name>_params.c`."""
    arrays = "\n".join(definition(array) for array in listing.arrays)
    head = f"/* Weights and epilogues of {comment(listing.title)}. */"
    pairs = ['#include "kernels/edgebn_pairs_s8.h"'] if any(array.pairs for array in listing.arrays) else []
    return "\n".join([head, f'#include "{listing.name}_params.h"', *pairs, "", arrays])

"""`<name>_object_mask`: which pixels of the frame are an object's, of networks with coefficients and prototypes. Text only."""

from __future__ import annotations

import numpy as np

from codegen.constants import static_definition
from codegen.decoding import candidates_table, frame_size, placed_in, table
from codegen.project import Listing
from codegen.stepcode import CArray
from edgebn.preparation.data import Boxes
from edgebn.preparation.heads import roles
from edgebn.preparation.object_masks import map_taps


def _after(listing: Listing) -> Boxes | None:
    after = listing.program.preparation.after if listing.program.preparation else None
    return after if isinstance(after, Boxes) and after.masks else None


def declaration(listing: Listing) -> str:
    """Return the prototype with its comment; '' of networks without masks of objects."""
    if _after(listing) is None:
        return ""
    upper = listing.name.upper()
    return f"""
/* Writes a byte for each pixel of the frame, {upper}_MASK_HEIGHT * {upper}_MASK_WIDTH: 1 where it is object `number` of the last
   answer's `found`, else 0. Only before the network runs again. */
void {listing.name}_object_mask(const edgebn_found *found, int32_t number, uint8_t *mask);
"""


def function(listing: Listing, pointers: list[str]) -> str:
    """Return constants and the function; `pointers` are lines that say where inputs and outputs lie."""
    after, program = _after(listing), listing.program
    if after is None:
        return ""
    candidates, prototypes = roles(program, after)
    where, wanted = placed_in(listing.program)
    high, wide, count = program.shapes[prototypes]
    rows, columns = map_taps((high, wide), wanted, where)
    arrays = [
        CArray("mask_rows", "uint16_t", rows.first.astype(np.uint16), f"{rows.first.shape}: the first cell behind a row of pixels"),
        CArray("mask_row_weights", "float", rows.weights, f"{rows.weights.shape}"),
        CArray("mask_columns", "uint16_t", columns.first.astype(np.uint16), f"{columns.first.shape}: and behind a column"),
        CArray("mask_column_weights", "float", columns.weights, f"{columns.weights.shape}"),
    ]
    height, width = frame_size(listing.program)
    taps = rows.weights.shape[1], columns.weights.shape[1]
    named = {parameter for output, parameter in listing.values.outputs if output in {candidates, prototypes}}
    places = [line for line in pointers if any(f"*const {parameter} =" in line for parameter in named)]
    return f"""
{chr(10).join(static_definition(array) for array in arrays)}
static double mask_lines[{taps[0] * wide}];
static const edgebn_prototypes mask_prototypes = {{
    {wide}, {count}, {4 + len(after.names)}, {height}, {width}, {", ".join(map(str, where.source))}, {taps[0]}, {taps[1]},
    mask_rows, mask_columns, mask_row_weights, mask_column_weights, mask_lines
}};

void {listing.name}_object_mask(const edgebn_found *found, int32_t number, uint8_t *mask) {{
{chr(10).join(places)}
    const edgebn_table boxes = {candidates_table(listing, after)};
    const edgebn_table prototypes = {table(listing, prototypes, count, 1)};

    edgebn_draw_mask(&mask_prototypes, &boxes, &prototypes, rows[number], found + number, mask);
}}
"""

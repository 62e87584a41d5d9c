"""`<name>_real.h`: real numbers to the codes of inputs, outputs to real numbers, and the best class of an output. C text.

A header of inline functions: what nobody calls costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from codegen.listing import item_of
from codegen.project import KERNELS, Listing
from edgebn.program import Buffer, holds_codes

HEADER = "edgebn_convert.h"


def files(listing: Listing) -> Mapping[str, str]:
    """Return the header by its name; none where there is nothing to convert or to choose."""
    buffers, parts = listing.program.buffers, []
    for buffer, parameter in listing.values.inputs:
        if holds_codes(buffers[buffer]):
            parts.append(_quantize(listing, parameter, buffers[buffer]))
    for buffer, parameter in listing.values.outputs:
        if holds_codes(buffers[buffer]):
            parts.append(_dequantize(listing, parameter, buffers[buffer]))
        if _is_classes(buffers[buffer]):
            parts.append(_best(listing, parameter, item_of(listing, buffer)))
    if not parts:
        return {}
    name, guard = listing.name, f"{listing.name.upper()}_REAL_H"
    above = f'#ifndef {guard}\n#define {guard}\n\n#include "{name}.h"\n\n#include "{KERNELS}/{HEADER}"\n\n'
    about = f"/* Between codes of {name} and real numbers. Include it where it is used: nothing else does. */\n"
    text = about + above + "\n".join(parts) + "\n#endif\n"
    return {f"{name}_real.h": text}


def _is_classes(value: Buffer) -> bool:
    return value.shape[:2] == (1, 1) and value.shape[2] > 1


def _quantize(listing: Listing, parameter: str, value: Buffer) -> str:
    name, stem = listing.name, f"{listing.name}_{parameter}".upper()
    kernel, zero_point = ("edgebn_quantize_s8", f", {stem}_ZERO_POINT") if value.dtype == "int8" else ("edgebn_quantize_s16", "")
    return f"""\
/* {stem}_SIZE real numbers to codes: the nearest, the even one of two; what is out of range becomes the last code, and what is no
   number the lowest. `codes` may begin where `reals` does. */
static inline void {name}_quantize_{parameter}(const float *reals, {value.dtype}_t *codes) {{
    {kernel}(reals, codes, {stem}_SIZE, {stem}_SCALE{zero_point});
}}
"""


def _dequantize(listing: Listing, parameter: str, value: Buffer) -> str:
    name, stem = listing.name, f"{listing.name}_{parameter}".upper()
    kernel, zero_point = (
        ("edgebn_dequantize_f32", f", {stem}_ZERO_POINT") if value.dtype == "int8" else ("edgebn_dequantize_s16", "")
    )
    return f"""\
/* {stem}_SIZE codes to the real numbers that they stand for; the two arrays must not overlap. */
static inline void {name}_dequantize_{parameter}(const {value.dtype}_t *codes, float *reals) {{
    {kernel}(codes, reals, {stem}_SIZE, {stem}_SCALE{zero_point});
}}
"""


def _best(listing: Listing, parameter: str, item: str) -> str:
    name, stem = listing.name, f"{listing.name}_{parameter}".upper()
    return f"""\
/* The class with the greatest of {stem}_SIZE scores, the first of equals. */
static inline int {name}_best_{parameter}(const {item} *scores) {{
    int best = 0, i;

    for (i = 1; i < {stem}_SIZE; i++) {{
        best = scores[i] > scores[best] ? i : best;
    }}
    return best;
}}
"""

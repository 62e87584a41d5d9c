"""The float epilogue as C: its struct literal and its table. Knows no operation."""

from __future__ import annotations

import numpy as np

from codegen.emitters.text import float_literal, struct
from codegen.stepcode import CArray, Names
from edgebn.program import FloatEpilogue


def epilogue_f32(e: FloatEpilogue, names: Names) -> tuple[str, CArray]:
    """Return the struct literal of a float epilogue and its table."""
    values = np.stack([e.bias, e.a, e.d], 1).astype(np.float32)
    table = CArray(names.array("scale"), "float", values, f"({len(values)}, 3): bias, a, d of each channel")
    literal = struct(
        "edgebn_epilogue_f32",
        channels=table.name,
        pre_low=float_literal(e.pre[0]),
        pre_high=float_literal(e.pre[1]),
        post_low=float_literal(e.post[0]),
        post_high=float_literal(e.post[1]),
    )
    return literal, table

"""C text that emitters share: calls, struct literals, numbers, and the pieces of an epilogue. Knows no operation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codegen.pack import PackedEpilogue
from codegen.stepcode import CArray, Names

_WIDTH = 120
# Arrays of an integer epilogue: its table in flash and, where the step adapts, the one in RAM and what is observed.
SOURCE, ADAPTED, OBSERVATION = "scale", "adapted", "observation"


def call(function: str, *arguments: object) -> str:
    """Return a call statement, broken between arguments where it is long."""
    return _wrap(f"{function}(", [str(argument) for argument in arguments], ");")


def struct(name: str, **fields: object) -> str:
    """Return a compound literal; fields that are zero, false or None are left out, as C sets them to zero."""
    present = [f".{key} = {_literal(value)}" for key, value in fields.items() if value not in (None, False, 0)]
    return _wrap(f"({name}){{", present or ["0"], "}", width=96)


def _literal(value: object) -> str:
    return str(int(value)) if isinstance(value, (bool, np.integer)) else str(value)


def _wrap(opening: str, parts: Sequence[str], closing: str, width: int = _WIDTH) -> str:
    """Join `parts` with commas, four spaces before every line but the first."""
    lines, line = [], opening
    for i, part in enumerate(parts):
        text = part + ("," if i + 1 < len(parts) else closing)
        first, *rest = text.split("\n")
        if line.strip() and len(line) + 1 + len(first) > width and line != opening:
            lines.append(line.rstrip())
            line = "    "
        line += ("" if line in (opening, "    ") else " ") + first
        for more in rest:
            lines.append(line.rstrip())
            line = "    " + more
    return "\n".join([*lines, line])


def float_literal(value: float) -> str:
    """Return a float as C reads it back to the same bits; infinities as the constants of edgebn_float.h."""
    single = np.float32(value)
    if np.isinf(single):
        return "EDGEBN_INFINITY" if single > 0 else "-EDGEBN_INFINITY"
    text = f"{single:.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def offset(pointer: str, nbytes: int, ctype: str = "int8_t") -> str:
    """Return the expression for `nbytes` into untyped memory, as a pointer to `ctype` (which its alignment must allow)."""
    start = f"(int8_t *){pointer}" + (f" + {nbytes}" if nbytes else "")
    return start if ctype == "int8_t" else f"({ctype} *)(void *)({start})"


def epilogue_s8(packed: PackedEpilogue, names: Names) -> tuple[str, tuple[CArray, ...]]:
    """Return the struct literal of an integer epilogue and its arrays."""
    table = CArray(
        names.array(SOURCE), "int32_t", packed.channels, f"({len(packed.channels)}, 5): bias, m, r low, r high, s of each channel"
    )
    arrays = [table]
    limits = None
    if packed.limits is not None:
        limits = names.array("limits")
        arrays.append(CArray(limits, "int32_t", packed.limits, f"({len(packed.limits)}, 2): lo and hi of each accumulator"))
    literal = struct(
        "edgebn_epilogue_s8",
        channels=names.array(ADAPTED) if packed.adapts else table.name,
        limits=limits,
        zero_point=packed.zero_point,
        low=packed.low,
        high=packed.high,
        clips=packed.limits is not None,
        neg=packed.neg,
        wide=packed.wide,
        lowest=packed.lowest,
        observation=f"EDGEBN_OBSERVED({names.array(OBSERVATION)})" if packed.adapts else None,
    )
    return literal, tuple(arrays)


def kernel_name(stem: str, packed: PackedEpilogue) -> str:
    """Return the kernel made for this kind of epilogue: edgebn_<stem>_simple_s8, _double_s8 or _any_s8."""
    kind = ("double" if packed.neg else "simple") if packed.is_simple else "any"
    return f"edgebn_{stem}_{kind}_s8"

"""Constant arrays as C text: `<name>_params.c` and its header. Knows arrays, no programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from codegen.emitters.text import float_literal
from codegen.stepcode import CArray

WIDTH = 120  # columns of a line of numbers

_DECORATION = """\
/* Where constant arrays go: define EDGEBN_CONST as a section attribute to place them, for example in external flash. */
#ifndef EDGEBN_CONST
#define EDGEBN_CONST{section}
#endif

/* Kernels read weights in words. */
#ifndef EDGEBN_ALIGN
#if defined(__GNUC__)
#define EDGEBN_ALIGN __attribute__((aligned(8)))
#else
#define EDGEBN_ALIGN
#endif
#endif
"""


def comment(text: str) -> str:
    """Return text that may stand inside a C comment, whatever a layer is called."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return plain.replace("*/", "* /").replace("/*", "/ *")


_INFINITY = """
#include <math.h>

/* The compiler's own constant, no library function. */
#define EDGEBN_INFINITY INFINITY
"""


def declarations(arrays: Sequence[CArray], section: str | None = None, *, floats: bool = False) -> str:
    """Return the body of the header: macros and extern declarations; `floats` have a name for infinity, if no kernel gives one."""
    place = f' __attribute__((section("{section}")))' if section else ""
    lines = [declaration(array) for array in arrays]
    return _DECORATION.format(section=place) + (_INFINITY if floats else "") + "\n" + "\n".join(lines) + "\n"


def declaration(array: CArray) -> str:
    """Return the line that a header has for an array.

    It says the alignment again: Clang on x86-64 takes any array of 16 bytes or more whose declaration says nothing to begin at a
    multiple of 16, as the ABI has it, and loads vectors from there.
    """
    return f"extern EDGEBN_ALIGN const {array.ctype} {array.name}[{array.values.size}];"


def definition(array: CArray) -> str:
    """Return one array with its comment above it."""
    head = f"EDGEBN_CONST EDGEBN_ALIGN const {array.ctype} {array.name}[{array.values.size}] = {{"
    return f"/* {comment(array.comment)} */\n{head}\n{rows(literals(array))}\n}};\n"


def static_definition(array: CArray) -> str:
    """Return the same of an array that no other file knows."""
    return definition(array).replace("EDGEBN_CONST EDGEBN_ALIGN const", "EDGEBN_CONST EDGEBN_ALIGN static const")


def literals(array: CArray) -> list[str]:
    """Return every element as a C literal; pairs of channels in the words of edgebn_pairs_s8.h."""
    flat = np.asarray(array.values).reshape(-1)
    if array.pairs:
        return [f"EDGEBN_PAIR({', '.join(map(str, block))})" for block in flat.reshape(-1, 8).tolist()]
    if array.ctype == "float":
        return [float_literal(value) for value in flat]
    if array.ctype == "int64_t":
        return [_wide(value) for value in flat.tolist()]
    if array.ctype == "uint32_t":
        return [f"{value}u" for value in flat.tolist()]
    return ["-2147483647 - 1" if value == -(2**31) else str(value) for value in flat.tolist()]


def _wide(value: int) -> str:
    return "-INT64_C(9223372036854775807) - 1" if value == -(2**63) else f"INT64_C({value})"


def rows(tokens: Iterable[str], indent: str = "    ") -> str:
    """Return tokens with commas, in lines of at most WIDTH columns."""
    lines: list[str] = []
    line = indent
    for token in tokens:
        if len(line) + len(token) + 1 > WIDTH:
            lines.append(line.rstrip())
            line = indent
        line += f"{token}, "
    lines.append(line.rstrip())
    return "\n".join(lines).rstrip(",")

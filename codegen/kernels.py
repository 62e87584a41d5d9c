"""The kernel library's files: which headers a listing needs, and their text under another prefix. Knows no programs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent / "c"
PREFIX = "edgebn"

EDITION_HEADER = "edgebn_compiler.h"  # every kernel includes it
_GUARD = "#define EDGEBN_COMPILER_H\n"
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def needed(headers: Iterable[str]) -> list[str]:
    """Return `headers` and everything they include, sorted.

    Headers of other processors are part of it: which of them is compiled is for the compiler to say.
    """
    found: set[str] = set()
    waiting = list(headers)
    while waiting:
        header = waiting.pop()
        if header not in found:
            found.add(header)
            waiting += _INCLUDE.findall((LIBRARY / header).read_text(encoding="utf-8"))
    return sorted(found)


def text(header: str) -> str:
    """Return a header's text as it stands in the library; one of them says of which edition all are."""
    found = (LIBRARY / header).read_text(encoding="utf-8")
    if header != EDITION_HEADER:
        return found
    return found.replace(_GUARD, f"{_GUARD}\n#define EDGEBN_EDITION 0x{edition():08X}u /* a checksum of all kernels */\n", 1)


@cache
def edition() -> int:
    """Return a checksum of all headers: those of two projects fit together if it is the same."""
    return zlib.crc32(b"".join(path.read_bytes() for path in sorted(LIBRARY.glob("*.h"))))


def renamed(c: str, prefix: str) -> str:
    """Return C text (or a file's name) in which everything of ours begins with another prefix, macros too."""
    if prefix == PREFIX:
        return c
    c = re.sub(rf"\b{PREFIX}_", f"{prefix}_", c)
    return re.sub(rf"(\b|(?<=-D)){PREFIX.upper()}_", f"{prefix.upper()}_", c)

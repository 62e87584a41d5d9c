"""One checksum of the kernels' sources, so that machine code made from others is never run. Knows no compiler."""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Iterator


@functools.cache
def sources() -> str:
    """Return a checksum of every file of this package: against mistakes, and so that a start need not load a library of hashes."""
    total = 0
    for name, path in sorted(_files(os.path.dirname(__file__), "")):  # noqa: PTH120  # every start does this, and paths take time
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            total = zlib.crc32(name.encode() + b"\0" + file.read() + b"\0", total)
    return f"{total:08x}"


def _files(folder: str, inside: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path, f"{inside}{entry.name}/")
            elif entry.name.endswith(".py"):
                yield inside + entry.name, entry.path

"""One checksum of the kernels' sources, so that machine code made from others is never run. Knows no compiler.

A wheel says it in a seal, which a start believes as long as the names and sizes of the sources are those that it was made with: to
read them all takes longer than to look at the table of the folder. A checkout has no seal.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Iterator

SEAL = "sources.txt"


@functools.cache
def sources() -> str:
    """Return a checksum of every file of this package: against mistakes, and so that a start need not load a library of hashes."""
    files = sorted(_files(_folder(), ""))
    stated = _stated(files)
    if stated is not None:
        return stated
    total = 0
    for name, entry in files:
        with open(entry, "rb", buffering=0) as file:  # noqa: PTH123  # every start does this, and paths take time
            total = zlib.crc32(name.encode() + b"\0" + file.read() + b"\0", total)
    return f"{total:08x}"


def seal() -> None:
    """Write down the checksum, for a package that will not change: a wheel's."""
    with open(os.path.join(_folder(), SEAL), "w", encoding="ascii") as file:  # noqa: PTH118, PTH123
        file.write(f"{sources()} {_sizes(sorted(_files(_folder(), '')))}\n")


def _stated(files: list[tuple[str, os.DirEntry[str]]]) -> str | None:
    """Return the checksum that the seal says, or None where it is none of these files, or there is none."""
    try:
        with open(os.path.join(_folder(), SEAL), "rb", buffering=0) as file:  # noqa: PTH118, PTH123
            checksum, sizes = file.read().decode().split()
    except (OSError, ValueError):
        return None
    return checksum if sizes == _sizes(files) else None


def _sizes(files: list[tuple[str, os.DirEntry[str]]]) -> str:
    listed = "".join(f"{name} {entry.stat().st_size}\n" for name, entry in files)
    return f"{zlib.crc32(listed.encode()):08x}"


def _folder() -> str:
    return os.path.dirname(__file__)  # noqa: PTH120


def _files(folder: str, inside: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield inside + entry.name, entry
            elif entry.is_dir():
                yield from _files(entry.path, f"{inside}{entry.name}/")

"""How inputs come to the kernels: read where the user has them, or copied into the arena while they are checked or turned.

A large input that has no halo around it needs no copy: float32, or codes where every kernel that reads them takes them as the user
has them (`FLIPS`). What a table knows of it is in `DirectInput`; `kernels/boundary.py` does it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.kernels.records import CHECK_WORDS
from edgebn.quick_dataclass import dataclass
from edgebn.session.layout import Layout

# Bytes of an input from which on it is read in place: below, one copy is less than many addresses.
MIN_IN_PLACE = 1 << 14

Place = tuple[int, int, int]  # row of a table, offset in a buffer, column

# Steps that may have kernels which take codes as the user has them, and of these by the name of each address that of the word which
# says so.
TAKE_CODES = (p.Add,)
FLIPS = {"add_tile_i8": {"a": "a_flip", "b": "b_flip", "dst": "dst_flip"}}


@dataclass(frozen=True)
class DirectInput:
    """An input that may be read in place.

    Attributes
    ----------
    name : str
    readers : tuple of str
        The steps that read it, under this name or another that shares its memory.
    last : int
        The position of the last of them.
    """

    name: str
    readers: tuple[str, ...]
    last: int


def in_place(program: p.Program, layout: Layout, *, as_codes: bool) -> dict[str, DirectInput]:
    """Return the inputs that may lie in memory as the user has them, are large, and leave as nothing else."""
    found = {}
    for name in program.inputs:
        buffer = layout.buffers[name]
        is_other = program.buffers[name].dtype != ("int8" if as_codes else "float32")
        if is_other or any(buffer.halo) or buffer.size_of_pixels < MIN_IN_PLACE:
            continue
        names, readers, last = {name}, [], -1
        fit = True
        for index, step in enumerate(program.steps):
            if names.isdisjoint(step.inputs):
                continue
            last = index
            if isinstance(step, p.Reshape) and layout.places.get(step.output) == layout.places[name]:
                names.add(step.output)
            else:
                readers.append(step.name)
                fit = fit and (not as_codes or isinstance(step, TAKE_CODES))
        if readers and fit and names.isdisjoint(program.leaving):
            found[name] = DirectInput(name, tuple(readers), last)
    return found


def check(size: int, arena_place: tuple[int, int, int, int] | None) -> list[int]:
    """Return the words of a check of `size` numbers; `arena_place` says address, bytes to the next row, rows and numbers of one."""
    words = [0, size, *(arena_place or (0, 0, 0, 0))]
    assert len(words) == CHECK_WORDS
    return words


def take_codes(lines: Sequence[list[int]], places: np.ndarray) -> bool:
    """Let rows take the codes at `places` as the user has them, and say whether all can; else none does.

    Rows of `places` count in `lines`.
    """
    words = []
    for at, _, column in places.tolist():
        operation = executor.by_code()[lines[at][0]]
        names = [name for name, _ in operation.arguments]
        flip = FLIPS.get(operation.name, {}).get(names[column - 1])
        if flip is None:
            return False
        words.append((lines[at], 1 + names.index(flip)))
    for line, column in words:
        line[column] = isa.CODE_FLIP
    return bool(words)


def row(size: int, arena_place: int, places: np.ndarray, others: np.ndarray, overread: int) -> list[int]:
    """Return the words of the operation that lets `places` of the table read an input in place; its `src` is patched."""
    operation = executor.operations()["read_in_place"]
    arguments = {"src": 0, "size": size, "overread": overread, "home": arena_place}
    arguments |= {"places": places.ctypes.data, "count": len(places), "others": others.ctypes.data, "other_count": len(others)}
    return executor.row(operation, **arguments)


def reaches_all(direct: DirectInput, places: np.ndarray, owners: Sequence[str], beside: dict[str, str]) -> bool:
    """Whether every reader of an input has a row among `places`; `beside` says in whose rows those of a step stand."""
    reached = {owners[place] for place in places[:, 0].tolist()}
    return all(beside.get(reader, reader) in reached for reader in direct.readers)

"""How float32 inputs come to the kernels: read where the user has them, or copied into the arena while they are checked.

A large input that has no halo around it needs no copy. What a table knows of it is in `DirectInput`; `kernels/boundary.py` does it.
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


def in_place(program: p.Program, layout: Layout) -> dict[str, DirectInput]:
    """Return the inputs that lie in memory as the user has them, are large, and leave as nothing else."""
    found = {}
    for name in program.inputs:
        buffer = layout.buffers[name]
        if program.buffers[name].dtype != "float32" or any(buffer.halo) or buffer.size_of_pixels < MIN_IN_PLACE:
            continue
        names, readers, last = {name}, [], -1
        for index, step in enumerate(program.steps):
            if names.isdisjoint(step.inputs):
                continue
            last = index
            if isinstance(step, p.Reshape) and layout.places.get(step.output) == layout.places[name]:
                names.add(step.output)
            else:
                readers.append(step.name)
        if readers and names.isdisjoint(program.leaving):
            found[name] = DirectInput(name, tuple(readers), last)
    return found


def check(size: int, arena_place: tuple[int, int, int, int] | None) -> list[int]:
    """Return the words of a check of `size` numbers; `arena_place` says address, bytes to the next row, rows and numbers of one."""
    words = [0, size, *(arena_place or (0, 0, 0, 0))]
    assert len(words) == CHECK_WORDS
    return words


def row(size: int, arena_place: int, places: np.ndarray, others: np.ndarray) -> list[int]:
    """Return the words of the operation that lets `places` of the table read an input in place; its `src` is patched."""
    operation = executor.operations()["read_in_place"]
    arguments = {"src": 0, "size": size, "overread": isa.SELECTED.vector_bytes, "home": arena_place}
    arguments |= {"places": places.ctypes.data, "count": len(places), "others": others.ctypes.data, "other_count": len(others)}
    return executor.row(operation, **arguments)


def reaches_all(direct: DirectInput, places: np.ndarray, owners: Sequence[str], beside: dict[str, str]) -> bool:
    """Whether every reader of an input has a row among `places`; `beside` says in whose rows those of a step stand."""
    reached = {owners[place] for place in places[:, 0].tolist()}
    return all(beside.get(reader, reader) in reached for reader in direct.readers)

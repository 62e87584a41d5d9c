"""The memory of a session's states, and the operation rows that move them: into the arena before a run, out of it after.

States lie outside the arena, dense and as the arena stores them. Whoever runs a row or a call made here holds the session's lock.
"""

from __future__ import annotations

import functools

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.session.packer import Packer, View, aligned


class States:
    """What lives from run to run of one session.

    Parameters
    ----------
    program : Program
    packer : Packer
        Of the program; it says where the arena has the buffers.
    lock : int
        Address of the word that every call holds.

    Attributes
    ----------
    snapshot : ndarray of uint8
        Where `save` writes what the states hold and `restore` finds it.
    """

    def __init__(self, program: p.Program, packer: Packer, lock: int) -> None:
        self._program, self._lock = program, lock
        self._views = [(packer.view(state.reads), packer.view(state.writes)) for state in program.states]
        values = [_stored(state.initial) for state in program.states]
        self._offsets = np.cumsum([0, *(value.size for value in values)]).tolist()
        size = self._offsets[-1]
        self._initial, self._memory, self.snapshot = aligned(size), aligned(size), aligned(size)
        self._initial[:] = np.concatenate([np.zeros(0, np.uint8), *values])
        self._memory[:] = self._initial

    def __len__(self) -> int:
        """Return how many states there are."""
        return len(self._views)

    def rows(self, constants: np.ndarray, *, entering: bool) -> list[list[int]]:
        """Return the rows that copy every state into the arena (`entering`) or out of it; `constants` are the packed ones."""
        found = []
        for (reads, writes), offset in zip(self._views, self._offsets[:-1], strict=True):
            view = reads if entering else writes
            inside = view.address if isinstance(view.address, int) else constants.ctypes.data + view.address.offset
            ours, theirs = (inside, view.row), (self._memory.ctypes.data + offset, _row_bytes(view))
            (src, src_row), (dst, dst_row) = (theirs, ours) if entering else (ours, theirs)
            found.append(_copy(src, src_row, dst, dst_row, rows=view.layout.shape[0], count=_row_bytes(view)))
        return found

    @functools.cached_property
    def save(self) -> int:
        """The address of the call that copies the states to `snapshot`."""
        return self._call(self._memory, self.snapshot)

    @functools.cached_property
    def restore(self) -> int:
        """The address of the call that copies `snapshot` to the states."""
        return self._call(self.snapshot, self._memory)

    @functools.cached_property
    def reset(self) -> int:
        """The address of the call that gives every state its initial value."""
        return self._call(self._initial, self._memory)

    def _call(self, source: np.ndarray, target: np.ndarray) -> int:
        words = np.zeros((1, executor.table_width()), np.int64)
        row = _copy(source.ctypes.data, 0, target.ctypes.data, 0, rows=1, count=len(source))
        words[0, : len(row)] = row
        call = executor.call(words, lock=self._lock)
        self._alive = (*getattr(self, "_alive", ()), words, call)
        return int(call.ctypes.data)


def _copy(src: int, src_row: int, dst: int, dst_row: int, *, rows: int, count: int) -> list[int]:
    operation = executor.operations()["copy_rows"]
    return executor.row(operation, src=src, src_row=src_row, dst=dst, dst_row=dst_row, rows=rows, count=count)


def _row_bytes(view: View) -> int:
    return view.layout.shape[1] * view.layout.pixel


def _stored(value: np.ndarray) -> np.ndarray:
    """Return a value's bytes as the arena stores them, uint8 (n,)."""
    stored = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return stored ^ np.uint8(isa.CODE_FLIP) if value.dtype == np.int8 else stored

"""The executor: one compiled function that runs a whole inference, or a batch of them, by walking an operation table.

A row of the table is an operation code and then the kernel's arguments, in its own order, as int64 (float32 as its bits). The
machine code comes from an ahead-of-time object where there is one (`native.py`: no Numba), else from the JIT (`jit_executor.py`).
Knows addresses, nothing of programs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from edgebn.kernels import builtin_function, isa, native

NOTHING = np.zeros((0, 0), np.int64)  # what a table is given that nobody's arrays belong to


class NoKernelsError(RuntimeError):
    """There is neither an object that fits nor a compiler to make one."""


class Operation:
    """How to call one kernel through the table.

    Parameters
    ----------
    code : int
    line : str
        Of the manifest.

    Attributes
    ----------
    name : str
        The kernel's function name.
    code : int
    """

    def __init__(self, code: int, line: str) -> None:
        self.name, self.code, self._line = line.partition(" ")[0], code, line

    @functools.cached_property
    def arguments(self) -> tuple[tuple[str, bool], ...]:
        """(name, is_float) of each; looked at where an operation is used, for few are."""
        return native.arguments_of(self._line)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The names of the arguments."""
        return frozenset(name for name, _ in self.arguments)

    @property
    def words(self) -> int:
        """Words of a row: the code and the arguments."""
        return 1 + self._line.count(" ")


@functools.cache
def operations() -> dict[str, Operation]:
    """Return every operation by name; its position among all of them is its code."""
    found = native.load()
    lines = found.manifest if found is not None else map(native.line_of, _jit().signatures())
    every = (Operation(code, line) for code, line in enumerate(lines))
    return {operation.name: operation for operation in every}


@functools.cache
def by_code() -> tuple[Operation, ...]:
    """Return every operation in the order of the codes."""
    return tuple(operations().values())


@functools.cache
def table_width() -> int:
    """Return the words of one row: the code and the longest list of arguments."""
    return max(operation.words for operation in by_code())


def row(operation: Operation, **arguments: float) -> list[int]:
    """Return the words of one table row (unpadded); arguments are named as the kernel names them.

    Raises
    ------
    TypeError
        The names are not exactly the kernel's.
    """
    if arguments.keys() != operation.names:
        raise TypeError(f"{operation.name} takes {[name for name, _ in operation.arguments]}, not {sorted(arguments)}")
    return [operation.code, *(word(arguments[name]) if real else int(arguments[name]) for name, real in operation.arguments)]


def word(value: float) -> int:
    """Return the word that carries a float32 argument: its bits."""
    return int(np.float32(value).view(np.int32))


def call(
    table: np.ndarray,
    patches: np.ndarray = NOTHING,
    checks: np.ndarray = NOTHING,
    *,
    shared: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    lock: int = 0,
    guard: int = 0,
) -> np.ndarray:
    """Return what an executor wants to know, int64 (13,); it and all the arrays must outlive every use.

    Parameters
    ----------
    table : ndarray of int64, shape (rows, width)
        Walked once a sample, patched in place.
    patches : ndarray of int64, shape (n, 4)
        Before each sample, table[patch[0], patch[1]] = base + sample * patch[3], with base the word at address patch[2]; nothing
        where patch[0] is negative.
    checks : ndarray of int64, shape (n, CHECK_WORDS)
        Of float32 arrays that may hold no NaN (`records.CHECK_*`).
    shared : (ndarray of int64, shape (SHARING_WORDS,); (phases, 2); (tasks, 2)), optional
        For tables that several threads walk together (`work_sharing.py`): the words that they share, each phase's first task and
        tasks, and each task's first row and the end of its rows.
    lock : int
        Address of the word that calls which must not overlap hold; 0 where nothing can.
    guard : int
        Address of the guard, for calls that name arrays (`fast_call.py`).
    """
    rows, width = table.shape
    words = (table.ctypes.data, rows, width, patches.ctypes.data, len(patches), checks.ctypes.data, len(checks))
    sharing = (0, 0, 0, 0)
    if shared is not None:
        words_of_sharing, phases, tasks = shared
        sharing = (words_of_sharing.ctypes.data, phases.ctypes.data, len(phases), tasks.ctypes.data)
    return np.array((*words, *sharing, lock, guard), np.int64)


@functools.cache
def executor(dtype: str) -> Callable[[int, int, int], int]:
    """Return an executor; the first call may compile it.

    Parameters
    ----------
    dtype : {'float32', 'int8', 'mixed'}
        Of what its programs work on. What is compiled here and now knows no other operations; what is shipped knows them all.

    Returns
    -------
    callable (call, batch, argument) -> int
        `call` is the address of what the function of that name returned. Returns 0, or before running anything 1 + the index of
        the check that found a NaN. Releases the GIL. With `JOIN` as batch it joins those who walk the table, and returns 0
        when they need nobody more. `argument` is 0, or with a batch of 1 the address of the addresses of objects, as many as the
        guard has forms: the call then binds them itself, or does nothing and returns `NOT_HANDLED` where they are not what the
        guard says or another call goes on.
    """
    found = native.load()
    return found.executor if found is not None else _jit().compiled(dtype)


def fast_call(dtype: str, call: int, *, keeps_lock: bool = False) -> Callable[..., Any]:
    """Return the fast call of one table: a function of its arrays that returns the last, or None where the executor does nothing.

    It takes as many objects as the guard has forms, those that enter and then those that leave, and looks at what they are.

    Parameters
    ----------
    dtype : str
        As for `executor`.
    call : int
        Address of what `call` returned, with a guard; it must outlive the function.
    keeps_lock : bool
        Whether Python's lock (the GIL) may be kept meanwhile.
    """
    found = native.load()
    if found is not None and object.__basicsize__ == builtin_function.DATA_AT:
        return builtin_function.builtin_function(found.fast_call, call, keeps_lock=keeps_lock)
    execute = executor(dtype)
    items = tuple.__basicsize__
    return lambda *arrays: None if execute(call, 1, id(arrays) + items) else arrays[-1]


def _jit() -> ModuleType:
    """Return the module that compiles.

    Raises
    ------
    NoKernelsError
        Numba is not installed.
    """
    try:
        from edgebn.kernels import jit_executor
    except ModuleNotFoundError as error:
        if error.name not in {"numba", "llvmlite"}:
            raise
        raise NoKernelsError(
            f"no compiled kernels for {isa.SELECTED.name} fit in {native.folder() or 'EDGEBN_OBJECTS, which is empty'}, and Numba, "
            "which would compile them, is not installed; install it with: pip install numba"
        ) from None
    return jit_executor

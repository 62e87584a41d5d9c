"""The fast call in as few steps as Python takes: arrays of one sample in and out, checked in machine code.

Every line costs a tenth of a microsecond, where a small network takes three. What does not fit is left to the session.

An array belongs to whoever passes it until the call returns: a shape that another thread assigns meanwhile may or may not be seen,
and the memory cannot go, as the caller holds the array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebn.kernels import executor
from edgebn.session import ndarray_struct

if TYPE_CHECKING:
    from edgebn.session.tables import Table

# (x, out or None) -> what `Session.run` returns, or None where the call is not a fast one or has an error to tell of.
FastCall = Callable[[Any, Any], Any]


def fast_call(
    table: Table, program_dtype: str, lock: int, entries: Sequence[ndarray_struct.Form], exits: Sequence[ndarray_struct.Form]
) -> FastCall:
    """Return the fast call of a table: of arrays, or where there are several of dicts of them.

    Parameters
    ----------
    program_dtype : {'int8', 'float32', 'mixed'}
        Of the table's executor.
    lock : int
        Address of the session's lock.
    entries, exits : sequence of (shape, dtype)
        In the table's order; shapes are of one sample, and begin with its axis of 1.
    """
    guard, *forms = ndarray_struct.guard(entries, exits)
    patches, checks = table.patches.copy(), table.checks.copy()  # bound while the lock is held; the table's own, under the lock
    words = executor.call(table.words, patches, checks, lock=lock, guard=guard.ctypes.data)
    execute = executor.fast_call(program_dtype, words.ctypes.data)
    held = (table, guard, forms, patches, checks, words)
    if len(entries) == len(exits) == 1:
        return _from_one_to_one(execute, *exits[0], held)
    return _of_several(execute, table.entries, table.exits, exits, held)


def _from_one_to_one(execute: Callable[..., Any], shape: tuple[int, ...], dtype: np.dtype[Any], held: object) -> FastCall:
    empty = np.empty

    def run(x: Any, out: Any, _held: object = held) -> Any:
        if out is not None:
            return execute(x, out)
        if x.ndim == 0 or len(x) != 1:
            return None
        return execute(x, empty(shape, dtype))

    return run


def _of_several(
    execute: Callable[..., Any],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    exits: Sequence[ndarray_struct.Form],
    held: object,
) -> FastCall:
    """Return the fast call where several arrays enter or leave; one of either comes and goes without a dict."""
    empty, enters_alone, leaves_alone = np.empty, len(inputs) == 1, len(outputs) == 1

    def run(x: Any, out: Any, _held: object = held) -> Any:
        if enters_alone:
            given = [x]
        elif len(x) == len(inputs):
            given = [x.get(name) for name in inputs]  # None where a name is another: no array
        else:
            return None
        if leaves_alone:
            return execute(*given, empty(*exits[0]) if out is None else out)
        if out is None:
            taken: dict[str, Any] = {name: empty(shape, dtype) for name, (shape, dtype) in zip(outputs, exits, strict=True)}
        elif type(out) is dict and len(out) == len(outputs):
            taken = {name: out.get(name) for name in outputs}
        else:
            return None
        return None if execute(*given, *taken.values()) is None else taken

    return run

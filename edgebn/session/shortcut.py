"""The usual call in as few steps as Python takes: one array in, one array out, of one sample, checked in machine code.

Every line costs a tenth of a microsecond, where a small network takes three. What is not usual is left to the session.

An array belongs to whoever passes it until the call returns: a shape that another thread assigns meanwhile may or may not be seen,
and the memory cannot go, as the caller holds the array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebn.kernels import executor
from edgebn.session import array_words

if TYPE_CHECKING:
    from edgebn.session.tables import Table

# (x, out or None) -> the array with the result, or None where the call is not a usual one or has an error to tell of.
Shortcut = Callable[[np.ndarray, Any], np.ndarray | None]


def shortcut(
    table: Table,
    program_dtype: str,
    key: int,
    dtypes: tuple[np.dtype[Any], np.dtype[Any]],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> Shortcut:
    """Return the usual call of a table with one entry and one exit, for arrays of `dtypes` and `shapes` (of one sample).

    Parameters
    ----------
    program_dtype : {'int8', 'float32', 'mixed'}
        Of the table's executor.
    key : int
        Address of the session's key.
    """
    one_in, one_out = ((1, *shape) for shape in shapes)
    guard, *forms = array_words.guard(dtypes, one_in, one_out)
    patches, checks = table.patches.copy(), table.checks.copy()  # bound while the key is held; the table's own, under the lock
    words = executor.call(table.words, patches, checks, key=key, guard=guard.ctypes.data)
    array, empty, dtype = np.ndarray, np.empty, dtypes[1]
    execute = executor.usual(program_dtype, words.ctypes.data)
    held = (table, guard, forms, patches, checks, words)

    def run(x: np.ndarray, out: Any, _held: object = held) -> np.ndarray | None:
        if type(out) is array:
            return execute(x, out)
        if out is not None or x.ndim == 0 or len(x) != 1:
            return None
        return execute(x, empty(one_out, dtype))

    return run

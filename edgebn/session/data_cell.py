"""Where the address of an array's data stands, so that kernels fetch it themselves: NumPy takes 0.5 us and more to say it.

Every extension that uses NumPy's C interface reads that word in the same place: right after the head that all Python objects have.
Where that is not so (another Python), NumPy is asked.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

HEAD = object.__basicsize__  # bytes


def is_after_head() -> bool:
    """Whether the word is where it is expected: of two arrays, one a view that begins elsewhere."""
    whole = np.zeros(8, np.int64)
    if np.ndarray.__basicsize__ < HEAD + ctypes.sizeof(ctypes.c_void_p):
        return False
    return all(ctypes.c_void_p.from_address(id(array) + HEAD).value == array.ctypes.data for array in (whole, whole[3:]))


IS_AFTER_HEAD = is_after_head()


def held_elsewhere(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the addresses of the data as words, for when `IS_AFTER_HEAD` is false."""
    return np.array([array.ctypes.data for array in arrays], np.int64)

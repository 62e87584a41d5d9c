"""Where NumPy's array objects keep their words, so that kernels look at them: NumPy takes 0.5 us and more to say what they hold.

Every extension that uses NumPy's C interface reads these words in the same places: right after the head that all Python objects
have, whose last word is the class, come the address of the data, the number of axes, the addresses of shape and strides, the base,
the type and the flags (`PyArrayObject_fields` of its `ndarraytypes.h`). Arrays of known properties prove it at import; where it is
not so (another Python), or where nobody wants it (`EDGEBN_PLAIN_CALLS`), NumPy is asked. docs/calls.md says why this is safe.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebn.kernels.features import POINTER
from edgebn.kernels.records import GUARD_LAYOUTS

HEAD = object.__basicsize__  # bytes
CLASS_AT, AXES_AT, SHAPE_AT, TYPE_AT, FLAGS_AT, END = HEAD - 8, HEAD + 8, HEAD + 16, HEAD + 40, HEAD + 48, HEAD + 56

ArrayLayout = tuple[tuple[int, ...], np.dtype[Any]]  # shape with the axis of samples, type

# Bits of `ndarray.flags.num`: C-contiguous, aligned, writeable.
READABLE = 0x101
WRITEABLE = 0x501


def are_wanted(environment: Mapping[str, str], is_free_threaded: bool) -> bool:
    """Whether words may be looked at at all: not where they were turned off, nor where no global lock keeps an array as it is.

    Parameters
    ----------
    environment : mapping of str
        The process's; `EDGEBN_PLAIN_CALLS` set to anything but nothing and 0 turns them off.
    is_free_threaded : bool
        Whether this Python was built to run without its global lock, whether or not it does.
    """
    return not is_free_threaded and environment.get("EDGEBN_PLAIN_CALLS", "") in {"", "0"}


def is_after_head() -> bool:
    """Whether the address of the data is where it is expected: of two arrays, one a view that begins elsewhere."""
    whole = np.zeros(8, np.int64)
    if POINTER != 8 or np.ndarray.__basicsize__ < HEAD + POINTER:  # kernels read words of 64 bits
        return False
    return all(ctypes.c_void_p.from_address(id(array) + HEAD).value == array.ctypes.data for array in (whole, whole[3:]))


def are_known() -> bool:
    """Whether all words are where they are expected: of arrays that differ in each of them."""
    if np.ndarray.__basicsize__ < END or not is_after_head():
        return False
    whole = np.zeros((2, 3, 5), np.int8)
    frozen = whole[1]
    frozen.flags.writeable = False
    shifted = np.zeros(13, np.uint8)[1:].view(np.float32)
    arrays = (whole, frozen, shifted, whole.transpose(), np.zeros((4, 1), np.float32), np.zeros((7, 2), np.float64)[:, 0])
    objects = (*arrays, None, arrays, arrays.__class__)
    items = (ctypes.c_void_p * len(objects)).from_address(id(objects) + tuple.__basicsize__)
    if list(items) != [id(one) for one in objects]:
        return False
    if any(ctypes.c_void_p.from_address(id(one) + CLASS_AT).value != id(type(one)) for one in objects):
        return False
    return all(_words(array) == (array.ndim, array.shape, id(array.dtype), array.flags.num) for array in arrays)


def _words(array: np.ndarray) -> tuple[int, tuple[int, ...], int | None, int]:
    at = id(array)
    axes = ctypes.c_int.from_address(at + AXES_AT).value
    if axes != array.ndim:
        return axes, (), None, 0
    shape = (ctypes.c_int64 * axes).from_address(ctypes.c_void_p.from_address(at + SHAPE_AT).value or 0)
    kind = ctypes.c_void_p.from_address(at + TYPE_AT).value
    return axes, tuple(shape), kind, ctypes.c_int.from_address(at + FLAGS_AT).value


def is_built_without_lock() -> bool:
    """Whether this Python was built to run without its global lock; none before 3.13 was."""
    if not hasattr(sys, "_is_gil_enabled"):
        return False
    import sysconfig  # takes a millisecond

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


ARE_WANTED = are_wanted(os.environ, is_free_threaded=is_built_without_lock())
IS_AFTER_HEAD = ARE_WANTED and is_after_head()
ARE_KNOWN = ARE_WANTED and are_known()


def data_addresses(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the addresses of the data as words, for when `IS_AFTER_HEAD` is false."""
    return np.array([array.ctypes.data for array in arrays], np.int64)


def guard(inputs: Sequence[ArrayLayout], outputs: Sequence[ArrayLayout]) -> tuple[np.ndarray, ...]:
    """Return what only arrays of those types and shapes pass (`kernels/fast_call.py`): the guard, then what it has addresses of.

    Parameters
    ----------
    inputs, outputs : sequence of (shape, dtype)
        Of the arrays that enter and of those that leave: shapes with the axis of samples, and types as NumPy keeps them: arrays of
        an equal type that is another object do not pass.
    """
    flags = [READABLE] * len(inputs) + [WRITEABLE] * len(outputs)
    layouts = [
        np.array([id(dtype), flag, math.prod(shape) * dtype.itemsize, len(shape), *shape], np.int64)
        for (shape, dtype), flag in zip((*inputs, *outputs), flags, strict=True)
    ]
    words = [CLASS_AT, TYPE_AT, FLAGS_AT, AXES_AT, SHAPE_AT, HEAD, id(np.ndarray), len(inputs), len(layouts)]
    assert len(words) == GUARD_LAYOUTS
    return np.array([*words, *(layout.ctypes.data for layout in layouts)], np.int64), *layouts

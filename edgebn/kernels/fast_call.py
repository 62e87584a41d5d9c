"""Whose call it is: every call of an executor holds its session's lock, and the fast call is checked and bound in machine code.

The fast call has NumPy arrays of one sample as the kernels read it, those that enter and then those that leave. In Python its
checks take as long as a small network does. What does not fit, or would have to wait, is left to the caller, unharmed.

A lock is a word: 1 while somebody uses the session's memory. A guard is words (`records.GUARD_*`): where an array object keeps its
words, and the form (`records.FORM_*`) that each array must have.
"""

from __future__ import annotations

from edgebn.kernels.atomics import exchange, publish, rest
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i32, load_i64, store_i64
from edgebn.kernels.records import (
    CHECK_WORDS,
    FORM_AXES,
    FORM_BYTES,
    FORM_FLAGS,
    FORM_SHAPE,
    FORM_TYPE,
    GUARD_AXES_AT,
    GUARD_CLASS,
    GUARD_CLASS_AT,
    GUARD_COUNT,
    GUARD_DATA_AT,
    GUARD_ENTRIES,
    GUARD_FLAGS_AT,
    GUARD_LAYOUTS,
    GUARD_SHAPE_AT,
    GUARD_TYPE_AT,
)


@kernel
def _fits(guard: int, form: int, array: int) -> bool:
    """Whether the object at `array` is an array of a form: its class, its type, its flags, and every axis."""
    if load_i64(array + load_i64(guard, GUARD_CLASS_AT), 0) != load_i64(guard, GUARD_CLASS):
        return False
    if load_i64(array + load_i64(guard, GUARD_TYPE_AT), 0) != load_i64(form, FORM_TYPE):
        return False
    flags = load_i64(form, FORM_FLAGS)
    if load_i32(array + load_i64(guard, GUARD_FLAGS_AT), 0) & flags != flags:
        return False
    axes = load_i64(form, FORM_AXES)
    if load_i32(array + load_i64(guard, GUARD_AXES_AT), 0) != axes:
        return False
    shape = load_i64(array + load_i64(guard, GUARD_SHAPE_AT), 0)
    fits = True
    for i in range(axes):
        fits = fits and load_i64(shape, i) == load_i64(form, FORM_SHAPE + i)
    return fits


@kernel
def _are_apart(guard: int, objects: int) -> bool:
    """Whether no two of the arrays that leave share memory."""
    first, count, data = load_i64(guard, GUARD_ENTRIES), load_i64(guard, GUARD_COUNT), load_i64(guard, GUARD_DATA_AT)
    are = True
    for i in range(first, count):
        begin = load_i64(load_i64(objects, i) + data, 0)
        end = begin + load_i64(load_i64(guard, GUARD_LAYOUTS + i), FORM_BYTES)
        for j in range(first, i):
            other = load_i64(load_i64(objects, j) + data, 0)
            are = are and (end <= other or other + load_i64(load_i64(guard, GUARD_LAYOUTS + j), FORM_BYTES) <= begin)
    return are


@kernel
def check_and_bind(guard: int, lock: int, objects: int, patches: int, checks: int, check_count: int) -> bool:
    """Whether the array objects fit and nobody holds the lock; if so, acquire it and set where the addresses of their data stand.

    `objects` holds the addresses of the objects.
    """
    count, data = load_i64(guard, GUARD_COUNT), load_i64(guard, GUARD_DATA_AT)
    for i in range(count):
        if not _fits(guard, load_i64(guard, GUARD_LAYOUTS + i), load_i64(objects, i)):
            return False
    if not (_are_apart(guard, objects) and exchange(lock, 0, 0, 1)):
        return False
    for i in range(count):
        store_i64(patches, 4 * i + 2, load_i64(objects, i) + data)
    for i in range(check_count):
        store_i64(checks, CHECK_WORDS * i, load_i64(objects, i) + data)
    return True


@kernel
def acquire(lock: int) -> None:
    """Acquire a lock, when whoever holds it has released it."""
    looks = 0
    while not exchange(lock, 0, 0, 1):
        looks = rest(looks)


@kernel
def release(lock: int) -> None:
    """Release a lock."""
    publish(lock, 0, 0)

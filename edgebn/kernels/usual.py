"""Whose call it is: every call of an executor holds its session's key, and the usual call is checked and bound in machine code.

The usual call has one NumPy array in and one out, each of one sample and as the kernels read it. In Python its checks take as long
as a small network does. What does not fit, or would have to wait, is left to the caller, unharmed.

A key is a word: 1 while somebody uses the session's memory. A guard is words (`records.GUARD_*`): where an array object keeps its
words, and the form (`records.FORM_*`) that either array must have.
"""

from __future__ import annotations

from edgebn.kernels.atomics import exchange, publish, rest
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i32, load_i64, store_i64
from edgebn.kernels.records import (
    FORM_AXES,
    FORM_FLAGS,
    FORM_SHAPE,
    FORM_TYPE,
    GUARD_AXES_AT,
    GUARD_DATA_AT,
    GUARD_FLAGS_AT,
    GUARD_INPUT,
    GUARD_OUTPUT,
    GUARD_SHAPE_AT,
    GUARD_TYPE_AT,
)


@kernel
def _fits(guard: int, form: int, array: int) -> bool:
    """Whether the array object at `array` is of a form: its type, its flags, and every axis."""
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
def admit(guard: int, key: int, x: int, out: int, patches: int, checks: int, check_count: int) -> bool:
    """Whether the array objects fit and nobody holds the key; if so, take it and set where the addresses of their data stand."""
    if not (_fits(guard, load_i64(guard, GUARD_INPUT), x) and _fits(guard, load_i64(guard, GUARD_OUTPUT), out)):
        return False
    if not exchange(key, 0, 0, 1):
        return False
    data = load_i64(guard, GUARD_DATA_AT)
    store_i64(patches, 2, x + data)
    store_i64(patches, 6, out + data)
    if check_count != 0:
        store_i64(checks, 0, x + data)
    return True


@kernel
def take(key: int) -> None:
    """Take a key, when whoever holds it has given it back."""
    looks = 0
    while not exchange(key, 0, 0, 1):
        looks = rest(looks)


@kernel
def give(key: int) -> None:
    """Give a key back."""
    publish(key, 0, 0)

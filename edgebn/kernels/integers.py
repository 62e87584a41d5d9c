"""int32: casts, comparisons and whole-number arithmetic, where an extreme stands, choices and indexing.

Broadcasting operands have steps in elements along (H, W, C), 0 where they repeat; everything else counts in bytes. `function` is
the place of a function's name in `functions.INTEGER_BINARY`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgebn.functions import INTEGER_BINARY
from edgebn.kernels.broadcasting import broadcast
from edgebn.kernels.elements import FLOAT32, INT32, named
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_f32, load_i16, load_i32, load_u8, store_f32, store_i16, store_i32, store_u8

(EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, ADD, SUBTRACT, MULTIPLY, MAXIMUM, MINIMUM, FLOOR_DIVIDE, _) = range(
    len(INTEGER_BINARY)
)
MIN_I32, MAX_I32 = -(1 << 31), (1 << 31) - 1
WHOLE = np.float32(2.0**31)  # the first float32 that int32 does not hold


@kernel
def cast_to_i32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """float32 without what stands behind the point; NaN becomes 0."""
    for y in range(rows):
        for i in range(count):
            value = load_f32(src + y * src_row, i)
            whole = 0
            if value >= WHOLE:
                whole = MAX_I32
            elif value < -WHOLE:
                whole = MIN_I32
            elif value == value:  # noqa: PLR0124  # NaN is not
                whole = int(value)
            store_i32(dst + y * dst_row, i, np.int32(whole))


@kernel
def cast_to_f32(src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int) -> None:
    """int32 rounded to float32."""
    for y in range(rows):
        for i in range(count):
            store_f32(dst + y * dst_row, i, np.float32(load_i32(src + y * src_row, i)))


class Function(NamedTuple):
    """Which function: its place in `functions.INTEGER_BINARY`."""

    function: int


def _compare(va: float, vb: float, which: Function) -> np.int32:
    """Return 1 where float32 numbers compare so, else 0."""
    function = which.function
    if function == EQUAL:
        holds = va == vb
    elif function == NOT_EQUAL:
        holds = va != vb
    elif function == GREATER:
        holds = va > vb
    elif function == GREATER_EQUAL:
        holds = va >= vb
    elif function == LESS:
        holds = va < vb
    else:
        holds = va <= vb
    return np.int32(holds)


def _compute(a: int, b: int, which: Function) -> np.int32:
    """Return what a function makes of int32 in 64 bits, of which the low 32 are stored."""
    function, va, vb = which.function, np.int64(a), np.int64(b)
    if function == EQUAL:
        value = np.int64(va == vb)
    elif function == NOT_EQUAL:
        value = np.int64(va != vb)
    elif function == GREATER:
        value = np.int64(va > vb)
    elif function == GREATER_EQUAL:
        value = np.int64(va >= vb)
    elif function == LESS:
        value = np.int64(va < vb)
    elif function == LESS_EQUAL:
        value = np.int64(va <= vb)
    elif function == ADD:
        value = va + vb
    elif function == SUBTRACT:
        value = va - vb
    elif function == MULTIPLY:
        value = va * vb
    elif function == MAXIMUM:
        value = max(va, vb)
    elif function == MINIMUM:
        value = min(va, vb)
    elif vb == 0:
        value = np.int64(0)
    elif function == FLOOR_DIVIDE:
        value = va // vb
    else:
        value = va % vb
    return np.int32(value)


compare_f32 = broadcast("compare_f32", FLOAT32, INT32, Function, _compare)
binary_i32 = broadcast("binary_i32", INT32, INT32, Function, _compute)


def _arg_extreme(load: Callable[[Any, int], Any], suffix: str) -> Callable[..., None]:
    """Return the kernel of one type of elements."""

    @kernel
    def better(a: float, b: float, smallest: int) -> bool:
        return (a < b if smallest else a > b) or (b != b and a == a)  # noqa: PLR0124  # NaN is not

    @kernel
    def leads(value: float, other: float, smallest: int, last: int) -> bool:
        """Whether a value goes before one that was found earlier."""
        return not better(other, value, smallest) if last else better(value, other, smallest)

    @named(f"arg_extreme_{suffix}")
    def arg_extreme(
        src: int,
        src_0: int,
        src_1: int,
        src_along: int,
        dst: int,
        dst_0: int,
        dst_1: int,
        dst_along: int,
        count_0: int,
        count_1: int,
        along: int,
        most: int,
        smallest: int,
        last: int,
    ) -> None:
        """Places of the `most` largest or smallest elements along one axis, the best first; the output holds those found so far."""
        for i in range(count_0):
            for j in range(count_1):
                first, out = src + i * src_0 + j * src_1, dst + i * dst_0 + j * dst_1
                found, worst = 0, load(first, 0)
                for k in range(along):
                    value = load(first + k * src_along, 0)
                    if found == most and not leads(value, worst, smallest, last):
                        continue
                    found = min(found + 1, most)
                    slot = found - 1
                    while slot > 0:
                        place = load_i32(out + (slot - 1) * dst_along, 0)
                        if not leads(value, load(first + np.int64(place) * src_along, 0), smallest, last):
                            break
                        store_i32(out + slot * dst_along, 0, place)
                        slot -= 1
                    store_i32(out + slot * dst_along, 0, np.int32(k))
                    worst = load(first + np.int64(load_i32(out + (found - 1) * dst_along, 0)) * src_along, 0)

    return arg_extreme


arg_extreme_f32 = _arg_extreme(load_f32, "f32")
arg_extreme_i32 = _arg_extreme(load_i32, "i32")
arg_extreme_i8 = _arg_extreme(load_code, "i8")


@kernel
def select(
    condition: int,
    condition_row: int,
    condition_pixel: int,
    condition_channel: int,
    a: int,
    a_row: int,
    a_pixel: int,
    a_channel: int,
    b: int,
    b_row: int,
    b_pixel: int,
    b_channel: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    element: int,
) -> None:
    """The element of a where the condition is not 0, else that of b; elements of 4, 2 or 1 bytes."""
    for y in range(rows):
        for x in range(columns):
            pc = condition + (y * condition_row + x * condition_pixel) * 4
            pa = a + (y * a_row + x * a_pixel) * element
            pb = b + (y * b_row + x * b_pixel) * element
            out = dst + y * dst_row + x * channels * element
            if element == 4:
                for c in range(channels):
                    va, vb = load_i32(pa, c * a_channel), load_i32(pb, c * b_channel)
                    store_i32(out, c, va if load_i32(pc, c * condition_channel) != 0 else vb)
            elif element == 2:
                for c in range(channels):
                    ha, hb = load_i16(pa, c * a_channel), load_i16(pb, c * b_channel)
                    store_i16(out, c, ha if load_i32(pc, c * condition_channel) != 0 else hb)
            else:
                for c in range(channels):
                    ka, kb = load_u8(pa, c * a_channel), load_u8(pb, c * b_channel)
                    store_u8(out, c, ka if load_i32(pc, c * condition_channel) != 0 else kb)


@kernel
def _inside(index: int, size: int) -> int:
    """Return an index, a negative one counted from the end, within its axis."""
    return min(max(index + size if index < 0 else index, 0), size - 1)


@kernel
def gather_nd(
    src: int,
    indices: int,
    indices_step: int,
    dst: int,
    count: int,
    size_0: int,
    step_0: int,
    size_1: int,
    step_1: int,
    size_2: int,
    step_2: int,
    part: int,
) -> None:
    """Copy `part` bytes for each of `count` rows of indices; axes that are not indexed have the size 0."""
    for i in range(count):
        row = indices + i * indices_step
        begin = src + _inside(np.int64(load_i32(row, 0)), size_0) * step_0
        if size_1 > 0:
            begin += _inside(np.int64(load_i32(row, 1)), size_1) * step_1
        if size_2 > 0:
            begin += _inside(np.int64(load_i32(row, 2)), size_2) * step_2
        for j in range(part):
            store_u8(dst + i * part, j, load_u8(begin, j))

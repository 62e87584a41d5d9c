"""Vector sum of two int8 buffers of one shape: exact for both roundings at nearly the price of float32.

Every operand has 256 values, so what it contributes is a table of integers: total = A[a] + B[b], then
y = (total * multiplier + rounding - (2**31 if neg and total < 0)) >> shift. One pair of multiply-adds gives y in units of 2**-16
within `guard` units; where an integer lies that near (`tile_epilogue.py` explains the test), the tables give the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.epilogue import NUDGE
from edgebn.kernels.isa import SELECTED
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i64, load_u8, store_code
from edgebn.kernels.tile_epilogue import GROUP, Int8Epilogue
from edgebn.kernels.tile_weights import UNIT
from edgebn.kernels.vectors import F32, I8, I32, I64, any_lane, constant, fused_multiply_add, load, splat, store, vector

VECTOR = SELECTED.vector_bytes


@intrinsic
def _sum_vector(typing_context: Any, a: Any, b: Any, dst: Any, scales: Any, bounds: Any) -> Any:  # noqa: ARG001
    """Store one vector of sums, and return whether any of them is in doubt.

    `scales` are a_scale, b_scale, start (float32); `bounds` are certain, low, high.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
        lanes = SELECTED.lanes
        reals = [splat(builder, real, lanes) for real in cgutils.unpack_tuple(builder, values[3], 3)]
        certain, low, high = cgutils.unpack_tuple(builder, values[4], 3)
        mask = splat(builder, builder.trunc(certain, I32), lanes)
        units, doubts = [], []
        for part in range(GROUP):
            floats = []
            for address in values[:2]:
                stored = load(builder, vector(I8, lanes), address, part * lanes)
                unsigned = builder.xor(stored, constant(I8, lanes, 0x80 ^ SELECTED.code_flip))
                floats.append(builder.sitofp(builder.zext(unsigned, vector(I32, lanes)), vector(F32, lanes)))
            total = fused_multiply_add(builder, floats[0], reals[0], fused_multiply_add(builder, floats[1], reals[1], reals[2]))
            units.append(builder.fptosi(total, vector(I32, lanes)))
            doubts.append(builder.icmp_unsigned("==", builder.and_(units[-1], mask), constant(I32, lanes, 0)))
        packed = Int8Epilogue(SELECTED).pack(builder, units, {"low": low, "high": high, "interleaved": False})
        store(builder, packed, values[2])
        doubt = builder.or_(builder.or_(doubts[0], doubts[1]), builder.or_(doubts[2], doubts[3]))
        return builder.zext(any_lane(builder, doubt), I64)

    three = types.UniTuple(types.int64, 3)
    return types.int64(types.int64, types.int64, types.int64, types.UniTuple(types.float32, 3), three), generate


@kernel
def _exact(
    a: int,
    b: int,
    dst: int,
    count: int,
    a_table: int,
    b_table: int,
    multiplier: int,
    rounding: int,
    shift: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    for i in range(count):
        total = load_i64(a_table, load_u8(a, i)) + load_i64(b_table, load_u8(b, i))
        product = total * multiplier + rounding
        if neg != 0 and total < 0:
            product -= NUDGE
        store_code(dst, i, min(max(zero_point + (product >> shift), qmin), qmax))


@kernel
def add_tile_i8(
    a: int,
    a_row: int,
    b: int,
    b_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    count: int,
    a_table: int,
    b_table: int,
    multiplier: int,
    rounding: int,
    shift: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
    a_scale: float,
    b_scale: float,
    start: float,
    certain: int,
) -> None:
    """Rows of `count` codes; tables are int64 (256,), indexed by the stored byte."""
    scales = (a_scale, b_scale, start)
    bounds = (certain, qmin + 128, qmax + 128)
    for y in range(rows):
        pa, pb, out = a + y * a_row, b + y * b_row, dst + y * dst_row
        if count < VECTOR:
            _exact(pa, pb, out, count, a_table, b_table, multiplier, rounding, shift, neg, zero_point, qmin, qmax)
            continue
        for step in range((count + VECTOR - 1) // VECTOR):
            i = min(step * VECTOR, count - VECTOR)  # the last vector moves left
            if _sum_vector(pa + i, pb + i, out + i, scales, bounds) != 0:
                _exact(
                    pa + i, pb + i, out + i, VECTOR, a_table, b_table, multiplier, rounding, shift, neg, zero_point, qmin, qmax
                )


@dataclass(frozen=True)
class Sum:
    """An integer sum in the form of this kernel: tables (256,) of int64 by stored byte, and scalars as `add_tile_i8` names them."""

    a_table: np.ndarray
    b_table: np.ndarray
    integers: dict[str, int]
    reals: dict[str, float]


def sum_form(
    a_table: np.ndarray, b_table: np.ndarray, final: tuple[int, int, int, int], bounds: tuple[int, int, int]
) -> Sum | None:
    """Return the kernel's form of a sum, or None where float32 is too coarse to be of use.

    Parameters
    ----------
    a_table, b_table : ndarray of int64, shape (256,)
        What each code adds to the total, by code + 128.
    final : (multiplier, rounding, shift, neg)
        From the total to y.
    bounds : (zero_point, qmin, qmax)
    """
    multiplier, rounding, shift, neg = final
    power = UNIT / 2.0**shift
    codes = np.arange(256)
    # The best line through each table; what it misses is counted as error.
    slopes = [(float(table[255]) - float(table[0])) / 255 for table in (a_table, b_table)]
    starts = [float(table[0]) for table in (a_table, b_table)]
    missed = sum(
        float(np.abs(table - (first + slope * codes)).max())
        for table, first, slope in zip((a_table, b_table), starts, slopes, strict=True)
    )
    nudge = float(NUDGE if neg else 0)
    exact = [slope * multiplier * power for slope in slopes]
    middle = (sum(starts) * multiplier + rounding - nudge / 2) * power + (bounds[0] + 128) * float(UNIT)
    scales = [float(np.float32(value)) for value in exact]
    largest = abs(middle) + 255 * (abs(exact[0]) + abs(exact[1]))
    error = 255 * sum(abs(value - scale) for value, scale in zip(exact, scales, strict=True))
    error += (missed * multiplier + nudge / 2) * power + 3 * max(largest, 2.0**24) * 2.0**-24
    guard = 1 << max(int(np.ceil(np.log2(error + 0.5))), 0)
    if guard > UNIT // 8 or largest + guard > 2.0**31 - 2.0**12:
        return None
    by_byte = codes ^ 0x80 ^ SELECTED.code_flip  # code + 128 of a stored byte
    integers = {
        "multiplier": multiplier,
        "rounding": rounding,
        "shift": shift,
        "neg": neg,
        "zero_point": bounds[0],
        "qmin": bounds[1],
        "qmax": bounds[2],
        "certain": (UNIT - 1) & ~(2 * guard - 1),
    }
    reals = {"a_scale": scales[0], "b_scale": scales[1], "start": middle + guard}
    return Sum(a_table[by_byte], b_table[by_byte], integers, reals)


INT8_ADD = (add_tile_i8,) if SELECTED.dot else ()

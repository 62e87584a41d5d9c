"""Vector sum of two int8 buffers of one shape: exact for both roundings at nearly the price of float32.

Every operand has 256 values, so what it contributes is a table of integers: total = A[a] + B[b], then
y = (total * multiplier + rounding - (2**31 if neg and total < 0)) >> shift. One pair of multiply-adds gives y in units of 2**-16
within `guard` units; where an integer lies that near (`tile_epilogue.py` explains the test), the tables give the answer.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i64, load_u8, store_code
from edgebn.kernels.records import NUDGE
from edgebn.kernels.tile_epilogue import GROUP, Int8Epilogue
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
        shared = {"low": low, "high": high, "interleaved": False, "bounded": ir.Constant(ir.IntType(1), 1)}
        packed = Int8Epilogue(SELECTED).pack(builder, units, shared)
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
                _exact(pa + i, pb + i, out + i, VECTOR, a_table, b_table, multiplier, rounding, shift, neg, zero_point, qmin, qmax)


INT8_ADD = (add_tile_i8,) if SELECTED.dot else ()

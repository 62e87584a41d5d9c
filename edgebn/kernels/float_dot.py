"""The dot product of the plain float32 kernels, in one order that no optimiser may change. Knows nothing of convolutions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.vectors import F32, I32, I64, constant, load, shuffle, vector

LANES = 8  # partial sums: enough to hide the latency of addition; LLVM splits the vector where a CPU's are shorter


@intrinsic
def dot_f32(typing_context: Any, a: Any, b: Any, count: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
    """Return the sum of a[i] * b[i]: every eighth product together, the eight sums pairwise, then the products that are left."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        left, right, length = arguments
        kind = vector(F32, LANES)
        sums = cgutils.alloca_once_value(builder, constant(F32, LANES, 0.0))
        whole = builder.and_(length, ir.Constant(I64, -LANES))
        with cgutils.for_range(builder, builder.udiv(whole, ir.Constant(I64, LANES))) as part:
            at = builder.mul(part.index, ir.Constant(I64, 4 * LANES))
            product = builder.fmul(load(builder, kind, left, at), load(builder, kind, right, at))
            builder.store(builder.fadd(builder.load(sums), product), sums)
        folded = builder.load(sums)
        lanes = LANES
        while lanes > 1:
            lanes //= 2
            high = shuffle(builder, folded, None, range(lanes, 2 * lanes))
            folded = builder.fadd(shuffle(builder, folded, None, range(lanes)), high)
        total = cgutils.alloca_once_value(builder, builder.extract_element(folded, ir.Constant(I32, 0)))
        with cgutils.for_range(builder, builder.sub(length, whole)) as rest:
            at = builder.mul(builder.add(whole, rest.index), ir.Constant(I64, 4))
            product = builder.fmul(load(builder, F32, left, at), load(builder, F32, right, at))
            builder.store(builder.fadd(builder.load(total), product), total)
        return builder.load(total)

    return types.float32(types.int64, types.int64, types.int64), generate

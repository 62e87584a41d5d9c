"""What one core multiplies at most: the tiles' own instruction in a loop that touches registers alone, measured."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.tile import Float32Products, Int8Products
from edgebn.kernels.vectors import I64, load, store

# Independent sums: more than latency times what a core starts in a cycle; with two operands they fit 16 registers.
SUMS = 12
LOOPS = 20_000


@functools.cache
def _loop(dtype: str) -> Callable[[int, int], None]:
    """Return a compiled function (address of SUMS + 2 vectors, loops)."""
    products = (Int8Products if dtype == "int8" else Float32Products)(SELECTED)

    @intrinsic
    def work(typing_context: Any, address: Any, loops: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
            place, loops = values
            size = SELECTED.vector_bytes
            vectors = [load(builder, products.accumulator, place, i * size) for i in range(SUMS + 2)]
            value = products.weight_vectors * [vectors[SUMS]] if dtype == "int8" else vectors[SUMS]
            weights = products.weight_vectors * [vectors[SUMS + 1]]
            entry, body, done = builder.block, builder.append_basic_block("body"), builder.append_basic_block("done")
            builder.branch(body)
            builder.position_at_end(body)
            index = builder.phi(I64)
            sums = [builder.phi(products.accumulator) for _ in range(SUMS)]
            following = [products.add(builder, acc, value, weights) for acc in sums]
            after = builder.add(index, ir.Constant(I64, 1))
            index.add_incoming(ir.Constant(I64, 0), entry)
            index.add_incoming(after, body)
            for i, acc in enumerate(sums):
                acc.add_incoming(vectors[i], entry)
                acc.add_incoming(following[i], body)
            builder.cbranch(builder.icmp_signed("<", after, loops), body, done)
            builder.position_at_end(done)
            for i, acc in enumerate(following):
                store(builder, acc, place, i * size)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    @njit
    def run(address: int, loops: int) -> None:
        work(address, loops)

    return run


def gigamacs(dtype: str) -> float:
    """Return how many 10**9 multiply-accumulates a second one run of the loop did; 0.0 of types without vector kernels."""
    lanes = {"int8": 4 * SELECTED.lanes if SELECTED.dot else 0, "float32": SELECTED.lanes}.get(dtype, 0)
    if not lanes:
        return 0.0
    run = _loop(dtype)
    memory = np.zeros((SUMS + 2) * SELECTED.vector_bytes, np.uint8)
    run(memory.ctypes.data, 1)
    begin = time.perf_counter_ns()
    run(memory.ctypes.data, LOOPS)
    return LOOPS * SUMS * lanes / (time.perf_counter_ns() - begin)

"""How plain kernels sum products of elements and weights of one type: functions make them over `Products`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgebn.kernels.epilogue import FLOAT32_OUTPUT, INT8_OUTPUT, INT16_OUTPUT, Output
from edgebn.kernels.float_dot import dot_f32
from edgebn.kernels.jit import inlined, kernel
from edgebn.kernels.primitives import (
    ZERO_F32,
    ZERO_I32,
    load_code,
    load_f32,
    load_i8,
    load_i16,
    load_i32,
    multiply_add_i32,
    store_f32,
    store_i32,
)


class Products(NamedTuple):
    """What sums are made of, of weights as wide as the elements, and the outputs that they become.

    `add` is (sum, element, weight), `dot` (address of elements, of weights, how many); sums have 32 bits.
    """

    output: Output
    zero: Any
    load_weight: Callable[[int, int], Any]
    add: Callable[[Any, Any, Any], Any]
    dot: Callable[[int, int, int], Any]
    load_sum: Callable[[int, int], Any]
    store_sum: Callable[[int, int, Any], None]


@inlined
def _add_f32(total: float, a: float, b: float) -> float:
    return total + a * b


def dot_of(load: Callable[[int, int], Any], load_weight: Callable[[int, int], Any]) -> Callable[[int, int, int], Any]:
    """Return the kernel (address of elements, of weights, how many) of the sum of their products, in 32 bits."""

    @kernel
    def dot(codes: int, weights: int, count: int) -> np.int32:
        total = ZERO_I32
        for i in range(count):
            total = multiply_add_i32(total, load(codes, i), load_weight(weights, i))
        return total

    return dot


FLOAT32 = Products(FLOAT32_OUTPUT, ZERO_F32, load_f32, _add_f32, dot_f32, load_f32, store_f32)
INT8 = Products(INT8_OUTPUT, ZERO_I32, load_i8, multiply_add_i32, dot_of(load_code, load_i8), load_i32, store_i32)
# Of int16 codes, whose sums of many products 32 bits do not hold.
INT16 = Products(INT16_OUTPUT, ZERO_I32, load_i16, multiply_add_i32, dot_of(load_i16, load_i16), load_i32, store_i32)

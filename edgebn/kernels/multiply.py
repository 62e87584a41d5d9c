"""Product of two buffers with broadcasting."""

from __future__ import annotations

from edgebn.kernels.broadcasting import broadcast
from edgebn.kernels.elements import FLOAT32, INT8, INT16
from edgebn.kernels.epilogue import code_of_product
from edgebn.kernels.parameters import Bounds, ProductCodes


def _product(a: float, b: float, bounds: Bounds) -> float:
    return min(max(a * b, bounds.low), bounds.high)


def _product_of_codes(a: int, b: int, scaling: ProductCodes) -> int:
    return code_of_product((a - scaling.a_zero) * (b - scaling.b_zero), scaling)


multiply_f32 = broadcast("multiply_f32", FLOAT32, FLOAT32, Bounds, _product)
multiply_i8 = broadcast("multiply_i8", INT8, INT8, ProductCodes, _product_of_codes)
multiply_i16 = broadcast("multiply_i16", INT16, INT16, ProductCodes, _product_of_codes)

"""Convolutions of int16 codes by few weights an output: each input's weights of all outputs, times it, are added to their sums.

A dot product of a few numbers is over before vectors pay; here they go along the outputs (BLAS's axpy). Steps are bytes, as in
`convolution.py`. `scratch` holds `outputs` sums of 32 bits.
"""

from __future__ import annotations

from edgebn.kernels import products
from edgebn.kernels.jit import kernel
from edgebn.kernels.parameters import Codes, Walk
from edgebn.kernels.primitives import ZERO_I32, load_i16, load_i32, multiply_add_i32, store_i32

_finish = products.INT16.output.finish


@kernel
def _axpy(code: int, weights: int, sums: int, outputs: int) -> None:
    for k in range(outputs):
        store_i32(sums, k, multiply_add_i32(load_i32(sums, k), code, load_i16(weights, k)))


@kernel
def _four_axpys(codes: int, weights: int, sums: int, outputs: int) -> None:
    """Four inputs at once: sums are read and written once."""
    a, b, c, d = load_i16(codes, 0), load_i16(codes, 1), load_i16(codes, 2), load_i16(codes, 3)
    of_b, of_c, of_d = weights + 2 * outputs, weights + 4 * outputs, weights + 6 * outputs
    for k in range(outputs):
        total = multiply_add_i32(load_i32(sums, k), a, load_i16(weights, k))
        total = multiply_add_i32(total, b, load_i16(of_b, k))
        total = multiply_add_i32(total, c, load_i16(of_c, k))
        store_i32(sums, k, multiply_add_i32(total, d, load_i16(of_d, k)))


@kernel
def convolution_axpy_i16(walk: Walk, outputs: int, run: int, scratch: int, codes: Codes) -> None:
    """Weight int16 (tap_rows, tap_columns, run, outputs)."""
    for y in range(walk.rows):
        for x in range(walk.columns):
            for k in range(outputs):
                store_i32(scratch, k, ZERO_I32)
            weights = walk.weight
            for i in range(walk.tap_rows):
                for j in range(walk.tap_columns):
                    tap = walk.src + y * walk.row_step + x * walk.column_step + i * walk.tap_row_step + j * walk.tap_column_step
                    whole = run & ~3
                    for c in range(0, whole, 4):
                        _four_axpys(tap + 2 * c, weights + 2 * c * outputs, scratch, outputs)
                    for c in range(whole, run):
                        _axpy(load_i16(tap, c), weights + 2 * c * outputs, scratch, outputs)
                    weights += 2 * run * outputs
            pixel = walk.dst + y * walk.dst_row + x * walk.dst_pixel
            for k in range(outputs):
                _finish(load_i32(scratch, k), walk.epilogue, k, outputs, codes, pixel, 0, 0)

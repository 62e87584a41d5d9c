"""Stacks of matrix products of two buffers (H, W, C): H matrices of W rows; a step of 0 repeats one matrix. Steps are bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgebn.kernels.epilogue import code_of_product
from edgebn.kernels.jit import kernel
from edgebn.kernels.parameters import ProductCodes
from edgebn.kernels.primitives import (
    ZERO_I32,
    load_code,
    load_f32,
    load_i16,
    load_i32,
    multiply_add_i32,
    store_code,
    store_f32,
    store_i16,
    store_i32,
)

AT_ONCE = 4  # rows that go through the registers together: sums are loaded and stored once for all of them


class Matrices(NamedTuple):
    """Both operands and the output; steps are bytes."""

    a: int
    a_row: int
    a_pixel: int
    b: int
    b_row: int
    b_pixel: int
    dst: int
    dst_row: int
    dst_pixel: int
    stacks: int
    rows: int
    depth: int
    columns: int


@kernel
def matmul_f32(matrices: Matrices) -> None:
    """float32 without vectors of ours, and of few rows: rows of b are added to a row of the output, each times its factor.

    So the innermost loop runs along both.
    """
    for s in range(matrices.stacks):
        right = matrices.b + s * matrices.b_row
        for i in range(matrices.rows):
            left = matrices.a + s * matrices.a_row + i * matrices.a_pixel
            out = matrices.dst + s * matrices.dst_row + i * matrices.dst_pixel
            first = load_f32(left, 0)
            for j in range(matrices.columns):
                store_f32(out, j, first * load_f32(right, j))
            fours = (matrices.depth - 1) // AT_ONCE * AT_ONCE + 1
            for k in range(1, fours, AT_ONCE):
                f, g, h, e = load_f32(left, k), load_f32(left, k + 1), load_f32(left, k + 2), load_f32(left, k + 3)
                above = right + k * matrices.b_pixel
                for j in range(matrices.columns):
                    total = load_f32(out, j) + f * load_f32(above, j)
                    total += g * load_f32(above + matrices.b_pixel, j)
                    total += h * load_f32(above + 2 * matrices.b_pixel, j)
                    store_f32(out, j, total + e * load_f32(above + 3 * matrices.b_pixel, j))
            for k in range(fours, matrices.depth):
                factor = load_f32(left, k)
                for j in range(matrices.columns):
                    store_f32(out, j, load_f32(out, j) + factor * load_f32(right + k * matrices.b_pixel, j))


@kernel
def _add_row(sums: int, code: int, row: int, zero: int, columns: int) -> None:
    """Add a row of codes less their zero point, times a number of 9 bits, to int32 sums."""
    factor = np.int32(code)
    for j in range(columns):
        store_i32(sums, j, multiply_add_i32(load_i32(sums, j), factor, np.int32(load_code(row, j) - zero)))


@kernel
def _add_rows(sums: int, codes: int, code_zero: int, row: int, step: int, zero: int, columns: int) -> None:
    """Add `AT_ONCE` rows, each times its code less the zero point of codes."""
    f, g = np.int32(load_code(codes, 0) - code_zero), np.int32(load_code(codes, 1) - code_zero)
    h, e = np.int32(load_code(codes, 2) - code_zero), np.int32(load_code(codes, 3) - code_zero)
    for j in range(columns):
        total = multiply_add_i32(load_i32(sums, j), f, np.int32(load_code(row, j) - zero))
        total = multiply_add_i32(total, g, np.int32(load_code(row + step, j) - zero))
        total = multiply_add_i32(total, h, np.int32(load_code(row + 2 * step, j) - zero))
        store_i32(sums, j, multiply_add_i32(total, e, np.int32(load_code(row + 3 * step, j) - zero)))


@kernel
def matmul_i8(matrices: Matrices, scratch: int, scaling: ProductCodes) -> None:
    """int8; `scratch` holds `columns` int32 sums, as many terms as `program.MATMUL_DEPTH` fit."""
    a_zero, b_zero, columns, step = scaling.a_zero, scaling.b_zero, matrices.columns, matrices.b_pixel
    for s in range(matrices.stacks):
        right = matrices.b + s * matrices.b_row
        for i in range(matrices.rows):
            left = matrices.a + s * matrices.a_row + i * matrices.a_pixel
            out = matrices.dst + s * matrices.dst_row + i * matrices.dst_pixel
            for j in range(columns):
                store_i32(scratch, j, ZERO_I32)
            fours = matrices.depth // AT_ONCE * AT_ONCE
            for k in range(0, fours, AT_ONCE):
                _add_rows(scratch, left + k, a_zero, right + k * step, step, b_zero, columns)
            for k in range(fours, matrices.depth):
                _add_row(scratch, load_code(left, k) - a_zero, right + k * step, b_zero, columns)
            for j in range(columns):
                store_code(out, j, code_of_product(load_i32(scratch, j), scaling))


@kernel
def matmul_i16(matrices: Matrices, scaling: ProductCodes) -> None:
    """int16; sums of 64 bits, one after the other."""
    for s in range(matrices.stacks):
        right = matrices.b + s * matrices.b_row
        for i in range(matrices.rows):
            left = matrices.a + s * matrices.a_row + i * matrices.a_pixel
            out = matrices.dst + s * matrices.dst_row + i * matrices.dst_pixel
            for j in range(matrices.columns):
                total = 0
                for k in range(matrices.depth):
                    total += int(load_i16(left, k)) * int(load_i16(right + k * matrices.b_pixel, j))
                store_i16(out, j, code_of_product(total, scaling))

"""Stacks of matrix products of two buffers (H, W, C): H matrices of W rows; a step of 0 repeats one matrix. Steps are bytes."""

from __future__ import annotations

from edgebn.kernels.epilogue import NUDGE
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_f32, store_code, store_f32


@kernel
def matmul_f32(
    a: int,
    a_row: int,
    a_pixel: int,
    b: int,
    b_row: int,
    b_pixel: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    stacks: int,
    rows: int,
    depth: int,
    columns: int,
) -> None:
    """float32: rows of b are added to a row of the output, each times its factor, so that the innermost loop runs along both."""
    for s in range(stacks):
        for i in range(rows):
            left = a + s * a_row + i * a_pixel
            out = dst + s * dst_row + i * dst_pixel
            for j in range(columns):
                store_f32(out, j, load_f32(left, 0) * load_f32(b + s * b_row, j))
            for k in range(1, depth):
                factor = load_f32(left, k)
                right = b + s * b_row + k * b_pixel
                for j in range(columns):
                    store_f32(out, j, load_f32(out, j) + factor * load_f32(right, j))


@kernel
def matmul_i8(
    a: int,
    a_row: int,
    a_pixel: int,
    b: int,
    b_row: int,
    b_pixel: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    stacks: int,
    rows: int,
    depth: int,
    columns: int,
    a_zero: int,
    b_zero: int,
    multiplier: int,
    rounding: int,
    shift: int,
    neg: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> None:
    """int8: (u * multiplier + rounding - nudge) >> shift with u the sum of products of codes less their zero points."""
    for s in range(stacks):
        for i in range(rows):
            left = a + s * a_row + i * a_pixel
            out = dst + s * dst_row + i * dst_pixel
            for j in range(columns):
                u = 0
                for k in range(depth):
                    u += (load_code(left, k) - a_zero) * (load_code(b + s * b_row + k * b_pixel, j) - b_zero)
                product = u * multiplier + rounding
                if neg != 0 and u < 0:
                    product -= NUDGE
                store_code(out, j, min(max(zero_point + (product >> shift), qmin), qmax))

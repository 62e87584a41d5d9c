"""Every kernel by data type: what an executor is compiled from. Imports Numba; a session does so only where there is no object."""

from __future__ import annotations

from collections.abc import Callable

from edgebn.kernels import (
    add,
    add_tile,
    affine,
    boundary,
    convolution,
    dense,
    depthwise,
    depthwise_tile,
    elementwise,
    halo,
    lookup,
    movement,
    multiply,
    pool,
    resize,
    softmax,
    tile,
    transposed_convolution,
    winograd,
)

SHARED = (boundary.copy_rows, halo.fill_halo, halo.fill_bytes, movement.reshape, resize.nearest)

# Data type of the program to its kernels; position is the operation code.
OPERATIONS: dict[str, tuple[Callable[..., None], ...]] = {
    "float32": (
        *SHARED,
        *tile.FLOAT32_TILES,
        *dense.FLOAT32_DENSE,
        *depthwise_tile.FLOAT32_DEPTHWISE,
        *winograd.FLOAT32_WINOGRAD,
        halo.fill_f32,
        movement.move_f32,
        convolution.convolution_f32,
        depthwise.depthwise_f32,
        transposed_convolution.transposed_convolution_f32,
        affine.affine_f32,
        add.add_f32,
        multiply.multiply_f32,
        pool.maximum_f32,
        pool.average_f32,
        elementwise.clip_f32,
        elementwise.leaky_relu_f32,
        elementwise.prelu_f32,
        elementwise.sigmoid_f32,
        elementwise.tanh_f32,
        elementwise.hard_sigmoid_f32,
        elementwise.hard_swish_f32,
        elementwise.silu_f32,
        softmax.softmax_f32,
        resize.bilinear_f32,
    ),
    "int8": (
        *SHARED,
        *tile.INT8_TILES,
        *add_tile.INT8_ADD,
        *depthwise_tile.INT8_DEPTHWISE,
        boundary.flip_rows,
        boundary.quantize_rows,
        boundary.dequantize_rows,
        movement.move_u8,
        convolution.convolution_i8,
        depthwise.depthwise_i8,
        transposed_convolution.transposed_convolution_i8,
        affine.affine_i8,
        add.add_i8,
        add.add_double_i8,
        multiply.multiply_i8,
        pool.maximum_i8,
        pool.average_i8,
        pool.average_rescaled_i8,
        lookup.lookup_i8,
        softmax.softmax_i8,
        resize.bilinear_i8,
    ),
}

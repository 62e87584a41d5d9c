"""Depthwise convolution (one input channel a group), any geometry and multiplier: plain loops along the channels.

Weights are (kernel_rows, kernel_columns, channels) here; input channel of output channel c is c // multiplier. Steps are bytes,
as in `convolution.py`. `scratch` holds `channels` accumulators of 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebn.kernels import products
from edgebn.kernels.elements import named
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import row_to_save
from edgebn.kernels.parameters import SavedAccumulators, Walk


def _depthwise(of: products.Products, suffix: str) -> Callable[..., None]:
    """Return the kernel of one type."""
    zero, add, load_weight, load_sum, store_sum = of.zero, of.add, of.load_weight, of.load_sum, of.store_sum
    load, size, finish = of.output.element.load, of.output.element.bytes, of.output.finish

    @kernel
    def accumulate(src: int, weight: int, scratch: int, channels: int, multiplier: int) -> None:
        if multiplier == 1:
            for c in range(channels):
                store_sum(scratch, c, add(load_sum(scratch, c), load(src, c), load_weight(weight, c)))
        else:
            for c in range(channels):
                store_sum(scratch, c, add(load_sum(scratch, c), load(src, c // multiplier), load_weight(weight, c)))

    @named(f"depthwise_{suffix}", bounds=of.output.bounds)
    def depthwise(walk: Walk, channels: int, multiplier: int, scratch: int, saved: SavedAccumulators, bounds: Any) -> None:
        for y in range(walk.rows):
            row = row_to_save(saved, y)
            for x in range(walk.columns):
                for c in range(channels):
                    store_sum(scratch, c, zero)
                for i in range(walk.tap_rows):
                    for j in range(walk.tap_columns):
                        tap = walk.src + y * walk.row_step + x * walk.column_step + i * walk.tap_row_step + j * walk.tap_column_step
                        accumulate(tap, walk.weight + (i * walk.tap_columns + j) * channels * size, scratch, channels, multiplier)
                pixel = walk.dst + y * walk.dst_row + x * walk.dst_pixel
                for c in range(channels):
                    finish(load_sum(scratch, c), walk.epilogue, c, channels, bounds, pixel, row, x * saved.saved_pixel)

    return depthwise


depthwise_f32 = _depthwise(products.FLOAT32, "f32")
depthwise_i8 = _depthwise(products.INT8, "i8")
depthwise_i16 = _depthwise(products.INT16, "i16")

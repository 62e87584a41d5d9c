"""Convolution and dense, any geometry, from a buffer with a halo: plain loops over dot products of contiguous runs.

Sizes: `run` is how many channels (or, where taps of a row are adjacent, taps times channels) one dot product covers.
Steps are bytes: from one output row or column to the next in the source, and from one kernel row or column to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebn.kernels import products
from edgebn.kernels.elements import named
from edgebn.kernels.observe import row_to_save
from edgebn.kernels.parameters import SavedAccumulators, Walk


def _convolution(of: products.Products, suffix: str) -> Callable[..., None]:
    """Return the kernel of one type."""
    size, zero, dot, finish = of.output.element.bytes, of.zero, of.dot, of.output.finish

    @named(f"convolution_{suffix}", bounds=of.output.bounds)
    def convolution(walk: Walk, run: int, groups: int, group_outputs: int, saved: SavedAccumulators, bounds: Any) -> None:
        """Weight (groups * group_outputs, tap_rows, tap_columns, run)."""
        channels = groups * group_outputs
        for y in range(walk.rows):
            row = row_to_save(saved, y)
            for x in range(walk.columns):
                origin = walk.src + y * walk.row_step + x * walk.column_step
                pixel = walk.dst + y * walk.dst_row + x * walk.dst_pixel
                taps = walk.weight
                for channel in range(channels):
                    window = origin + (channel // group_outputs) * run * size
                    acc = zero
                    for i in range(walk.tap_rows):
                        for j in range(walk.tap_columns):
                            acc += dot(window + i * walk.tap_row_step + j * walk.tap_column_step, taps, run)
                            taps += run * size
                    finish(acc, walk.epilogue, channel, channels, bounds, pixel, row, x * saved.saved_pixel)

    return convolution


convolution_f32 = _convolution(products.FLOAT32, "f32")
convolution_i8 = _convolution(products.INT8, "i8")

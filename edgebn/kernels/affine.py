"""A batch norm that no convolution took: the epilogue applied to the input itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebn.kernels.elements import named
from edgebn.kernels.epilogue import FLOAT32_OUTPUT, INT8_OUTPUT, INT16_OUTPUT, Output
from edgebn.kernels.observe import row_to_save
from edgebn.kernels.parameters import SavedAccumulators


def _affine(output: Output, suffix: str) -> Callable[..., None]:
    """Return the kernel of one type."""
    load, size, finish = output.element.load, output.element.bytes, output.finish

    @named(f"affine_{suffix}", bounds=output.bounds)
    def affine(
        src: int,
        src_row: int,
        dst: int,
        dst_row: int,
        rows: int,
        columns: int,
        channels: int,
        epilogue: int,
        saved: SavedAccumulators,
        bounds: Any,
    ) -> None:
        """Pixels of a row are adjacent."""
        for y in range(rows):
            row = row_to_save(saved, y)
            for x in range(columns):
                pixel = src + y * src_row + x * channels * size
                made = dst + y * dst_row + x * channels * size
                for c in range(channels):
                    finish(load(pixel, c), epilogue, c, channels, bounds, made, row, x * saved.saved_pixel)

    return affine


affine_f32 = _affine(FLOAT32_OUTPUT, "f32")
affine_i8 = _affine(INT8_OUTPUT, "i8")
affine_i16 = _affine(INT16_OUTPUT, "i16")

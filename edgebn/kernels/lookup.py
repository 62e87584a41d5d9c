"""int8 elementwise function as a table of 256 codes, one for all channels or one a channel."""

from __future__ import annotations

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_i8, store_code


@kernel
def lookup_i8(
    src: int,
    src_row: int,
    src_pixel: int,
    dst: int,
    dst_row: int,
    dst_pixel: int,
    rows: int,
    columns: int,
    channels: int,
    table: int,
    table_step: int,
) -> None:
    """Code = table[c * table_step + input code + 128]; steps of rows and pixels are bytes."""
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * src_pixel
            b = dst + y * dst_row + x * dst_pixel
            for c in range(channels):
                store_code(b, c, load_i8(table, c * table_step + load_code(a, c) + 128))

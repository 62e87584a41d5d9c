"""Codes divided by the root of the sum of their squares along the channels; `program.UnitNorm` says how."""

from __future__ import annotations

from edgebn.kernels.fixed_point import high_multiply, inverse_root, inverse_root_shift, rounding_shift
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, store_code

OUTPUT_BITS = 7  # of the output's scale


@kernel
def unit_norm_i8(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    source_zero: int,
    left_shift: int,
) -> None:
    """int8 to scale 1/128 and zero point 0; pixels of a row are adjacent."""
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * channels
            b = dst + y * dst_row + x * channels
            total = 0
            for c in range(channels):
                centred = load_code(a, c) - source_zero
                total += centred * centred
            multiplier = inverse_root(total)
            right = inverse_root_shift(total) + left_shift - OUTPUT_BITS
            for c in range(channels):
                scaled = (load_code(a, c) - source_zero) << left_shift
                scaled = high_multiply(scaled << max(-right, 0), multiplier)
                store_code(b, c, min(max(rounding_shift(scaled, max(right, 0)), -128), 127))

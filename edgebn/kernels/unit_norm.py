"""Codes divided by the root of the sum of their squares along the channels; `program.UnitNorm` says how."""

from __future__ import annotations

from edgebn.kernels.fixed_point import INT32_MAX, high_multiply, rounding_shift, saturating_left_shift
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, store_code

ONE_AND_A_HALF = 3 << 27  # with 3 integer bits
ROOT_OF_HALF = 1518500250  # with 0 integer bits
OUTPUT_BITS = 7  # of the output's scale


@kernel
def _newton(total: int) -> int:
    """Return 1 / sqrt(total) of a number from 2**27 up and below 2**29."""
    half, root = ((total >> 1) + 1) >> 1, 1 << 28
    for _ in range(5):
        cube = saturating_left_shift(high_multiply(high_multiply(root, root), root), 6)
        root = saturating_left_shift(high_multiply(root, ONE_AND_A_HALF) - high_multiply(half, cube), 3)
    return high_multiply(root, ROOT_OF_HALF)


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
            multiplier = INT32_MAX
            shift = 0
            if total > 1:
                shift = 11
                while total >= (1 << 29):
                    total >>= 2
                    shift += 1
                while total < (1 << 27):
                    total <<= 2
                    shift -= 1
                multiplier = _newton(total)
                if shift < 0:
                    multiplier <<= -shift
                    shift = 0
            right = shift + left_shift - OUTPUT_BITS
            for c in range(channels):
                scaled = (load_code(a, c) - source_zero) << left_shift
                scaled = high_multiply(scaled << max(-right, 0), multiplier)
                store_code(b, c, min(max(rounding_shift(scaled, max(right, 0)), -128), 127))

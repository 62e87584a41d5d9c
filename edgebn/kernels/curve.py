"""Functions of int16 codes by tables between whose entries lines run, and the softmax that is made of two such tables."""

from __future__ import annotations

from edgebn.kernels.add import rescale
from edgebn.kernels.fixed_point import high_multiply, inverse_root, inverse_root_shift, rounding_shift
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i16, load_i32, load_u16, store_i16, store_i32
from edgebn.kernels.records import CURVES

TABLE, SIGMOID, TANH, RSQRT = range(len(CURVES))
ROOT_BITS = 20  # of the fraction of a reciprocal root before it is rescaled
SATURATED = 255  # the last entry of the table of sigmoid and tanh


@kernel
def _interpolated(code: int, table: int) -> int:
    base = load_i16(table, 256 + (code >> 7))
    slope = load_i16(table, 257 + (code >> 7)) - base
    return base + ((slope * (code & 127) + 64) >> 7)


@kernel
def _between(magnitude: int, table: int, bits: int, most: int) -> int:
    place = magnitude >> bits
    if place >= SATURATED:
        return most
    base = int(load_u16(table, place))
    return (base << bits) + (magnitude & ((1 << bits) - 1)) * (int(load_u16(table, place + 1)) - base)


@kernel
def _reciprocal_root(code: int, multiplier: int, shift: int) -> int:
    if code <= 0:
        return 32767
    left = max(-shift, 0)
    units = high_multiply(1 << (ROOT_BITS - inverse_root_shift(code)), inverse_root(code))
    return min(rounding_shift(high_multiply(units << left, multiplier), shift + left), 32767)


@kernel
def curve_i16(
    src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, function: int, table: int, multiplier: int, shift: int
) -> None:
    """`function` is a place in CURVES; see `program.Curve`."""
    rounding = (1 << shift) >> 1 if shift > 0 else 0
    for y in range(rows):
        a = src + y * src_row
        b = dst + y * dst_row
        for i in range(count):
            code = int(load_i16(a, i))
            if function == TABLE:
                value = _interpolated(code, table)
            elif function == RSQRT:
                value = _reciprocal_root(code, multiplier, shift)
            else:
                v = (code * multiplier + rounding) >> shift
                if function == SIGMOID:
                    w = _between(abs(v), table, 9, 32767 << 10)
                    value = (w + 512 if v >= 0 else (1 << 25) - w + 511) >> 10
                else:
                    w = _between(abs(v), table, 8, 65535 << 8)
                    value = (w - (1 << 23) + 128 if v >= 0 else (1 << 23) - w + 127) >> 8
            store_i16(b, i, value)


@kernel
def softmax_i16(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    scratch: int,
    tables: int,
    multiplier: int,
    left_shift: int,
) -> None:
    """TensorFlow Lite Micro's; `scratch` holds int32 (channels,), `tables` int16 (2, 513). Pixels of a row are adjacent."""
    inverse = tables + 513 * 2
    for y in range(rows):
        for x in range(columns):
            a = src + y * src_row + x * channels * 2
            b = dst + y * dst_row + x * channels * 2
            highest = int(load_i16(a, 0))
            for c in range(1, channels):
                highest = max(highest, int(load_i16(a, c)))
            total = 0
            for c in range(channels):
                difference = int(load_i16(a, c)) - highest
                scaled = rescale(difference << max(left_shift, 0), multiplier, max(-left_shift, 0))
                power = _interpolated(min(max(scaled + 32767, -32768), 32767), tables)
                total += power
                store_i32(scratch, c, power)
            bits = 0
            while (total >> bits) != 0:
                bits += 1
            zeros = 32 - bits
            normal = ((total << (zeros - 1)) + (1 << 13)) >> 14
            reciprocal = _interpolated(min(max(normal - 3 * (1 << 15), -32768), 32767), inverse)
            for c in range(channels):
                product = int(load_i32(scratch, c)) * reciprocal
                store_i16(b, c, min(max((product + (1 << (30 - zeros))) >> (31 - zeros), 0), 32767))

"""Convolutions of any kind of codes by weights in int16: uint8 files, where there are no vector kernels, and int16 codes.

Steps are bytes, as in `convolution.py`; `sources` holds the first input channel of each output, int64.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebn.kernels.elements import INT8, INT16, Element, named
from edgebn.kernels.epilogue import requantize
from edgebn.kernels.jit import kernel
from edgebn.kernels.parameters import Codes, Walk
from edgebn.kernels.primitives import load_i16, load_i64
from edgebn.kernels.products import dot_of

MAX_PRODUCTS = 256  # of an int16 code and an int8 weight that 32 bits can sum


def _convolution(element: Element, suffix: str) -> Callable[..., None]:
    """Return the kernel of one type of codes."""
    load, store, size = element.load, element.store, element.bytes

    _dot_of_few = dot_of(load, load_i16)

    @kernel
    def _dot(codes: int, weights: int, count: int) -> int:
        if size == 1 or count <= MAX_PRODUCTS:  # or proven to fit by the packer's program
            return _dot_of_few(codes, weights, count)
        total = 0
        for begin in range(0, count, MAX_PRODUCTS):
            total += _dot_of_few(codes + 2 * begin, weights + 2 * begin, min(count - begin, MAX_PRODUCTS))
        return total

    @named(f"convolution_wide_{suffix}")
    def convolution_wide(walk: Walk, sources: int, outputs: int, run: int, codes: Codes) -> None:
        """Weight int16 (outputs, tap_rows, tap_columns, run)."""
        for y in range(walk.rows):
            for k in range(outputs):
                origin = walk.src + y * walk.row_step + load_i64(sources, k) * size
                target = walk.dst + y * walk.dst_row
                for x in range(walk.columns):
                    taps = walk.weight + k * walk.tap_rows * walk.tap_columns * run * 2
                    acc = 0
                    for i in range(walk.tap_rows):
                        for j in range(walk.tap_columns):
                            tap = origin + x * walk.column_step + i * walk.tap_row_step + j * walk.tap_column_step
                            acc += _dot(tap, taps, run)
                            taps += run * 2
                    store(target + x * walk.dst_pixel, k, requantize(acc, walk.epilogue, k, codes))

    return convolution_wide


convolution_wide_i8 = _convolution(INT8, "i8")
convolution_wide_i16 = _convolution(INT16, "i16")

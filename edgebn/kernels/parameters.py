"""Groups of the parameters that several kernels take, as a row of the table holds them: field after field (`jit_executor.py`).

A field of a group is a word of the row, by its own name, so no two parameters of a kernel share one. Numba passes the fields of a
group to a function one by one.
"""

from __future__ import annotations

from typing import NamedTuple


class Pooling(NamedTuple):
    """Input and output of a pooling and its windows (`pool.py`)."""

    src: int
    src_row: int
    ring: int
    height: int
    width: int
    channels: int
    pixel: int
    dst: int
    dst_row: int
    first_row: int
    rows: int
    columns: int
    kernel_rows: int
    kernel_columns: int
    stride_rows: int
    stride_columns: int
    dilation_rows: int
    dilation_columns: int
    top: int
    left: int


class CountedTaps(NamedTuple):
    """Which taps an average counts: those inside the input, and with `count_padding` those of the padding before the ends."""

    count_padding: int
    end_row: int
    end_column: int


class Operands(NamedTuple):
    """Two operands that broadcast, and the output (`broadcasting.py`)."""

    a: int
    a_row: int
    a_pixel: int
    a_channel: int
    b: int
    b_row: int
    b_pixel: int
    b_channel: int
    dst: int
    dst_row: int
    rows: int
    columns: int
    channels: int


class Walk(NamedTuple):
    """How a convolution goes through its input, weights and output (`convolution.py`)."""

    src: int
    row_step: int
    column_step: int
    tap_row_step: int
    tap_column_step: int
    weight: int
    epilogue: int
    dst: int
    dst_row: int
    dst_pixel: int
    rows: int
    columns: int
    tap_rows: int
    tap_columns: int


class Codes(NamedTuple):
    """What an epilogue of int8 or int16 has beside its entries a channel.

    Whether negative sums are rounded once more, and the codes that it may return.
    """

    neg: int
    zero_point: int
    qmin: int
    qmax: int


class ProductCodes(NamedTuple):
    """From a product, or a sum of products, of codes less their zero points to the output's code (`epilogue.code_of_product`)."""

    a_zero: int
    b_zero: int
    multiplier: int
    rounding: int
    shift: int
    neg: int
    zero_point: int
    qmin: int
    qmax: int


class Bounds(NamedTuple):
    """What a float32 output is clipped to."""

    low: float
    high: float


class Clips(NamedTuple):
    """Bounds of a float32 epilogue, before and after its normalisation."""

    pre_low: float
    pre_high: float
    post_low: float
    post_high: float


class SavedAccumulators(NamedTuple):
    """Where an observed step saves accumulators, 32 bits each.

    Pixel x of row y at saved + y * saved_row + x * saved_pixel; `saved` is 0 where nothing is observed. `observed_mask` holds a
    byte a row (of tiles: a byte a tile), 0 where it is not observed.
    """

    saved: int
    saved_row: int
    saved_pixel: int
    observed_mask: int


class Extras(NamedTuple):
    """int8 tiles: steps of one depth more: their number, and the address of their bytes from the window's first, int64 each."""

    extra: int
    extras: int


class TileCodes(NamedTuple):
    """What a tile's int8 epilogue has beside its entries a channel.

    zero, low, high: zero point and bounds plus 128; safe_mask: the bits of t of which one must be set for it to be trusted;
    mode: bits of `records.py`.
    """

    zero: int
    low: int
    high: int
    safe_mask: int
    mode: int


class TileClips(NamedTuple):
    """Bounds of a tile's float32 epilogue as bits, and whether it is more than a clip."""

    pre_low_bits: int
    pre_high_bits: int
    post_low_bits: int
    post_high_bits: int
    general: int

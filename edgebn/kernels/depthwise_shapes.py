"""Which variants the vector depthwise kernels have, and which one suits a row. Arithmetic only: no kernels here, and no Numba."""

from __future__ import annotations

import math

from edgebn.kernels.isa import CACHE_LINE, InstructionSet

# float32 tiles: (pixels of a row computed together, width of the kernel, stride in taps). Kernels of 3 x 3 move as far down as to
# the right; those of 5 and 7 columns have any number of rows; 0, 0 takes any kernel and strides.
FLOAT_TILES = (
    *((pixels, 3, stride) for stride in (1, 2) for pixels in (5, 4, 3)),
    *((pixels, width, stride) for width in (5, 7) for stride in (1, 2) for pixels in (8, 4)),
    *((pixels, 0, 0) for pixels in (8, 4, 1)),
)

# Kinds of int8 functions: 3 x 3 down the rows with the row stride 1 or 2, any kernel with any stride, and 3 x 3 along the rows with
# the column stride 1 or 2. A dot product takes four columns, or in `ALONG` kinds rows: where there are fewer, one is taken twice,
# for what int8 cannot hold of its weights. That is the last, or in `MIDDLE` kinds the second.
ROLLED_1, ROLLED_2, ANY, MIDDLE_1, MIDDLE_2, ALONG_1, ALONG_2 = 0, 1, 2, 3, 4, 5, 6
STRIDES = {ROLLED_1: 1, MIDDLE_1: 1, ALONG_1: 1, ROLLED_2: 2, MIDDLE_2: 2, ALONG_2: 2}

TAPS = 4  # taps of one dot product

# The int8 variants: (kind, pieces). A vector of few channels is gathered from as many pixels, where those are not neighbours.
INT8_VARIANTS = (
    (ALONG_1, 1),
    (ALONG_2, 1),
    (ROLLED_1, 1),
    (ROLLED_2, 1),
    (ANY, 1),
    *((kind, pieces) for kind in (ROLLED_2, ANY) for pieces in (2, 4)),
    (MIDDLE_1, 1),
    *((MIDDLE_2, pieces) for pieces in (1, 2, 4)),
)


def function_name(dtype: str, variant: int) -> str:
    """Return what the function of a variant is called in machine code; dtype is 'f32' or 'i8'."""
    variants = FLOAT_TILES if dtype == "f32" else INT8_VARIANTS
    return "_".join(["edgebn_depthwise", dtype, *map(str, variants[variant])])


def pixels_per_vector(channels: int, width: int, columns: int, *, adjacent: bool) -> tuple[int, int]:
    """Return how many pixels of an int8 row are computed as one of that many times the channels, and in how many pieces they lie.

    Parameters
    ----------
    channels : int
        Of one pixel.
    width : int
        Channels of a vector.
    columns : int
        Pixels of a row.
    adjacent : bool
        Whether neighbouring outputs read neighbouring inputs.
    """
    if not adjacent:
        pieces = width // channels
        fits = width % channels == 0 and columns >= pieces and (ANY, pieces) in INT8_VARIANTS
        return (pieces, pieces) if fits else (1, 1)
    least = min(-(-width // channels), columns)

    def cost(pixels: int) -> int:
        return -(-columns // pixels) * -(-pixels * channels // width)

    most = max(min(math.lcm(width, channels) // channels, columns), least)
    return min(range(least, most + 1), key=cost), 1


def goes_by_line(isa: InstructionSet) -> bool:
    """Whether float32 goes along the rows where kernels are 3 x 3, two blocks together that share a line of the cache."""
    return isa.vector_bytes == CACHE_LINE // 2


def best_float_tile(isa: InstructionSet, columns: int, width: int, stride: int) -> int:
    """Return the variant for rows of `columns` pixels and a kernel `width` taps wide; its stride in taps, 0 where it is none."""
    most = min(columns, 4) if goes_by_line(isa) and width == 3 else columns  # two blocks of five pixels would not fit the registers
    fitting = [tile for tile in FLOAT_TILES if tile[1:] == (width, stride) and tile[0] <= most]
    fitting = fitting or [tile for tile in FLOAT_TILES if tile[1:] == (0, 0) and tile[0] <= columns]
    return FLOAT_TILES.index(min(fitting, key=lambda tile: -(-columns // tile[0]) * (tile[0] + 1)))

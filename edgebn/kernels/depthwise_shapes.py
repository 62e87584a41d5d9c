"""Which variants the vector depthwise kernels have, and which one suits a row. Arithmetic only: no kernels here, and no Numba."""

from __future__ import annotations

import math

from edgebn.kernels.isa import CACHE_LINE, InstructionSet
from edgebn.quick_dataclass import dataclass

# float32 tiles: (pixels of a row computed together, width of the kernel, stride in taps). Kernels of 3 x 3 move as far down as to
# the right; those of 5 and 7 columns have any number of rows; 0, 0 takes any kernel and strides.
FLOAT_TILES = (
    *((pixels, 3, stride) for stride in (1, 2) for pixels in (5, 4, 3)),
    *((pixels, width, stride) for width in (5, 7) for stride in (1, 2) for pixels in (8, 4)),
    *((pixels, 0, 0) for pixels in (8, 4, 1)),
)

TAPS = 4  # taps of one dot product
MAX_COST_ALONE = 1.08  # how many times as many vectors pixels that do not share them may take


@dataclass(frozen=True)
class Int8Kind:
    """How an int8 function goes through the input.

    Attributes
    ----------
    along : bool
        Along the rows, and not down them. A dot product then takes taps of a column of the kernel, and not of a row.
    taps : int
        Rows and columns of the kernel; each row of the input, or column if `along`, is interleaved once for all outputs that read
        it. 0 takes any kernel with any strides, an output at a time.
    stride : int
        In taps, of the rows, or of the columns if `along`.
    again : int
        The tap of the kernel that a dot product, which takes four, has again where it has fewer, for what int8 cannot hold of its
        weights; it is among the last.
    """

    along: bool
    taps: int = 0
    stride: int = 0
    again: int = 0


ANY = Int8Kind(along=False)


def _down(taps: int, stride: int, again: int = 0) -> Int8Kind:
    return Int8Kind(False, taps, stride, again or taps - 1)


def _along(taps: int, stride: int) -> Int8Kind:
    return Int8Kind(True, taps, stride, taps - 1)


# The int8 variants: (kind, pieces). A vector of few channels is gathered from as many pixels, where those are not neighbours.
INT8_VARIANTS = (
    *((_along(taps, stride), 1) for taps in (3, 5) for stride in (1, 2)),
    *((_down(taps, stride), 1) for taps in (3, 5) for stride in (1, 2)),
    (ANY, 1),
    *((kind, pieces) for kind in (_down(3, 2), _down(5, 2), ANY) for pieces in (2, 4)),
    (_down(3, 1, again=1), 1),
    *((_down(3, 2, again=1), pieces) for pieces in (1, 2, 4)),
)


def function_name(dtype: str, variant: int) -> str:
    """Return what the function of a variant is called in machine code; dtype is 'f32' or 'i8'."""
    if dtype == "f32":
        return "_".join(["edgebn_depthwise_f32", *map(str, FLOAT_TILES[variant])])
    kind, pieces = INT8_VARIANTS[variant]
    parts = "along" if kind.along else "down", kind.taps, kind.stride, kind.again, pieces
    return "_".join(["edgebn_depthwise_i8", *map(str, parts)])


def int8_kind(taps: int, stride: int, again: int, pieces: int, *, along: bool) -> Int8Kind:
    """Return the kind that takes a square kernel with a stride in taps, `ANY` where there is none."""
    kind = Int8Kind(along, taps, stride, again)
    return kind if (kind, pieces) in INT8_VARIANTS else ANY


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
    best = min(range(least, most + 1), key=cost)
    # A pixel alone can go along the rows, which shares of two threads are the faster for (Zen 4: 1 to 2 % of a network).
    return (1 if least == 1 and cost(1) < MAX_COST_ALONE * cost(best) else best), 1


def goes_by_line(isa: InstructionSet) -> bool:
    """Whether float32 goes along the rows where kernels are 3 x 3, two blocks together that share a line of the cache."""
    return isa.vector_bytes == CACHE_LINE // 2


def best_float_tile(isa: InstructionSet, columns: int, width: int, stride: int) -> int:
    """Return the variant for rows of `columns` pixels and a kernel `width` taps wide; its stride in taps, 0 where it is none."""
    most = min(columns, 4) if goes_by_line(isa) and width == 3 else columns  # two blocks of five pixels would not fit the registers
    fitting = [tile for tile in FLOAT_TILES if tile[1:] == (width, stride) and tile[0] <= most]
    fitting = fitting or [tile for tile in FLOAT_TILES if tile[1:] == (0, 0) and tile[0] <= columns]
    return FLOAT_TILES.index(min(fitting, key=lambda tile: -(-columns // tile[0]) * (tile[0] + 1)))

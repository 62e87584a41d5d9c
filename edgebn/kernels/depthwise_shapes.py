"""Which variants the vector depthwise kernels have, and which one suits a row. Arithmetic only: no kernels here, and no Numba."""

from __future__ import annotations

import math

# float32 tiles: (pixels of a row computed together, stride in taps of a 3 x 3 kernel, or 0 for any kernel and strides).
FLOAT_TILES = ((5, 1), (4, 1), (3, 1), (5, 2), (4, 2), (3, 2), (8, 0), (4, 0), (1, 0))

# Kinds of int8 functions: 3 x 3 with the row stride 1 or 2, and any kernel with any stride.
ROLLED_1, ROLLED_2, ANY = 0, 1, 2

# The int8 variants: (kind, pieces). A vector of few channels is gathered from as many pixels, where those are not neighbours.
INT8_VARIANTS = ((ROLLED_1, 1), (ROLLED_2, 1), (ANY, 1), *((kind, pieces) for kind in (ROLLED_2, ANY) for pieces in (2, 4)))


def function_name(dtype: str, variant: int) -> str:
    """Return what the function of a variant is called in machine code; dtype is 'f32' or 'i8'."""
    variants = FLOAT_TILES if dtype == "f32" else INT8_VARIANTS
    return "_".join(["edgebn_depthwise", dtype, *map(str, variants[variant])])


def pixels_together(channels: int, width: int, columns: int, *, adjacent: bool) -> tuple[int, int]:
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


def best_float_tile(columns: int, stride: int) -> int:
    """Return the variant for rows of `columns` pixels; `stride` in taps for a 3 x 3 kernel, 0 for any other."""
    known = {stride} if any(tile == stride for _, tile in FLOAT_TILES) else {0}
    fitting = [(pixels, tile) for pixels, tile in FLOAT_TILES if tile in known and pixels <= columns]
    fitting = fitting or [tile for tile in FLOAT_TILES if tile == (1, 0)]
    return FLOAT_TILES.index(min(fitting, key=lambda tile: -(-columns // tile[0]) * (tile[0] + 1)))

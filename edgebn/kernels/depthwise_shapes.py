"""Which variants the vector depthwise kernels have, and which one suits a row. Arithmetic only: no kernels here, and no Numba."""

from __future__ import annotations

# float32 tiles: (pixels of a row computed together, stride in taps of a 3 x 3 kernel, or 0 for any kernel and strides).
FLOAT_TILES = ((5, 1), (4, 1), (3, 1), (5, 2), (4, 2), (3, 2), (8, 0), (4, 0), (1, 0))

# The int8 variants: 3 x 3 with the row stride 1 or 2, and any kernel with any stride.
ROLLED_1, ROLLED_2, ANY = 0, 1, 2


def best_float_tile(columns: int, stride: int) -> int:
    """Return the variant for rows of `columns` pixels; `stride` in taps for a 3 x 3 kernel, 0 for any other."""
    known = {stride} if any(tile == stride for _, tile in FLOAT_TILES) else {0}
    fitting = [(pixels, tile) for pixels, tile in FLOAT_TILES if tile in known and pixels <= columns]
    fitting = fitting or [tile for tile in FLOAT_TILES if tile == (1, 0)]
    return FLOAT_TILES.index(min(fitting, key=lambda tile: -(-columns // tile[0]) * (tile[0] + 1)))

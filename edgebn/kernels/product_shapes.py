"""Which tiles products of two float32 values have, and what they keep of the right one. Arithmetic only: no kernels here."""

from __future__ import annotations

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.tile_shapes import Shape, shapes

# Vectors of columns of the widest tile, and its most rows: these are all multipliers' work, and fewer rows leave less over.
MAX_VECTORS = 2
MAX_ROWS = 8
# Rows of the left matrix from which on a copy of the right one costs less than tiles save.
MIN_ROWS = 5
# Bytes of the copied columns of the right matrix: they stay in the first-level cache while all rows of the left one meet them.
PANEL_BYTES = 1 << 14


def product_shapes(isa: InstructionSet) -> tuple[Shape, ...]:
    """Return every tile (rows, vectors of columns), widest first, and of one width that of most rows."""
    return tuple((mr, nv) for mr, nv in shapes(isa, real=True) if nv <= MAX_VECTORS and mr <= MAX_ROWS)

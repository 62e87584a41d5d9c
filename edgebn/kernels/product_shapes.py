"""Which tiles products of two values have, and what they keep of the right one. Arithmetic only: no kernels here."""

from __future__ import annotations

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.records import INT8_LONGS, INT8_WORDS
from edgebn.kernels.tile_shapes import Shape, shapes

# Vectors of columns of the widest tile, and its most rows: these are all multipliers' work, and fewer rows leave less over.
MAX_VECTORS = 2
MAX_ROWS = 8
# Rows of the left matrix from which on a copy of the right one costs less than tiles save.
MIN_ROWS = 5
# Bytes of the copied columns of the right matrix: they stay in the first-level cache while all rows of the left one meet them.
PANEL_BYTES = 1 << 14
# Vectors of columns of int8 tiles, widest first: tiles of 16 registers have no others that go down many rows.
INT8_WIDTHS = (2, 1)
# Of an int8 epilogue, a column.
RECORD_BYTES = 4 * len(INT8_WORDS) + 8 * len(INT8_LONGS)


def product_shapes(isa: InstructionSet) -> tuple[Shape, ...]:
    """Return every float32 tile (rows, vectors of columns), widest first, and of one width that of most rows."""
    return tuple((mr, nv) for mr, nv in shapes(isa, real=True) if nv <= MAX_VECTORS and mr <= MAX_ROWS)


def int8_product_shapes(isa: InstructionSet) -> tuple[tuple[int, int, int], ...]:
    """Return (number among the tiles of convolutions, rows, vectors of columns), of one width that of most rows first."""
    known = enumerate(shapes(isa, real=False))
    return tuple((number, mr, nv) for number, (mr, nv) in known if nv in INT8_WIDTHS)


def int8_scratch_bytes(isa: InstructionSet, depth: int) -> int:
    """Return the bytes of some columns of a right matrix of codes, in pairs of 16 bits, and of the epilogue before them."""
    return INT8_WIDTHS[0] * isa.lanes * (RECORD_BYTES + 2 * (-(-depth // 4) * 4))

"""How the matrices of recurrent cells lie for their kernel (`recurrence.py`). Needs no Numba."""

from __future__ import annotations

from edgebn.kernels.isa import InstructionSet

# Vectors of outputs whose sums are made together: as many blocks of the first as fit, then at most one of each other.
WIDTHS = (8, 4, 2, 1)


def blocks_of(outputs: int, isa: InstructionSet) -> list[int]:
    """Return the vectors of each block of a matrix of so many outputs, in the order in which they lie."""
    vectors = -(-outputs // isa.pointwise_lanes)
    found = [WIDTHS[0]] * (vectors // WIDTHS[0])
    return found + [width for width in WIDTHS[1:] if vectors & width]

"""Which register tiles exist for an instruction set, and which one suits a layer. Arithmetic only: no kernels here."""

from __future__ import annotations

from edgebn.kernels.isa import InstructionSet

Shape = tuple[int, int]  # pixels, vectors of output channels

# With 32 registers the widest tile that leaves room for two vectors of weights and the broadcast input; with 16 likewise. Smaller
# ones are for narrow rows and the ends of the channels. Rows of 7, 14, 28, 56 and 112 pixels, and maps of 7 x 7, are whole tiles of
# 7 or 14.
WITH_32_REGISTERS: tuple[Shape, ...] = (
    *((mr, 4) for mr in (7, 6, 5, 4, 2, 1)),
    *((mr, 2) for mr in (14, 12, 8, 5, 2, 1)),
    *((mr, 1) for mr in (16, 14, 8, 5, 2, 1)),
    (1, 8),
)
# The same where a product of codes takes registers on its way to the accumulator.
WITH_32_REGISTERS_IN_STEPS = tuple(shape for shape in WITH_32_REGISTERS if shape not in {(7, 4), (14, 2)})
WITH_16_REGISTERS: tuple[Shape, ...] = (
    *((mr, 2) for mr in (5, 4, 3, 2, 1)),
    *((mr, 1) for mr in (10, 8, 5, 4, 2, 1)),
    (1, 4),
)
# The same where loops are unrolled: inputs are loaded one by one there, so that one more pixel fits.
WITH_16_REGISTERS_UNROLLED: tuple[Shape, ...] = ((6, 2), *WITH_16_REGISTERS)
# The same where a product of codes takes registers on its way to the accumulator.
WITH_16_REGISTERS_IN_STEPS = tuple(shape for shape in WITH_16_REGISTERS if shape not in {(5, 2), (10, 1)})
# With 32 registers and inputs by the lane, each pixel of a tile holds a vector of inputs.
BY_LANE: tuple[Shape, ...] = (
    *((mr, 4) for mr in (5, 4, 2, 1)),
    *((mr, 2) for mr in (8, 5, 2, 1)),
    *((mr, 1) for mr in (12, 8, 5, 2, 1)),
    (1, 8),
)
# The same where a product of codes takes three registers on its way to the accumulator.
BY_LANE_IN_STEPS: tuple[Shape, ...] = (
    *((mr, 4) for mr in (4, 2, 1)),
    *((mr, 2) for mr in (5, 2, 1)),
    *((mr, 1) for mr in (8, 5, 2, 1)),
    (1, 8),
)
# Products of matrices take pairs of pixels, which are joined first: each pair once for two products a vector of channels, so that
# width saves more than pixels do. (6, 4) and (12, 2) have no registers left for what is joined.
BY_MATRIX: tuple[Shape, ...] = (
    *((mr, 4) for mr in (4, 2, 1)),
    *((mr, 2) for mr in (8, 4, 2, 1)),
    *((mr, 1) for mr in (8, 4, 2, 1)),
    (1, 8),
)

# Inputs in one turn of an int8 dense layer's loop (`dense_int8.py`): of eight quads, sums of products fit 16 bits.
DENSE_INPUTS = 32
# Accumulators that must be in flight before the multipliers, and not their latency, bound a tile.
LATENCY_BOUND = 10
# What a tile costs beside its multiplications, in accumulators.
TILE_OVERHEAD = 1.5


def shapes(isa: InstructionSet, *, real: bool) -> tuple[Shape, ...]:
    """Return every tile of an instruction set, float32 (`real`) or int8; the position is the variant's number."""
    if isa.matrices and not real:
        return BY_MATRIX
    if isa.by_lane:
        return BY_LANE if real or isa.dot == "sdot" else BY_LANE_IN_STEPS
    if isa.registers >= 32:
        return WITH_32_REGISTERS if real or isa.dot == "vpdpbusd" else WITH_32_REGISTERS_IN_STEPS
    if takes_pairs_in_turn(isa) and not real:
        return WITH_16_REGISTERS_IN_STEPS
    return WITH_16_REGISTERS_UNROLLED if real and isa.unroll > 1 else WITH_16_REGISTERS


def takes_pairs_in_turn(isa: InstructionSet) -> bool:
    """Whether int8 tiles multiply pairs of codes in 16 registers, where the order of instructions keeps accumulators there."""
    return isa.dot == "pmaddwd" and isa.registers == 16


def function_name(dtype: str, mr: int, nv: int) -> str:
    """Return what the function of a tile is called in machine code; dtype is 'f32' or 'i8'."""
    return f"edgebn_tile_{dtype}_{mr}x{nv}"


def dense_widths(isa: InstructionSet) -> tuple[int, ...]:
    """Return the vectors of output channels that float32 tiles of one pixel take, widest first."""
    return tuple(sorted({nv for mr, nv in shapes(isa, real=True) if mr == 1}, reverse=True))


def int8_dense_widths(isa: InstructionSet) -> tuple[int, ...]:
    """Return the vectors of output channels that int8 dense layers of one sample take, widest first; none where tiles take them."""
    return (4, 2, 1) if takes_pairs_in_turn(isa) else ()


def padded_dense_depth(depth: int) -> int:
    """Return the inputs of int8 dense layers of one sample with those that are zero behind them, in whole turns of the loop."""
    return -(-depth // DENSE_INPUTS) * DENSE_INPUTS


def goes_across_rows(isa: InstructionSet, *, real: bool) -> bool:
    """Whether a tile goes on from the end of a row to the beginning of the next: with 16 registers none divides 7 or 14 pixels."""
    return isa.unroll > 1 if real else takes_pairs_in_turn(isa)


def count_tiles(isa: InstructionSet, mr: int, rows: int, columns: int, *, real: bool) -> int:
    """Return how many tiles of `mr` pixels compute `rows` rows of one kind of weights."""
    if goes_across_rows(isa, real=real):
        rows, columns = 1, rows * columns
    return rows * -(-columns // mr)


def best_rows(isa: InstructionSet, nv: int, columns: int, *, real: bool, rows: int = 1) -> int:
    """Return the pixels of the tile of `nv` vectors that computes `rows` rows of `columns` pixels in the least time."""
    fitting = (mr for mr, vectors in shapes(isa, real=real) if vectors == nv and mr <= columns)
    pixels = rows * columns if goes_across_rows(isa, real=real) else columns
    return min(fitting, key=lambda mr: _cost(mr, nv, pixels))


def _cost(mr: int, nv: int, columns: int) -> float:
    """Return what a row of `columns` pixels takes with one tile, in accumulators."""
    return -(-columns // mr) * (max(mr * nv, LATENCY_BOUND) + TILE_OVERHEAD)


def channel_segments(isa: InstructionSet, channels: int, columns: int, *, real: bool) -> list[tuple[int, int]]:
    """Return (vectors, channels) of each run of tiles that together cover the output channels.

    Wide tiles come first; what is left goes to narrower ones, so that little of a vector is wasted. Where float32 goes by the
    lane, a tile of many pixels needs fewer loads than a wide one: the widest is then that which takes the least time.
    """
    wide_enough = [(mr, nv) for mr, nv in shapes(isa, real=real) if mr > 1 or columns == 1]
    widths = sorted({nv for mr, nv in wide_enough if mr <= columns}, reverse=True)
    if real and isa.by_lane:
        time = {nv: _cost(best_rows(isa, nv, columns, real=True), nv, columns) / nv for nv in widths}
        widths = [nv for nv in widths if nv <= min(widths, key=lambda nv: (time[nv], nv))]
    segments = []
    left = channels
    for nv in widths:
        width = nv * isa.lanes
        taken = left // width * width
        if nv == widths[-1]:
            taken = left
        if taken:
            segments.append((nv, taken))
            left -= taken
    return segments

"""Recurrent cells in float32, moment by moment: the product of the weights with the state, then what the gates make of it.

Weights lie by blocks of output vectors, input by input, so that a block's sums stay in registers while each weight is read once.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.pointwise import ELEMENT, Pointwise
from edgebn.kernels.primitives import ZERO_F32, bits_of_float, load_f32, store_f32
from edgebn.kernels.records import RECURRENT_CELLS, RECURRENT_FUNCTIONS
from edgebn.kernels.recurrence_shapes import WIDTHS
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I64, constant, fused_multiply_add, load, splat, store, vector

LSTM, GRU, RNN = range(len(RECURRENT_CELLS))
VECTOR = ELEMENT * SELECTED.pointwise_lanes


class Products:
    """Writes the function that multiplies a matrix with a vector; outputs are whole vectors."""

    arguments = ("src", "depth", "weight", "dst", "vectors")
    variants = ("",)

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._kind = vector(F32, isa.pointwise_lanes)

    def define(self, module: ir.Module, variant: int) -> ir.Function:  # noqa: ARG002  # there is one
        """Write the function and return it."""
        builder, arguments = begin_function(module, "edgebn_recurrent_product", self.arguments)
        weight, dst = (cgutils.alloca_once_value(builder, arguments[name]) for name in ("weight", "dst"))
        for width in WIDTHS:
            blocks = builder.udiv(arguments["vectors"], ir.Constant(I64, width))
            if width != WIDTHS[0]:
                blocks = builder.and_(blocks, ir.Constant(I64, 1))
            with cgutils.for_range(builder, blocks):
                self._block(builder, arguments, width, weight, dst)
        builder.ret_void()
        return builder.function

    def _block(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], width: int, weight: ir.Value, dst: ir.Value) -> None:
        """Sum `width` vectors of outputs, and go on to what lies behind them."""
        sums = [cgutils.alloca_once(builder, self._kind) for _ in range(width)]
        for slot in sums:
            builder.store(constant(F32, self._kind.count, 0.0), slot)
        first = builder.load(weight)
        step = ir.Constant(I64, width * VECTOR)
        with cgutils.for_range(builder, arguments["depth"]) as turn:
            x = splat(
                builder, load(builder, F32, arguments["src"], builder.mul(turn.index, ir.Constant(I64, ELEMENT))), self._kind.count
            )
            row = builder.add(first, builder.mul(turn.index, step))
            for j, slot in enumerate(sums):
                factor = load(builder, self._kind, row, j * VECTOR)
                builder.store(self._multiply_add(builder, x, factor, builder.load(slot)), slot)
        target = builder.load(dst)
        for j, slot in enumerate(sums):
            store(builder, builder.load(slot), target, j * VECTOR)
        builder.store(builder.add(first, builder.mul(arguments["depth"], step)), weight)
        builder.store(builder.add(target, step), dst)

    def _multiply_add(self, builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a * b + c, in one instruction where vectors of ours have it."""
        return fused_multiply_add(builder, a, b, c) if self._isa.vector_bytes else builder.fadd(builder.fmul(a, b), c)


class CellFunctions(Pointwise):
    """Writes those of `POINTWISE` that cells are made of."""

    variants = RECURRENT_FUNCTIONS


_product = runner(Products(SELECTED))
_function = runner(CellFunctions(SELECTED))


class Sequences(NamedTuple):
    """Gates' numbers, states, and what is read first: `state` and `memory` are 0 for zeros. Rows are sequences; steps are bytes."""

    src: int
    src_row: int
    src_pixel: int
    dst: int
    dst_row: int
    dst_pixel: int
    rows: int
    moments: int
    units: int
    state: int
    state_row: int
    memory: int
    memory_row: int
    backwards: int
    gives_cell: int


class RecurrentWeights(NamedTuple):
    """Matrices and how many vectors of outputs each has; `candidate` is a GRU's, whose reset gate applies to the state."""

    weight: int
    vectors: int
    candidate: int
    candidate_vectors: int
    bias: int


class Functions(NamedTuple):
    """Functions as `RECURRENT_FUNCTIONS` numbers them; that of the state is -1 where it is none."""

    gate_function: int
    state_function: int


class Constants(NamedTuple):
    """Parameters of the functions, and the bound of an LSTM's cell."""

    slope: float
    offset: float
    low: float
    high: float
    limit: float


class Room(NamedTuple):
    """Scratch: products of both matrices, a state behind the reset gate, and the cell."""

    sums: int
    seen: int
    reset: int
    memory: int


@kernel
def _multiply(state: int, depth: int, weight: int, dst: int, vectors: int) -> None:
    """Multiply a matrix with a state; what `Products` writes is written where it is called, so in one place."""
    _product(0, (state, depth, weight, dst, vectors))


@kernel
def _apply(which: int, numbers: int, count: int, first: float, second: float) -> None:
    """Put numbers through a function, in place; likewise."""
    _function(which, (numbers, numbers, count, bits_of_float(first), bits_of_float(second)))


@kernel
def _add(sums: int, x: int, count: int) -> None:
    for j in range(count):
        store_f32(sums, j, load_f32(sums, j) + load_f32(x, j))


@kernel
def _moment(
    cell: int,
    units: int,
    x: int,
    state: int,
    y: int,
    weights: RecurrentWeights,
    functions: Functions,
    constants: Constants,
    room: Room,
) -> None:
    """Write the state after one moment to y."""
    sums = room.sums
    _multiply(state, units, weights.weight, sums, weights.vectors)
    if cell == LSTM:
        _add(sums, x, 4 * units)
        _apply(functions.gate_function, sums, 3 * units, constants.slope, constants.offset)
        _apply(functions.state_function, sums + 3 * units * ELEMENT, units, constants.low, constants.high)
        for j in range(units):
            kept = load_f32(sums, units + j) * load_f32(room.memory, j)
            entering = load_f32(sums, j) * load_f32(sums, 3 * units + j)
            carried = min(max(kept + entering, -constants.limit), constants.limit)
            store_f32(room.memory, j, carried)
            store_f32(y, j, carried)
        _apply(functions.state_function, y, units, constants.low, constants.high)
        for j in range(units):
            store_f32(y, j, load_f32(y, j) * load_f32(sums, 2 * units + j))
    elif cell == GRU:
        _add(sums, x, 2 * units)
        _apply(functions.gate_function, sums, 2 * units, constants.slope, constants.offset)
        if weights.candidate == 0:
            for j in range(units):
                product = load_f32(sums, 2 * units + j) + load_f32(weights.bias, j)
                store_f32(y, j, load_f32(x, 2 * units + j) + load_f32(sums, units + j) * product)
        else:
            for j in range(units):
                store_f32(room.reset, j, load_f32(sums, units + j) * load_f32(state, j))
            _multiply(room.reset, units, weights.candidate, room.seen, weights.candidate_vectors)
            for j in range(units):
                store_f32(y, j, load_f32(x, 2 * units + j) + load_f32(room.seen, j))
        _apply(functions.state_function, y, units, constants.low, constants.high)
        for j in range(units):
            candidate = load_f32(y, j)
            store_f32(y, j, candidate + load_f32(sums, j) * (load_f32(state, j) - candidate))
    else:
        for j in range(units):
            store_f32(y, j, load_f32(sums, j) + load_f32(x, j))
        _apply(functions.state_function, y, units, constants.low, constants.high)


@kernel
def recurrence_f32(
    cell: int,
    sequences: Sequences,
    weights: RecurrentWeights,
    functions: Functions,
    constants: Constants,
    scratch: int,
) -> None:
    """`scratch` has room for both matrices' vectors of outputs, and for two states."""
    units = sequences.units
    seen = scratch + weights.vectors * VECTOR
    reset = seen + weights.candidate_vectors * VECTOR
    room = Room(scratch, seen, reset, reset + units * ELEMENT)
    for row in range(sequences.rows):
        for j in range(units):
            store_f32(reset, j, ZERO_F32)
            store_f32(room.memory, j, ZERO_F32)
        if sequences.memory != 0:
            for j in range(units):
                store_f32(room.memory, j, load_f32(sequences.memory + row * sequences.memory_row, j))
        state = sequences.state + row * sequences.state_row if sequences.state != 0 else reset
        src, dst = sequences.src + row * sequences.src_row, sequences.dst + row * sequences.dst_row
        for turn in range(sequences.moments):
            moment = sequences.moments - 1 - turn if sequences.backwards != 0 else turn
            y = dst + moment * sequences.dst_pixel
            _moment(cell, units, src + moment * sequences.src_pixel, state, y, weights, functions, constants, room)
            state = y
        if sequences.gives_cell != 0:
            for j in range(units):
                store_f32(dst + sequences.moments * sequences.dst_pixel, j, load_f32(room.memory, j))

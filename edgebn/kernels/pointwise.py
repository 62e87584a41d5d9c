"""float32 functions of one number that no epilogue can hold, a vector at a time: the formulas are in `vector_math.py`.

A row is `count` adjacent numbers. Results may be written over their inputs.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import bits_of_float
from edgebn.kernels.records import POINTWISE
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vector_math import VectorMath
from edgebn.kernels.vectors import F32, I32, I64, load, shuffle, splat, store, store_first, vector

ELEMENT = 4
# Vectors that are computed as one on AArch64, whose small cores run in order: one alone waits for itself at every step.
TOGETHER = 4

Function = Callable[[VectorMath, ir.Value, ir.Value, ir.Value], ir.Value]
# Those of `POINTWISE` that read one parameter or two; the others are methods of their names in `VectorMath`.
WITH_PARAMETERS: dict[str, Function] = {
    "clip": lambda math, x, low, high: math.clip(x, low, high),
    "leaky_relu": lambda math, x, alpha, _: math.leaky_relu(x, alpha),
    "hard_sigmoid": lambda math, x, alpha, beta: math.hard_sigmoid(x, alpha, beta),
    "elu": lambda math, x, alpha, _: math.elu(x, alpha),
    "exp_base": lambda math, x, base, _: math.power(base, x),
    "power": lambda math, x, exponent, _: math.power(x, exponent),
}


def _value(math: VectorMath, name: str, x: ir.Value, first: ir.Value, second: ir.Value) -> ir.Value:
    """Return a function of x and two parameters."""
    if name in WITH_PARAMETERS:
        return WITH_PARAMETERS[name](math, x, first, second)
    value: ir.Value = getattr(math, name)(x)
    return value


class Adjacent:
    """Goes over adjacent numbers: how the last of them, fewer than a vector, are loaded and stored."""

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._lanes = isa.pointwise_lanes

    def load_first(self, builder: ir.IRBuilder, source: ir.Value, count: ir.Value) -> ir.Value:
        """Load `count` numbers: a whole vector where what lies behind them may be read, as it may for vector kernels."""
        kind = vector(F32, self._lanes)
        if self._isa.vector_bytes:
            return load(builder, kind, source)
        slot = cgutils.alloca_once(builder, kind)
        builder.store(ir.Constant(kind, [0.0] * self._lanes), slot)
        self._copy(builder, source, builder.ptrtoint(slot, I64), count)
        return builder.load(slot)

    def store_first(self, builder: ir.IRBuilder, value: ir.Value, target: ir.Value, count: ir.Value) -> None:
        """Store `count` numbers of a vector, fewer than it has, and nothing behind them."""
        if self._isa.masked_stores:
            store_first(builder, value, target, count)
            return
        slot = cgutils.alloca_once(builder, value.type)
        builder.store(value, slot)
        source, size = builder.ptrtoint(slot, I64), self._lanes
        while size > 1:  # as a binary number: a half, a quarter, and so on of a vector
            done = builder.mul(builder.and_(count, ir.Constant(I64, -size)), ir.Constant(I64, ELEMENT))
            size //= 2
            has = builder.icmp_signed("!=", builder.and_(count, ir.Constant(I64, size)), ir.Constant(I64, 0))
            with builder.if_then(has):
                store(builder, load(builder, vector(F32, size), source, done), target, done)

    def _copy(self, builder: ir.IRBuilder, source: ir.Value, target: ir.Value, count: ir.Value) -> None:
        with cgutils.for_range(builder, count) as turn:
            at = builder.mul(turn.index, ir.Constant(I64, ELEMENT))
            store(builder, load(builder, F32, source, at), target, at)


class Pointwise(Adjacent):
    """Writes one function for each name of `POINTWISE`: it goes over one row."""

    arguments = ("src", "dst", "count", "first_bits", "second_bits")
    variants = POINTWISE

    def __init__(self, isa: InstructionSet) -> None:
        super().__init__(isa)
        # Short vectors are computed as one of their length together: a core waits less, loads each constant once for all, and asks
        # once whether any lane is an unusual one.
        self._together = TOGETHER if isa.by_lane else min(isa.unroll, 2)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of one of `variants`, and return it."""
        name, lanes = self.variants[variant], self._lanes
        builder, arguments = begin_function(module, f"edgebn_pointwise_{name}", self.arguments)
        math = VectorMath(builder, self._isa, lanes)
        first, second = (
            splat(builder, builder.bitcast(builder.trunc(arguments[which], I32), F32), lanes)
            for which in ("first_bits", "second_bits")
        )
        whole = builder.udiv(arguments["count"], ir.Constant(I64, lanes))

        def compute(index: ir.Value, vectors: int) -> None:
            """Write so many vectors from one on."""
            at = builder.mul(index, ir.Constant(I64, lanes * ELEMENT))
            x = load(builder, vector(F32, vectors * lanes), arguments["src"], at)
            parameters = (shuffle(builder, value, None, [0] * (vectors * lanes)) for value in (first, second))
            value = _value(VectorMath(builder, self._isa, vectors * lanes), name, x, *parameters)
            store(builder, value, arguments["dst"], at)

        together = ir.Constant(I64, self._together)
        turns = builder.udiv(whole, together)
        with cgutils.for_range(builder, turns) as turn:
            compute(builder.mul(turn.index, together), self._together)
        if self._together > 1:
            done = builder.mul(turns, together)
            with cgutils.for_range(builder, builder.sub(whole, done)) as turn:
                compute(builder.add(done, turn.index), 1)
        begun = builder.mul(whole, ir.Constant(I64, lanes))
        left = builder.sub(arguments["count"], begun)
        with builder.if_then(builder.icmp_signed("!=", left, ir.Constant(I64, 0))):
            at = builder.mul(begun, ir.Constant(I64, ELEMENT))
            source, target = builder.add(arguments["src"], at), builder.add(arguments["dst"], at)
            x = self.load_first(builder, source, left)
            self.store_first(builder, _value(math, name, x, first, second), target, left)
        builder.ret_void()
        return builder.function


_run = runner(Pointwise(SELECTED))


@kernel
def pointwise_f32(
    variant: int, src: int, src_row: int, dst: int, dst_row: int, rows: int, count: int, first: float, second: float
) -> None:
    """`variant` indexes `POINTWISE`; the function's parameters are `first` and `second`."""
    if src_row == dst_row and src_row == count * 4:  # adjacent rows are one long one
        count *= rows
        rows = 1
    for y in range(rows):
        _run(variant, (src + y * src_row, dst + y * dst_row, count, bits_of_float(first), bits_of_float(second)))

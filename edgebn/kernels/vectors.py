"""Small pieces of LLVM vector code: loads, stores, splats, minima, fused multiply-add, and the dot products of bytes.

What differs between instruction sets is here and in the table of `isa.py`; kernels are written on top of it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils

I1 = ir.IntType(1)
I8 = ir.IntType(8)
I16 = ir.IntType(16)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
F32 = ir.FloatType()
F64 = ir.DoubleType()

# How often the other way of a branch is taken for each time that `seldom` is right about.
SELDOM = 4000

# From this version on, LLVM's vpdpbusd takes vectors of bytes rather than of 32-bit words.
BYTE_DOT_VERSION = 22


def vector(kind: ir.Type, lanes: int) -> ir.VectorType:
    """Return the type of a vector."""
    return ir.VectorType(kind, lanes)


def offset(builder: ir.IRBuilder, address: ir.Value, count: int | ir.Value) -> ir.Value:
    """Return `address` + `count` bytes."""
    if isinstance(count, int):
        return address if count == 0 else builder.add(address, ir.Constant(I64, count))
    return builder.add(address, count)


def load(builder: ir.IRBuilder, kind: ir.Type, address: ir.Value, count: int | ir.Value = 0) -> ir.Value:
    """Load from `address` + `count` bytes, at any alignment."""
    return builder.load(builder.inttoptr(offset(builder, address, count), kind.as_pointer()), align=1)


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, count: int | ir.Value = 0) -> None:
    """Store at `address` + `count` bytes, at any alignment."""
    builder.store(value, builder.inttoptr(offset(builder, address, count), value.type.as_pointer()), align=1)


def store_first(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, count: ir.Value) -> None:
    """Store the first `count` lanes (int64; none below 1, all if it is larger) under a mask: cheap where the machine has masks."""
    lanes = value.type.count
    bits = ir.IntType(lanes)
    some = clamp(builder, count, ir.Constant(I64, 0), ir.Constant(I64, lanes - 1))
    mask = builder.sub(builder.shl(ir.Constant(I64, 1), some), ir.Constant(I64, 1))
    mask = builder.select(builder.icmp_signed(">=", count, ir.Constant(I64, lanes)), ir.Constant(I64, -1), mask)
    mask = builder.bitcast(mask if bits == I64 else builder.trunc(mask, bits), vector(I1, lanes))
    pointer = builder.inttoptr(address, value.type.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [value.type, pointer.type, I32, mask.type])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.{suffix(value.type)}.p0")
    builder.call(function, [value, pointer, ir.Constant(I32, 1), mask])


def indices(numbers: Sequence[int]) -> ir.Constant:
    """Return a shuffle's mask."""
    return ir.Constant(vector(I32, len(numbers)), list(numbers))


def shuffle(builder: ir.IRBuilder, a: ir.Value, b: ir.Value | None, numbers: Sequence[int]) -> ir.Value:
    """Pick lanes of `a` followed by `b`."""
    return builder.shuffle_vector(a, ir.Constant(a.type, ir.Undefined) if b is None else b, indices(numbers))


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """Return `value` in every lane."""
    kind = vector(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    return shuffle(builder, first, None, [0] * lanes)


def constant(kind: ir.Type, lanes: int, value: float) -> ir.Constant:
    """Return a vector of one constant."""
    return ir.Constant(vector(kind, lanes), [value] * lanes)


def concat(builder: ir.IRBuilder, parts: Sequence[ir.Value]) -> ir.Value:
    """Join a power of two of vectors."""
    parts = list(parts)
    while len(parts) > 1:
        lanes = parts[0].type.count
        parts = [shuffle(builder, a, b, range(2 * lanes)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def call(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: Sequence[ir.Value]) -> ir.Value:
    """Call an LLVM intrinsic by its full name."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def suffix(kind: ir.Type) -> str:
    """Return an integer or vector type as intrinsics' names spell it: v16i32, v8f32."""
    if isinstance(kind, ir.IntType):
        return f"i{kind.width}"
    element = "f32" if kind.element == F32 else f"i{kind.element.width}"
    return f"v{kind.count}{element}"


def fused_multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """Return a * b + c, rounded once."""
    return call(builder, f"llvm.fma.{suffix(a.type)}", a.type, [a, b, c])


def clamp(builder: ir.IRBuilder, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    """Return min(max(value, low), high) of integers."""
    kind = suffix(value.type)
    above = call(builder, f"llvm.smax.{kind}", value.type, [value, low])
    return call(builder, f"llvm.smin.{kind}", value.type, [above, high])


def clamp_float(builder: ir.IRBuilder, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    """Return min(max(value, low), high) of floats; a NaN becomes `low`."""
    above = builder.select(builder.fcmp_ordered(">", value, low), value, low)
    return builder.select(builder.fcmp_ordered("<", above, high), above, high)


def any_lane(builder: ir.IRBuilder, mask: ir.Value) -> ir.Value:
    """Whether any lane of a vector of bits is set."""
    word = ir.IntType(mask.type.count)
    return builder.icmp_unsigned("!=", builder.bitcast(mask, word), ir.Constant(word, 0))


def lowest_bit(builder: ir.IRBuilder, word: ir.Value) -> ir.Value:
    """Return the position of the lowest bit that is set in an integer that is not 0."""
    kind = ir.FunctionType(word.type, [word.type, I1])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.cttz.i{word.type.width}")
    return builder.call(function, [word, ir.Constant(I1, 1)])


@contextmanager
def seldom(builder: ir.IRBuilder, condition: ir.Value) -> Iterator[None]:
    """Open the block that runs where `condition` holds, which is so seldom that whatever it costs must not burden the other way."""
    inside, after = builder.append_basic_block("seldom"), builder.append_basic_block("usual")
    builder.cbranch(condition, inside, after).set_weights([1, SELDOM])
    builder.position_at_end(inside)
    yield
    builder.branch(after)
    builder.position_at_end(after)


def join(builder: ir.IRBuilder, ways: Sequence[tuple[Sequence[ir.Value], ir.Block]]) -> list[ir.Value]:
    """Return, in the block where several ways meet, the values that each of them brings: (values, its last block)."""
    joined = []
    for values in zip(*(values for values, _ in ways), strict=True):
        joined.append(builder.phi(values[0].type))
        for value, (_, block) in zip(values, ways, strict=True):
            joined[-1].add_incoming(value, block)
    return joined


def either(
    builder: ir.IRBuilder, condition: ir.Value, then: Callable[[], Sequence[ir.Value]], otherwise: Sequence[ir.Value]
) -> list[ir.Value]:
    """Return what `then` computes where `condition` holds (a branch, not a selection), else `otherwise`."""
    before = builder.block
    with builder.if_then(condition):
        values = then()
        after = builder.block
    return join(builder, [(values, after), (otherwise, before)])


# How `Dot` prepares a vector whose lanes each hold four stored codes: once a row, used against every column of weights.
Quads = list[ir.Value]


class Dot:
    """acc += the sum of four products of bytes, lane by lane, as one instruction set does it.

    Parameters
    ----------
    kind : {'vpdpbusd', 'pmaddwd', 'sdot', 'smull', 'vmull'}
    lanes : int
        Of 32 bits.
    """

    def __init__(self, kind: str, lanes: int) -> None:
        self._lanes = lanes
        self._words = vector(I32, lanes)
        # Vectors of weights for each vector of quads: bytes, or pairs of 16 bits.
        self.weight_vectors = 2 if kind == "pmaddwd" else 1
        forms: dict[str, tuple[Callable[..., Quads], Callable[..., ir.Value]]] = {
            "vpdpbusd": (self._as_they_are, self._vpdpbusd),
            "sdot": (self._as_they_are, self._sdot),
            "smull": (self._as_they_are, self._smull),
            "vmull": (self._as_they_are, self._vmull),
            "pmaddwd": (self._even_and_odd, self._pmaddwd),
        }
        self.prepare, self._accumulate = forms[kind]

    def __call__(self, builder: ir.IRBuilder, acc: ir.Value, quads: Quads, weights: Quads) -> ir.Value:
        """Return acc plus the dot product; `weights` holds `weight_vectors` vectors."""
        for a, w in zip(quads, weights, strict=True):
            acc = self._accumulate(builder, acc, a, w)
        return acc

    def _as_they_are(self, builder: ir.IRBuilder, quads: ir.Value) -> Quads:  # noqa: ARG002  # the other form builds
        return [quads]

    def _even_and_odd(self, builder: ir.IRBuilder, quads: ir.Value) -> Quads:
        """Widen unsigned bytes to 16 bits: bytes 0 and 2, bytes 1 and 3."""
        mask = constant(I32, self._lanes, 0x00FF00FF)
        shifted = builder.lshr(quads, constant(I32, self._lanes, 8))
        return [builder.and_(quads, mask), builder.and_(shifted, mask)]

    def _bytes(self, builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
        return builder.bitcast(value, vector(I8, 4 * self._lanes))

    def _vpdpbusd(self, builder: ir.IRBuilder, acc: ir.Value, a: ir.Value, w: ir.Value) -> ir.Value:
        if llvm.llvm_version_info[0] >= BYTE_DOT_VERSION:
            a, w = self._bytes(builder, a), self._bytes(builder, w)
        return call(builder, f"llvm.x86.avx512.vpdpbusd.{32 * self._lanes}", self._words, [acc, a, w])

    def _sdot(self, builder: ir.IRBuilder, acc: ir.Value, a: ir.Value, w: ir.Value) -> ir.Value:
        # The quads come last: there the instruction takes one lane of a vector.
        operands = [acc, self._bytes(builder, w), self._bytes(builder, a)]
        return call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", self._words, operands)

    def _smull(self, builder: ir.IRBuilder, acc: ir.Value, a: ir.Value, w: ir.Value) -> ir.Value:
        """Products and their sums by two in 16 bits, which no weight above -128 overflows, then by two into 32 bits (sadalp)."""
        low, high = self._products(builder, a, w, "llvm.aarch64.neon.smull.v8i16")
        pairs = call(builder, "llvm.aarch64.neon.addp.v8i16", low.type, [low, high])
        return builder.add(acc, call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", self._words, [pairs]))

    def _vmull(self, builder: ir.IRBuilder, acc: ir.Value, a: ir.Value, w: ir.Value) -> ir.Value:
        """The same in 32-bit ARM's words, whose sums by two take half a vector at a time."""
        sums = []
        for whole in self._products(builder, a, w, "llvm.arm.neon.vmulls.v8i16"):
            halves = [shuffle(builder, whole, None, range(first, first + 4)) for first in (0, 4)]
            sums.append(call(builder, "llvm.arm.neon.vpadd.v4i16", vector(I16, 4), halves))
        return call(builder, "llvm.arm.neon.vpadals.v4i32.v8i16", self._words, [acc, concat(builder, sums)])

    def _products(self, builder: ir.IRBuilder, a: ir.Value, w: ir.Value, name: str) -> list[ir.Value]:
        """Return the products of bytes in 16 bits, of the first eight and of the last, by an intrinsic that makes eight."""

        def multiplied(first: int) -> ir.Value:
            parts = [shuffle(builder, self._bytes(builder, value), None, range(first, first + 8)) for value in (a, w)]
            return call(builder, name, vector(I16, 8), parts)

        return [multiplied(0), multiplied(8)]

    def _pmaddwd(self, builder: ir.IRBuilder, acc: ir.Value, a: ir.Value, w: ir.Value) -> ir.Value:
        pairs = vector(I16, 2 * self._lanes)
        operands = [builder.bitcast(a, pairs), builder.bitcast(w, pairs)]
        name = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd"}[self._lanes]
        return builder.add(acc, call(builder, name, self._words, operands))


def in_registers(builder: ir.IRBuilder, values: list[ir.Value]) -> list[ir.Value]:
    """Return vectors that all stand in AArch64 registers before any of them is used: their loads are not moved apart."""
    kinds = [value.type for value in values]
    constraints = ",".join([*("=r" if kind == I64 else "=w" for kind in kinds), *map(str, range(len(values)))])
    function = ir.FunctionType(ir.LiteralStructType(kinds), kinds)
    results = builder.asm(function, "", constraints, values, side_effect=True)
    return [builder.extract_value(results, i) for i in range(len(values))]


def in_own_register(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return an int64 of which LLVM no longer knows what it is: it stays in a register, and is not computed where it is used."""
    return builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [value], side_effect=False)


def prefetch(builder: ir.IRBuilder, address: ir.Value, level: int = 2) -> None:
    """Ask for the line of an address in the first- or second-level cache; any address may be asked for."""
    byte, to_read, locality, data = (
        ir.IntType(8).as_pointer(),
        ir.Constant(I32, 0),
        ir.Constant(I32, 4 - level),
        ir.Constant(I32, 1),
    )
    kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.inttoptr(address, byte), to_read, locality, data])


def in_turn(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return a vector in an x86 register that is computed after those that were asked for so before it, and before those after."""
    return builder.asm(ir.FunctionType(value.type, [value.type]), "", "=x,0", [value], side_effect=True)


def keep_loads_apart(builder: ir.IRBuilder) -> None:
    """Say that memory may change here: no load goes past it, and none serves for one on its other side."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)

"""Int8 accumulators to stored codes: the integer contract, exact at nearly the price of a float.

With T = (u * m + r) / 2**s + zero point + 128 in units of 2**-16, one fused multiply-add gives t = T + guard with an error below
`guard` units (proved by the packer, `requantization.py`, where the base from which accumulators start is explained too). If the
low 16 bits of t are not below 2 * guard, no integer lies between T and t, and t's high bits are the answer. The few outputs that
are in doubt (one group of 64 in 250 has any) are computed again, one by one, in 64-bit integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.parameters import TileCodes
from edgebn.kernels.records import BOUNDED, CLIPPED, CONVERTED, DOUBLE_ROUNDED, INT8_LONGS, INT8_WORDS, NEGATIVE_ROUNDING
from edgebn.kernels.tile_epilogue import Outputs, Pixels, Stores
from edgebn.kernels.vectors import (
    F32,
    I8,
    I16,
    I32,
    I64,
    any_lane,
    call,
    clamp,
    concat,
    constant,
    either,
    fused_multiply_add,
    join,
    load,
    lowest_bit,
    offset,
    seldom,
    shuffle,
    splat,
    store,
    suffix,
    vector,
)

GROUP = 4  # vectors whose outputs are packed, tested and stored together


def any_in_doubt(builder: ir.IRBuilder, units: Sequence[ir.Value], safe_masks: ir.Value) -> ir.Value:
    """Whether any t of a group is in doubt.

    One is where its low half is small, unless no t of the group is: the smallest of a lane's low halves answers for all of them.
    """
    lanes = units[0].type.count
    halves = [builder.bitcast(value, vector(I16, 2 * lanes)) for value in units]
    while len(halves) > 1:
        name = f"llvm.umin.{suffix(halves[0].type)}"
        halves = [call(builder, name, a.type, [a, b]) for a, b in zip(halves[::2], halves[1::2], strict=True)]
    smallest = builder.bitcast(halves[0], vector(I32, lanes))
    return any_lane(builder, builder.icmp_unsigned("==", builder.and_(smallest, safe_masks), constant(I32, lanes, 0)))


def doubts_of(
    builder: ir.IRBuilder, isa: InstructionSet, units: ir.Value, safe_mask: ir.Value, *, by_fours: bool = False
) -> ir.Value:
    """Return a word with a bit set for each output in doubt, of the group whose t are at address `units`.

    `by_fours` says that its vectors hold every fourth output each (`int8_stores.py`).
    """
    kind = vector(I32, isa.lanes)
    mask = splat(builder, builder.trunc(safe_mask, I32), isa.lanes)
    parts = [load(builder, kind, units, part * isa.vector_bytes) for part in range(GROUP)]
    in_doubt = [builder.icmp_unsigned("==", builder.and_(part, mask), constant(I32, isa.lanes, 0)) for part in parts]
    joined = concat(builder, in_doubt)
    if by_fours:
        joined = shuffle(builder, joined, None, [part * isa.lanes + lane for lane in range(isa.lanes) for part in range(GROUP)])
    bits = builder.bitcast(joined, ir.IntType(GROUP * isa.lanes))
    return bits if bits.type == I64 else builder.zext(bits, I64)


def each_bit(builder: ir.IRBuilder, mask: ir.Value, visit: Callable[[ir.Value], None]) -> None:
    """Run `visit` for the position of every bit that is set in a word, lowest first; one must be."""
    before, body, after = builder.block, builder.append_basic_block("bit"), builder.append_basic_block("bits.done")
    builder.branch(body)
    builder.position_at_end(body)
    left = builder.phi(I64)
    visit(lowest_bit(builder, left))
    rest = builder.and_(left, builder.sub(left, ir.Constant(I64, 1)))
    left.add_incoming(mask, before)
    left.add_incoming(rest, builder.block)
    builder.cbranch(builder.icmp_unsigned("!=", rest, ir.Constant(I64, 0)), body, after)
    builder.position_at_end(after)


def exact_code(builder: ir.IRBuilder, total: ir.Value, form: dict[str, ir.Value]) -> ir.Value:
    """Return the code of an int64 total in int64: (total * multiplier + rounding, less where it is negative) >> shift, clipped.

    `form` has multiplier, rounding, shift, neg, zero_point, qmin and qmax.
    """
    product = builder.add(builder.mul(total, form["multiplier"]), form["rounding"])
    negative_rounding = builder.mul(form["neg"], ir.Constant(I64, NEGATIVE_ROUNDING))
    is_negative = builder.icmp_signed("<", total, ir.Constant(I64, 0))
    product = builder.sub(product, builder.select(is_negative, negative_rounding, ir.Constant(I64, 0)))
    y = builder.add(builder.ashr(product, form["shift"]), form["zero_point"])
    return clamp(builder, y, form["qmin"], form["qmax"])


class Int8Epilogue:
    """Accumulators (int32) to stored codes."""

    scalars = TileCodes._fields
    bytes_per_channel = 4 * len(INT8_WORDS) + 8 * len(INT8_LONGS)
    element = 1

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._lanes = isa.lanes
        self._stores = Stores(isa, I8)

    def prepare(
        self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], nv: int, *, interleaved: bool = False
    ) -> dict[str, Any]:
        """Compute, outside all loops, what every tile of the layer shares.

        `interleaved` says whether vectors hold channels in the depthwise kernel's order, by fours.
        """

        def has(bits: int) -> ir.Value:
            return builder.icmp_unsigned("!=", builder.and_(arguments["mode"], ir.Constant(I64, bits)), ir.Constant(I64, 0))

        def slot(count: int, kind: ir.Type) -> ir.Value:
            return builder.ptrtoint(cgutils.alloca_once(builder, vector(kind, count)), I64)

        lanes = self._lanes
        return {
            "nv": nv,
            "pixel": arguments["dst_pixel"],
            **{name: arguments[name] for name in ("zero", "low", "high")},
            "safe_mask": arguments["safe_mask"],
            "safe_masks": splat(builder, builder.trunc(arguments["safe_mask"], I32), lanes),
            "special": has(DOUBLE_ROUNDED | CLIPPED | CONVERTED),
            "rounds_negative": has(DOUBLE_ROUNDED),
            "clipped": has(CLIPPED),
            "converted": has(CONVERTED),
            "bounded": has(BOUNDED),
            # Where the recomputation finds and leaves its vectors.
            "accumulators": slot(GROUP * lanes, I32),
            "units": slot(GROUP * lanes, I32),
            "result": slot(GROUP * lanes, I8),
            "rounds_negative_word": builder.zext(has(DOUBLE_ROUNDED), I64),
            "interleaved": interleaved,
            "exact": self._exact_function(builder.module, nv, interleaved=interleaved),
        }

    def write(
        self,
        builder: ir.IRBuilder,
        accumulators: list[list[ir.Value]],
        shared: dict[str, Any],
        epilogue: ir.Value,
        target: ir.Value,
        valid: ir.Value,
    ) -> None:
        """Requantise and store a tile's accumulators [pixel][vector]."""
        nv = shared["nv"]
        members = [(i, j) for i in range(len(accumulators)) for j in range(nv)]
        outputs = []
        for begin in range(0, len(members), GROUP):
            group = members[begin : begin + GROUP]
            filled = group + [group[-1]] * (GROUP - len(group))
            packed = self._requantize(builder, [accumulators[i][j] for i, j in filled], [j for _, j in filled], shared, epilogue)
            if len(group) < GROUP:
                packed = shuffle(builder, packed, None, range(len(group) * self._lanes))
            outputs.append(Outputs(packed, group))
        self._stores.write(builder, outputs, nv, target, Pixels(shared["pixel"], shared.get("steps")), valid)

    def sum(self, builder: ir.IRBuilder, acc: ir.Value, epilogue: ir.Value, j: int, nv: int) -> ir.Value:
        """Return the sum of products and bias that an accumulator of vector `j` stands for: without its base."""
        base = load(builder, vector(I32, self._lanes), epilogue, self._array("base", j, nv))
        return builder.sub(acc, base)

    def _array(self, name: str, vector_index: int, nv: int) -> int:
        """Return the offset of a vector of one array in a block."""
        channels = nv * self._lanes
        if name in INT8_WORDS:
            return 4 * (INT8_WORDS.index(name) * channels + vector_index * self._lanes)
        words = 4 * len(INT8_WORDS) * channels
        return words + 8 * (INT8_LONGS.index(name) * channels + vector_index * self._lanes)

    def _requantize(
        self, builder: ir.IRBuilder, group: list[ir.Value], columns: list[int], shared: dict[str, Any], epilogue: ir.Value
    ) -> ir.Value:
        """Return the stored bytes of a group."""
        nv, lanes = shared["nv"], self._lanes
        words, floats = vector(I32, lanes), vector(F32, lanes)

        def arrays(name: str, kind: ir.Type = words) -> list[ir.Value]:
            return [load(builder, kind, epilogue, self._array(name, j, nv)) for j in columns]

        def in_units(reals: list[ir.Value]) -> list[ir.Value]:
            factors = zip(reals, arrays("scale", floats), arrays("offset", floats), strict=True)
            return [builder.fptosi(fused_multiply_add(builder, *factor), words) for factor in factors]

        def clip(group: list[ir.Value]) -> list[ir.Value]:
            return [clamp(builder, *value) for value in zip(group, arrays("lo"), arrays("hi"), strict=True)]

        def round_negative(units: list[ir.Value], group: list[ir.Value]) -> list[ir.Value]:
            rounded = []
            for value, acc, base, step in zip(units, group, arrays("base"), arrays("negative_rounding"), strict=True):
                is_negative = builder.icmp_signed("<", acc, base)
                rounded.append(builder.sub(value, builder.select(is_negative, step, constant(I32, lanes, 0))))
            return rounded

        with builder.if_else(shared["special"], likely=False) as (special, simple):
            with special:
                clipped = either(builder, shared["clipped"], lambda: clip(group), group)
                as_floats = [builder.bitcast(value, floats) for value in clipped]
                reals = either(
                    builder, shared["converted"], lambda: [builder.sitofp(value, floats) for value in clipped], as_floats
                )
                slow = in_units(reals)
                slow = either(builder, shared["rounds_negative"], lambda: round_negative(slow, clipped), slow)
                slow_block = builder.block
            with simple:
                fast = in_units([builder.bitcast(acc, floats) for acc in group])
                fast_block = builder.block
        units = join(builder, [(slow, slow_block), (fast, fast_block)])
        packed = self.pack(builder, units, shared)
        before = builder.block
        with seldom(builder, any_in_doubt(builder, units, shared["safe_masks"])):
            recomputed = self._recompute(builder, group, units, columns[0] * lanes, packed, shared, epilogue)
            after = builder.block
        return join(builder, [([packed], before), ([recomputed], after)])[0]

    def pack(self, builder: ir.IRBuilder, units: list[ir.Value], shared: dict[str, Any]) -> ir.Value:
        """Return the clipped high halves of four vectors, as stored bytes in order."""
        lanes = self._lanes
        halves = [builder.bitcast(value, vector(I16, 2 * lanes)) for value in units]
        odd: list[int] = list(range(1, 4 * lanes, 2))
        if shared["interleaved"]:  # alternate fours of the two vectors: what the pack interleaves by eights comes out in order
            fours = [2 * (source * lanes + 4 * part) + 1 for part in range(lanes // 4) for source in range(2)]
            odd = [four + 2 * i for four in fours for i in range(4)]
        pairs = [shuffle(builder, halves[0], halves[1], odd), shuffle(builder, halves[2], halves[3], odd)]
        if self._isa.code_flip:  # x86: the saturating pack gives unsigned bytes, interleaved by eights
            name = {16: "llvm.x86.avx512.packuswb.512", 8: "llvm.x86.avx2.packuswb"}[lanes]
            bytes_ = call(builder, name, vector(I8, 4 * lanes), pairs)
            if shared["interleaved"]:
                return self.bounded(builder, bytes_, shared)
            eights = lanes // 2
            order = [*range(0, eights, 2), *range(1, eights, 2)]
            ordered = shuffle(builder, builder.bitcast(bytes_, vector(I64, eights)), None, order)
            bytes_ = builder.bitcast(ordered, vector(I8, 4 * lanes))
        else:
            zero, top = constant(I16, 2 * lanes, 0), constant(I16, 2 * lanes, 255)
            halves = [builder.trunc(clamp(builder, pair, zero, top), vector(I8, 2 * lanes)) for pair in pairs]
            bytes_ = concat(builder, halves)
            if shared["interleaved"]:
                starts = [2 * lanes * source + 8 * part for part in range(lanes // 4) for source in range(2)]
                bytes_ = shuffle(builder, bytes_, None, [start + i for start in starts for i in range(8)])
        return self.bounded(builder, bytes_, shared)

    def bounded(self, builder: ir.IRBuilder, bytes_: ir.Value, shared: dict[str, Any]) -> ir.Value:
        """Return bytes of codes + 128 within the outputs' bounds, as they are stored."""
        low, high = (splat(builder, builder.trunc(shared[name], I8), 4 * self._lanes) for name in ("low", "high"))

        def within() -> list[ir.Value]:
            above = call(builder, f"llvm.umax.{suffix(bytes_.type)}", bytes_.type, [bytes_, low])
            return [call(builder, f"llvm.umin.{suffix(bytes_.type)}", bytes_.type, [above, high])]

        (clipped,) = either(builder, shared["bounded"], within, [bytes_])
        return clipped if self._isa.code_flip else builder.xor(clipped, constant(I8, 4 * self._lanes, 0x80))

    def _recompute(
        self,
        builder: ir.IRBuilder,
        group: list[ir.Value],
        units: list[ir.Value],
        first: int,
        packed: ir.Value,
        shared: dict[str, Any],
        epilogue: ir.Value,
    ) -> ir.Value:
        """Return the packed bytes with those in doubt computed exactly; the group's channels begin at `first` of the block's."""
        for part, (acc, value) in enumerate(zip(group, units, strict=True)):
            store(builder, acc, shared["accumulators"], part * self._isa.vector_bytes)
            store(builder, value, shared["units"], part * self._isa.vector_bytes)
        store(builder, packed, shared["result"])
        names = ("accumulators", "units", "result", "safe_mask", "rounds_negative_word", "zero", "low", "high")
        builder.call(shared["exact"], [ir.Constant(I64, first), epilogue, *(shared[name] for name in names)])
        return load(builder, packed.type, shared["result"])

    def _exact_function(self, module: ir.Module, nv: int, *, interleaved: bool) -> ir.Function:
        """Write (once a module) the function that computes the outputs in doubt, one by one.

        Vector k of the group holds the `lanes` channels of the block from first + k * lanes on, modulo the block's.
        """
        name = f"edgebn_exact_{nv}{'_interleaved' if interleaved else ''}"
        if name in module.globals:
            return module.globals[name]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 10), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        first, epilogue, accumulators, units, result, safe_mask, rounds_negative, zero, low, high = function.args
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        mask = doubts_of(builder, self._isa, units, safe_mask)

        def compute(place: ir.Value) -> None:
            channel = builder.add(builder.and_(place, ir.Constant(I64, min(nv, GROUP) * self._lanes - 1)), first)

            def field(name: str) -> ir.Value:
                kind = I32 if name in INT8_WORDS else I64
                value = load(builder, kind, epilogue, self._element(builder, name, channel, nv))
                return value if kind == I64 else builder.sext(value, I64)

            acc = builder.sext(load(builder, I32, accumulators, builder.mul(place, ir.Constant(I64, 4))), I64)
            u = builder.sub(clamp(builder, acc, field("lo"), field("hi")), field("base"))
            product = builder.add(builder.mul(u, field("m")), field("r"))
            negative_rounding = builder.mul(rounds_negative, ir.Constant(I64, NEGATIVE_ROUNDING))
            is_negative = builder.icmp_signed("<", u, ir.Constant(I64, 0))
            product = builder.sub(product, builder.select(is_negative, negative_rounding, ir.Constant(I64, 0)))
            y = clamp(builder, builder.add(builder.ashr(product, field("s")), zero), low, high)
            byte = builder.trunc(builder.xor(y, ir.Constant(I64, 0x80 ^ self._isa.code_flip)), I8)
            store(builder, byte, result, self._packed_place(builder, place) if interleaved else place)

        each_bit(builder, mask, compute)
        builder.ret_void()
        return function

    def _element(self, builder: ir.IRBuilder, name: str, channel: ir.Value, nv: int) -> ir.Value:
        """Return the offset in a block of one channel's element of an array."""
        size = 4 if name in INT8_WORDS else 8
        return offset(builder, builder.mul(channel, ir.Constant(I64, size)), self._array(name, 0, nv))

    def _packed_place(self, builder: ir.IRBuilder, place: ir.Value) -> ir.Value:
        """Return the byte of the packed vector that comes from a place in interleaved ones: 16 i + 4 k + c from lane 4 i + c."""
        four = builder.udiv(place, ir.Constant(I64, 4))
        fours = ir.Constant(I64, self._lanes // 4)
        four = builder.add(builder.mul(builder.urem(four, fours), ir.Constant(I64, GROUP)), builder.udiv(four, fours))
        return builder.add(builder.mul(four, ir.Constant(I64, 4)), builder.and_(place, ir.Constant(I64, 3)))

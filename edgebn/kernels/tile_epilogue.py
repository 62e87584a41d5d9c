"""What a tile does with its accumulators: the integer contract for int8, clips and batch norm for float32; and the stores.

int8 is exact at nearly the price of a float. With T = (u * m + r) / 2**s + zero point + 128 in units of 2**-16, one fused
multiply-add gives t = T + guard with an error below `guard` units (proved by the packer, `requantization.py`, where the base from
which accumulators start is explained too). If the low 16 bits of t are not below 2 * guard, no integer lies between T and t, and
t's high bits are the answer. Otherwise (less than 1 group of 64 in 100) the whole group is computed again in 64-bit integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.records import BOUNDED, CLIPPED, CONVERTED, FLOAT32_WORDS, INT8_LONGS, INT8_WORDS, NUDGE, NUDGED
from edgebn.kernels.vectors import (
    F32,
    I8,
    I16,
    I32,
    I64,
    any_lane,
    call,
    clamp,
    clamp_float,
    concat,
    constant,
    either,
    fused_multiply_add,
    join,
    load,
    offset,
    seldom,
    shuffle,
    splat,
    store,
    suffix,
    vector,
)

GROUP = 4  # vectors whose outputs are packed, tested and stored together
EXACT = ("lo", "hi", "base", "m", "r", "s")  # arrays that the exact form reads, in the order of its arguments


@dataclass(frozen=True)
class Outputs:
    """Finished vectors of a tile, one after the other in `value`: for each, its pixel and its vector of channels."""

    value: ir.Value
    members: list[tuple[int, int]]


class Stores:
    """Writes the outputs of a tile: whole vectors, or only the channels that exist."""

    def __init__(self, isa: InstructionSet, kind: ir.Type) -> None:
        self._isa = isa
        self._kind = kind
        self._element = 1 if kind == I8 else 4

    def write(
        self,
        builder: ir.IRBuilder,
        outputs: list[Outputs],
        nv: int,
        target: ir.Value,
        pixel: ir.Value,
        valid: ir.Value,
    ) -> None:
        """Store all outputs of a tile.

        `target` is the address of the tile's first output, `pixel` the bytes to the next pixel, `valid` how many of the tile's
        channels exist.
        """
        size = self._isa.lanes * self._element
        is_whole = builder.icmp_signed("==", valid, ir.Constant(I64, nv * self._isa.lanes))
        with builder.if_else(is_whole, likely=True) as (whole, partial):
            with whole:
                adjacent = builder.icmp_signed("==", pixel, ir.Constant(I64, nv * size))
                for output in outputs:
                    first = self._address(builder, target, pixel, output.members[0], size)
                    if len({i for i, _ in output.members}) == 1:
                        store(builder, output.value, first)
                        continue
                    with builder.if_else(adjacent) as (together, apart):
                        with together:
                            store(builder, output.value, first)
                        with apart:
                            for part, member in self._runs(builder, output):
                                store(builder, part, self._address(builder, target, pixel, member, size))
            with partial:
                helper = self._partial_function(builder.module)
                for output in outputs:
                    for position, member in enumerate(output.members):
                        part = self._lanes(builder, output, position, 1)
                        exist = builder.sub(valid, ir.Constant(I64, member[1] * self._isa.lanes))
                        builder.call(helper, [part, self._address(builder, target, pixel, member, size), exist])

    def _address(self, builder: ir.IRBuilder, target: ir.Value, pixel: ir.Value, member: tuple[int, int], size: int) -> ir.Value:
        i, j = member
        return offset(builder, builder.add(target, builder.mul(pixel, ir.Constant(I64, i))), j * size)

    def _lanes(self, builder: ir.IRBuilder, output: Outputs, position: int, count: int) -> ir.Value:
        if count == len(output.members):
            return output.value
        lanes = self._isa.lanes
        return shuffle(builder, output.value, None, range(position * lanes, (position + count) * lanes))

    def _runs(self, builder: ir.IRBuilder, output: Outputs) -> list[tuple[ir.Value, tuple[int, int]]]:
        """Return the outputs pixel by pixel, each with its first member."""
        runs = []
        for pixel in sorted({i for i, _ in output.members}):
            mine = [position for position, (i, _) in enumerate(output.members) if i == pixel]
            runs.append((self._lanes(builder, output, mine[0], len(mine)), output.members[mine[0]]))
        return runs

    def _partial_function(self, module: ir.Module) -> ir.Function:
        """Write (once a module) the function (vector, address, exist) that stores the first `exist` lanes, if any."""
        lanes = self._isa.lanes
        name = f"edgebn_store_partial_{self._element}"
        if name in module.globals:
            return module.globals[name]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [vector(self._kind, lanes), I64, I64]), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        value, address, exist = function.args
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        spill = cgutils.alloca_once(builder, value.type)
        builder.store(value, spill)
        source = builder.ptrtoint(spill, I64)
        count = clamp(builder, exist, ir.Constant(I64, 0), ir.Constant(I64, lanes))
        with cgutils.for_range(builder, count) as loop:
            at = builder.mul(loop.index, ir.Constant(I64, self._element))
            store(builder, load(builder, self._kind, source, at), address, at)
        builder.ret_void()
        return function


class Int8Epilogue:
    """Accumulators (int32) to stored codes."""

    # zero, low, high: zero point and bounds plus 128; certain: the bits of t of which one must be set for it to be trusted;
    # mode: bits of `records.py`.
    scalars = ("zero", "low", "high", "certain", "mode")
    bytes_per_channel = 4 * len(INT8_WORDS) + 8 * len(INT8_LONGS)
    element = 1

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._lanes = isa.lanes
        self._stores = Stores(isa, I8)

    def prepare(self, builder: ir.IRBuilder, given: dict[str, ir.Value], nv: int) -> dict[str, Any]:
        """Compute, outside all loops, what every tile of the layer shares."""

        def has(bits: int) -> ir.Value:
            return builder.icmp_unsigned("!=", builder.and_(given["mode"], ir.Constant(I64, bits)), ir.Constant(I64, 0))

        return {
            "nv": nv,
            "pixel": given["dst_pixel"],
            **{name: given[name] for name in ("zero", "low", "high")},
            "certain": splat(builder, builder.trunc(given["certain"], I32), self._lanes),
            "special": has(NUDGED | CLIPPED | CONVERTED),
            "nudged": has(NUDGED),
            "clipped": has(CLIPPED),
            "converted": has(CONVERTED),
            "bounded": has(BOUNDED),
            "exact": self._exact_function(builder.module),
            "interleaved": False,  # whether vectors hold channels in the depthwise kernel's order, by fours
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
        self._stores.write(builder, outputs, nv, target, shared["pixel"], valid)

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

        def nudge(units: list[ir.Value], group: list[ir.Value]) -> list[ir.Value]:
            nudged = []
            for value, acc, base, step in zip(units, group, arrays("base"), arrays("nudge"), strict=True):
                is_negative = builder.icmp_signed("<", acc, base)
                nudged.append(builder.sub(value, builder.select(is_negative, step, constant(I32, lanes, 0))))
            return nudged

        with builder.if_else(shared["special"], likely=False) as (special, simple):
            with special:
                clipped = either(builder, shared["clipped"], lambda: clip(group), group)
                as_floats = [builder.bitcast(value, floats) for value in clipped]
                reals = either(
                    builder, shared["converted"], lambda: [builder.sitofp(value, floats) for value in clipped], as_floats
                )
                slow = in_units(reals)
                slow = either(builder, shared["nudged"], lambda: nudge(slow, clipped), slow)
                slow_block = builder.block
            with simple:
                fast = in_units([builder.bitcast(acc, floats) for acc in group])
                fast_block = builder.block
        units = join(builder, [(slow, slow_block), (fast, fast_block)])
        doubts = [builder.icmp_unsigned("==", builder.and_(value, shared["certain"]), constant(I32, lanes, 0)) for value in units]
        doubt = builder.or_(builder.or_(doubts[0], doubts[1]), builder.or_(doubts[2], doubts[3]))
        packed = self.pack(builder, units, shared)
        before = builder.block
        with seldom(builder, any_lane(builder, doubt)):
            exact = [self._call_exact(builder, acc, epilogue, j, shared) for acc, j in zip(group, columns, strict=True)]
            recomputed = concat(builder, exact)
            if shared["interleaved"]:
                fours = [j * lanes + 4 * part for part in range(lanes // 4) for j in range(GROUP)]
                recomputed = shuffle(builder, recomputed, None, [four + i for four in fours for i in range(4)])
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
                return self._bounded(builder, bytes_, shared)
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
        return self._bounded(builder, bytes_, shared)

    def _bounded(self, builder: ir.IRBuilder, bytes_: ir.Value, shared: dict[str, Any]) -> ir.Value:
        low, high = (splat(builder, builder.trunc(shared[name], I8), 4 * self._lanes) for name in ("low", "high"))

        def bounded() -> list[ir.Value]:
            above = call(builder, f"llvm.umax.{suffix(bytes_.type)}", bytes_.type, [bytes_, low])
            return [call(builder, f"llvm.umin.{suffix(bytes_.type)}", bytes_.type, [above, high])]

        (clipped,) = either(builder, shared["bounded"], bounded, [bytes_])
        return clipped if self._isa.code_flip else builder.xor(clipped, constant(I8, 4 * self._lanes, 0x80))

    def _call_exact(self, builder: ir.IRBuilder, acc: ir.Value, epilogue: ir.Value, j: int, shared: dict[str, Any]) -> ir.Value:
        nv = shared["nv"]
        addresses = [offset(builder, epilogue, self._array(name, j, nv)) for name in EXACT]
        neg = builder.zext(shared["nudged"], I64)
        return builder.call(shared["exact"], [acc, *addresses, neg, *(shared[name] for name in ("zero", "low", "high"))])

    def _exact_function(self, module: ir.Module) -> ir.Function:
        """Write (once a module) the function that requantises one vector in 64-bit integers."""
        name = f"edgebn_exact_{self._isa.name}"
        if name in module.globals:
            return module.globals[name]
        lanes = self._lanes
        words, longs = vector(I32, lanes), vector(I64, lanes)
        function = ir.Function(module, ir.FunctionType(vector(I8, lanes), [words, *[I64] * (len(EXACT) + 4)]), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        acc, lo, hi, base, m, r, s, neg, zero, low, high = function.args
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        u = clamp(builder, acc, load(builder, words, lo), load(builder, words, hi))
        u = builder.sub(u, load(builder, words, base))
        wide = builder.sext(u, longs)
        product = builder.add(builder.mul(wide, builder.sext(load(builder, words, m), longs)), load(builder, longs, r))
        nudge = splat(builder, builder.mul(neg, ir.Constant(I64, NUDGE)), lanes)
        negative = builder.icmp_signed("<", u, constant(I32, lanes, 0))
        amount = builder.select(negative, nudge, constant(I64, lanes, 0))
        y = builder.ashr(builder.sub(product, amount), load(builder, longs, s))
        y = builder.add(y, splat(builder, zero, lanes))
        y = clamp(builder, y, splat(builder, low, lanes), splat(builder, high, lanes))
        builder.ret(builder.xor(builder.trunc(y, vector(I8, lanes)), constant(I8, lanes, 0x80 ^ self._isa.code_flip)))
        return function


class Float32Epilogue:
    """Accumulators (float32, begun from the bias) to outputs."""

    # Bits of the bounds; general: whether there is anything between the bounds, that is a clip before and a batch norm.
    scalars = ("pre_low_bits", "pre_high_bits", "post_low_bits", "post_high_bits", "general")
    bytes_per_channel = 4 * len(FLOAT32_WORDS)
    element = 4

    def __init__(self, isa: InstructionSet) -> None:
        self._lanes = isa.lanes
        self._stores = Stores(isa, F32)

    def prepare(self, builder: ir.IRBuilder, given: dict[str, ir.Value], nv: int) -> dict[str, Any]:
        """Compute, outside all loops, what every tile of the layer shares."""
        shared: dict[str, Any] = {"nv": nv, "pixel": given["dst_pixel"]}
        for name in self.scalars[:4]:
            real = builder.bitcast(builder.trunc(given[name], I32), F32)
            shared[name.removesuffix("_bits")] = splat(builder, real, self._lanes)
        shared["general"] = builder.icmp_signed("!=", given["general"], ir.Constant(I64, 0))
        return shared

    def sum(self, builder: ir.IRBuilder, acc: ir.Value, epilogue: ir.Value, j: int, nv: int) -> ir.Value:  # noqa: ARG002  # as int8's
        """Return the sum of products and bias that an accumulator stands for: itself."""
        return acc

    def write(
        self,
        builder: ir.IRBuilder,
        accumulators: list[list[ir.Value]],
        shared: dict[str, Any],
        epilogue: ir.Value,
        target: ir.Value,
        valid: ir.Value,
    ) -> None:
        """Finish and store a tile's accumulators [pixel][vector]."""
        nv, lanes = shared["nv"], self._lanes
        channels = nv * lanes
        kind = vector(F32, lanes)
        before = builder.block
        with builder.if_then(shared["general"], likely=False):
            normalized = []
            for line in accumulators:
                for j, acc in enumerate(line):
                    a = load(builder, kind, epilogue, 4 * (channels + j * lanes))
                    d = load(builder, kind, epilogue, 4 * (2 * channels + j * lanes))
                    inner = clamp_float(builder, acc, shared["pre_low"], shared["pre_high"])
                    normalized.append(fused_multiply_add(builder, inner, a, d))
            after = builder.block
        finished = []
        for acc, other in zip((acc for line in accumulators for acc in line), normalized, strict=True):
            joined = builder.phi(kind)
            joined.add_incoming(acc, before)
            joined.add_incoming(other, after)
            finished.append(joined)
        bounds = shared["post_low"], shared["post_high"]
        outputs = [Outputs(clamp_float(builder, value, *bounds), [divmod(i, nv)]) for i, value in enumerate(finished)]
        self._stores.write(builder, outputs, nv, target, shared["pixel"], valid)

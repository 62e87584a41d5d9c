"""What float32 tiles do with their accumulators, clips and batch norm; and the stores of both kinds (`int8_epilogue.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.parameters import TileClips
from edgebn.kernels.records import FLOAT32_WORDS
from edgebn.kernels.vectors import (
    F32,
    I1,
    I8,
    I32,
    I64,
    clamp,
    clamp_float,
    fused_multiply_add,
    load,
    offset,
    shuffle,
    splat,
    store,
    store_first,
    vector,
)


@dataclass(frozen=True)
class Outputs:
    """Finished vectors of a tile, one after the other in `value`: for each, its pixel and its vector of channels."""

    value: ir.Value
    members: list[tuple[int, int]]


@dataclass(frozen=True)
class Pixels:
    """Where a tile's pixels go: the bytes from one to the next, or from the first to each where they are not in one row."""

    step: ir.Value
    steps: list[ir.Value] | None

    def after_first(self, builder: ir.IRBuilder, index: int) -> ir.Value:
        """Return the bytes from the first to one of them."""
        return builder.mul(self.step, ir.Constant(I64, index)) if self.steps is None else self.steps[index]


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
        pixels: Pixels,
        valid: ir.Value,
    ) -> None:
        """Store all outputs of a tile: `target` is the address of the first, `valid` how many of the tile's channels exist."""
        size = self._isa.lanes * self._element
        is_whole = builder.icmp_signed("==", valid, ir.Constant(I64, nv * self._isa.lanes))
        with builder.if_else(is_whole, likely=True) as (whole, partial):
            with whole:
                adjacent = builder.icmp_signed("==", pixels.step, ir.Constant(I64, nv * size))
                adjacent = adjacent if pixels.steps is None else ir.Constant(I1, 0)
                for output in outputs:
                    first = self._address(builder, target, pixels, output.members[0], size)
                    if len({i for i, _ in output.members}) == 1:
                        store(builder, output.value, first)
                        continue
                    with builder.if_else(adjacent) as (together, apart):
                        with together:
                            store(builder, output.value, first)
                        with apart:
                            for part, member in self._runs(builder, output):
                                store(builder, part, self._address(builder, target, pixels, member, size))
            with partial:
                for output in outputs:
                    self._write_existing(builder, output, target, pixels, valid, size)

    def _write_existing(
        self, builder: ir.IRBuilder, output: Outputs, target: ir.Value, pixels: Pixels, valid: ir.Value, size: int
    ) -> None:
        """Store what exists of some outputs."""
        if self._isa.masked_stores:
            for part, member in self._runs(builder, output):
                exist = builder.sub(valid, ir.Constant(I64, member[1] * self._isa.lanes))
                store_first(builder, part, self._address(builder, target, pixels, member, size), exist)
            return
        helper = self._partial_function(builder.module)
        for position, member in enumerate(output.members):
            part = self._lanes(builder, output, position, 1)
            exist = builder.sub(valid, ir.Constant(I64, member[1] * self._isa.lanes))
            builder.call(helper, [part, self._address(builder, target, pixels, member, size), exist])

    def _address(self, builder: ir.IRBuilder, target: ir.Value, pixels: Pixels, member: tuple[int, int], size: int) -> ir.Value:
        i, j = member
        return offset(builder, builder.add(target, pixels.after_first(builder, i)), j * size)

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
        # As a binary number: all lanes, or a half, a quarter, and so on of them.
        for piece in (lanes >> power for power in range(lanes.bit_length())):
            done = builder.and_(count, ir.Constant(I64, -2 * piece))
            has = builder.icmp_signed("!=", builder.and_(count, ir.Constant(I64, piece)), ir.Constant(I64, 0))
            with builder.if_then(has):
                at = builder.mul(done, ir.Constant(I64, self._element))
                store(builder, load(builder, vector(self._kind, piece), source, at), address, at)
        builder.ret_void()
        return function


class Sums:
    """Accumulators (int32) stored as they are, in whole vectors: where they go has room for channels that do not exist."""

    scalars: tuple[str, ...] = ()
    bytes_per_channel = 0  # what accumulators begin from is the same for all blocks
    element = 4

    def __init__(self, isa: InstructionSet) -> None:
        self._vector_bytes = isa.vector_bytes

    def prepare(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], nv: int) -> dict[str, Any]:  # noqa: ARG002  # as others'
        """Return what every tile of the layer shares."""
        return {"pixel": arguments["dst_pixel"]}

    def sum(self, builder: ir.IRBuilder, acc: ir.Value, epilogue: ir.Value, j: int, nv: int) -> ir.Value:  # noqa: ARG002  # as int8's
        """Return the sum of products that an accumulator stands for: itself."""
        return acc

    def write(
        self,
        builder: ir.IRBuilder,
        accumulators: list[list[ir.Value]],
        shared: dict[str, Any],
        epilogue: ir.Value,  # noqa: ARG002  # as others'
        target: ir.Value,
        valid: ir.Value,  # noqa: ARG002
    ) -> None:
        """Store a tile's accumulators [pixel][vector]."""
        pixels = Pixels(shared["pixel"], shared.get("steps"))
        for i, line in enumerate(accumulators):
            pixel = builder.add(target, pixels.after_first(builder, i))
            for j, acc in enumerate(line):
                store(builder, acc, pixel, j * self._vector_bytes)


class Float32Epilogue:
    """Accumulators (float32, begun from the bias) to outputs."""

    # Bits of the bounds; general: whether there is anything between the bounds, that is a clip before and a batch norm.
    scalars = TileClips._fields
    bytes_per_channel = 4 * len(FLOAT32_WORDS)
    element = 4

    def __init__(self, isa: InstructionSet) -> None:
        self._lanes = isa.lanes
        self._stores = Stores(isa, F32)

    def prepare(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value], nv: int) -> dict[str, Any]:
        """Compute, outside all loops, what every tile of the layer shares."""
        shared: dict[str, Any] = {"nv": nv, "pixel": arguments["dst_pixel"]}
        for name in self.scalars[:4]:
            real = builder.bitcast(builder.trunc(arguments[name], I32), F32)
            shared[name.removesuffix("_bits")] = splat(builder, real, self._lanes)
        shared["general"] = builder.icmp_signed("!=", arguments["general"], ir.Constant(I64, 0))
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
        self._stores.write(builder, outputs, nv, target, Pixels(shared["pixel"], shared.get("steps")), valid)

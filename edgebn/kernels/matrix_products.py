"""int8 register tiles whose inner product is one of matrices: two pixels by two output channels over eight codes of depth (SMMLA).

An accumulator holds two channels of two pixels. Inputs lie as everywhere: a vector of sixteen codes is read from each pixel, and
the halves of two of them are joined. Weights lie so that a vector holds eight codes of two channels (`tile_weights.py`). What is
left of a tap's depth is a half of that, and then one step of four codes, for which there is the dot product. A pixel without a
second is its own: where there is one alone, loads of weights are the bound, and they are as many as with dot products.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.int8_epilogue import Int8Epilogue
from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.parameters import Extras
from edgebn.kernels.vectors import I8, I32, I64, Dot, call, load, offset, shuffle, splat, vector

PIXELS, CHANNELS = 2, 2  # of a product of matrices
QUADS = 2  # of its depth
STEP_BYTES = 4  # of a pixel's input in a step of depth, as tiles count it: a quad

Lines = list[list[ir.Value]]


class MatrixProducts:
    """How such a tile multiplies codes, as `tile.Int8Products` has it for other sets."""

    extras = Extras._fields

    def __init__(self, isa: InstructionSet) -> None:
        self._isa, self._dot = isa, Dot(isa.dot, isa.lanes)
        self.weight_vectors = 1
        self.accumulator = vector(I32, isa.lanes)
        self.epilogue = Int8Epilogue(isa)

    def begin(self, builder: ir.IRBuilder, mr: int, starts: list[ir.Value]) -> Lines:
        """Return what the accumulators of `mr` pixels begin from, of vectors of channels."""
        halves = [self._both(builder, start, half) for start in starts for half in range(CHANNELS)]
        return [halves] * -(-mr // PIXELS)

    def finish(self, builder: ir.IRBuilder, mr: int, lines: Lines) -> Lines:
        """Return the accumulators [pixel][vector of channels]."""
        finished = []
        for pixel in range(mr):
            line, half = lines[pixel // PIXELS], pixel % PIXELS
            pairs = zip(line[::CHANNELS], line[1::CHANNELS], strict=True)
            finished.append([self._halves(builder, one, other, half) for one, other in pairs])
        return finished

    def add_tap(
        self,
        builder: ir.IRBuilder,
        pixels: list[ir.Value],
        depth: ir.Value,
        taps: ir.Value,
        slots: Lines,
        ahead: ir.Value | None,  # noqa: ARG002  # as float32's
    ) -> None:
        """Add `depth` steps of one tap: `pixels` are the addresses of their inputs, `taps` holds that of the weights."""
        lanes = self._isa.lanes
        loads = builder.udiv(depth, ir.Constant(I64, lanes))
        with cgutils.for_range(builder, loads) as loop:
            count = builder.mul(loop.index, ir.Constant(I64, self._isa.vector_bytes))
            codes = [load(builder, vector(I64, 2), pixel, count) for pixel in pixels]
            pairs = self._pairs(codes)
            for half in range(lanes // QUADS):
                self._multiply(builder, [self._halves(builder, *pair, half) for pair in pairs], taps, slots)
        done = builder.mul(loads, ir.Constant(I64, self._isa.vector_bytes))
        pixels = [builder.add(pixel, done) for pixel in pixels]
        with builder.if_then(self._has(builder, depth, QUADS)):
            codes = [load(builder, I64, pixel) for pixel in pixels]
            self._multiply(builder, [self._joined(builder, *pair) for pair in self._pairs(codes)], taps, slots)
        with builder.if_then(self._has(builder, depth, 1)):
            done = builder.mul(builder.and_(depth, ir.Constant(I64, QUADS)), ir.Constant(I64, STEP_BYTES))
            self._add_quad(builder, [builder.add(pixel, done) for pixel in pixels], taps, slots)

    def _multiply(self, builder: ir.IRBuilder, inputs: list[ir.Value], taps: ir.Value, slots: Lines) -> None:
        """Add the products of pairs of pixels, eight codes each, and the next weights."""
        bytes_ = vector(I8, self._isa.vector_bytes)
        inputs = [builder.bitcast(value, bytes_) for value in inputs]
        at = builder.load(taps)
        for j in range(len(slots[0])):
            weights = load(builder, bytes_, at, j * self._isa.vector_bytes)
            for value, line in zip(inputs, slots, strict=True):
                operands = [builder.load(line[j]), value, weights]
                builder.store(call(builder, "llvm.aarch64.neon.smmla.v4i32.v16i8", self.accumulator, operands), line[j])
        builder.store(offset(builder, at, len(slots[0]) * self._isa.vector_bytes), taps)

    def _add_quad(self, builder: ir.IRBuilder, pixels: list[ir.Value], taps: ir.Value, slots: Lines) -> None:
        """Add a step of four codes, whose weights lie as for dot products: lanes of one channel each."""
        quads = [load(builder, I32, pixel) for pixel in pixels]
        inputs = []
        for one, other in self._pairs(quads):
            first, second = (splat(builder, value, self._isa.lanes) for value in (one, other))
            inputs.append(self._dot.prepare(builder, shuffle(builder, first, second, [0, 1, 4, 5])))
        at = builder.load(taps)
        vectors = len(slots[0]) // CHANNELS
        for j in range(vectors):
            weights = load(builder, self.accumulator, at, j * self._isa.vector_bytes)
            for half in range(CHANNELS):
                both = [self._both(builder, weights, half)]
                for value, line in zip(inputs, slots, strict=True):
                    slot = line[CHANNELS * j + half]
                    builder.store(self._dot(builder, builder.load(slot), value, both), slot)
        builder.store(offset(builder, at, vectors * self._isa.vector_bytes), taps)

    def _pairs(self, pixels: list[ir.Value]) -> list[tuple[ir.Value, ir.Value]]:
        return list(zip(pixels[::2], [*pixels[1::2], *pixels[-1:]], strict=False))

    def _has(self, builder: ir.IRBuilder, depth: ir.Value, bit: int) -> ir.Value:
        return builder.icmp_signed("!=", builder.and_(depth, ir.Constant(I64, bit)), ir.Constant(I64, 0))

    def _both(self, builder: ir.IRBuilder, value: ir.Value, half: int) -> ir.Value:
        """Return one half of a vector of 32-bit lanes twice."""
        return shuffle(builder, value, None, [2 * half, 2 * half + 1] * 2)

    def _halves(self, builder: ir.IRBuilder, one: ir.Value, other: ir.Value, half: int) -> ir.Value:
        """Return the low or high halves of two vectors."""
        count = one.type.count
        places = [half * count // 2 + i for i in range(count // 2)]
        return shuffle(builder, one, other, [*places, *(count + place for place in places)])

    def _joined(self, builder: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
        kind = vector(I64, 2)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), one, ir.Constant(I32, 0))
        return builder.insert_element(first, other, ir.Constant(I32, 1))

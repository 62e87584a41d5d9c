"""Stores what elementwise kernels make of codes: vectors of t (`int8_epilogue.py`) as bytes, those in doubt computed again.

Vectors may have every fourth code of a group: a byte is then widened where it stands in its word, and its code packed where it
stands in t, in fewer instructions than neighbours take, none of which crosses a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.int8_epilogue import GROUP, Int8Epilogue, any_in_doubt, doubts_of
from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.variants import begin_function
from edgebn.kernels.vectors import I8, I16, I32, I64, call, clamp, constant, load, seldom, shuffle, splat, store, vector


class Int8Stores:
    """Stores groups of `GROUP` vectors, of neighbours or of every fourth code.

    Kernels have the arguments safe_mask, qmin, qmax and bounded, whether these are others than int8's.
    """

    def __init__(self, isa: InstructionSet, *, by_fours: bool = False) -> None:
        self._isa, self._by_fours = isa, by_fours
        self._epilogue = Int8Epilogue(isa)

    def prepare(self, builder: ir.IRBuilder, arguments: dict[str, ir.Value]) -> dict[str, Any]:
        """Compute, outside all loops, what every group shares."""
        lanes = self._isa.lanes
        return {
            "interleaved": False,
            "low": builder.add(arguments["qmin"], ir.Constant(I64, 128)),
            "high": builder.add(arguments["qmax"], ir.Constant(I64, 128)),
            "bounded": builder.icmp_signed("!=", arguments["bounded"], ir.Constant(I64, 0)),
            "safe_mask": arguments["safe_mask"],
            "safe_masks": splat(builder, builder.trunc(arguments["safe_mask"], I32), lanes),
            "units": builder.ptrtoint(cgutils.alloca_once(builder, vector(I32, GROUP * lanes)), I64),
        }

    def correction(self, module: ir.Module, name: str, names: Sequence[str], exact: ir.Function) -> ir.Function:
        """Write (once a module) the function (units, safe_mask, *names) that calls exact(mask of what is in doubt, *names)."""
        if name in module.globals:
            return module.globals[name]
        builder, arguments = begin_function(module, name, ("units", "safe_mask", *names))
        mask = doubts_of(builder, self._isa, arguments["units"], arguments["safe_mask"], by_fours=self._by_fours)
        builder.call(exact, [mask, *(arguments[name] for name in names)])
        builder.ret_void()
        return builder.function

    def write(
        self,
        builder: ir.IRBuilder,
        units: list[ir.Value],
        target: ir.Value,
        shared: dict[str, Any],
        correction: tuple[ir.Function, Sequence[ir.Value]],
        flip: ir.Value | None = None,
    ) -> None:
        """Store the codes of a group, and correct what is in doubt by `correction` and its arguments behind safe_mask.

        `flip` turns stored bytes into those that are wanted.
        """
        if self._by_fours:
            packed = self._epilogue.bounded(builder, self._packed_fours(builder, units), shared)
        else:
            packed = self._epilogue.pack(builder, units, shared)
        store(builder, packed if flip is None else builder.xor(packed, flip), target)
        with seldom(builder, any_in_doubt(builder, units, shared["safe_masks"])):
            for part, value in enumerate(units):
                store(builder, value, shared["units"], part * self._isa.vector_bytes)
            function, rest = correction
            builder.call(function, [shared["units"], shared["safe_mask"], *rest])

    def load_fours(self, builder: ir.IRBuilder, address: ir.Value, flip: ir.Value) -> list[ir.Value]:
        """Load a group's bytes, flip them and widen them to 32 bits: of four vectors, vector k has bytes k, k + 4, k + 8, ..."""
        lanes = self._isa.lanes
        words = vector(I32, lanes)
        codes = builder.xor(load(builder, vector(I8, 4 * lanes), address), flip)
        if self._isa.code_flip:  # x86 moves bytes in one instruction, where a shift and a mask are two
            zero = constant(I8, 4 * lanes, 0)
            orders = [[index for lane in range(lanes) for index in (4 * lane + k, *[4 * lanes] * 3)] for k in range(4)]
            return [builder.bitcast(shuffle(builder, codes, zero, order), words) for order in orders]
        whole, mask = builder.bitcast(codes, words), constant(I32, lanes, 255)
        shifted = [whole, *(builder.lshr(whole, constant(I32, lanes, 8 * k)) for k in range(1, 4))]
        return [*(builder.and_(value, mask) for value in shifted[:3]), shifted[3]]

    def _packed_fours(self, builder: ir.IRBuilder, units: list[ir.Value]) -> ir.Value:
        """Return the high halves of four vectors, clipped to unsigned bytes, in the order that `load_fours` takes apart."""
        lanes = self._isa.lanes
        halves = vector(I16, 2 * lanes)
        alternate = [index for lane in range(lanes) for index in (2 * lane, 2 * lanes + 2 * lane + 1)]
        pairs = []
        for first, second in zip(units[:2], units[2:], strict=True):
            high = builder.bitcast(builder.lshr(first, constant(I32, lanes, 16)), halves)
            pairs.append(shuffle(builder, high, builder.bitcast(second, halves), alternate))
        if self._isa.code_flip:  # x86: the saturating pack goes by eights of each
            name = {16: "llvm.x86.avx512.packuswb.512", 8: "llvm.x86.avx2.packuswb"}[lanes]
            packed = call(builder, name, vector(I8, 4 * lanes), pairs)
            in_turn = [16 * part + i + 8 * k for part in range(lanes // 4) for i in range(8) for k in range(2)]
            return shuffle(builder, packed, None, in_turn)
        zero, top = constant(I16, 2 * lanes, 0), constant(I16, 2 * lanes, 255)
        even, odd = (builder.bitcast(clamp(builder, pair, zero, top), vector(I8, 4 * lanes)) for pair in pairs)
        return shuffle(builder, even, odd, [index for i in range(2 * lanes) for index in (2 * i, 4 * lanes + 2 * i)])

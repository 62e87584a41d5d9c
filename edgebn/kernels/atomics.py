"""Words that several threads look at: atomic looks, stores and exchanges, and how to wait for one."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels import isa
from edgebn.kernels.isa import ARM64, SELECTED, X86
from edgebn.kernels.jit import kernel

I32 = ir.IntType(32)
I64 = ir.IntType(64)

# Looks at a word, some 100 to 300 us, before a thread sleeps between looks. It does not offer its processor to others instead: it
# would get it back when they have had their turn, milliseconds later, where who slept is let in at once.
SPINS = 6000
NAP = 50  # microseconds
LOOK = 20  # nanoseconds, roughly
MONOTONIC = (1, 6)  # the number of the clock, on Linux and on macOS


def _word(builder: ir.IRBuilder, base: ir.Value, index: ir.Value) -> ir.Value:
    return builder.gep(builder.inttoptr(base, I64.as_pointer()), [index])


@intrinsic
def look(typing_context: Any, base: Any, index: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
    """Return a word and see all that was written before it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.load_atomic(_word(builder, *arguments), "acquire", 8)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def publish(typing_context: Any, base: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
    """Set a word; who sees it sees all that was written before."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        builder.store_atomic(arguments[2], _word(builder, *arguments[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def exchange(typing_context: Any, base: Any, index: Any, expected: Any, value: Any) -> Any:  # noqa: ARG001
    """Set a word if it is what was expected, and return whether it was."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        place = _word(builder, *arguments[:2])
        result = builder.cmpxchg(place, arguments[2], arguments[3], "acq_rel", "acquire")
        return builder.extract_value(result, 1)

    return types.boolean(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def add(typing_context: Any, base: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
    """Add to a word, and return what it was before."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.atomic_rmw("add", _word(builder, *arguments[:2]), arguments[2], "acq_rel")

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def lowest_bit(typing_context: Any, value: Any) -> Any:  # noqa: ARG001
    """Return the number of the lowest bit that is set; of one there is."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def highest_bit(typing_context: Any, value: Any) -> Any:  # noqa: ARG001
    """Return the number of the highest bit that is set; of one there is."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.sub(ir.Constant(I64, 63), builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1)))

    return types.int64(types.int64), generate


@intrinsic
def _pause(typing_context: Any) -> Any:  # noqa: ARG001
    """Let the core's other thread work for a moment, where there is an instruction for it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        nothing = ir.VoidType()
        if set(SELECTED.machines) & set(X86):
            kind = ir.FunctionType(nothing, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        elif set(SELECTED.machines) & set(ARM64):
            kind = ir.FunctionType(nothing, [I32])
            hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.hint")
            builder.call(hint, [ir.Constant(I32, 1)])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _nap(typing_context: Any) -> Any:  # noqa: ARG001
    """Sleep for some microseconds; POSIX' usleep, and nothing where there is none."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        if isa.SYSTEM != "Windows":
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I32, [I32]), "usleep")
            builder.call(function, [ir.Constant(I32, NAP)])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _monotonic(typing_context: Any, looks: Any) -> Any:  # noqa: ARG001
    """Return nanoseconds since some point in the past: POSIX' clock_gettime; where there is none, what so many looks take."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        if isa.SYSTEM == "Windows":
            return builder.mul(arguments[0], ir.Constant(I64, LOOK))
        # Seconds and nanoseconds are a C long each: where that has 32 bits, the second word keeps the ones that it is filled with.
        words = cgutils.alloca_once(builder, I64, 2)
        second = builder.gep(words, [ir.Constant(I32, 1)])
        builder.store(ir.Constant(I64, -1), second)
        kind = ir.FunctionType(I32, [I32, I64.as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(function, [ir.Constant(I32, MONOTONIC[isa.SYSTEM == "Darwin"]), words])
        first, last = builder.load(words), builder.load(second)
        short = builder.icmp_signed("==", last, ir.Constant(I64, -1))
        seconds = builder.select(short, builder.and_(first, ir.Constant(I64, 0xFFFFFFFF)), first)
        rest_of_it = builder.select(short, builder.lshr(first, ir.Constant(I64, 32)), last)
        return builder.add(builder.mul(seconds, ir.Constant(I64, 1_000_000_000)), rest_of_it)

    return types.int64(types.int64), generate


@kernel
def nanoseconds(looks: int) -> int:
    """Return the time, of which only differences mean anything. `looks`, those so far, stand for it where there is no clock."""
    return _monotonic(looks)


@kernel
def rest(looks: int) -> int:
    """Wait a moment before the next look, asleep where the wait is long, and return how many looks there were."""
    if looks < SPINS:
        _pause()
    else:
        _nap()
    return looks + 1

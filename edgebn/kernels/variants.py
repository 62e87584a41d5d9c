"""From functions written as LLVM code to something that a kernel can call: how they begin, and the choice among their variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.vectors import I64

# Bytes, the widest vector's: without it half of what a function spills lies across two cache lines.
STACK_ALIGNMENT = 64


class Writer(Protocol):
    """Writes the variants of one function, which all take the same int64 arguments."""

    @property
    def arguments(self) -> Sequence[str]:
        """Their names."""

    @property
    def variants(self) -> Sequence[Any]:
        """One item a variant, whatever distinguishes it."""

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of the variant with that index, and return it."""


def begin_function(module: ir.Module, name: str, arguments: Sequence[str]) -> tuple[ir.IRBuilder, dict[str, ir.Value]]:
    """Declare a function of int64 arguments, and return a builder at its entry and the arguments by name."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(arguments)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.alignstack = STACK_ALIGNMENT
    return ir.IRBuilder(function.append_basic_block("entry")), dict(zip(arguments, function.args, strict=True))


def _words(builder: ir.IRBuilder, value: ir.Value) -> list[ir.Value]:
    """Return the words of nested tuples, in their order."""
    if value.type == I64:
        return [value]
    count = value.type.count if isinstance(value.type, ir.ArrayType) else len(value.type.elements)
    parts = cgutils.unpack_tuple(builder, value, count)
    return [word for part in parts for word in _words(builder, part)]


def runner(writer: Writer) -> Callable[..., Any]:
    """Return the intrinsic (variant, arguments) that calls one of a writer's functions.

    Arguments are a tuple of words and groups of words, which have together the order of the writer's.
    """

    @intrinsic
    def run(typing_context: Any, variant: Any, arguments: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ARG001
            words = _words(builder, values[1])
            done = builder.append_basic_block("done")
            switch = builder.switch(values[0], done)
            for index in range(len(writer.variants)):
                function = writer.define(builder.module, index)
                chosen = builder.append_basic_block(f"variant_{index}")
                switch.add_case(ir.Constant(I64, index), chosen)
                with builder.goto_block(chosen):
                    builder.call(function, words)
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(types.int64, arguments), generate

    return run

"""Loads, stores and casts at raw addresses, as Numba intrinsics. `base` is an address, `index` counts elements from it.

They know nothing of arrays: a pointer with an index is what LLVM vectorises best, and what an operation table can hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgebn.kernels.isa import CODE_FLIP
from edgebn.kernels.jit import kernel

I8 = ir.IntType(8)
I16 = ir.IntType(16)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
F32 = ir.FloatType()
F64 = ir.DoubleType()

# Numba types a bare 0 as int64; accumulators start from these.
ZERO_I32 = np.int32(0)
ZERO_F32 = np.float32(0)


def _element(builder: ir.IRBuilder, base: ir.Value, index: ir.Value, kind: ir.Type) -> ir.Value:
    return builder.gep(builder.inttoptr(base, kind.as_pointer()), [index])


def _loader(numba_type: types.Type, kind: ir.Type) -> Callable[..., Any]:
    @intrinsic
    def load(typing_context: Any, base: Any, index: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
            return builder.load(_element(builder, arguments[0], arguments[1], kind))

        return numba_type(types.int64, types.int64), generate

    return load


def _storer(numba_type: types.Type, kind: ir.Type) -> Callable[..., Any]:
    @intrinsic
    def store(typing_context: Any, base: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
            builder.store(arguments[2], _element(builder, arguments[0], arguments[1], kind))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, numba_type), generate

    return store


load_i8 = _loader(types.int8, I8)
load_u8 = _loader(types.uint8, I8)
load_i16 = _loader(types.int16, I16)
load_u16 = _loader(types.uint16, I16)
load_i32 = _loader(types.int32, I32)
load_u32 = _loader(types.uint32, I32)
load_i64 = _loader(types.int64, I64)
load_f32 = _loader(types.float32, F32)
load_f64 = _loader(types.float64, F64)
store_u8 = _storer(types.uint8, I8)
store_i16 = _storer(types.int16, I16)
store_i32 = _storer(types.int32, I32)
store_i64 = _storer(types.int64, I64)
store_f32 = _storer(types.float32, F32)
store_f64 = _storer(types.float64, F64)


@intrinsic
def float_from_bits(typing_context: Any, bits: Any) -> Any:  # noqa: ARG001
    """Return the float32 whose bits are the low 32 of an int64: how an operation table carries reals."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.bitcast(builder.trunc(arguments[0], I32), F32)

    return types.float32(types.int64), generate


@intrinsic
def bits_of_float(typing_context: Any, value: Any) -> Any:  # noqa: ARG001
    """Return the bits of a float32 as an int64."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.zext(builder.bitcast(arguments[0], I32), I64)

    return types.int64(types.float32), generate


@intrinsic
def multiply_add_i32(typing_context: Any, total: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    """Return total + a * b in 32 bits (Numba would widen to 64, and the loop would be half as fast)."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.add(arguments[0], builder.mul(arguments[1], arguments[2]))

    return types.int32(types.int32, types.int32, types.int32), generate


@intrinsic
def round_half_even(typing_context: Any, x: Any) -> Any:  # noqa: ARG001
    """Return the integer nearest to a float32, ties to even."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        function = builder.module.declare_intrinsic("llvm.rint", [F32])
        return builder.call(function, arguments)

    return types.float32(types.float32), generate


@intrinsic
def code_of_byte(typing_context: Any, byte: Any) -> Any:  # noqa: ARG001
    """Return the int8 code that a stored byte stands for, as int32."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.sext(builder.xor(arguments[0], ir.Constant(I8, CODE_FLIP)), I32)

    return types.int32(types.uint8), generate


@intrinsic
def byte_of_code(typing_context: Any, code: Any) -> Any:  # noqa: ARG001
    """Return the byte that stores a code given as int64 in -128..127."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.xor(builder.trunc(arguments[0], I8), ir.Constant(I8, CODE_FLIP))

    return types.uint8(types.int64), generate


@kernel
def load_code(base: int, index: int) -> int:
    """Return the code stored at byte `index`, as int32."""
    return code_of_byte(load_u8(base, index))


@kernel
def store_code(base: int, index: int, code: int) -> None:
    """Store a code in -128..127 at byte `index`."""
    store_u8(base, index, byte_of_code(code))

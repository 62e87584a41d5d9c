"""Elementwise steps: affine, add, multiply, functions of two values and of one, lookup tables. Knows nothing of space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.functions import BINARY, FUNCTIONS
from edgebn.program import (
    Add,
    Affine,
    Binary,
    Curve,
    Elementwise,
    IntAdd,
    IntEpilogue,
    IntMultiply,
    Lookup,
    MatMul,
    Multiply,
    Rescale,
)
from edgebn.reference.epilogue import float_epilogue, int_epilogue
from edgebn.reference.fixed_point import high_multiply, inverse_root, rounding_shift

if TYPE_CHECKING:
    from edgebn.reference import Operands


def affine(step: Affine, operands: Operands) -> np.ndarray:
    """A batch norm of its own: the accumulator is the input."""
    (value,) = operands.values
    acc = value.astype(np.int64) if isinstance(step.epilogue, IntEpilogue) else value
    if operands.watch is not None:
        operands.watch(acc)
    if isinstance(step.epilogue, IntEpilogue):
        return int_epilogue(acc, step.epilogue, operands.output.dtype)
    return float_epilogue(acc, step.epilogue)


def add(step: Add, operands: Operands) -> np.ndarray:
    """Sum of two values with broadcasting, then the clip."""
    a, b = operands.values
    arithmetic = step.arithmetic
    if arithmetic is None:
        return np.clip(a + b, np.float32(step.post[0]), np.float32(step.post[1]))
    centred = [codes.astype(np.int64) - buffer.zero_point for codes, buffer in zip((a, b), operands.inputs, strict=True)]
    if arithmetic.rounding == "double":
        y = _double_rounding_sum(centred, arithmetic, 15 if operands.output.dtype == "int16" else 20)
    else:
        y = _single_rounding_sum(centred, arithmetic)
    return np.clip(arithmetic.zero_point + y, arithmetic.qmin, arithmetic.qmax).astype(operands.output.dtype)


def _single_rounding_sum(centred: list[np.ndarray], arithmetic: IntAdd) -> np.ndarray:
    return (centred[0] * arithmetic.m[0] + centred[1] * arithmetic.m[1] + arithmetic.r) >> arithmetic.s


def _double_rounding_sum(centred: list[np.ndarray], arithmetic: IntAdd, shift: int) -> np.ndarray:
    """TensorFlow Lite Micro: both inputs in units of 2**-shift of twice the larger scale, each rounded, then their sum rounded."""
    total = _scaled(centred[0] << shift, arithmetic.m[0], arithmetic.e[0]) + _scaled(
        centred[1] << shift, arithmetic.m[1], arithmetic.e[1]
    )
    return _scaled(total, arithmetic.m[2], arithmetic.e[2])


def _scaled(v: np.ndarray, m: int, e: int) -> np.ndarray:
    """Return x(v, m, e) of `program.IntAdd`."""
    if e == 0:
        return (v * m + 2**30) >> 31
    return (v * m + 2**30 + 2 ** (30 + e) - np.where(v < 0, np.int64(2**31), 0)) >> (31 + e)


def binary(step: Binary, operands: Operands) -> np.ndarray:
    """Function of two values with broadcasting, then the clip."""
    function, arithmetic = BINARY[step.function], step.arithmetic
    if arithmetic is None:
        return np.clip(function(*operands.values), np.float32(step.post[0]), np.float32(step.post[1]))
    a, b = (
        _scaled((codes.astype(np.int64) - buffer.zero_point) << arithmetic.shift, m, e)
        for codes, buffer, m, e in zip(operands.values, operands.inputs, arithmetic.m, arithmetic.e, strict=False)
    )
    y = _scaled(function(a, b), arithmetic.m[2], arithmetic.e[2])
    return np.clip(arithmetic.zero_point + y, arithmetic.qmin, arithmetic.qmax).astype(operands.output.dtype)


def multiply(step: Multiply, operands: Operands) -> np.ndarray:
    """Product of two values with broadcasting, then the clip."""
    a, b = operands.values
    arithmetic = step.arithmetic
    if arithmetic is None:
        return np.clip(a * b, np.float32(step.post[0]), np.float32(step.post[1]))
    u = (a.astype(np.int64) - operands.inputs[0].zero_point) * (b.astype(np.int64) - operands.inputs[1].zero_point)
    return _rescaled(u, arithmetic, operands.output.dtype)


def _rescaled(u: np.ndarray, arithmetic: IntMultiply, dtype: str) -> np.ndarray:
    y = (u * arithmetic.m + arithmetic.r - np.where(u < 0, np.int64(2**31 if arithmetic.neg else 0), 0)) >> arithmetic.s
    return np.clip(arithmetic.zero_point + y, arithmetic.qmin, arithmetic.qmax).astype(dtype)


def rescale(step: Rescale, operands: Operands) -> np.ndarray:
    """Codes to codes, with another multiplier below zero where the step has one."""
    u = operands.values[0].astype(np.int64) - operands.inputs[0].zero_point
    above = _rescaled(u, step.arithmetic, operands.output.dtype)
    return above if step.below is None else np.where(u < 0, _rescaled(u, step.below, operands.output.dtype), above)


def curve(step: Curve, operands: Operands) -> np.ndarray:
    """int16: the table's entries with lines between them, as the step's docstring says it."""
    code, table = operands.values[0].astype(np.int64), step.table.astype(np.int64)
    if step.function == "table":
        return interpolated(code, table).astype(np.int16)
    if step.function == "rsqrt":
        return _reciprocal_roots(code, step)
    v = (code * step.multiplier + ((1 << step.shift) >> 1 if step.shift else 0)) >> step.shift
    bits, most = (9, 32767 << 10) if step.function == "sigmoid" else (8, 65535 << 8)
    whole, part = np.abs(v) >> bits, np.abs(v) & ((1 << bits) - 1)
    place = np.minimum(whole, 254)
    w = np.where(whole >= 255, most, (table[place] << bits) + part * (table[place + 1] - table[place]))
    if step.function == "sigmoid":
        return (np.where(v >= 0, w + 512, 2**25 - w + 511) >> 10).astype(np.int16)
    return (np.where(v >= 0, w - 2**23 + 128, -w + 2**23 + 127) >> 8).astype(np.int16)


def _reciprocal_roots(code: np.ndarray, step: Curve) -> np.ndarray:
    """Of each code above 0: its reciprocal root with 20 fraction bits, rescaled."""
    result = np.full(code.shape, 32767, np.int16)
    for place in zip(*np.nonzero(code > 0), strict=True):
        root, shift = inverse_root(int(code[place]))
        units = high_multiply(np.array(1 << (20 - shift)), root) << max(-step.shift, 0)
        result[place] = min(int(rounding_shift(high_multiply(units, step.multiplier), max(step.shift, 0))), 32767)
    return result


def interpolated(code: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return what a table of 513 entries holds at int16 codes, with lines between the entries; int64."""
    base, following = table[256 + (code >> 7)], table[257 + (code >> 7)]
    return base + (((following - base) * (code & 127) + 64) >> 7)


def matmul(step: MatMul, operands: Operands) -> np.ndarray:
    """Products of stacks of matrices: sums in float64 rounded once, or of codes less their zero points in int64."""
    a, b = operands.values
    if step.arithmetic is None:
        return np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
    u = np.matmul(a.astype(np.int64) - operands.inputs[0].zero_point, b.astype(np.int64) - operands.inputs[1].zero_point)
    return _rescaled(u, step.arithmetic, operands.output.dtype)


def lookup(step: Lookup, operands: Operands) -> np.ndarray:
    """Read each code from the table of its channel: table[c or 0, input code + 128]."""
    (codes,) = operands.values
    channel = np.arange(codes.shape[2]) if len(step.table) > 1 else np.zeros(codes.shape[2], np.int64)
    return step.table[channel, codes.astype(np.int64) + 128]


def elementwise(step: Elementwise, operands: Operands) -> np.ndarray:
    """float32: the function in float64, rounded once."""
    (value,) = operands.values
    return FUNCTIONS[step.function](value.astype(np.float64), step).astype(np.float32)

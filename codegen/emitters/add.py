"""Sum of two values: codes with one or three roundings, and float32."""

from __future__ import annotations

from codegen.emitters.broadcasting import broadcast, may_share_first
from codegen.emitters.text import call, float_literal, struct
from codegen.stepcode import Names, StepCode
from edgebn.program import Add, IntAdd, Program

_CODE_REACH = 128  # the largest magnitude of a code
_SPLIT = 12  # bits of the multipliers that are summed apart where 32 bits do not hold the whole: 256 codes times 2**12 leave room


def emit(step: Add, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_add_single_s8, edgebn_add_double_s8 or edgebn_binary_f32."""
    a, b = (program.buffers[name] for name in step.inputs)
    shape = broadcast(a.shape, b.shape, program.buffers[step.output].shape)
    buffers = (names.buffer(a.name), names.buffer(b.name), names.buffer(step.output), shape)
    in_place = may_share_first(step, program)
    arithmetic = step.arithmetic
    if arithmetic is None:
        clip = (float_literal(step.post[0]), float_literal(step.post[1]))
        text = call("edgebn_binary_f32", *buffers, "edgebn_sum_f32", *clip)
        return StepCode(text, (), ("edgebn_elementwise_f32.h",), in_place=in_place)
    if program.buffers[step.output].dtype == "int16":
        return StepCode(_call_s16(arithmetic, buffers), (), ("edgebn_binary_s16.h",), in_place=in_place)
    text = call(f"edgebn_add_{arithmetic.rounding}_s8", *buffers, arithmetic_s8(arithmetic, a.zero_point, b.zero_point))
    return StepCode(text, (), ("edgebn_add_s8.h",), in_place=in_place)


def _call_s16(arithmetic: IntAdd, buffers: tuple[str, ...]) -> str:
    if arithmetic.rounding == "double":
        literal = struct(
            "edgebn_binary", unit=1 << 15, m0=arithmetic.m[0], m1=arithmetic.m[1], m2=arithmetic.m[2],
            e0=arithmetic.e[0], e1=arithmetic.e[1], e2=arithmetic.e[2], low=arithmetic.qmin, high=arithmetic.qmax,
        )  # fmt: skip
        return call("edgebn_binary_s16", *buffers, "edgebn_sum_s32", literal)
    literal = struct(
        "edgebn_add_s16", m0=f"INT64_C({arithmetic.m[0]})", m1=f"INT64_C({arithmetic.m[1]})", r=f"INT64_C({arithmetic.r})",
        s=arithmetic.s, low=arithmetic.qmin, high=arithmetic.qmax,
    )  # fmt: skip
    return call("edgebn_add_single_s16", *buffers, literal)


def arithmetic_s8(arithmetic: IntAdd, zero0: int, zero1: int) -> str:
    """Return `edgebn_add_single` or `edgebn_add_double`, by the rounding, for operands of these zero points."""
    return _double(arithmetic, zero0, zero1) if arithmetic.rounding == "double" else _single(arithmetic, zero0, zero1)


def _single(arithmetic: IntAdd, zero0: int, zero1: int) -> str:
    """Return the literal of y = (a m0 + b m1 + r) >> s with every zero point inside r."""
    r = arithmetic.r - zero0 * arithmetic.m[0] - zero1 * arithmetic.m[1] + arithmetic.zero_point * 2**arithmetic.s
    split = next((bits for bits in (0, _SPLIT) if _fits(arithmetic, r, bits)), None)
    return struct(
        "edgebn_add_single", m0=arithmetic.m[0], m1=arithmetic.m[1], r=f"INT64_C({r})", s=arithmetic.s, split=split,
        wide=split is None, low=arithmetic.qmin, high=arithmetic.qmax,
    )  # fmt: skip


def _fits(arithmetic: IntAdd, r: int, split: int) -> bool:
    """Whether 32 bits hold the sum of what lies above the lowest `split` bits, with what those add to it."""
    high = _CODE_REACH * (abs(arithmetic.m[0] >> split) + abs(arithmetic.m[1] >> split)) + abs(r >> split)
    return high + 2 * _CODE_REACH + 1 < 2**31 and 0 <= arithmetic.s - split < 32


def _double(arithmetic: IntAdd, zero0: int, zero1: int) -> str:
    return struct(
        "edgebn_add_double", zero0=zero0, zero1=zero1, m0=arithmetic.m[0], m1=arithmetic.m[1], m2=arithmetic.m[2],
        e0=arithmetic.e[0], e1=arithmetic.e[1], e2=arithmetic.e[2], zero_point=arithmetic.zero_point, low=arithmetic.qmin,
        high=arithmetic.qmax,
    )  # fmt: skip

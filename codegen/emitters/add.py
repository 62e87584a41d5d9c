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
    how = step.arithmetic
    if how is None:
        clip = (float_literal(step.post[0]), float_literal(step.post[1]))
        text = call("edgebn_binary_f32", *buffers, "edgebn_sum_f32", *clip)
        return StepCode(text, (), ("edgebn_elementwise_f32.h",), in_place=in_place)
    if program.buffers[step.output].dtype == "int16":
        return StepCode(_call_s16(how, buffers), (), ("edgebn_binary_s16.h",), in_place=in_place)
    text = call(f"edgebn_add_{how.rounding}_s8", *buffers, arithmetic_s8(how, a.zero_point, b.zero_point))
    return StepCode(text, (), ("edgebn_add_s8.h",), in_place=in_place)


def _call_s16(how: IntAdd, buffers: tuple[str, ...]) -> str:
    if how.rounding == "double":
        literal = struct(
            "edgebn_binary", unit=1 << 15, m0=how.m[0], m1=how.m[1], m2=how.m[2], e0=how.e[0], e1=how.e[1], e2=how.e[2],
            low=how.qmin, high=how.qmax,
        )  # fmt: skip
        return call("edgebn_binary_s16", *buffers, "edgebn_sum_s32", literal)
    literal = struct(
        "edgebn_add_s16", m0=f"INT64_C({how.m[0]})", m1=f"INT64_C({how.m[1]})", r=f"INT64_C({how.r})", s=how.s, low=how.qmin,
        high=how.qmax,
    )  # fmt: skip
    return call("edgebn_add_single_s16", *buffers, literal)


def arithmetic_s8(how: IntAdd, zero0: int, zero1: int) -> str:
    """Return `edgebn_add_single` or `edgebn_add_double`, by the rounding, for operands of these zero points."""
    return _double(how, zero0, zero1) if how.rounding == "double" else _single(how, zero0, zero1)


def _single(how: IntAdd, zero0: int, zero1: int) -> str:
    """Return the literal of y = (a m0 + b m1 + r) >> s with every zero point inside r."""
    r = how.r - zero0 * how.m[0] - zero1 * how.m[1] + how.zero_point * 2**how.s
    split = next((bits for bits in (0, _SPLIT) if _fits(how, r, bits)), None)
    return struct(
        "edgebn_add_single", m0=how.m[0], m1=how.m[1], r=f"INT64_C({r})", s=how.s, split=split, wide=split is None,
        low=how.qmin, high=how.qmax,
    )  # fmt: skip


def _fits(how: IntAdd, r: int, split: int) -> bool:
    """Whether 32 bits hold the sum of what lies above the lowest `split` bits, with what those add to it."""
    high = _CODE_REACH * (abs(how.m[0] >> split) + abs(how.m[1] >> split)) + abs(r >> split)
    return high + 2 * _CODE_REACH + 1 < 2**31 and 0 <= how.s - split < 32


def _double(how: IntAdd, zero0: int, zero1: int) -> str:
    return struct(
        "edgebn_add_double", zero0=zero0, zero1=zero1, m0=how.m[0], m1=how.m[1], m2=how.m[2], e0=how.e[0], e1=how.e[1],
        e2=how.e[2], zero_point=how.zero_point, low=how.qmin, high=how.qmax,
    )  # fmt: skip

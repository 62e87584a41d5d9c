"""float32 to codes and back."""

from __future__ import annotations

from codegen.emitters.text import call, float_literal
from codegen.stepcode import Names, StepCode
from codegen.values import count
from edgebn.program import Buffer, Dequantize, Program, Quantize

HEADERS = ("edgebn_convert.h",)


def emit_quantize(step: Quantize, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_quantize_s8 or _s16, which may write over its input: codes are smaller."""
    kernel = "edgebn_quantize_s16" if program.buffers[step.output].dtype == "int16" else "edgebn_quantize_s8"
    return StepCode(_call(kernel, step, program.buffers[step.output], names), (), HEADERS, in_place=True)


def emit_dequantize(step: Dequantize, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_dequantize_f32, or edgebn_dequantize_s16 of int16."""
    kernel = "edgebn_dequantize_s16" if program.buffers[step.inputs[0]].dtype == "int16" else "edgebn_dequantize_f32"
    return StepCode(_call(kernel, step, program.buffers[step.inputs[0]], names), (), HEADERS)


def _call(kernel: str, step: Quantize | Dequantize, codes: Buffer, names: Names) -> str:
    """Return the call; `codes` is that side, whose scale and zero point (of int8) count."""
    ends = names.buffer(step.inputs[0]), names.buffer(step.output)
    zero_point = (codes.zero_point,) if codes.dtype == "int8" else ()
    return call(kernel, *ends, count(codes), float_literal(codes.scale), *zero_point)

"""Codes over the root of the sum of their squares."""

from __future__ import annotations

from codegen.emitters.text import call
from codegen.stepcode import Names, StepCode
from edgebn.program import Program, UnitNorm


def emit(step: UnitNorm, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_unit_norm_s8."""
    source = program.buffers[step.inputs[0]]
    height, width, channels = source.shape
    ends = (names.buffer(source.name), names.buffer(step.output), height * width, channels)
    text = call("edgebn_unit_norm_s8", *ends, source.zero_point, step.left_shift)
    return StepCode(text, (), ("edgebn_unit_norm_s8.h",), in_place=True)

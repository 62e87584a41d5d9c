"""Convolution, depthwise and dense layers, with the pool that was fused into them: codes and float32."""

from __future__ import annotations

from codegen.emitters import convolution_f32, convolution_s8, convolution_s16
from codegen.stepcode import Names, StepCode
from edgebn.program import Convolution, Program, step_dtype

_ENGINES = {"float32": convolution_f32, "int8": convolution_s8, "int16": convolution_s16}


def emit(step: Convolution, program: Program, names: Names) -> StepCode:
    """Return the call of the kernel that fits the step's geometry."""
    return _ENGINES[step_dtype(step, program)].emit(step, program, names)

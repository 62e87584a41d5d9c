"""Convolution, depthwise and dense layers, with the pool that was fused into them: int8 and float32."""

from __future__ import annotations

from codegen.emitters import convolution_f32, convolution_s8
from codegen.stepcode import Names, StepCode
from edgebn.program import Convolution, Program, step_dtype


def emit(step: Convolution, program: Program, names: Names) -> StepCode:
    """Return the call of the kernel that fits the step's geometry."""
    engine = convolution_s8 if step_dtype(step, program) == "int8" else convolution_f32
    return engine.emit(step, program, names)

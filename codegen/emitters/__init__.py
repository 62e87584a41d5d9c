"""Step class to the function that writes its C: one file an operation. Knows programs and C, nothing of boards or files.

To add an operation: a kernel in `codegen/c`, a file here with `emit(step, program, names) -> StepCode`, a line in EMITTERS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codegen.emitters import (
    add,
    affine,
    binary,
    concat,
    conversion,
    convolution,
    convolution_s8,
    crop,
    curve,
    detections,
    elementwise,
    integers,
    lookup,
    matmul,
    multiply,
    normalization,
    pad,
    pool,
    recurrence,
    rescale,
    reshape,
    resize,
    softmax,
    transpose,
    transposed_convolution,
    unit_norm,
)
from codegen.stepcode import Names, StepCode
from edgebn import program as p

EMITTERS: dict[type[p.Step], Callable[[Any, p.Program, Names], StepCode]] = {
    p.Convolution: convolution.emit,
    p.TransposedConvolution: transposed_convolution.emit,
    p.Affine: affine.emit,
    p.Add: add.emit,
    p.Multiply: multiply.emit,
    p.MatMul: matmul.emit,
    p.Binary: binary.emit,
    p.Pool: pool.emit,
    p.Lookup: lookup.emit,
    p.Rescale: rescale.emit,
    p.Curve: curve.emit,
    p.Elementwise: elementwise.emit,
    p.Softmax: softmax.emit,
    p.Normalization: normalization.emit,
    p.Recurrence: recurrence.emit,
    p.UnitNorm: unit_norm.emit,
    p.DetectionPostProcess: detections.emit,
    p.NonMaxSuppression: detections.emit_suppression,
    p.Concat: concat.emit,
    p.Pad: pad.emit,
    p.Crop: crop.emit,
    p.Resize: resize.emit,
    p.Transpose: transpose.emit,
    p.Reshape: reshape.emit,
    p.Quantize: conversion.emit_quantize,
    p.Dequantize: conversion.emit_dequantize,
    p.Cast: integers.emit_cast,
    p.IntegerBinary: integers.emit_binary,
    p.ArgExtreme: integers.emit_arg_extreme,
    p.Select: integers.emit_select,
    p.GatherND: integers.emit_gather_nd,
}


def emit(step: p.Step, program: p.Program, names: Names) -> StepCode:
    """Return the C of one step."""
    return EMITTERS[type(step)](step, program, names)


def emit_joined(step: p.Step, following: p.Step, program: p.Program, names: Names) -> StepCode | None:
    """Return one piece of C for two steps of which the second reads what the first makes, or None where no kernel does both.

    The first step's output is then never stored. The first input of the result, whose memory the output may take (`in_place`), is
    the second step's other operand.
    """
    if p.step_dtype(step, program) == "int8" and isinstance(step, p.Convolution) and isinstance(following, p.Add):
        return convolution_s8.emit_with_sum(step, following, program, names)
    return None

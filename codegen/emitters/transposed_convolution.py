"""Transposed convolution: codes and float32."""

from __future__ import annotations

import numpy as np

from codegen.emitters import convolution_s16
from codegen.emitters.adapting import does_adapt
from codegen.emitters.epilogue_f32 import epilogue_f32
from codegen.emitters.shapes import conv_shape
from codegen.emitters.text import call, epilogue_s8
from codegen.pack import accumulator_bound, pack_epilogue, sum_bound
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import IntEpilogue, Program, TransposedConvolution


def emit(step: TransposedConvolution, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_transposed_conv_s8 or edgebn_transposed_conv_f32."""
    if program.buffers[step.output].dtype == "int16":
        return convolution_s16.emit_transposed(step, program, names)
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    geometry = conv_shape(step, source.shape, target.shape, source.zero_point)
    o, kh, kw, i = step.weight.shape
    comment = f"({o}, {kh}, {kw}, {i}): output channels, kernel rows, columns, channels"
    ctype = "float" if target.dtype == "float32" else "int16_t" if step.weight.dtype == np.int16 else "int8_t"
    weights = CArray(names.array("weights"), ctype, step.weight, comment)
    if isinstance(step.epilogue, IntEpilogue):
        bound = accumulator_bound(step.epilogue, sum_bound(step.weight))
        packed = pack_epilogue(step.epilogue, bound, adapts=does_adapt(step, program))
        epilogue, arrays = epilogue_s8(packed, names)
        kernel = "edgebn_transposed_conv_s8" if ctype == "int8_t" else "edgebn_transposed_conv_wide_s8"
    else:
        epilogue, table = epilogue_f32(step.epilogue, names)
        arrays, kernel = (table,), "edgebn_transposed_conv_f32"
    text = call(kernel, names.buffer(source.name), names.buffer(target.name), geometry, weights.name, epilogue)
    return StepCode(text, (weights, *arrays), (f"{kernel.replace('_wide', '')}.h",))

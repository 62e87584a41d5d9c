"""float32 convolutions of every kind: one kernel, and one with the pool that was fused into it."""

from __future__ import annotations

from codegen.emitters.epilogue_f32 import epilogue_f32
from codegen.emitters.shapes import conv_shape, pool_shape
from codegen.emitters.text import call, offset
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Convolution, FloatEpilogue, Program, unpooled_shape


def emit(step: Convolution, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_conv_f32 or edgebn_conv_pool_f32."""
    assert isinstance(step.epilogue, FloatEpilogue)
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    out_shape = unpooled_shape(step, source.shape)
    o, kh, kw, i = step.weight.shape
    comment = f"({o}, {kh}, {kw}, {i}): output channels, kernel rows, columns, channels"
    weights = CArray(names.array("weights"), "float", step.weight, comment)
    epilogue, scale = epilogue_f32(step.epilogue, names)
    geometry = conv_shape(step, source.shape, out_shape, 0)
    buffers = (names.buffer(source.name), names.buffer(target.name))
    if step.pool is None:
        text = call("edgebn_conv_f32", *buffers, geometry, weights.name, epilogue)
        return StepCode(text, (weights, scale), ("edgebn_conv_f32.h",))
    pool = pool_shape(step.pool, out_shape, target.shape, 0)
    text = call("edgebn_conv_pool_f32", *buffers, offset(names.scratch, 0, "float"), geometry, weights.name, epilogue, pool)
    return StepCode(text, (weights, scale), ("edgebn_conv_pool_f32.h",), 4 * o)

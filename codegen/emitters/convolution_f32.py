"""float32 convolutions: depthwise, pointwise, every other, and every one with the pool that was fused into it."""

from __future__ import annotations

import math

from codegen.emitters.depthwise import is_depthwise, may_work_in_place, ring_elements
from codegen.emitters.epilogue_f32 import epilogue_f32
from codegen.emitters.shapes import conv_shape, pool_shape
from codegen.emitters.text import call, offset
from codegen.pack import pack_depthwise
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Convolution, FloatEpilogue, Program, unpooled_shape

_ITEM = 4  # bytes of a float
_SUM_BLOCK = 32  # EDGEBN_SUM_BLOCK of edgebn_pool_f32.h


def emit(step: Convolution, program: Program, names: Names) -> StepCode:
    """Return the call of the kernel that fits the step's geometry."""
    assert isinstance(step.epilogue, FloatEpilogue)
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    out_shape = unpooled_shape(step, source.shape)
    weights = _weights(step, names)
    epilogue, scale = epilogue_f32(step.epilogue, names)
    geometry = conv_shape(step, source.shape, out_shape, 0)
    buffers = (names.buffer(source.name), names.buffer(target.name))
    scratch = offset(names.scratch, 0, "float")
    arrays = (weights, scale)
    if step.pool is not None:
        pool = pool_shape(step.pool, out_shape, target.shape, 0)
        text = call("edgebn_conv_pool_f32", *buffers, scratch, geometry, weights.name, epilogue, pool)
        is_long = step.pool.function == "average" and step.pool.kernel[0] * step.pool.kernel[1] > _SUM_BLOCK
        numbers = len(step.weight) + (math.prod(target.shape) if is_long else 0)
        return StepCode(text, arrays, ("edgebn_conv_pool_f32.h",), _ITEM * numbers)
    if is_depthwise(step, source.shape):
        packed = _depthwise_weights(step, names)
        text = call("edgebn_depthwise_f32", *buffers, scratch, geometry, weights.name, epilogue)
        ring = _ITEM * ring_elements(step, source.shape, out_shape)
        return StepCode(text, (packed, scale), ("edgebn_depthwise_f32.h",), ring, may_work_in_place(step, source.shape, out_shape))
    height, width, channels = source.shape
    pointwise = step.weight.shape[1:3] == step.strides == (1, 1) and not any(step.padding) and step.groups == 1
    if pointwise and height * width > 1:  # one pixel alone is read where it lies
        sizes = (height * width, channels, len(step.weight))
        text = call("edgebn_pointwise_f32", *buffers, scratch, *sizes, weights.name, epilogue)
        return StepCode(text, arrays, ("edgebn_pointwise_f32.h",), _ITEM * channels, len(step.weight) <= channels)
    text = call("edgebn_conv_f32", *buffers, geometry, weights.name, epilogue)
    return StepCode(text, arrays, ("edgebn_conv_f32.h",))


def _weights(step: Convolution, names: Names) -> CArray:
    o, kh, kw, i = step.weight.shape
    comment = f"({o}, {kh}, {kw}, {i}): output channels, kernel rows, columns, channels"
    return CArray(names.array("weights"), "float", step.weight, comment)


def _depthwise_weights(step: Convolution, names: Names) -> CArray:
    packed = pack_depthwise(step.weight)
    kh, kw, channels = packed.shape
    return CArray(names.array("weights"), "float", packed, f"({kh}, {kw}, {channels}): kernel rows, columns, channels")

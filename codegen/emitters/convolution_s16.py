"""Convolutions of both kinds between int16 codes, and the pool that was fused into one."""

from __future__ import annotations

import numpy as np

from codegen.emitters.epilogue_s16 import epilogue_s16, reach
from codegen.emitters.shapes import conv_shape, pool_shape
from codegen.emitters.text import call, offset
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Convolution, IntEpilogue, Program, TransposedConvolution, unpooled_shape


def emit(step: Convolution, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_conv_s16; a pool reads its rows, which are whole in scratch memory."""
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    shape = unpooled_shape(step, source.shape)
    if step.pool is None:
        text, arrays = _call("edgebn_conv_s16", step, program, names, names.buffer(target.name), shape)
        return StepCode(text, arrays, ("edgebn_conv_s16.h",))
    rows = offset(names.scratch, 0, "int16_t")
    text, arrays = _call("edgebn_conv_s16", step, program, names, rows, shape)
    pooled = call("edgebn_pool_s16", rows, names.buffer(target.name), pool_shape(step.pool, shape, target.shape, 0))
    headers = ("edgebn_conv_s16.h", "edgebn_pool_s16.h")
    return StepCode(f"{text}\n{pooled}", arrays, headers, scratch=2 * int(np.prod(shape)))


def emit_transposed(step: TransposedConvolution, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_transposed_conv_s16."""
    target = program.buffers[step.output]
    text, arrays = _call("edgebn_transposed_conv_s16", step, program, names, names.buffer(target.name), target.shape)
    return StepCode(text, arrays, ("edgebn_transposed_conv_s16.h",))


def _call(
    kernel: str,
    step: Convolution | TransposedConvolution,
    program: Program,
    names: Names,
    target: str,
    out_shape: tuple[int, int, int],
) -> tuple[str, tuple[CArray, ...]]:
    assert isinstance(step.epilogue, IntEpilogue)
    source = program.buffers[step.inputs[0]]
    o, kh, kw, i = step.weight.shape
    weights = CArray(
        names.array("weights"), "int8_t", step.weight, f"({o}, {kh}, {kw}, {i}): output channels, kernel rows, columns, channels"
    )
    most = reach(step.epilogue, np.abs(step.weight.astype(np.int64)).reshape(o, -1).sum(axis=1))
    literal, arrays = epilogue_s16(step.epilogue, most, names)
    narrow = int((most - np.abs(step.epilogue.acc_bias) < 2**31).all())
    geometry = conv_shape(step, source.shape, out_shape, 0)
    return call(kernel, names.buffer(source.name), target, geometry, weights.name, narrow, literal), (weights, *arrays)

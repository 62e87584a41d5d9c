"""int8 convolutions: which of the kernels (dense, depthwise, columns), its scratch memory, and when it may work in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.emitters.adapting import does_adapt
from codegen.emitters.add import arithmetic_s8
from codegen.emitters.depthwise import is_depthwise, may_work_in_place, ring_elements
from codegen.emitters.shapes import conv_shape, pool_shape
from codegen.emitters.text import call, epilogue_s8, kernel_name, offset
from codegen.emitters.wide_s8 import narrowed, with_wide_channels
from codegen.pack import (
    PackedEpilogue,
    accumulator_bound,
    can_share,
    has_lowest_pair,
    pack_depthwise,
    pack_epilogue,
    pack_pairs,
    round_up,
    sum_bound,
)
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Add, Convolution, Hwc, IntEpilogue, Program, Window, unpooled_shape

_TILE_PIXELS = 2  # EDGEBN_TILE_PIXELS


@dataclass(frozen=True)
class _Parts:
    """What all of these kernels are given."""

    source: str
    target: str
    shape: Hwc
    out_shape: Hwc  # before the pool
    geometry: str
    packed: PackedEpilogue
    epilogue: str
    arrays: tuple[CArray, ...]


def emit(step: Convolution, program: Program, names: Names) -> StepCode:
    """Return the call of the kernel that fits the step's geometry."""
    if step.weight.dtype == np.int16:
        return with_wide_channels(step, program, names, emit(narrowed(step), program, names))
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    parts = _parts(step, program, names, names.buffer(target.name))
    pool = None if step.pool is None else pool_shape(step.pool, parts.out_shape, target.shape, target.zero_point)
    if is_depthwise(step, source.shape):
        return _depthwise(step, parts, names, pool)
    if is_dense(step, source.shape):
        return _dense(step, parts, names)
    return _columns(step, parts, names, pool)


def emit_with_sum(step: Convolution, following: Add, program: Program, names: Names) -> StepCode | None:
    """Return one call for a convolution and the sum it flows into, or None where no kernel does both.

    The first input of the result, whose memory the output may take, is the sum's other operand; the second the convolution's.
    """
    shape = program.buffers[step.inputs[0]].shape
    if step.weight.dtype == np.int16 or step.pool is not None or is_depthwise(step, shape) or is_dense(step, shape):
        return None
    if following.arithmetic is None or following.inputs.count(step.output) != 1:
        return None
    position = following.inputs.index(step.output)
    other = program.buffers[following.inputs[1 - position]]
    if other.shape != program.buffers[following.output].shape or other.shape != program.buffers[step.output].shape:
        return None
    parts = _parts(step, program, names, names.buffer(following.output))
    weights = _pairs(step, names, shared=not parts.packed.lowest)
    columns = _columns_bytes(step)
    zero_points = [program.buffers[name].zero_point for name in following.inputs]
    text = call(
        f"edgebn_conv_{('first', 'second')[position]}_{following.arithmetic.rounding}_s8",
        parts.source,
        names.buffer(other.name),
        parts.target,
        names.scratch,
        offset(names.scratch, columns),
        parts.geometry,
        weights.name,
        parts.epilogue,
        kernel_name("gemm", parts.packed),
        arithmetic_s8(following.arithmetic, zero_points[0], zero_points[1]),
    )
    scratch = columns + _tile_bytes(step)
    return StepCode(text, (weights, *parts.arrays), ("edgebn_residual_conv_s8.h",), scratch, in_place=True)


def _parts(step: Convolution, program: Program, names: Names, target: str) -> _Parts:
    assert isinstance(step.epilogue, IntEpilogue)
    source = program.buffers[step.inputs[0]]
    out_shape = unpooled_shape(step, source.shape)
    pairs = pack_pairs(step.weight, step.groups)
    apart = not is_dense(step, source.shape) and not can_share(pairs)
    bound = accumulator_bound(step.epilogue, sum_bound(step.weight))
    packed = pack_epilogue(step.epilogue, bound, lowest=has_lowest_pair(pairs) or apart, adapts=does_adapt(step, program))
    epilogue, arrays = epilogue_s8(packed, names)
    geometry = conv_shape(step, source.shape, out_shape, source.zero_point)
    return _Parts(names.buffer(source.name), target, source.shape, out_shape, geometry, packed, epilogue, arrays)


def is_dense(step: Convolution, shape: Hwc) -> bool:
    """Whether the kernel covers the whole input, once."""
    whole = step.weight.shape[1:3] == shape[:2] and not any(step.padding) and step.groups == 1
    return whole and step.dilations == (1, 1) and step.pool is None


def _dense(step: Convolution, parts: _Parts, names: Names) -> StepCode:
    weights = _pairs(step, names)
    taps = step.weight[0].size
    text = call(
        "edgebn_dense_s8",
        parts.source,
        parts.target,
        taps,
        len(step.weight),
        weights.name,
        parts.epilogue,
        kernel_name("dense", parts.packed),
    )
    return StepCode(text, (weights, *parts.arrays), ("edgebn_dense_s8.h",))


def _columns(step: Convolution, parts: _Parts, names: Names, pool: str | None) -> StepCode:
    weights = _pairs(step, names, shared=not parts.packed.lowest)
    columns = _columns_bytes(step)
    gemm = kernel_name("gemm", parts.packed)
    arrays = (weights, *parts.arrays)
    if step.pool is None or pool is None:
        text = call("edgebn_conv_s8", parts.source, parts.target, names.scratch, parts.geometry, weights.name, parts.epilogue, gemm)
        pointwise = step.weight.shape[1:3] == step.strides == (1, 1) and not any(step.padding) and step.groups == 1
        return StepCode(text, arrays, ("edgebn_conv_s8.h",), columns, pointwise and parts.out_shape[2] <= parts.shape[2])
    tile = _tile_bytes(step)
    text = call(
        "edgebn_conv_pool_s8",
        parts.source,
        parts.target,
        names.scratch,
        offset(names.scratch, columns),
        offset(names.scratch, columns + tile, "int32_t"),
        parts.geometry,
        weights.name,
        parts.epilogue,
        gemm,
        pool,
    )
    scratch = columns + tile + _sums(step.pool, parts.out_shape)
    return StepCode(text, arrays, ("edgebn_conv_pool_s8.h",), scratch)


def _columns_bytes(step: Convolution) -> int:
    """Return the most that a processor's tile wants: two columns of 16-bit taps, and a row of codes (a column in odd cases)."""
    column = round_up(step.weight[0].size)
    row = step.weight[0, 0].size
    return 2 * _TILE_PIXELS * column + (row if row % 4 == 0 else column)


def _tile_bytes(step: Convolution) -> int:
    return round_up(_TILE_PIXELS * len(step.weight))


def _depthwise(step: Convolution, parts: _Parts, names: Names, pool: str | None) -> StepCode:
    _, kh, kw, _ = step.weight.shape
    packed = pack_depthwise(step.weight)
    weights = CArray(names.array("weights"), "int8_t", packed, f"({kh}, {kw}, {len(step.weight)}): kernel rows, columns, channels")
    arrays = (weights, *parts.arrays)
    ring = round_up(ring_elements(step, parts.shape, parts.out_shape))
    if step.pool is None or pool is None:
        text = call("edgebn_depthwise_s8", parts.source, parts.target, names.scratch, parts.geometry, weights.name, parts.epilogue)
        return StepCode(text, arrays, ("edgebn_depthwise_s8.h",), ring, may_work_in_place(step, parts.shape, parts.out_shape))
    row = round_up(parts.out_shape[1] * parts.out_shape[2])
    text = call(
        "edgebn_depthwise_pool_s8",
        parts.source,
        parts.target,
        names.scratch,
        offset(names.scratch, ring),
        offset(names.scratch, ring + row, "int32_t"),
        parts.geometry,
        weights.name,
        parts.epilogue,
        pool,
    )
    return StepCode(text, arrays, ("edgebn_depthwise_pool_s8.h",), ring + row + _sums(step.pool, parts.out_shape))


def _pairs(step: Convolution, names: Names, *, shared: bool = False) -> CArray:
    packed = pack_pairs(step.weight, step.groups)
    shape = ", ".join(str(size) for size in packed.shape)
    o, kh, kw, i = step.weight.shape
    comment = f"({shape}): groups, pairs of channels, blocks of taps, 2, 4; from {o} x {kh} x {kw} x {i}"
    return CArray(names.array("weights"), "int8_t", packed, comment, pairs=shared)


def _sums(window: Window, shape: Hwc) -> int:
    """Return the bytes of the sums of an average over `shape`: see EDGEBN_POOL_ROWS."""
    if window.function == "max":
        return 0
    top, left, bottom, right = window.padding
    del top, bottom
    span = window.dilations[1] * (window.kernel[1] - 1) + 1
    width = (shape[1] + left + right - span) // window.strides[1] + 1
    rows = (window.dilations[0] * (window.kernel[0] - 1) + window.strides[0]) // window.strides[0]
    return 4 * rows * width * shape[2]

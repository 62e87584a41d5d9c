"""Pooling of its own: maximum, average and rescaled average; float32."""

from __future__ import annotations

import numpy as np

from codegen.emitters.epilogue_s16 import epilogue_s16, reach
from codegen.emitters.shapes import pool_shape
from codegen.emitters.text import call, epilogue_s8
from codegen.pack import accumulator_bound, pack_epilogue
from codegen.stepcode import Names, StepCode
from edgebn.program import Hwc, Pool, Program, Window


def emit(step: Pool, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_pool_s8, edgebn_pool_rescaled_s8, edgebn_pool_rescaled_by_count_s8 or edgebn_pool_f32."""
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    shape = pool_shape(step.window, source.shape, target.shape, source.zero_point)
    buffers = (names.buffer(source.name), names.buffer(target.name), shape)
    in_place = windows_begin_behind(step.window, source.shape, target.shape)
    if target.dtype == "float32":
        return StepCode(call("edgebn_pool_f32", *buffers), (), ("edgebn_pool_f32.h",), in_place=in_place)
    if target.dtype == "int16":
        return _wide(step, buffers, names, in_place=in_place)
    if step.epilogue is None:
        return StepCode(call("edgebn_pool_s8", *buffers), (), ("edgebn_pool_s8.h",), in_place=in_place)
    taps, entries = step.window.kernel[0] * step.window.kernel[1], len(step.epilogue.m)
    counts = np.arange(1, taps + 1) if entries > 1 else taps
    packed = pack_epilogue(step.epilogue, accumulator_bound(step.epilogue, 128 * counts))
    literal, arrays = epilogue_s8(packed, names)
    kernel = "edgebn_pool_rescaled_by_count_s8" if entries > 1 else "edgebn_pool_rescaled_s8"
    return StepCode(call(kernel, *buffers, literal), arrays, ("edgebn_pool_s8.h",), in_place=in_place)


def _wide(step: Pool, buffers: tuple[str, str, str], names: Names, *, in_place: bool) -> StepCode:
    """Return the call of edgebn_pool_s16, edgebn_pool_rescaled_s16 or edgebn_pool_rescaled_by_count_s16."""
    headers = ("edgebn_pool_s16.h",)
    if step.epilogue is None:
        return StepCode(call("edgebn_pool_s16", *buffers), (), headers, in_place=in_place)
    entries, taps = len(step.epilogue.m), step.window.kernel[0] * step.window.kernel[1]
    literal, arrays = epilogue_s16(step.epilogue, reach(step.epilogue, np.full(entries, taps)), names)
    kernel = "edgebn_pool_rescaled_by_count_s16" if entries > 1 else "edgebn_pool_rescaled_s16"
    return StepCode(call(kernel, *buffers, literal), arrays, headers, in_place=in_place)


def windows_begin_behind(window: Window, shape: Hwc, out_shape: Hwc) -> bool:
    """Whether pooling may overwrite its input: every window begins at or after its output pixel, later ones after it."""
    firsts = []
    for y in range(out_shape[0]):
        for x in range(out_shape[1]):
            first_y = _first_inside(y * window.strides[0] - window.padding[0], window.dilations[0])
            first_x = _first_inside(x * window.strides[1] - window.padding[1], window.dilations[1])
            firsts.append(first_y * shape[1] + first_x)
    earliest = len(firsts) + shape[0] * shape[1]  # of the windows that come after
    for pixel in range(len(firsts) - 1, -1, -1):
        if earliest <= pixel or firsts[pixel] < pixel:
            return False
        earliest = min(earliest, firsts[pixel])
    return True


def _first_inside(start: int, dilation: int) -> int:
    return start if start >= 0 else start % dilation

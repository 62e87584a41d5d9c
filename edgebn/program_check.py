"""Refuses a program whose parts do not fit each other: no engine runs past the end of a buffer, or gives numbers in another order.

Every program passes it before it leaves the passes, and after it is read from a file. Knows the contract of `edgebn.program` only.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from edgebn.errors import ModelError
from edgebn.program import CODE_RANGES, ELEMENT_BYTES, Buffer, Program, hwc
from edgebn.step_check import check_step

MAX_BUFFER_ELEMENTS = 1 << 26
MIN_SCALE, MAX_SCALE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def check_program(program: Program) -> None:
    """Check names, order, sizes, types and scales; not the adaptation records.

    Raises
    ------
    ModelError
        A buffer that nothing makes or two steps make, a shape that does not fit, a scale that is no positive number, codes that
        change their meaning in a step that does not change codes. The message names the step or buffer, not the file.
    """
    for name, buffer in program.buffers.items():
        _check_buffer(name, buffer)
    if not program.inputs or not program.outputs:
        raise ModelError("the program has no input, or no output")
    if len(set(program.inputs)) < len(program.inputs):
        raise ModelError("two inputs of the program are one buffer")
    _check_states(program)
    made = set(program.entering) | set(program.constants)
    for name in [*made, *program.leaving, *(name for step in program.steps for name in (*step.inputs, step.output))]:
        if name not in program.buffers:
            raise ModelError(f"there is no buffer '{name}'")
    for name, array in program.constants.items():
        if array.shape != program.buffers[name].shape or array.dtype != program.buffers[name].dtype:
            raise ModelError(f"the constant '{name}' does not fit its buffer")
        if not np.isfinite(array).all():
            raise ModelError(f"the constant '{name}' holds NaN or infinite numbers")
    twice = [name for name, count in Counter(step.name for step in program.steps).items() if count > 1]
    if twice:
        raise ModelError(f"two steps are called '{twice[0]}'")
    for step in program.steps:
        if not set(step.inputs) <= made or step.output in made:
            raise ModelError(f"step '{step.name}' reads a buffer before it is made, or makes one twice")
        made.add(step.output)
        check_step(step, program)
    for state in program.states:
        if state.writes not in made:
            raise ModelError(f"no step makes '{state.writes}', which a state takes over")
    for name in (*program.inputs, *program.outputs):
        shape = program.shapes.get(name)
        if name not in made or shape is None or hwc(shape) != program.buffers[name].shape:
            raise ModelError(f"the input or output '{name}' has no shape, or one that does not fit its buffer")
    for name in program.entering:
        if program.buffers[name].dtype == "int32":
            raise ModelError(f"the input or state '{name}' is int32; a network takes float32 or codes, which a step casts")
    for name, scaling in (program.input_scaling or {}).items():
        fits = MIN_SCALE <= abs(scaling.scale) <= MAX_SCALE and abs(scaling.offset) <= MAX_SCALE  # NaN does not
        if name not in program.inputs or not fits:
            raise ModelError(f"the scaling of '{name}' is that of no input, or its scale and offset are no usable numbers")
    for name, factor in program.channel_factors.items():
        fits = name in program.buffers and factor.dtype == np.float64 and factor.shape == program.buffers[name].shape[2:]
        if not fits or not (np.isfinite(factor) & (factor > 0)).all():
            raise ModelError(f"the channel factors of '{name}' do not fit a buffer, or are no positive numbers")


def _check_states(program: Program) -> None:
    reads = [state.reads for state in program.states]
    if len(set(reads)) < len(reads) or not set(reads).isdisjoint((*program.inputs, *program.constants)):
        raise ModelError("two states are one buffer, or a state is an input or a constant")
    for state in program.states:
        before, after = program.buffers.get(state.reads), program.buffers.get(state.writes)
        fits = before is not None and after is not None and (before.shape, before.dtype) == (after.shape, after.dtype)
        if not fits or before is None or state.initial.shape != before.shape or state.initial.dtype != before.dtype:
            raise ModelError(f"the state '{state.reads}' does not fit its buffers")
        if state.writes in reads:
            raise ModelError(f"the state '{state.reads}' takes over another state as it was; a Reshape copies it")
        if not np.isfinite(state.initial).all():
            raise ModelError(f"the state '{state.reads}' begins with NaN or infinite numbers")


def _check_buffer(name: str, buffer: Buffer) -> None:
    if buffer.name != name or buffer.dtype not in ELEMENT_BYTES:
        raise ModelError(f"buffer '{name}' has another name or type inside")
    if min(buffer.shape) < 1 or math.prod(buffer.shape) > MAX_BUFFER_ELEMENTS:
        raise ModelError(f"buffer '{name}' has the shape {buffer.shape}")
    low, high = (0, 0) if buffer.dtype == "int16" else CODE_RANGES["int8"]
    if not (0 < buffer.scale < math.inf) or not low <= buffer.zero_point <= high:
        raise ModelError(f"buffer '{name}' has scale {buffer.scale} and zero point {buffer.zero_point}")

"""Do inputs look as the network expects? Pixels of 0..255 where 0..1 was trained on give plausible wrong answers, and no error.

An int8 network expects its input's range of codes; a float32 one says through the first batch norm behind a convolution how far
sums spread in training. Only a wrong scale is looked for: what weather, light or a dirty lens do to pictures stays far below the
limits here. It is handed the function that runs a program and imports no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgebn import program as p

RunProgram = Callable[[p.Program, np.ndarray], Any]

SAMPLES = 16  # looked at
MAX_WORK = 50_000_000  # multiply-accumulates that looking may take
OUTSIDE = 0.25  # of the values, beyond the range of codes: more is a wrong scale or offset
FAR_OUTSIDE = 4.0  # times as far from the middle as the range's ends
NARROW = 1 / 16  # of the range of codes: less is a wrong scale
SPREAD = 16.0  # times as wide or as narrow as the batch norm's deviation
FITTING_SPREAD = 3.0  # as SPREAD, where a scaling is to be recommended
FITTING_FILL = 0.8  # of the range, likewise
# What files are scaled by, most common first: scale, offset, and the options that say so.
COMMON = (
    (1 / 255, 0.0, "--scale 1/255"),
    (1 / 127.5, -1.0, "--scale 1/127.5 --offset -1"),
    (1 / 128, 0.0, "--scale 1/128"),
    (255.0, 0.0, "--scale 255"),
)


@dataclass(frozen=True)
class _Doubt:
    """What is odd: what was seen, and what is expected."""

    seen: str
    expected: str


def doubt(program: p.Program, name: str, values: np.ndarray, run: RunProgram) -> str | None:
    """Return what is odd about inputs and what to do, in one line; None where nothing is.

    Parameters
    ----------
    program : Program
    name : str
        Of the input.
    values : ndarray of float32, shape (N, ...)
        Real numbers, as a session takes them.
    run : callable (program, ndarray) -> ndarray
        Runs a program of one input and one output.
    """
    judge = _codes(program.buffers[name]) or _first_batch_norm(program, run)
    if judge is None or not len(values):
        return None
    some = np.asarray(values[:: max(1, len(values) // SAMPLES)][:SAMPLES], np.float32)
    if not np.isfinite(some).all() or some.min() == some.max():
        return None
    found = judge(some, strict=False)
    if found is None:
        return None
    fitting = [
        option for scale, offset, option in COMMON if judge(some * np.float32(scale) + np.float32(offset), strict=True) is None
    ]
    remedy = f"scale them ({fitting[0]} on the command line)" if fitting else "scale them as in training"
    return f"the inputs {found.seen}, {found.expected}: {remedy}"


Judge = Callable[..., _Doubt | None]


def _codes(buffer: p.Buffer) -> Judge | None:
    """Return what judges inputs that become codes."""
    if buffer.dtype != "int8":
        return None
    low, high = (buffer.scale * (code - buffer.zero_point) for code in (-128, 127))

    def judge(values: np.ndarray, *, strict: bool) -> _Doubt | None:
        expected = f"the network was quantised for {low:.4g} to {high:.4g}"
        step = buffer.scale
        outside = float(np.mean((values < low - step) | (values > high + step)))
        reach = float(np.percentile(np.abs(values - (low + high) / 2), 99)) / ((high - low) / 2)
        if outside > OUTSIDE or reach > FAR_OUTSIDE or (strict and outside > 0.01):
            return _Doubt(f"go from {values.min():.4g} to {values.max():.4g}", expected)
        fill = float(np.ptp(values)) / (high - low)
        if fill < (FITTING_FILL if strict else NARROW):
            return _Doubt(f"go from {values.min():.4g} to {values.max():.4g} only", expected)
        return None

    return judge


def _first_batch_norm(program: p.Program, run: RunProgram) -> Judge | None:
    """Return what judges inputs by the spread of sums before the first batch norm, where only one path leads to it."""
    found = _up_to_batch_norm(program)
    if found is None:
        return None
    part, norm = found
    deviation = np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    usual = deviation > 1e-3 * deviation.max()  # a channel that hardly moved in training says nothing
    work = sum(
        step.weight.size * part.buffers[step.output].shape[0] * part.buffers[step.output].shape[1] for step in _weighted(part)
    )
    count = max(1, MAX_WORK // max(work, 1))

    def judge(values: np.ndarray, *, strict: bool) -> _Doubt | None:
        sums = np.asarray(run(part, values[:count]), np.float64)
        spread = sums.reshape(-1, sums.shape[-1]).std(axis=0)
        ratio = float(np.median((spread / deviation)[usual]))
        limit = FITTING_SPREAD if strict else SPREAD
        if 1 / limit <= ratio <= limit:
            return None
        times = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / max(ratio, 1e-9):.3g} of"
        seen = f"go from {values.min():.4g} to {values.max():.4g}"
        return _Doubt(seen, f"and spread {times} what batch norm '{norm.layer}' saw in training")

    return judge


def _weighted(program: p.Program) -> list[p.Convolution]:
    return [step for step in program.steps if isinstance(step, p.Convolution)]


def _up_to_batch_norm(program: p.Program) -> tuple[p.Program, p.Norm] | None:
    """Return the program whose output is what the first batch norm receives, and that norm."""
    if len(program.inputs) > 1:
        return None
    value = program.inputs[0]
    steps: list[p.Step] = []
    while True:
        readers = [step for step in program.steps if value in step.inputs]
        if len(readers) != 1 or readers[0].inputs != (value,):
            return None
        step = readers[0]
        if isinstance(step, p.Convolution) and isinstance(step.epilogue, p.FloatEpilogue):
            norm = next((norm for norm in step.epilogue.norms if norm.is_batch_norm), None)
            first = step.epilogue.norms[0] if step.epilogue.norms else None
            if norm is not None:
                return None if norm is not first else (_ending_in_sums(program, steps, step), norm)
        steps.append(step)
        value = step.output
        if value in program.outputs:
            return None


def _ending_in_sums(program: p.Program, before: list[p.Step], step: p.Convolution) -> p.Program:
    """Return the steps `before` and a convolution that gives its sums, clipped where that is done before its batch norm."""
    assert isinstance(step.epilogue, p.FloatEpilogue)
    channels = step.weight.shape[0]
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    epilogue = p.FloatEpilogue(step.epilogue.bias, ones, zeros, pre=step.epilogue.pre)
    sums = replace(step, epilogue=epilogue, pool=None)
    shape = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
    buffers = {**program.buffers, step.output: replace(program.buffers[step.output], shape=shape)}
    shapes = {program.inputs[0]: program.shapes[program.inputs[0]], step.output: shape}
    return replace(
        program, steps=(*before, sums), outputs=(step.output,), buffers=buffers, shapes=shapes, adaptation=None, records=()
    )

"""By which method ranges are taken where the user names none: least squared error, unless the widest ranges are clearly nearer.

Clipping the rarest values wins almost everywhere; it loses where they carry what a network computes, as in deep networks with gates
and many branches. Both ways are tried on the first samples, with weights rounded plainly. There the ends are then put where other
samples may be expected to reach, which those that were seen cannot judge. Is handed what runs programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgebn.passes.quantization.calibrated import COMPARED, Calibrated, Ranges
from edgebn.passes.quantization.calibration import Batch, RunBuffers
from edgebn.passes.quantization.function_ranges import function_ranges
from edgebn.passes.quantization.keep_auto import decibels
from edgebn.passes.quantization.quantize import integer_form
from edgebn.program import Program

CLEARLY = 0.3  # dB
GOOD = (
    20.0  # dB, from which on the ranges of least squares are kept for scores of classes: theirs are chosen by margins between them
)


def chosen_ranges(
    found: Calibrated, kept: Callable[[Ranges], Mapping[str, str]], open_engine: Callable[[Program], RunBuffers]
) -> Ranges:
    """Return the ranges that leave the outputs nearest to float32; the first ones unless others are clearly nearer.

    Parameters
    ----------
    found : Calibrated
    kept : callable
        Returns the type of the steps that are not int8 with some ranges, by name.
    open_engine : callable
        Takes a program and returns what runs batches of it.
    """
    first, *others = found.ways
    if not others:
        return first
    samples, wanted = _few(found.samples), found.outputs

    def nearness(ranges: Ranges) -> tuple[float, float]:
        """Return the signal to noise of the worst output, and the mean of that of all."""
        types = kept(ranges)
        cut = {**ranges.ranges, **function_ranges(found.program, ranges.ranges, types)}
        known = {"int8": cut, "int16": found.extremes}
        program = integer_form(found.program, known, found.means, scales=found.scales).joined(types)
        got = _outputs(program, samples, open_engine)
        ratios = [decibels(wanted[name], got[name]) for name in wanted]
        return min(ratios), float(np.mean(ratios))

    most, all_of_first = nearness(first)
    if most >= GOOD and all(_is_vector(found.program, name) for name in found.program.outputs):
        return first
    best, most = first, most + CLEARLY
    for ranges in others:
        near, all_near = nearness(ranges)
        if near > most and all_near > all_of_first:  # one output's gain must not be the others' greater loss
            best, most = ranges, near
    return best if best is first else replace(best, ranges=dict(found.expected))


def _is_vector(program: Program, name: str) -> bool:
    """Whether an output is one number a class, as scores are."""
    return len(program.shapes[name]) == 1


def _few(batches: Sequence[Batch]) -> list[Batch]:
    """Return the first samples."""
    few: list[Batch] = []
    left = COMPARED
    for batch in batches:
        if left > 0:
            few.append({name: array[:left] for name, array in batch.items()})
            left -= len(next(iter(batch.values())))
    return few


def _outputs(program: Program, samples: Sequence[Batch], open_engine: Callable[[Program], RunBuffers]) -> dict[str, np.ndarray]:
    """Return the outputs as real numbers."""
    run_buffers = open_engine(program)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in program.outputs}
    for batch in samples:
        values: Mapping[str, np.ndarray] = run_buffers(batch)
        for name, listed in parts.items():
            buffer = program.buffers[name]
            real = values[name].astype(np.float64)
            listed.append(real if buffer.dtype == "float32" else buffer.scale * (real - buffer.zero_point))
    return {name: np.concatenate(listed) for name, listed in parts.items()}

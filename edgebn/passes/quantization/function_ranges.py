"""The part of a value's range on which the functions that read it still change: codes beyond it would all mean the same.

Swishes, GELUs and gates are flat on one side or on both; convolutions before them reach far into that. Knows steps and ranges.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np

from edgebn import program as p
from edgebn.functions import FUNCTIONS
from edgebn.passes.quantization.calibration import LEVELS, Range

POINTS = 4096  # of a function, between the ends of its input


def function_ranges(program: p.Program, ranges: Mapping[str, Range], kept: Container[str] = ()) -> dict[str, Range]:
    """Return the ranges of the values that only functions of one number read, without their flat ends.

    An end is flat where all of it has one int8 code of the function's output: nothing is lost there. Zero is kept.

    Parameters
    ----------
    program : Program
    ranges : mapping of str to (low, high)
    kept : container of str
        Names of the steps that are not int8: to these no end is flat.
    """
    readers: dict[str, list[p.Step]] = {}
    for step in program.steps:
        for name in step.inputs:
            readers.setdefault(name, []).append(step)
    held = {*program.entering, *program.leaving, *program.constants}
    found = {}
    for name, steps in readers.items():
        if name in held or name not in ranges or not all(_is_function(step) and step.name not in kept for step in steps):
            continue
        parts = [_changing(step, ranges) for step in steps]
        found[name] = (min(low for low, _ in parts), max(high for _, high in parts))
    return found


def _is_function(step: p.Step) -> bool:
    return isinstance(step, p.Elementwise) and step.slope is None


def _changing(step: p.Step, ranges: Mapping[str, Range]) -> Range:
    """Return the range of a function's input without the ends at which it is flat."""
    assert isinstance(step, p.Elementwise)
    low, high = ranges[step.inputs[0]]
    points = np.linspace(low, high, POINTS)
    with np.errstate(all="ignore"):
        values = FUNCTIONS[step.function](points, step).astype(np.float64)
    if not np.isfinite(values).all():
        return low, high
    scale = (ranges[step.output][1] - ranges[step.output][0]) / LEVELS
    if scale <= 0.0:
        return low, high
    changes = np.flatnonzero(np.diff(np.rint(values / scale)))
    if not changes.size:
        return low, high
    return min(float(points[changes[0]]), 0.0), max(float(points[changes[-1] + 1]), 0.0)

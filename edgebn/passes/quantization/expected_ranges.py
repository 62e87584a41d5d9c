"""How far values go on samples that calibration has not shown, from how far they went on each of those that it has.

Where a sample shows one number a channel (gates, dense layers) the extremes of few samples are soon passed, and what is cut off
there scales a whole branch. Of maps the outermost pixels alone are lost, for finer codes of all. Knows what was seen; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.functions import FUNCTIONS
from edgebn.passes.quantization.calibration import Observer, Range

POINTS = 1025  # of a function, between the ends of its input


def expected_ranges(program: p.Program, observers: Mapping[str, Observer]) -> dict[str, Range]:
    """Return (low, high) of every value: those of one position within what their step can make, all others as seen."""
    found = {name: seen.range("minmax") for name, seen in observers.items()}
    for step in program.steps:
        if program.buffers[step.output].shape[:2] != (1, 1):
            continue
        low, high = observers[step.output].expected()
        least, most = _bounds(step, found)
        found[step.output] = (min(max(low, least), 0.0), max(min(high, most), 0.0))
    return found


def _bounds(step: p.Step, ranges: Mapping[str, Range]) -> Range:
    """Return the least and the most that a step can make of inputs of these ranges, as far as that is plain."""
    if isinstance(step, p.Elementwise) and step.slope is None and step.inputs[0] in ranges:
        with np.errstate(all="ignore"):
            values = FUNCTIONS[step.function](np.linspace(*ranges[step.inputs[0]], POINTS), step)
        if np.isfinite(values).all():
            return float(values.min()), float(values.max())
    epilogue = getattr(step, "epilogue", None)
    post = epilogue.post if isinstance(epilogue, p.FloatEpilogue) else getattr(step, "post", (-np.inf, np.inf))
    return float(post[0]), float(post[1])

"""Where the rounding of what a function reads would drown what it makes: logarithms and their like near zero, as of a power.

int8 codes of a power leave all that is quiet in one code, of which a logarithm makes most of its range. What comes before the power
has better codes: the steps from there to the function stay float32. Knows steps and what was seen of values; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.functions import FUNCTIONS
from edgebn.passes.quantization.calibration import Observer, Range
from edgebn.passes.quantization.coarse_outputs import MIN_POWER_RATIO
from edgebn.passes.quantization.quantize_buffers import buffer_scales, keeps_codes

STEEP = ("log", "rsqrt", "reciprocal", "power")  # where their slope has no bound near zero, as that of some powers
CHEAP = (p.Affine, p.Add, p.Multiply, p.Binary, p.Elementwise, p.Pool)  # before them, a few operations a number


def steep_functions(program: p.Program, ranges: Mapping[str, Range], observers: Mapping[str, Observer]) -> frozenset[str]:
    """Return the names of the steps that should stay float32: such functions, and what is cheap before them.

    Where a convolution or the network's input makes what the function reads nothing is to be won.

    Parameters
    ----------
    program : Program
        float32.
    ranges : mapping of str to (low, high)
        Of every buffer.
    observers : mapping of str to Observer
        What every buffer held.
    """
    buffers = buffer_scales(program, ranges)
    makers = {step.output: step for step in program.steps}
    found: set[str] = set()
    for step in program.steps:
        if isinstance(step, p.Elementwise) and step.function in STEEP and step.inputs[0] in observers:
            before = _cheap_before(step, makers, program)
            if before and _drowned(step, observers, buffers[step.inputs[0]].scale):
                found |= {step.name, *before}
    return frozenset(found)


def _cheap_before(step: p.Step, makers: Mapping[str, p.Step], program: p.Program) -> set[str]:
    """Return the steps that lead to a step's input from what computes more, where some of them compute."""
    found: dict[str, p.Step] = {}
    left = list(step.inputs)
    while left:
        maker = makers.get(left.pop())
        if maker is None or maker.name in found:
            continue
        if isinstance(maker, CHEAP) or keeps_codes(maker, program):
            found[maker.name] = maker
            left += maker.inputs
    return set(found) if any(not keeps_codes(maker, program) for maker in found.values()) else set()


def _drowned(step: p.Elementwise, observers: Mapping[str, Observer], scale: float) -> bool:
    """Whether rounding to codes of `scale` leaves too little of what the function makes of the values seen."""
    seen, made = observers[step.inputs[0]], observers[step.output]
    used = seen.counts > 0
    values = ((np.arange(len(seen.counts)) - len(seen.counts) // 2 + 0.5) * seen.width)[used]
    counts = seen.counts[used]
    with np.errstate(all="ignore"):
        exact, rounded = (FUNCTIONS[step.function](x, step).astype(np.float64) for x in (values, np.rint(values / scale) * scale))
    exact, rounded = (np.clip(np.nan_to_num(x, nan=made.low), made.low, made.high) for x in (exact, rounded))
    power, noise = (float((counts * x**2).sum()) for x in (exact, rounded - exact))
    return power < MIN_POWER_RATIO * noise

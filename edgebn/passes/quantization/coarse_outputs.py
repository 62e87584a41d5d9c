"""Where an output's int8 codes alone would drown what it holds: its last steps had better stay float32.

One scale has to hold unlike things where boxes (hundreds) and scores (below one) are joined; and the codes of a sigmoid or softmax
are fixed at steps of 1/256, below which all scores of a detector may lie. Knows what was seen of values; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn.passes.quantization.calibration import LEVELS, Observer, Range
from edgebn.passes.quantization.keep import outer_steps
from edgebn.passes.quantization.quantize_buffers import buffer_scales, fixed_codes, keeps_codes
from edgebn.program import Buffer, Concat, Program

MIN_POWER_RATIO = 100.0  # power of a part of an output over that of its rounding, below which it is kept in float32: 20 dB
GAIN = 10.0  # by which codes of the part's own have to be better, else nothing is won


def coarse_outputs(program: Program, ranges: Mapping[str, Range], observers: Mapping[str, Observer]) -> frozenset[str]:
    """Return the names of the steps, all of them last ones, that should stay float32.

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
    last = outer_steps(program)
    found: set[str] = set()
    for step in program.steps:
        if step.name not in last:
            continue
        if isinstance(step, Concat):
            parts = [name for name in step.inputs if name in observers]
            if any(_drowned(observers[name], buffers[step.output], buffers[name]) for name in parts):
                found.add(step.name)
        elif fixed_codes(step) is not None:
            seen = observers[step.output]
            own = Buffer("", (1, 1, 1), "int8", max((seen.high - seen.low) / LEVELS, 1e-30), 0)
            if _drowned(seen, buffers[step.output], own):
                found.add(step.name)
    return frozenset(_with_what_moves(program, found, last))


def _with_what_moves(program: Program, found: set[str], last: frozenset[str]) -> set[str]:
    """Return `found` with the joins and movements behind, which must not make codes of it again."""
    kept = set(found)
    real: set[str] = set()
    for step in program.steps:
        moves = isinstance(step, Concat) or keeps_codes(step, program)
        if step.name in last and moves and real.intersection(step.inputs):
            kept.add(step.name)
        if step.name in kept:
            real.add(step.output)
    return kept


def _drowned(seen: Observer, shared: Buffer, own: Buffer) -> bool:
    """Whether the codes of `shared` keep too little of a value, and those of its own would keep more."""
    used = seen.counts > 0
    values, counts = seen.centres()[used], seen.counts[used]
    power = float((counts * values**2).sum())
    noise, least = (float((counts * (_rounded(values, buffer.scale) - values) ** 2).sum()) for buffer in (shared, own))
    return power > 0 and power < MIN_POWER_RATIO * noise and noise > GAIN * least


def _rounded(values: np.ndarray, scale: float) -> np.ndarray:
    return np.asarray(np.rint(values / scale) * scale)

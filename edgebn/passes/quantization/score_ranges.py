"""Ranges of what a last sigmoid reads, chosen by the error they make in the scores.

Most of a detector's scores are near 0, and their logits spread far below: these may saturate, which leaves finer steps for the few
that count. Knows values; runs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgebn.passes.quantization.calibration import LEVELS, Range, thinned
from edgebn.passes.quantization.keep import outer_steps
from edgebn.program import Elementwise, Program

MAX_VALUES = 1 << 17  # kept of one value: all rows of the first samples, then of none
ENDS = np.linspace(0.1, 1.0, 31)  # fractions of the extremes tried as ends


@dataclass
class _Samples:
    parts: list[np.ndarray] = field(default_factory=list)
    count: int = 0
    low: float = 0.0
    high: float = 0.0


class ScoreObserver:
    """Keeps a sample of what every sigmoid reads that nothing but movement stands behind."""

    def __init__(self, program: Program) -> None:
        readers = Counter(name for step in program.steps for name in step.inputs)
        ends = {*program.inputs, *program.outputs, *program.constants}
        last = outer_steps(program)
        self._seen = {
            step.inputs[0]: _Samples()
            for step in program.steps
            if isinstance(step, Elementwise) and step.function == "sigmoid" and step.name in last
            if readers[step.inputs[0]] == 1 and step.inputs[0] not in ends
        }
        self._samples = 0

    def see(self, values: Mapping[str, np.ndarray]) -> None:
        """Take in the buffers of a batch, (N, H, W, C) each."""
        for name, seen in self._seen.items():
            seen.low, seen.high = min(seen.low, float(values[name].min())), max(seen.high, float(values[name].max()))
            if seen.count < MAX_VALUES:
                part = thinned(values[name], self._samples).ravel()[: MAX_VALUES - seen.count].astype(np.float64)
                seen.parts.append(part)
                seen.count += len(part)
        self._samples += len(next(iter(values.values())))

    def ranges(self) -> dict[str, Range]:
        """Return the range of every such value, by buffer."""
        return {name: score_range(np.concatenate(seen.parts), (seen.low, seen.high)) for name, seen in self._seen.items()}


def score_range(logits: np.ndarray, extremes: Range) -> Range:
    """Return the range within `extremes` that disturbs sigmoid(logits) least, in the sum of squares."""
    exact = _sigmoid(logits)

    def disturbance(low: float, high: float) -> float:
        step = (high - low) / LEVELS
        if step == 0.0:
            return np.inf
        start = np.rint(low / step)
        return float(((_sigmoid(np.clip(np.rint(logits / step), start, start + LEVELS) * step) - exact) ** 2).sum())

    low, high = extremes
    for _ in range(2):
        if extremes[0] < 0.0:
            low = min((extremes[0] * fraction for fraction in ENDS[::-1]), key=lambda end: disturbance(end, high))
        if extremes[1] > 0.0:
            high = min((extremes[1] * fraction for fraction in ENDS[::-1]), key=lambda end: disturbance(low, end))
    return low, high


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))

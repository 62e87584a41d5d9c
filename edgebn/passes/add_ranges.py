"""Ranges of values that only an addition reads, chosen by the error they make in the sum behind its activation.

What a ReLU behind the sum cuts off may saturate at no cost, which leaves finer steps for the rest. Knows values; runs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from edgebn.passes.calibration import LEVELS, Range
from edgebn.program import Add, Convolution, Program

VALUES = 1 << 13  # kept from one batch, of each input
FRACTIONS = np.linspace(0.2, 1.0, 33)[::-1]  # of the extremes, tried as ends


class AddObserver:
    """Keeps a sample of both inputs of every addition, at the same places, batch by batch."""

    def __init__(self, program: Program) -> None:
        readers = Counter(name for step in program.steps for name in step.inputs)
        ends = {*program.inputs, *program.outputs, *program.constants}
        makers = {step.output for step in program.steps if isinstance(step, Convolution)}
        self._adds = [step for step in program.steps if isinstance(step, Add)]
        self._free = {name for name in makers if readers[name] == 1 and name not in ends}
        self._kept: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {step.name: [] for step in self._adds}

    def see(self, values: Mapping[str, np.ndarray]) -> None:
        """Take in the buffers of a batch, (N, H, W, C) each."""
        for step in self._adds:
            first, second = (value.ravel() for value in np.broadcast_arrays(*(values[name] for name in step.inputs)))
            count = len(first)
            chosen = slice(None) if count <= VALUES else np.random.default_rng(0).choice(count, VALUES, replace=False)
            self._kept[step.name].append((first[chosen].astype(np.float64), second[chosen].astype(np.float64)))

    def ranges(self) -> dict[str, Range]:
        """Return the range of every value that a convolution makes and one addition alone reads."""
        found = {}
        for step in self._adds:
            both = [np.concatenate(column) for column in zip(*self._kept[step.name], strict=True)]
            for name, own, other in zip(step.inputs, both, both[::-1], strict=True):
                if name in self._free:
                    found[name] = sum_range(own, other, step.post)
        return found


def sum_range(own: np.ndarray, other: np.ndarray, post: Range) -> Range:
    """Return the range of `own` that disturbs clip(own + other, post) least, in the sum of squares, by two passes over a grid."""
    exact = np.clip(own + other, *post)

    def disturbance(low: float, high: float) -> float:
        step = (high - low) / LEVELS
        if step == 0.0:
            return float(((np.clip(other, *post) - exact) ** 2).sum())
        start = np.rint(low / step)
        codes = np.clip(np.rint(own / step), start, start + LEVELS)
        return float(((np.clip(codes * step + other, *post) - exact) ** 2).sum())

    lowest, highest = min(float(own.min()), 0.0), max(float(own.max()), 0.0)
    low, high = lowest, highest
    for _ in range(2):
        if highest > 0.0:
            high = min((highest * fraction for fraction in FRACTIONS), key=lambda end: disturbance(low, end))
        if lowest < 0.0:
            low = min((lowest * fraction for fraction in FRACTIONS), key=lambda end: disturbance(end, high))
    return low, high

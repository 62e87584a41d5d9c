"""Ranges of values that only an addition reads, chosen by the error they make in the sum behind its activation.

What a ReLU behind the sum cuts off may saturate at no cost, which leaves finer steps for the rest. Knows values; runs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from edgebn.passes.quantization.calibration import BATCH, LEVELS, Range, batch_size
from edgebn.program import Add, Convolution, Program

VALUES = 1 << 13  # kept from a full batch, of each input
MAX_VALUES = 1 << 17  # kept in all; beyond, every second one goes, and from then on half as many a batch are kept
FRACTIONS = np.linspace(0.2, 1.0, 33)[::-1]  # of the extremes, tried as ends


class AddObserver:
    """Keeps a sample of both inputs of every addition, at the same places, batch by batch."""

    def __init__(self, program: Program) -> None:
        readers = Counter(name for step in program.steps for name in step.inputs)
        ends = {*program.entering, *program.leaving, *program.constants}
        makers = {step.output for step in program.steps if isinstance(step, Convolution)}
        self._adds = [step for step in program.steps if isinstance(step, Add)]
        self._free = {name for name in makers if readers[name] == 1 and name not in ends}
        self._kept = {step.name: _Pairs(max(1, VALUES * batch_size(program) // BATCH)) for step in self._adds}

    def see(self, values: Mapping[str, np.ndarray]) -> None:
        """Take in the buffers of a batch, (N, H, W, C) each."""
        for step in self._adds:
            first, second = (value.ravel() for value in np.broadcast_arrays(*(values[name] for name in step.inputs)))
            self._kept[step.name].see(first, second, max(len(values[name]) for name in step.inputs))

    def ranges(self) -> dict[str, Range]:
        """Return the range of every value that a convolution makes and one addition alone reads."""
        found = {}
        for step in self._adds:
            both = self._kept[step.name].columns()
            for name, own, other in zip(step.inputs, both, both[::-1], strict=True):
                if name in self._free:
                    found[name] = sum_range(own, other, step.post)
        return found


class _Pairs:
    """A sample of two values at the same places, of bounded size however much was seen."""

    def __init__(self, each: int) -> None:
        self._parts: list[np.ndarray] = []  # (2, n) each
        self._count = 0
        self._each = each  # kept from one batch
        self._seen = 0  # samples

    def see(self, first: np.ndarray, second: np.ndarray, samples: int) -> None:
        """Take in the flat values of some samples."""
        count = len(first)
        chosen = (
            slice(None)
            if count <= self._each
            else np.random.default_rng(self._seen % BATCH).choice(count, self._each, replace=False)
        )
        self._parts.append(np.stack([first[chosen], second[chosen]]).astype(np.float64))
        self._seen += samples
        self._count += self._parts[-1].shape[1]
        if self._count > MAX_VALUES:
            self._parts = [np.concatenate(self._parts, axis=1)[:, ::2].copy()]
            self._count = self._parts[0].shape[1]
            self._each = max(1, self._each // 2)

    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both values, (n,) each."""
        first, second = np.concatenate(self._parts, axis=1)
        return first, second


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

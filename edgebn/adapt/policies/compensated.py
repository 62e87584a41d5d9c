"""The class-compensated rules: what the predicted class does to the statistics is taken off, and the rest is trusted.

`Compensated` averages the residuals. `CompensatedTracking` also tracks when the world changes and starts its average anew.
docs/adaptation.md explains every number here; `edgebn/adapt/source_tables.py` measures the tables.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from edgebn.adapt.policy import Estimate, Policy, SampleStatistics, State
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.reference.float32 import ln

TABLE = "compensated"  # both policies read the same tables
ONE = np.float32(1)
MIN_VARIANCE = np.float32(0.01)  # of the source's, wherever a variance is divided by or taken the logarithm of
MAX_SCALE = np.float32(2)  # how much larger than on source samples a class's effect is taken to be
MIN_DIVISOR = np.float32(0.2)
PRIOR_COUNT = np.float32(16)  # the source statistics weigh as much as this many samples
MAX_COUNT = np.float32(4096)  # where counting stops: a float32 would not get there otherwise

FAST_RATE = np.float32(0.1)
MAX_CHANGE = np.float32(0.4)  # of the layers' mean, in units of the noise of one sample
SETTLING = np.float32(5)  # samples before a change can be noticed again


def certainty(margin: np.float32, typical: np.float32) -> np.float32:
    """Return u = min(margin / typical margin, 1): how much a prediction counts."""
    return np.minimum(margin / typical, ONE)


def residuals(
    first: np.ndarray, second: np.ndarray, shift: np.ndarray, widening: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a sample says beyond the source and its class: r1, and r2 (0 for the source).

    Parameters
    ----------
    first, second : ndarray of float32, shape (channels,)
        d1 and d2.
    shift, widening : ndarray of float32, shape (channels,)
        What the source and the class do to the mean (in sigmas) and to the variance about it (relative).
    scale : ndarray of float32, shape (channels,)
        The standard deviation now, relative to the source's: the class's effect grows and shrinks with it.
    """
    expected = scale * shift
    about = ((ONE + second) - (expected + expected) * first) + expected * expected
    return first - expected, about / np.maximum(ONE + widening, MIN_DIVISOR) - ONE


def variance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the variance ratio of averaged residuals, bounded below."""
    return np.maximum((ONE + second) - first * first, MIN_VARIANCE)


class Compensated(Policy):
    """Averages of the residuals, over the last 100 samples or so. 2 floats a channel."""

    name = "compensated"
    code = 1
    planes = 2  # averages of r1 and r2
    scalars = 1  # samples averaged
    needs_classes = True
    least_rate: ClassVar[np.float32] = np.float32(0.01)

    def __init__(self, source: SourceStatistics) -> None:
        super().__init__(source)
        self.tables = source.tables(TABLE)
        self._first, self._second = self.tables
        self.strength = source.strength

    def rate(self, state: State) -> np.float32:
        """Return the weight of a new sample: 1 / (16 + n), and no less than the least."""
        return np.maximum(ONE / (PRIOR_COUNT + state.scalars[0]), self.least_rate)

    def update(self, state: State, sample: SampleStatistics) -> None:
        """Take the class's part off the sample, and average what remains."""
        u = certainty(sample.margin, self.source.margin)
        away = (ONE - self.strength) + self.strength * u
        shift = away * self._first[-1] + u * self._first[sample.label]
        widening = away * self._second[-1] + u * self._second[sample.label]
        before = variance(state.values[0], state.values[1])
        r1, r2 = residuals(sample.first, sample.second, shift, widening, np.minimum(np.sqrt(before), MAX_SCALE))
        self._track(state, r1, r2, before)
        state.scalars[0] = np.minimum(state.scalars[0] + ONE, MAX_COUNT)
        rate = self.rate(state)
        state.values[0] += rate * (r1 - state.values[0])
        state.values[1] += rate * (r2 - state.values[1])

    def _track(self, state: State, r1: np.ndarray, r2: np.ndarray, before: np.ndarray) -> None:
        """See whether the world has changed; this policy does not."""

    def estimate(self, state: State) -> Estimate:
        """The mean is s1, the variance 1 + s2 - s1**2."""
        s1, s2 = state.values[0], state.values[1]
        return Estimate(s1, (ONE + s2) - s1 * s1)


class CompensatedTracking(Compensated):
    """The same with a longer memory, and a fast average beside it: where the two part, counting starts anew. 4 floats a channel."""

    name = "compensated-tracking"
    code = 2
    planes = 4  # averages of r1 and r2, then the fast ones
    least_rate = np.float32(0.0035)

    def _track(self, state: State, r1: np.ndarray, r2: np.ndarray, before: np.ndarray) -> None:
        f1, f2 = state.values[2], state.values[3]
        f1 += FAST_RATE * (r1 - f1)
        f2 += FAST_RATE * (r2 - f2)
        gap = f1 - state.values[0]
        spread = ln(variance(f1, f2)) - ln(before)
        change = self.source.layer_means(gap * gap) + self.source.layer_means(spread * spread)
        if self.level(change) > MAX_CHANGE and state.scalars[0] > SETTLING:
            state.scalars[0] = np.float32(0)

"""The class-compensated rule of DESIGN section 10: what the predicted class does is taken off, the rest is trusted."""

from __future__ import annotations

import numpy as np

from edgebn.adapt.home import Home
from edgebn.adapt.policy import Estimate, HomeSamples, Policy, Seen, State, quantize_tables
from edgebn.adaptation import SourceTable

RATE = np.float32(0.01)


class Compensated(Policy):
    """Exponential averages of p-weighted residuals; row k of the tables is E[d1 | class k] and E[d2 | class k]."""

    name = "compensated"
    code = 1
    planes = 2  # averages of the residuals of d1 and d2
    needs_classes = True

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._first, self._second = home.tables(self.name)

    @staticmethod
    def measure(samples: HomeSamples) -> SourceTable:
        """Return class means relative to the factory statistics; a class without samples gets zeros."""
        shape = (samples.classes, samples.first.shape[1])
        first, second = np.zeros(shape), np.zeros(shape)
        for k in range(samples.classes):
            mine = samples.labels == k
            if mine.any():
                first[k], second[k] = samples.first[mine].mean(axis=0), samples.second[mine].mean(axis=0)
        return quantize_tables(Compensated.name, first, second, samples.slices)

    def update(self, state: State, seen: Seen) -> None:
        """Move both averages: s += 0.01 (d - p T[k] - s)."""
        s1, s2 = state.values
        s1 += RATE * ((seen.first - seen.probability * self._first[seen.label]) - s1)
        s2 += RATE * ((seen.second - seen.probability * self._second[seen.label]) - s2)

    def estimate(self, state: State) -> Estimate:
        """The mean is s1, the variance 1 + s2 - s1**2."""
        s1, s2 = state.values
        return Estimate(s1, (np.float32(1) + s2) - s1 * s1)

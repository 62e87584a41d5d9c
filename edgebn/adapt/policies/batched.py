"""Rules of the literature that gather a batch, then take its statistics: AdaBN, and mixing with the source."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from edgebn.adapt.policy import Estimate, Policy, SampleStatistics, State

ONE = np.float32(1)


class AdaBn(Policy):
    """AdaBN (Li et al. 2016): the statistics of the last full batch replace the source's; the first batch runs unadapted."""

    name = "adabn"
    code = 4
    planes = 4  # moments in use, then the sums of the batch being gathered
    scalars = 1  # samples gathered
    batch: ClassVar[np.float32] = np.float32(100)
    source_samples: ClassVar[np.float32] = np.float32(0)  # samples' worth of source statistics mixed in

    def rate(self, state: State) -> np.float32:  # noqa: ARG002  # the same for every state
        """Return the weight of one sample in a batch."""
        return ONE / (self.batch + self.source_samples)

    def update(self, state: State, sample: SampleStatistics) -> None:
        """Gather; with the last sample of a batch, take over its moments."""
        state.values[2] += sample.first
        state.values[3] += sample.second
        state.scalars[0] += ONE
        if state.scalars[0] >= self.batch:
            state.values[:2] = state.values[2:] / (self.batch + self.source_samples)
            state.values[2:] = 0
            state.scalars[0] = np.float32(0)

    def estimate(self, state: State) -> Estimate:
        """The mean is s1, the variance 1 + s2 - s1**2."""
        s1, s2 = state.values[0], state.values[1]
        return Estimate(s1, (ONE + s2) - s1 * s1)


class Prior(AdaBn):
    """Schneider et al. (NeurIPS 2020, equation 3): a small batch mixed with N = 16 samples' worth of source statistics.

    Raw moments are mixed, so the difference of the two means counts in the variance.
    """

    name = "prior"
    code = 5
    batch = np.float32(32)
    source_samples = np.float32(16)

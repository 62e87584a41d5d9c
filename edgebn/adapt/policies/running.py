"""Rules of the literature that update with every sample: running moments, and DUA. They know no classes.

Sorted or bursty streams mislead them: docs/adaptation.md has the figures. They are here to compare with, and for networks that
do not classify.
"""

from __future__ import annotations

import numpy as np

from edgebn.adapt.policy import Estimate, Policy, SampleStatistics, State

ONE = np.float32(1)


class Moments(Policy):
    """Running raw moments with momentum 0.01: what a batch norm left in training mode would learn, one sample at a time."""

    name = "moments"
    code = 3
    planes = 2  # averages of d1 and d2
    momentum = np.float32(0.01)

    def rate(self, state: State) -> np.float32:  # noqa: ARG002  # the same for every state
        """Return the momentum."""
        return self.momentum

    def update(self, state: State, sample: SampleStatistics) -> None:
        """Move both averages."""
        state.values[0] += self.momentum * (sample.first - state.values[0])
        state.values[1] += self.momentum * (sample.second - state.values[1])

    def estimate(self, state: State) -> Estimate:
        """The mean is s1, the variance 1 + s2 - s1**2: between samples as well as within."""
        s1, s2 = state.values
        return Estimate(s1, (ONE + s2) - s1 * s1)


class Dua(Policy):
    """Dynamic unsupervised adaptation (Mirza et al., CVPR 2022, equations 2 to 4): a momentum that decays to a floor.

    rho = 0.94 rho, momentum = rho + 0.005, rho 0.1 at first. The variance is the one within each sample.
    """

    name = "dua"
    code = 6
    planes = 2  # running mean, and running variance less 1
    scalars = 1  # rho
    first_rho, decay, floor = np.float32(0.1), np.float32(0.94), np.float32(0.005)

    def start(self) -> State:
        """Return the factory state, with rho at its beginning."""
        state = super().start()
        state.scalars[0] = self.first_rho
        return state

    def rate(self, state: State) -> np.float32:
        """Return the momentum of the last update."""
        return state.scalars[0] + self.floor

    def update(self, state: State, sample: SampleStatistics) -> None:
        """Decay the momentum, then move both averages."""
        state.scalars[0] *= self.decay
        momentum = self.rate(state)
        within = sample.second - sample.first * sample.first
        state.values[0] += momentum * (sample.first - state.values[0])
        state.values[1] += momentum * (within - state.values[1])

    def estimate(self, state: State) -> Estimate:
        """The running mean and variance."""
        return Estimate(state.values[0], ONE + state.values[1])

"""Rules that move gamma and beta down a loss: TENT without labels, and a few labelled samples. float32 only, not for firmware.

Both are written as a drift and a ratio, so that every guard holds for them and epilogues are refolded as for all others: with n
what the batch norm gives at gamma 1 and beta 0 under the statistics (s1, v), (gamma + dg) n + beta + db is the source's gamma and
beta under drift = s1 - db sqrt(v) / (gamma + dg) and ratio = v (gamma / (gamma + dg))**2.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from edgebn.adapt.policies.compensated import MIN_VARIANCE
from edgebn.adapt.policies.running import Moments
from edgebn.adapt.policy import Estimate, Policy, SampleStatistics, State
from edgebn.adapt.source_statistics import SourceStatistics

ZERO, ONE = np.float32(0), np.float32(1)
MIN_GAIN, MAX_GAIN = np.float32(0.1), np.float32(10)  # of gamma, which never changes its sign: the frame's bounds of a ratio
FIRST_DECAY, SECOND_DECAY, TINY = np.float32(0.9), np.float32(0.999), np.float32(1e-8)  # Adam's own (Kingma and Ba 2015)


class GradientPolicy(Policy):
    """Adam on gamma and beta, a step a sample; source statistics.

    Planes of the state: changes of gamma and beta, then Adam's first moments of both, then its second ones. Scalar: steps taken.
    """

    planes = 6
    scalars = 1
    needs_classes = True
    needs_gradients = True
    step_size: ClassVar[np.float32] = np.float32(1e-3)

    def __init__(self, source: SourceStatistics) -> None:
        super().__init__(source)
        self._inverse = np.divide(ONE, source.gamma, out=np.zeros_like(source.gamma), where=source.gamma != 0)

    @abstractmethod
    def loss_slope(self, logits: np.ndarray, label: int) -> np.ndarray:
        """Return the loss's derivative with respect to the logits, float64 (classes,)."""

    def statistics(self, state: State) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002  # others' statistics depend on their state
        """Return where mean and variance are estimated to be, as drift and ratio."""
        return np.zeros(self.source.channels, np.float32), np.ones(self.source.channels, np.float32)

    def update(self, state: State, sample: SampleStatistics) -> None:
        """Take one step, where there are slopes."""
        if sample.slopes is None:
            return
        s1, v = self.statistics(state)
        slopes = (sample.slopes.scale - s1 * sample.slopes.offset) / np.sqrt(v), sample.slopes.offset
        state.scalars[0] += ONE
        first, second = (ONE - decay ** state.scalars[0] for decay in (FIRST_DECAY, SECOND_DECAY))
        for change, mean, square, slope in zip(state.values[:2], state.values[2:4], state.values[4:6], slopes, strict=True):
            mean += (ONE - FIRST_DECAY) * (slope - mean)
            square += (ONE - SECOND_DECAY) * (slope * slope - square)
            change -= self.step_size * (mean / first) / (np.sqrt(square / second) + TINY)

    def estimate(self, state: State) -> Estimate:
        """Write gamma and beta as drift and ratio (above)."""
        s1, v = self.statistics(state)
        gain = np.minimum(np.maximum(ONE + state.values[0] * self._inverse, MIN_GAIN), MAX_GAIN)
        return Estimate(s1 - state.values[1] * np.sqrt(v) * self._inverse / gain, v / (gain * gain))


class Supervised(GradientPolicy):
    """Cross-entropy on labelled samples (`Adapter.teach`). The gate is open: a label is evidence."""

    name = "supervised"
    code = 8
    needs_labels = True

    def loss_slope(self, logits: np.ndarray, label: int) -> np.ndarray:
        """The softmax, less 1 at the label."""
        slope = _softmax(logits)
        slope[label] -= 1
        return slope

    def gate(self, energy: np.ndarray, state: State) -> np.ndarray:  # noqa: ARG002  # open in every state
        """Open."""
        return np.ones(len(energy), np.float32)


class Tent(GradientPolicy):
    """TENT (Wang et al., ICLR 2021): entropy of the prediction, under re-estimated statistics, one sample at a time.

    Where TENT has the statistics of its batch, these are running moments (`moments`), in two more planes of the state; no
    gradient flows through them. Steps are taken while the gate is open.
    """

    name = "tent"
    code = 7
    planes = 8
    step_size = np.float32(5e-5)  # a twentieth of TENT's, whose steps are those of batches of 200

    def __init__(self, source: SourceStatistics) -> None:
        super().__init__(source)
        self._moments = Moments(source)

    def loss_slope(self, logits: np.ndarray, label: int) -> np.ndarray:  # noqa: ARG002  # no label is looked at
        """Of H = -sum(q ln q), q the softmax: -q (ln q + H)."""
        q = _softmax(logits)
        information = np.log(np.maximum(q, np.finfo(np.float64).tiny))
        return -q * (information - (q * information).sum())

    def statistics(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Return the running moments."""
        running = self._moments.estimate(self._running(state))
        return running.drift, np.maximum(running.ratio, MIN_VARIANCE)

    def rate(self, state: State) -> np.float32:
        """Return the moments'."""
        return self._moments.rate(self._running(state))

    def update(self, state: State, sample: SampleStatistics) -> None:
        """Take a step under the statistics that the slopes were taken with, then move these."""
        super().update(state, sample)
        self._moments.update(self._running(state), sample)

    @staticmethod
    def _running(state: State) -> State:
        return State(state.values[6:8], state.scalars)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()

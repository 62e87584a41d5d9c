"""Whether a prior keeps the gate's promise: home, replayed from the model's tables, must shut the gate again and keep it shut.

The tables say what every class does to the statistics at home, and how much single samples scatter about that. A device that
starts from a prior and is at home after all must be back at the factory's bytes within `RETURN` samples. Where the prior's own gate
is shut it must not open at all.
"""

from __future__ import annotations

import numpy as np

from edgebn.adapt.policies.compensated import Compensated
from edgebn.adapt.policy import SampleStatistics, State
from edgebn.fleet.model import FleetModel

RETURN, AFTER = 768, 128  # samples until the gate must be shut, and for how many it must then stay so
SEED = 20
MAX_HELD = 1.0 / 16  # of all channels, by the adapter's bounds; the watchdog trips at four times as many
MAX_FIRST = 0.5  # of the noise, what the means have of it: a layer's noise is that of means and variances together
MIN_WIDENING = np.float32(-0.8)  # where the policy bounds it too
_WORDS = 2.0**64


class SourceReplay:
    """Source samples as the model's tables describe them, the same on every machine.

    Parameters
    ----------
    model : FleetModel
    """

    def __init__(self, model: FleetModel) -> None:
        self._model = model
        policy, source = model.policy, model.statistics
        if isinstance(policy, Compensated):
            first, second = policy.tables
        else:
            first = second = np.zeros((1, source.channels), np.float32)
        self._classes = max(len(first) - 1, 1)
        self._shift, self._widening = first + first[-1:], second + second[-1:]
        noise = source.per_channel(source.noise).astype(np.float64)
        first_part = np.minimum(noise / 2, MAX_FIRST)
        self._reach = np.sqrt(3 * first_part)
        self._variance = noise - first_part

    def sample(self, bits: np.random.PCG64, label: int) -> SampleStatistics:
        """Return one sample of a class, believed as the median is."""
        source = self._model.statistics
        draws = bits.random_raw(2 * source.channels).astype(np.float64).reshape(2, -1) / _WORDS
        shift, widening = self._shift[label], np.maximum(self._widening[label], MIN_WIDENING)
        r1 = ((2 * draws[0] - 1) * self._reach).astype(np.float32)
        r2 = _above_minus_one(draws[1], self._variance).astype(np.float32)
        first = shift + r1
        about = (np.float32(1) + r2) * (np.float32(1) + widening)
        second = about - np.float32(1) + np.float32(2) * shift * first - shift * shift
        return SampleStatistics(first, second, label, np.float32(1), source.margin)

    def refusal(self, prior: State) -> str:
        """Return why a prior may not be published, or ''."""
        model = self._model
        state, bits = prior.copy(), np.random.PCG64(SEED)
        found = model.targets(state)
        if np.count_nonzero(found.pinned) > MAX_HELD * len(found.pinned):
            return f"{np.count_nonzero(found.pinned)} channels are held back by the adapter's bounds"
        limit = RETURN if found.gate.any() else 0
        for turn in range(limit + AFTER):
            if turn >= limit and model.targets(state).gate.any():
                return f"at home the gate is still open after {turn} samples" if limit else "at home it would open the gate"
            with np.errstate(all="ignore"):
                model.policy.update(state, self.sample(bits, turn % self._classes))
            if not np.isfinite(state.values).all():
                return "at home it leads to numbers that are not finite"
        return ""


def _above_minus_one(uniform: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Turn draws from 0..1 into ones of mean 0 and a variance, none below -1: even, or, where that is too wide, rare large ones."""
    even = (2 * uniform - 1) * np.sqrt(3 * variance)
    share = 1 / (1 + variance)
    rare = np.where(uniform < share, variance, -1.0)  # 1 / share - 1 is the variance
    return np.where(3 * variance <= 1, even, rare)

"""From a policy's estimate to new statistics: bounds, energy and gate, the same under every policy (docs/adaptation.md).

Every line is one float32 operation over channels or layers, in order, so that all engines agree to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.adapt.policy import Estimate, Policy, State
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.reference.float32 import exp, ln

MIN_RATIO = np.float32(0.01)  # variance floor, of the source's
MAX_RATIO = np.float32(100.0)


@dataclass(frozen=True)
class Targets:
    """What the epilogues are to be folded from.

    Attributes
    ----------
    drift, ratio : ndarray of float32, shape (channels,)
        0 and 1 exactly where the gate is 0.
    gate, energy : ndarray of float32, shape (layers,)
    pinned : ndarray of bool, shape (channels,)
        Where a bound held the estimate back.
    """

    drift: np.ndarray
    ratio: np.ndarray
    gate: np.ndarray
    energy: np.ndarray
    pinned: np.ndarray


def bounded(estimate: Estimate, drift_bound: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Return drift and ratio within their bounds."""
    drift = np.minimum(np.maximum(estimate.drift, -drift_bound), drift_bound)
    return drift, np.minimum(np.maximum(estimate.ratio, MIN_RATIO), MAX_RATIO)


def energy_of(source: SourceStatistics, drift: np.ndarray, ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ln(ratio), and each layer's E = mean(drift**2) + mean(ln(ratio)**2), float32 (layers,)."""
    logarithm = ln(ratio)
    return logarithm, source.layer_means(drift * drift) + source.layer_means(logarithm * logarithm)


def targets(source: SourceStatistics, policy: Policy, state: State, drift_bound: np.float32) -> Targets:
    """Return the statistics to fold, from the policy's estimate of them.

    Parameters
    ----------
    drift_bound : float32
        How far a mean may move, in source sigmas.
    """
    estimate = policy.estimate(state)
    drift, ratio = bounded(estimate, drift_bound)
    logarithm, energy = energy_of(source, drift, ratio)
    gate = policy.gate(energy, state)
    share = source.per_channel(gate)
    share = policy.strength * share
    moved = share * drift
    spread = exp(share * logarithm)
    is_open = share > 0
    pinned = (drift != estimate.drift) | (ratio != estimate.ratio)
    return Targets(np.where(is_open, moved, np.float32(0)), np.where(is_open, spread, np.float32(1)), gate, energy, pinned)

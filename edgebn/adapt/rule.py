"""From a policy's estimate to new statistics: bounds, energy and gate, the same under every policy (DESIGN section 10).

Every line is one float32 operation over channels or layers, in order, so that all engines agree to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.adapt.home import Home
from edgebn.adapt.policy import Policy, State
from edgebn.reference.float32 import exp, ln

LEAST_RATIO = np.float32(0.01)  # variance floor, of the factory's
MOST_RATIO = np.float32(100.0)


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


def targets(home: Home, policy: Policy, state: State, drift_bound: np.float32) -> Targets:
    """Return the statistics to fold, from the policy's estimate of them.

    Parameters
    ----------
    drift_bound : float32
        How far a mean may move, in factory sigmas.
    """
    estimate = policy.estimate(state)
    drift = np.minimum(np.maximum(estimate.drift, -drift_bound), drift_bound)
    ratio = np.minimum(np.maximum(estimate.ratio, LEAST_RATIO), MOST_RATIO)
    logarithm = ln(ratio)
    energy = home.layer_means(drift * drift) + home.layer_means(logarithm * logarithm)
    gate = policy.gate(energy)
    share = home.per_channel(gate)
    strength = policy.strength
    moved = strength * (share * drift)
    spread = (np.float32(1) - strength) + strength * exp(share * logarithm)
    is_open = share > 0
    pinned = (drift != estimate.drift) | (ratio != estimate.ratio)
    return Targets(np.where(is_open, moved, np.float32(0)), np.where(is_open, spread, np.float32(1)), gate, energy, pinned)

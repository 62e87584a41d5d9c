"""Comparators for benchmarks/adapt/adaptation.py: common practice without a gate, and Balanced BN of TRIBE (Su et al., AAAI 2024).

Balanced BN keeps a mean and a variance for every class (2 x classes floats a channel: 19 kB for ResNet-8), updates those of the
predicted class with each sample, and normalises by their class-balanced mixture. Without TRIBE's teacher and gradients.
"""

from __future__ import annotations

import numpy as np

from edgebn.adapt.policies.running import Moments
from edgebn.adapt.policy import Estimate, Policy

RATE = np.float32(0.05)


class PlainMoments(Moments):
    """Running mean and variance with momentum 0.01, always followed."""

    name = "running moments, no gate"
    code = 1001

    def gate(self, energy, state):
        del state
        return np.ones_like(energy)


class BalancedBn(Policy):
    """Means and variances by predicted class."""

    name = "Balanced BN"
    code = 1002
    needs_classes = True

    def __init__(self, source):
        super().__init__(source)
        self.planes = 2 * source.classes  # class means, then class variances less 1

    def update(self, state, sample):
        mean, variance = state.values[sample.label], state.values[self.source.classes + sample.label]
        gap = sample.first - mean
        within = sample.second - sample.first * sample.first
        mean += RATE * gap
        variance += RATE * (within + (np.float32(1) - RATE) * gap * gap - variance)

    def estimate(self, state):
        means, variances = state.values[: self.source.classes], state.values[self.source.classes :]
        return Estimate(means.mean(axis=0), np.float32(1) + variances.mean(axis=0) + means.var(axis=0))

    def gate(self, energy, state):
        del state
        return np.ones_like(energy)

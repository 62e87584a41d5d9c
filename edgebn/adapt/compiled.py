"""Hands the class-compensated policies to the session's compiled kernels: tables and constants as plain arrays and numbers.

The policies themselves, in NumPy, remain the specification, and what other engines and policies use.
"""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.adapt import rule
from edgebn.adapt.policies import compensated
from edgebn.adapt.policies.compensated import Compensated, CompensatedTracking
from edgebn.adapt.policy import GATE_FLOOR, GATE_RATE, Policy
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.session.learning import Rule


def compiled_rule(program: p.Program, source: SourceStatistics, policy: Policy, drift_bound: np.float32) -> Rule | None:
    """Return a policy as the session's kernels take it, or None where it has none.

    Parameters
    ----------
    drift_bound : float32
        How far a mean may move, in source sigmas.
    """
    if type(policy) not in {Compensated, CompensatedTracking}:
        return None
    assert isinstance(policy, Compensated)
    logits = program.buffers[source.adaptation.logits]
    numbers: dict[str, float] = {
        "logit_zero": logits.zero_point,
        "logit_scale": logits.scale,
        "typical_margin": float(source.margin),
        "strength": float(policy.strength),
        "drift_bound": float(drift_bound),
        "min_rate": float(policy.least_rate),
        "prior_count": float(compensated.PRIOR_COUNT),
        "max_count": float(compensated.MAX_COUNT),
        "min_variance": float(compensated.MIN_VARIANCE),
        "max_scale": float(compensated.MAX_SCALE),
        "min_divisor": float(compensated.MIN_DIVISOR),
        "fast_rate": float(compensated.FAST_RATE),
        "max_change": float(compensated.MAX_CHANGE),
        "settling": float(compensated.SETTLING),
        "min_ratio": float(rule.MIN_RATIO),
        "max_ratio": float(rule.MAX_RATIO),
        "gate_floor": float(GATE_FLOOR),
        "gate_rate": float(GATE_RATE),
    }
    factors = np.stack([source.factors.first, source.factors.second, source.factors.source])
    return Rule(source.counts, source.noise, factors, *policy.tables, policy.planes, numbers)

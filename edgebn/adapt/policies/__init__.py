"""The policies by name, the default first. A new one is a file here and an entry in `POLICIES`."""

from __future__ import annotations

from edgebn.adapt.policies.batched import AdaBn, Prior
from edgebn.adapt.policies.compensated import Compensated, CompensatedTracking
from edgebn.adapt.policies.gradient import Supervised, Tent
from edgebn.adapt.policies.running import Dua, Moments
from edgebn.adapt.policy import Policy

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (CompensatedTracking, Compensated, Moments, AdaBn, Prior, Dua, Tent, Supervised)
}

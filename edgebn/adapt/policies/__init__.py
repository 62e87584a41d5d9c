"""The policies by name. A new one is a file here and a line in `POLICIES`."""

from __future__ import annotations

from edgebn.adapt.policies.compensated import Compensated, CompensatedTracking
from edgebn.adapt.policy import Policy

POLICIES: dict[str, type[Policy]] = {policy.name: policy for policy in (CompensatedTracking, Compensated)}

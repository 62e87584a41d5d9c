"""Test-time adaptation of batch norms: source tables, policies, guards and saved state (docs/adaptation.md).

Read it from here: `measure.adaptable` -> `Adaptation`; `adapter.Adapter` -> engine -> deviations -> policy -> rule -> refold.
"""

from __future__ import annotations

from edgebn.adapt.adapter import Adapter
from edgebn.adapt.measure import adaptable

__all__ = ["Adapter", "adaptable"]

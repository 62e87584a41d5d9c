"""States of many devices over MQTT: agent, gateway, merging, watching. docs/fleet.md says how they work together.

Knows adaptation and the serial link; no images and no sessions but through an adapter.
"""

from __future__ import annotations

from edgebn.fleet.agent import Agent

__all__ = ["Agent"]

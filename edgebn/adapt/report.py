"""What adaptation has done so far, for people and machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayerReport:
    """One adapted layer.

    Attributes
    ----------
    name : str
        Of its step.
    gate : float
        How much of the drift is followed, 0..1.
    energy : float
        E: mean squared drift in source sigmas plus mean squared logarithm of the variance ratio.
    drift, largest_drift : float
        Root mean square and largest magnitude over channels of what was folded, in source sigmas.
    spread : float
        Root mean square of the logarithm of the folded variance ratio.
    """

    name: str
    gate: float
    energy: float
    drift: float
    largest_drift: float
    spread: float


@dataclass(frozen=True)
class Report:
    """The adapter's account.

    Attributes
    ----------
    policy : str
    frozen : bool
    seen : int
        Inferences run.
    accepted : int
        Of those, learned from.
    refused : dict of str to int
        Why others, or single layers' refolds, were refused.
    trips : tuple of (int, str)
        When (`seen`) and why the watchdog returned to the factory state.
    layers : tuple of LayerReport
    """

    policy: str
    frozen: bool
    seen: int
    accepted: int
    refused: dict[str, int]
    trips: tuple[tuple[int, str], ...]
    layers: tuple[LayerReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        frozen = " (frozen)" if self.frozen else ""
        counts = f"{self.seen} seen, {self.accepted} accepted, {sum(self.refused.values())} refused, {len(self.trips)} trips"
        lines = [f"policy {self.policy}{frozen}: {counts}"]
        lines.append(f"{'layer':32} {'gate':>6} {'energy':>8} {'drift':>7} {'largest':>8} {'spread':>7}")
        lines += [
            f"{one.name[:32]:32} {one.gate:6.2f} {one.energy:8.3f} {one.drift:7.3f} {one.largest_drift:8.3f} {one.spread:7.3f}"
            for one in self.layers
        ]
        lines += [f"refused {count} times: {why}" for why, count in self.refused.items()]
        lines += [f"tripped after {when}: {why}" for when, why in self.trips]
        return "\n".join(lines)

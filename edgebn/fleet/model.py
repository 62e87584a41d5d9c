"""What a fleet must know of a model to judge its states: sizes, policy, the arithmetic of drift. It runs no inference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn import program as p
from edgebn.adapt import state_file
from edgebn.adapt.adapter import DEFAULT_POLICY, DEFAULT_WITHOUT_CLASSES
from edgebn.adapt.guards import MAX_ENERGY, MAX_PINNED
from edgebn.adapt.policies import POLICIES
from edgebn.adapt.policy import State
from edgebn.adapt.rule import Targets, bounded, energy_of, targets
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.errors import FleetError
from edgebn.fleet.envelope import NUMBERS, Envelope, EnvelopeError, from_bytes, size_of

MERGEABLE = ("compensated-tracking", "compensated", "moments")  # whose states are averages, and may be averaged again
DRIFT_BOUND = np.float32(6.0)  # the adapter's own default
LARGEST_MEAN, LARGEST_SQUARE = np.float32(64.0), np.float32(8192.0)  # of an average: beyond, no state that the guards left


@dataclass(frozen=True)
class Known:
    """A state that was checked.

    Attributes
    ----------
    envelope : Envelope
    state : State
    drift, ratio : ndarray of float32, shape (channels,)
        Where its policy believes the statistics to be, within the adapter's bounds.
    """

    envelope: Envelope
    state: State
    drift: np.ndarray
    ratio: np.ndarray


class FleetModel:
    """A model as a fleet knows it.

    Parameters
    ----------
    program : Program
        With source tables.
    policy : str, optional
        The devices' policy; the adapter's default.

    Raises
    ------
    ModelError
        The program has no source tables.
    FleetError
        The policy's states cannot be merged.
    """

    def __init__(self, program: p.Program, policy: str | None = None) -> None:
        self.statistics = SourceStatistics(program)
        policy = policy or (DEFAULT_POLICY if self.statistics.classes else DEFAULT_WITHOUT_CLASSES)
        if policy not in MERGEABLE:
            raise FleetError(f"states of the policy '{policy}' are no averages and cannot be merged; use {', '.join(MERGEABLE)}")
        if POLICIES[policy].needs_classes and not self.statistics.classes:
            raise FleetError(f"{program.source}: the policy '{policy}' needs a network that classifies; use 'moments'")
        self.policy = POLICIES[policy](self.statistics)
        self.source = program.source
        self.key = state_file.model_key(program)
        self.name = self.key.hex()
        self.initial_state = self.policy.start()
        numbers = self.initial_state.values.size + self.initial_state.scalars.size
        self.state_bytes = state_file.HEADER.size + 4 * numbers + state_file.CHECKSUM.size
        self.layers = len(self.statistics.counts)
        self.most = size_of(self.layers, self.state_bytes, signed=True)

    def read(self, data: bytes, topic: str, key: bytes | None = None) -> Known:
        """Return the state in a message, checked in everything that can be checked.

        Raises
        ------
        EnvelopeError
            It is refused; `why` says for what.
        """
        envelope = from_bytes(data, topic, key, most=self.most)
        if len(envelope.drift) != self.layers:
            raise EnvelopeError("foreign", f"{topic}: drift of {len(envelope.drift)} layers, and the model adapts {self.layers}")
        return self.known(envelope, topic)

    def known(self, envelope: Envelope, where: str) -> Known:
        """Check the state in an envelope.

        Raises
        ------
        EnvelopeError
            It is of another model or policy, damaged, or beyond the bounds that the adapter's guards keep.
        """
        state = self.state(envelope.state, where)
        planes, scalars = state.values, state.scalars
        if (np.abs(planes[0::2]) > LARGEST_MEAN).any() or (np.abs(planes[1::2]) > LARGEST_SQUARE).any() or (scalars < 0).any():
            raise EnvelopeError("bounds", f"{where}: averages that no adapter comes to")
        drift, ratio = self.estimate(state)
        found = self.targets(state)
        if np.count_nonzero(found.pinned) > MAX_PINNED * len(found.pinned) or (found.energy > MAX_ENERGY).any():
            raise EnvelopeError("bounds", f"{where}: a state that the watchdog would throw away")
        return Known(envelope, state, drift, ratio)

    def state(self, data: bytes, where: str) -> State:
        """Return the state in `.bnstate` bytes.

        Raises
        ------
        EnvelopeError
            As `Adapter.load` would refuse it.
        """
        try:
            record = state_file.from_bytes(data, where)
            if len(data) != self.state_bytes:
                raise EnvelopeError("foreign", f"{where}: the state has {len(data)} bytes, and this model's {self.state_bytes}")
            return state_file.state_of(record, self.policy.code, self.key, self.initial_state, where)
        except state_file.StateError as error:
            raise EnvelopeError("foreign" if "of another" in str(error) else "malformed", str(error)) from None

    def to_bytes(self, state: State) -> bytes:
        """Return the `.bnstate` bytes of a state."""
        return state_file.to_bytes(state_file.Record(self.policy.code, 0, self.key, state_file.payload(state)))

    def targets(self, state: State) -> Targets:
        """Return what an adapter would fold from a state."""
        return targets(self.statistics, self.policy, state, DRIFT_BOUND)

    def estimate(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Return where a state's statistics are, as drift and ratio within the adapter's bounds."""
        return bounded(self.policy.estimate(state), DRIFT_BOUND)

    def apart(self, one: State, other: State) -> float:
        """Return the distance between two states."""
        return self.distance(*self.estimate(one), *self.estimate(other))

    def distance(self, drift: np.ndarray, ratio: np.ndarray, other_drift: np.ndarray, other_ratio: np.ndarray) -> float:
        """Return how far two estimates are apart: the layers' mean of the energy between them, in units of one sample's noise."""
        _, energy = energy_of(self.statistics, drift - other_drift, ratio / other_ratio)
        return float(self.policy.level(energy))

    def numbers(self, state: State) -> np.ndarray:
        """Return the drift numbers of an envelope, float32 (layers, 5)."""
        found = self.targets(state)
        table = np.zeros((self.layers, NUMBERS), np.float32)
        for i, where in enumerate(self.statistics.slices):
            drift, spread = found.drift[where], np.log(found.ratio[where])
            rms, rms_spread = (np.sqrt(np.mean(values * values)) for values in (drift, spread))
            table[i] = found.energy[i], found.gate[i], rms, np.abs(drift).max(), rms_spread
        return table

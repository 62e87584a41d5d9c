"""What an adaptation policy is: statistics and state in, state and an estimate out. One file a policy in `policies/`.

A policy knows deviations (`adaptation.py` says what they are) and nothing of layers' accumulators, epilogues or engines. The frame
(`rule.py`, `guards.py`) turns its estimate into means and variances under gates and bounds. Where a policy shall run on a
microcontroller too, every line is one float32 operation over channels, in order; sums over channels are
`SourceStatistics.layer_means`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.reference.float32 import sequential_sum

if TYPE_CHECKING:
    from edgebn.adapt.backward import Slopes

GATE_FLOOR = np.float32(0.015)  # evidence that is nothing however long it was gathered, in units of one sample's noise
GATE_RATE = np.float32(1.2)


@dataclass(frozen=True)
class SampleStatistics:
    """What one inference showed.

    Attributes
    ----------
    first, second : ndarray of float32, shape (channels,)
        d1 and d2 of all layers.
    label : int
        The predicted class, 0 where the network does not classify.
    probability : float32
        Its softmax probability.
    margin : float32
        The largest logit less the second largest.
    slopes : Slopes or None
        Of the policy's loss, under the epilogues of this inference, where the policy asks for some.
    """

    first: np.ndarray
    second: np.ndarray
    label: int
    probability: np.float32
    margin: np.float32
    slopes: Slopes | None = None


@dataclass(frozen=True)
class SourceSamples:
    """What the source samples showed, for measuring tables.

    Attributes
    ----------
    first, second : ndarray of float32, shape (samples, channels)
        d1 and d2 under source epilogues.
    predicted : ndarray of int64, shape (samples,)
    margin : ndarray of float32, shape (samples,)
        Of the predictions.
    classes : int
    slices : tuple of slice
        Where each layer's channels are.
    strength : float
        As `Adaptation.strength`.
    """

    first: np.ndarray
    second: np.ndarray
    predicted: np.ndarray
    margin: np.ndarray
    classes: int
    slices: tuple[slice, ...]
    strength: float


@dataclass
class State:
    """What a policy remembers, changed in place by `update`; it is saved as it stands.

    Attributes
    ----------
    values : ndarray of float32, shape (planes, channels)
    scalars : ndarray of float32, shape (n,)
    """

    values: np.ndarray
    scalars: np.ndarray

    def copy(self) -> State:
        """Return a copy of its own."""
        return State(self.values.copy(), self.scalars.copy())


@dataclass(frozen=True)
class Estimate:
    """Where a policy estimates the statistics to be now.

    Attributes
    ----------
    drift : ndarray of float32, shape (channels,)
        (mean - m0) / sqrt(w0).
    ratio : ndarray of float32, shape (channels,)
        (variance + epsilon) / w0, not yet bounded below.
    """

    drift: np.ndarray
    ratio: np.ndarray


class Policy(ABC):
    """A rule that learns from statistics.

    Parameters
    ----------
    source : SourceStatistics
    """

    name: ClassVar[str]
    code: ClassVar[int]  # in saved states and firmware: never given to another policy
    planes: ClassVar[int]  # float32 numbers a channel in its state
    scalars: ClassVar[int] = 0  # further float32 numbers in its state
    needs_classes: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False  # learns from `Adapter.teach`, not from `run`
    needs_gradients: ClassVar[bool] = False  # float32 programs only
    strength: np.float32  # how far an open gate follows the estimate, 0..1

    def __init__(self, source: SourceStatistics) -> None:
        self.source = source
        self.strength = np.float32(1)

    def start(self) -> State:
        """Return the factory state: everything 0 unless the policy says otherwise."""
        return State(np.zeros((self.planes, self.source.channels), np.float32), np.zeros(self.scalars, np.float32))

    @abstractmethod
    def update(self, state: State, sample: SampleStatistics) -> None:
        """Learn from one inference; changes `state` in place."""

    @abstractmethod
    def estimate(self, state: State) -> Estimate:
        """Return where the statistics are."""

    def rate(self, state: State) -> np.float32:  # noqa: ARG002  # others' rates depend on their state
        """Return the weight of the newest sample, float32: what the gate takes the estimate's own noise from."""
        return np.float32(0)

    def level(self, energy: np.ndarray) -> np.float32:
        """Return the layers' mean of an energy in units of their noise."""
        return sequential_sum(energy / self.source.noise) / np.float32(len(energy))

    def threshold(self, state: State) -> np.float32:
        """Return the level of evidence that is nothing: 0.015 + 1.2 rate."""
        return GATE_FLOOR + GATE_RATE * self.rate(state)

    def gate(self, energy: np.ndarray, state: State) -> np.ndarray:
        """Return how far to go, 0..1, float32 (layers,): the same for all, since layers move together.

        0 where the evidence is below the threshold, 1 from twice that.

        Parameters
        ----------
        energy : ndarray of float32, shape (layers,)
            E = mean(drift**2) + mean(ln(ratio)**2).
        """
        openness = np.minimum(np.maximum(self.level(energy) / self.threshold(state) - np.float32(1), np.float32(0)), np.float32(1))
        return np.full(len(energy), openness, np.float32)

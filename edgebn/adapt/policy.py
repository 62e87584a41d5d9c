"""What an adaptation policy is: statistics and state in, state and an estimate out. One file a policy in `policies/`.

A policy knows deviations (`adaptation.py` says what they are) and nothing of layers' accumulators, epilogues or engines. The frame
(`rule.py`, `guards.py`) turns its estimate into means and variances under gates and bounds. Where a policy shall run on a
microcontroller too, every line is one float32 operation over channels, in order; sums over channels are `Home.layer_means`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgebn.adapt.home import Home
from edgebn.adaptation import SourceTable


@dataclass(frozen=True)
class Seen:
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
    """

    first: np.ndarray
    second: np.ndarray
    label: int
    probability: np.float32
    margin: np.float32


@dataclass(frozen=True)
class HomeSamples:
    """What the source samples showed, for measuring tables.

    Attributes
    ----------
    first, second : ndarray of float32, shape (samples, channels)
        d1 and d2 under factory epilogues.
    labels, predicted : ndarray of int64, shape (samples,)
        Given labels (or the predictions where none were given), and predictions.
    probability, margin : ndarray of float32, shape (samples,)
        Of the predictions.
    classes : int
    typical_margin : float
        As `Adaptation.margin`.
    slices : tuple of slice
        Where each layer's channels are.
    """

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    margin: np.ndarray
    classes: int
    typical_margin: float
    slices: tuple[slice, ...]


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
    """Where a policy believes the statistics are now.

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
    home : Home
    """

    name: ClassVar[str]
    code: ClassVar[int]  # in saved states and firmware: never given to another policy
    planes: ClassVar[int]  # float32 numbers a channel in its state
    scalars: ClassVar[int] = 0  # further float32 numbers in its state
    needs_classes: ClassVar[bool] = False
    strength: ClassVar[np.float32] = np.float32(0.8)  # lambda of DESIGN section 10

    def __init__(self, home: Home) -> None:
        self.home = home

    @staticmethod
    def measure(samples: HomeSamples) -> SourceTable | None:  # noqa: ARG004  # a policy without tables needs no samples
        """Return the tables of this policy, or None if it has none."""
        return None

    def start(self) -> State:
        """Return the factory state: everything 0 unless the policy says otherwise."""
        return State(np.zeros((self.planes, self.home.channels), np.float32), np.zeros(self.scalars, np.float32))

    @abstractmethod
    def update(self, state: State, seen: Seen) -> None:
        """Learn from one inference; changes `state` in place."""

    @abstractmethod
    def estimate(self, state: State) -> Estimate:
        """Return where the statistics are."""

    def gate(self, energy: np.ndarray) -> np.ndarray:
        """Return how far to go, 0..1, float32 (layers,): 1 - 0.1 N / E where that is positive (positive-part James-Stein).

        Parameters
        ----------
        energy : ndarray of float32, shape (layers,)
            E = mean(drift**2) + mean(ln(ratio)**2).
        """
        noise = np.float32(0.1) * (self.home.between + self.home.within)
        quotient = np.divide(noise, energy, out=np.ones_like(energy), where=energy > noise)
        return np.float32(1) - quotient


def quantize_tables(policy: str, first: np.ndarray, second: np.ndarray, slices: tuple[slice, ...]) -> SourceTable:
    """Return float tables (rows, channels) as int8 with one scale a layer: its largest magnitude is 127."""
    codes, scales = [], []
    for table in (first, second):
        scale = np.array([max(float(np.abs(table[:, where]).max(initial=0.0)) / 127, 1e-12) for where in slices], np.float32)
        counts = [where.stop - where.start for where in slices]
        codes.append(np.clip(np.rint(table / np.repeat(scale, counts)), -127, 127).astype(np.int8))
        scales.append(scale)
    return SourceTable(policy, codes[0], codes[1], scales[0], scales[1])

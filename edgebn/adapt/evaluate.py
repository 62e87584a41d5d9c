"""Runs a policy over a labelled stream and keeps what happened: for the command line, the demo and the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgebn import program as p
from edgebn.adapt.adapter import Adapter
from edgebn.session import Session

EVERY = 20  # samples between two looks at the drift


@dataclass(frozen=True)
class Trace:
    """What happened on a stream.

    Attributes
    ----------
    policy : str
        'none' where nothing was adapted.
    correct : ndarray of bool, shape (samples,)
    layers : tuple of str
    at : ndarray of int64, shape (looks,)
        After how many samples the next two were looked at.
    drift, gate : ndarray of float64, shape (looks, layers)
        Root mean square of what was folded (means in source sigmas and logarithms of variances together), and the gate.
    accepted : ndarray of int64, shape (looks,)
        How many samples were learned from until then.
    refused : dict of str to int
        Why others, or single layers' refolds, were refused.
    trips : tuple of (int, str)
        When (samples) and why the watchdog returned to the factory state.
    """

    policy: str
    correct: np.ndarray
    layers: tuple[str, ...]
    at: np.ndarray
    drift: np.ndarray
    gate: np.ndarray
    accepted: np.ndarray
    refused: dict[str, int]
    trips: tuple[tuple[int, str], ...]

    @property
    def error(self) -> float:
        """Wrong predictions, in %."""
        return 100.0 * float(1.0 - self.correct.mean())


def evaluate(
    program: p.Program,
    images: np.ndarray,
    labels: np.ndarray,
    policy: str | None,
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> Trace:
    """Run `images` in their order, each predicted with what was learned before it.

    Parameters
    ----------
    program : Program
        From `edgebn.adaptable`; one that classifies.
    images : ndarray (N, ...)
        As for `Session.run`.
    labels : ndarray of int (N,)
    policy : str or None
        None: without adaptation.
    """
    session = Session(program)
    if policy is None:
        right = np.argmax(session.run(images).reshape(len(images), -1), axis=1) == labels
        return Trace("none", right, (), np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0, np.int64), {}, ())
    adapter = Adapter(session, policy)
    correct, at, drift, gate, accepted = np.zeros(len(labels), bool), [], [], [], []
    for start in range(0, len(labels), EVERY):
        stop = min(start + EVERY, len(labels))
        answer = adapter.run(images[start:stop])
        correct[start:stop] = np.argmax(answer.reshape(stop - start, -1), axis=1) == labels[start:stop]
        report = adapter.report()
        at.append(stop)
        drift.append([float(np.hypot(one.drift, one.spread)) for one in report.layers])
        gate.append([one.gate for one in report.layers])
        accepted.append(report.accepted)
        if progress is not None:
            progress(stop, len(labels))
    report = adapter.report()
    names = tuple(one.name for one in report.layers)
    looks = np.array(at), np.array(drift), np.array(gate), np.array(accepted)
    return Trace(adapter.policy, correct, names, *looks, report.refused, report.trips)

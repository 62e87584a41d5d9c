"""What learns from one inference after the other: the policies in NumPy over any engine, or compiled, inside a session.

Both keep the state and the statistics folded last, refuse the same things and come to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgebn.adapt.backward import Backward, Slopes
from edgebn.adapt.compiled import compiled_rule
from edgebn.adapt.engines import Engine, Observed
from edgebn.adapt.policies.gradient import GradientPolicy
from edgebn.adapt.policy import Policy, SampleStatistics, State
from edgebn.adapt.prediction import predict
from edgebn.adapt.rule import Targets, targets
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.kernels.records import UNFIT_SAMPLE, UNFIT_UPDATE
from edgebn.reference.statistics import deviations
from edgebn.session import Session
from edgebn.session.learning import Rule

REFUSALS = {UNFIT_SAMPLE: "statistics or logits that are not finite", UNFIT_UPDATE: "an update that is not finite"}


@dataclass(frozen=True)
class UpdateResult:
    """What came of one inference.

    Attributes
    ----------
    outputs : dict of str to ndarray, shape (1, ...)
    label : int
        The predicted class, 0 where the network does not classify.
    refusal : str
        Why nothing was learned, or ''.
    rejected_steps : list of str
        Steps whose numbers would have left their range: their epilogues stay.
    """

    outputs: dict[str, np.ndarray]
    label: int = 0
    refusal: str = ""
    rejected_steps: list[str] | tuple[()] = ()


class Learning(Protocol):
    """Learns, and folds what it learned."""

    last: Targets  # what was folded last

    @property
    def state(self) -> State:
        """A copy of what is remembered."""

    def take(self, state: State) -> list[str]:
        """Go on from another state; return the steps whose epilogues stay, as their numbers would leave their range."""

    def learn(self, sample: Mapping[str, np.ndarray], known: int = 0) -> UpdateResult:
        """Run one sample and learn from it; `known` is its label, for policies that need one."""


class PolicyLearning:
    """A policy in NumPy, over any engine.

    Parameters
    ----------
    engine : Engine
    source : SourceStatistics
    policy : Policy
    drift_bound : float32
        How far a mean may move, in source sigmas.
    """

    def __init__(self, engine: Engine, source: SourceStatistics, policy: Policy, drift_bound: np.float32) -> None:
        self._engine, self._source, self._policy, self._drift_bound = engine, source, policy, drift_bound
        self._backward = Backward(engine.program, policy.name) if isinstance(policy, GradientPolicy) else None
        self.take(policy.start())

    @property
    def state(self) -> State:
        """See `Learning`."""
        return self._state.copy()

    def take(self, state: State) -> list[str]:
        """See `Learning`."""
        self._state = state.copy()
        return self._fold(self._targets())

    def learn(self, sample: Mapping[str, np.ndarray], known: int = 0) -> UpdateResult:
        """See `Learning`."""
        observed = self._engine.observe(sample)
        with np.errstate(all="ignore"):  # what is not finite is refused below
            first, second = deviations(observed.first, observed.second, self._source.factors)
            label, probability, margin = predict(observed.logits) if self._source.classes else (0, np.float32(0), np.float32(0))
        if not (np.isfinite(first).all() and np.isfinite(second).all() and np.isfinite(observed.logits).all()):
            return UpdateResult(observed.outputs, label, REFUSALS[UNFIT_SAMPLE])
        before = self._state.copy()
        with np.errstate(all="ignore"):
            slopes = self._slopes(observed, sample, known)
            self._policy.update(self._state, SampleStatistics(first, second, label, probability, margin, slopes))
            wanted = self._targets()
        if not (np.isfinite(self._state.values).all() and np.isfinite(self._state.scalars).all() and _is_finite(wanted)):
            self._state = before
            return UpdateResult(observed.outputs, label, REFUSALS[UNFIT_UPDATE])
        return UpdateResult(observed.outputs, label, rejected_steps=self._fold(wanted))

    def _slopes(self, observed: Observed, sample: Mapping[str, np.ndarray], label: int) -> Slopes | None:
        """Return the loss's slopes, of a policy that asks for them, while its gate is open."""
        if self._backward is None or not isinstance(self._policy, GradientPolicy) or not self.last.gate.any():
            return None
        size = math.prod(self._engine.program.buffers[self._source.adaptation.logits].shape)  # 1 of two classes, or all
        return self._backward.slopes(sample, self._policy.loss_slope(observed.logits, label)[-size:])

    def _targets(self) -> Targets:
        return targets(self._source, self._policy, self._state, self._drift_bound)

    def _fold(self, wanted: Targets) -> list[str]:
        self.last = wanted
        if self._backward is not None:
            self._backward.fold(wanted.drift, wanted.ratio)
        return self._engine.fold(wanted.drift, wanted.ratio)


class CompiledLearning:
    """A policy that the session's kernels know: observing, learning and folding without NumPy in between.

    Parameters
    ----------
    session : Session
    source : SourceStatistics
    policy : Policy
    rule : Rule
        `compiled_rule` of that policy.
    """

    def __init__(self, session: Session, source: SourceStatistics, policy: Policy, rule: Rule) -> None:
        self._session, self._source = session, source
        self._learner = session.learner(rule)
        start = policy.start()
        self._values = self._learner.state[: start.values.size].reshape(start.values.shape)
        self._scalars = self._learner.state[start.values.size :]
        shared = np.broadcast_to(self._learner.gate, (len(source.counts),))
        # Its arrays are the learner's, so it is always the last.
        self.last = Targets(self._learner.drift, self._learner.ratio, shared, self._learner.energy, self._learner.pinned)
        self.take(start)

    @property
    def state(self) -> State:
        """See `Learning`."""
        return State(self._values.copy(), self._scalars.copy())

    def take(self, state: State) -> list[str]:
        """See `Learning`."""
        self._values[:], self._scalars[:] = state.values, state.scalars
        return [self._source.names[i] for i in self._session.begin(self._learner)]

    def learn(self, sample: Mapping[str, np.ndarray], known: int = 0) -> UpdateResult:  # noqa: ARG002  # compiled rules need no labels
        """See `Learning`."""
        outputs, rejected = self._session.learn(self._learner, dict(sample))
        return UpdateResult(
            outputs, self._learner.label, REFUSALS.get(self._learner.status, ""), [self._source.names[i] for i in rejected]
        )


def learning(
    engine: Engine, session: Session | None, source: SourceStatistics, policy: Policy, drift_bound: np.float32
) -> Learning:
    """Return what learns by a policy: compiled where the engine is a session that can, else in NumPy."""
    rule = None if session is None else compiled_rule(engine.program, source, policy, drift_bound)
    if session is None or rule is None:
        return PolicyLearning(engine, source, policy, drift_bound)
    return CompiledLearning(session, source, policy, rule)


def _is_finite(wanted: Targets) -> bool:
    return bool(np.isfinite(wanted.drift).all() and np.isfinite(wanted.ratio).all() and np.isfinite(wanted.gate).all())

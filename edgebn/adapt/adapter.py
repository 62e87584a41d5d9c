"""The adapter: runs inferences and learns from each, under guards. A prediction never uses its own sample."""

from __future__ import annotations

import copy
import functools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.adapt import state_file
from edgebn.adapt.engines import Engine, SessionEngine
from edgebn.adapt.guards import Watchdog
from edgebn.adapt.labels import checked_labels
from edgebn.adapt.learning import learning
from edgebn.adapt.policies import POLICIES
from edgebn.adapt.policy import State
from edgebn.adapt.report import LayerReport, Report
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.arguments import check_flag, checked_count, checked_path, refuse_session
from edgebn.errors import EdgebnError, ModelError
from edgebn.session import Session, arrays

DEFAULT_POLICY, DEFAULT_WITHOUT_CLASSES = "compensated-tracking", "moments"
MIN_DRIFT_BOUND = 2.0  # a tighter one costs more than it protects (docs/adaptation.md)


@dataclass(frozen=True)
class Snapshot:
    """A state to come back to."""

    policy: str
    state: State
    model: bytes  # `state_file.model_key`


class Adapter:
    """Keeps a session's batch norms adapted to what it sees.

    The session's plain `run` uses the adapted epilogues too. A session has one adapter: a second one begins from the factory
    statistics, and the first may then only say and save what it learned. A copied or unpickled adapter goes on from the same state,
    over a session of its own.

    Parameters
    ----------
    session : Session
        Of a program from `edgebn.adaptable`.
    policy : str, optional
        'compensated-tracking' by default where the network classifies, else 'moments'.
    drift_bound : float
        How far a mean may be moved, in source standard deviations; at least 2.
    watchdog : bool
        Whether to return to the factory state on bad signs.

    Raises
    ------
    ModelError
        No session; or the program has no source tables, not those of the policy, or no classes where the policy needs some, or no
        gradients; or the policy or bound is none.

    Examples
    --------
    >>> adapter = Adapter(session)  # doctest: +SKIP
    >>> y = adapter.run(images)  # the shapes and types of session.run  # doctest: +SKIP
    >>> print(adapter.report())  # doctest: +SKIP
    """

    def __init__(
        self, session: Session | Engine, policy: str | None = None, *, drift_bound: float = 6.0, watchdog: bool = True
    ) -> None:
        self._engine = _engine(session)
        self._program = self._engine.program
        self._source = SourceStatistics(self._program)
        if policy is None:
            policy = DEFAULT_POLICY if self._source.classes else DEFAULT_WITHOUT_CLASSES
        if not isinstance(policy, str) or policy not in POLICIES:
            raise ModelError(f"there is no adaptation policy '{policy}'; choose one of {', '.join(POLICIES)}")
        if POLICIES[policy].needs_classes and not self._source.classes:
            raise ModelError(f"{self._program.source}: the policy '{policy}' needs a network that classifies; choose another")
        is_number = isinstance(drift_bound, int | float | np.number) and not isinstance(drift_bound, bool)
        if not (is_number and drift_bound >= MIN_DRIFT_BOUND):
            raise ModelError(f"drift_bound={drift_bound!r}: at least {MIN_DRIFT_BOUND} source standard deviations are needed")
        check_flag(watchdog, "watchdog")
        self._policy = POLICIES[policy](self._source)
        self._drift_bound = drift_bound
        self._session = session if isinstance(session, Session) else None
        if self._session is not None:
            self._session.adopt(self)
        self._learning = learning(self._engine, self._session, self._source, self._policy, np.float32(drift_bound))
        self._learning_in: int | None = None  # the process that is learning right now
        self._watchdog = Watchdog(self._source.classes) if watchdog else None
        self._frozen = False
        self._seen = self._accepted = 0
        self._refused: Counter[str] = Counter()
        self._trips: list[tuple[int, str]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process unpickles has its own session, made anew, and the same state, account and folded statistics."""
        make = functools.partial(Adapter, policy=self.policy, drift_bound=self._drift_bound, watchdog=self._watchdog is not None)
        account = {name: getattr(self, name) for name in ("_watchdog", "_frozen", "_seen", "_accepted", "_refused", "_trips")}
        folded = None if self._session is None else self._session.folded
        return make, (self._session or self._engine,), (self.state, account, folded)

    def __setstate__(self, state: tuple[State, dict[str, Any], np.ndarray | None]) -> None:
        """Go on from what `__reduce__` took along."""
        learned, account, folded = state
        self._learning.take(learned)
        if self._session is not None and folded is not None:
            self._session.refold(*folded)  # layers that refused the last state have an earlier one
        vars(self).update(account)

    def __copy__(self) -> Adapter:
        """Return a deep copy: one that shared the session would take it over."""
        return copy.deepcopy(self)

    def _check(self) -> None:
        """Refuse to go on where the session's statistics are another adapter's, or half written.

        Raises
        ------
        ModelError
            A newer adapter was made for the session.
        EdgebnError
            This process was forked while another thread learned.
        """
        self._check_whole()
        if self._session is not None and not self._session.is_adapted_by(self):
            raise ModelError(
                f"{self._program.source}: another Adapter was made for this session since, from the source statistics; "
                "use that one, or give each a Session of its own"
            )

    def _check_whole(self) -> None:
        if self._learning_in not in {None, os.getpid()}:
            raise EdgebnError(
                f"{self._program.source}: this process was forked while another thread learned with this Adapter, whose state is "
                "half written here; make a new Session and Adapter in this process"
            )

    @property
    def program(self) -> p.Program:
        """The program that adapts, with its source statistics."""
        return self._program

    @property
    def seen(self) -> int:
        """Inferences run."""
        return self._seen

    @property
    def accepted(self) -> int:
        """Inferences learned from."""
        return self._accepted

    @property
    def trips(self) -> int:
        """How often the watchdog returned to the factory state."""
        return len(self._trips)

    @property
    def frozen(self) -> bool:
        """Whether learning has stopped."""
        return self._frozen

    @property
    def policy(self) -> str:
        """The name of the policy."""
        return self._policy.name

    @property
    def state(self) -> State:
        """A copy of what the policy remembers."""
        self._check_whole()
        return self._learning.state

    def run(self, x: Any) -> Any:
        """Run a batch sample by sample, learning after each.

        Parameters
        ----------
        x : array, shape (N, ...), or dict of input name to such
            As for `Session.run`.

        Returns
        -------
        ndarray, shape (N, ...), or dict of output name to such
            As from `Session.run`. Each prediction uses the statistics from before its own sample. 'supervised' learns nothing
            here, but from `teach`.

        Raises
        ------
        ModelError
            A value of the wrong shape or type, one that holds NaN, or a newer adapter of this session; nothing was then run or
            learned.
        """
        self._check()
        inputs, batch, as_codes = self._accept(x)
        taken = arrays.results(self._program, None, batch, as_codes=as_codes)
        for i in range(batch):
            sample = {name: value[i : i + 1] for name, value in inputs.items()}
            is_learning = not (self._frozen or self._is_taught)
            outputs = self._learn(sample) if is_learning else self._engine.observe(sample).outputs
            self._seen += not is_learning
            for name, value in outputs.items():
                taken[name][i] = value[0]
        return taken if len(taken) > 1 else taken[self._program.outputs[0]]

    def teach(self, x: Any, labels: Any, passes: int = 1) -> None:
        """Learn from labelled samples, one after another in a shuffled order; the policy 'supervised' only.

        Parameters
        ----------
        x : array, shape (N, ...), or dict of input name to such
            As for `Session.run`.
        labels : array of int, shape (N,)
        passes : int
            How often to go through them.

        Raises
        ------
        ModelError
            Another policy, an input that `run` would refuse, or labels that do not fit; nothing was then learned.
        """
        if not self._is_taught:
            raise ModelError(f"the policy '{self.policy}' learns without labels: use run, or choose the policy 'supervised'")
        self._check()
        inputs, batch, _ = self._accept(x)
        known = checked_labels(self._program, labels, batch, self._source.classes)
        passes = checked_count(passes, "passes")
        rng = np.random.default_rng(0)
        for i in np.concatenate([rng.permutation(batch) for _ in range(passes)]):
            sample = {name: value[i : i + 1] for name, value in inputs.items()}
            if self._frozen:
                self._seen += 1
            else:
                self._learn(sample, int(known[i]))

    @property
    def _is_taught(self) -> bool:
        return self._policy.needs_labels

    def _accept(self, x: Any) -> tuple[dict[str, np.ndarray], int, bool]:
        inputs, batch, as_codes = arrays.accept(self._program, x)
        for name, value in inputs.items():
            if value.dtype == np.float32 and np.isnan(value).any():
                raise ModelError(f"{self._program.source}: the value for input '{name}' holds NaN; clean the input first")
        return inputs, batch, as_codes

    def _learn(self, sample: Mapping[str, np.ndarray], known: int = 0) -> dict[str, np.ndarray]:
        """Run one sample, learn from it under the watchdog's eye, and return the outputs."""
        self._learning_in = os.getpid()
        try:
            result = self._learning.learn(sample, known)
        finally:
            self._learning_in = None
        self._seen += 1
        if result.refusal:
            self._refused[result.refusal] += 1
            return result.outputs
        self._count_rejected(result.rejected_steps)
        self._accepted += 1
        why = self._watchdog.see(self._learning.last, result.label) if self._watchdog else ""
        if why:
            self._trips.append((self._seen, why))
            self.reset()
        return result.outputs

    def _count_rejected(self, steps: Sequence[str]) -> None:
        for step in steps:
            self._refused[f"{step}: its multipliers or offsets would leave their range"] += 1

    def reset(self) -> None:
        """Return to the source statistics, bit for bit. The account of `report` goes on."""
        self._take(self._policy.start())

    def _take(self, state: State) -> None:
        self._check()
        if self._watchdog:
            self._watchdog.restart()
        self._count_rejected(self._learning.take(state))

    def freeze(self, frozen: bool = True) -> None:
        """Stop learning, with the statistics as they stand; `freeze(False)` goes on."""
        self._frozen = frozen

    def snapshot(self) -> Snapshot:
        """Return the state as it stands, to come back to with `rollback`."""
        return Snapshot(self.policy, self.state, state_file.model_key(self._program))

    def rollback(self, snapshot: Snapshot) -> None:
        """Take back everything learned since `snapshot`.

        Raises
        ------
        ModelError
            It is another policy's, or another model's or other source tables', or no snapshot.
        """
        if not isinstance(snapshot, Snapshot):
            raise ModelError(f"rollback takes what Adapter.snapshot returned, not {type(snapshot).__name__}")
        if snapshot.policy != self.policy:
            raise ModelError(f"the snapshot is of the policy '{snapshot.policy}', this adapter's is '{self.policy}'")
        if snapshot.model != state_file.model_key(self._program):
            raise ModelError(f"{self._program.source}: the snapshot is of another model, or of other source tables")
        self._take(snapshot.state)

    def save(self, path: Path | str) -> None:
        """Write the state to a file, whole or not at all.

        Raises
        ------
        OSError
            The folder is missing or not writable; an older file is then untouched.
        """
        state_file.save(checked_path(path, "Adapter.save"), self._policy.code, self._program, self.state)

    def load(self, path: Path | str) -> None:
        """Read a state that `save` wrote, or that came from a board with the same model.

        Raises
        ------
        ModelError
            The file is missing, damaged, of another model, policy or version; the adapter is then unchanged.
        """
        self._take(state_file.load(checked_path(path, "Adapter.load"), self._policy.code, self._program, self._policy.start()))

    def to_bytes(self) -> bytes:
        """Return the bytes that `save` writes, and that a board takes."""
        record = state_file.Record(self._policy.code, 0, state_file.model_key(self._program), state_file.payload(self.state))
        return state_file.to_bytes(record)

    def take_bytes(self, data: bytes, where: str) -> None:
        """Take a state from a board with the same model; errors name it `where`.

        Raises
        ------
        ModelError
            The bytes are damaged, or of another model, policy or version; the adapter is then unchanged.
        """
        record = state_file.from_bytes(data, where)
        self._take(state_file.state_of(record, self._policy.code, state_file.model_key(self._program), self._policy.start(), where))

    def report(self) -> Report:
        """Return what happened so far."""
        last = self._learning.last
        layers = []
        for i, (name, where) in enumerate(zip(self._source.names, self._source.slices, strict=True)):
            drift, spread = last.drift[where].astype(np.float64), np.log(last.ratio[where].astype(np.float64))
            rms, rms_spread = (float(np.sqrt(np.mean(values**2))) for values in (drift, spread))
            largest = float(np.abs(drift).max())
            layers.append(LayerReport(name, float(last.gate[i]), float(last.energy[i]), rms, largest, rms_spread))
        return Report(self.policy, self._frozen, self._seen, self._accepted, dict(self._refused), tuple(self._trips), tuple(layers))


def _engine(session: Any) -> Engine:
    if isinstance(session, Session):
        return SessionEngine(session)
    if not hasattr(session, "fold"):
        refuse_session(session, "edgebn.Adapter")
    engine: Engine = session
    return engine

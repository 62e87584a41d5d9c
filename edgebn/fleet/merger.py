"""Keeps the priors of a fleet's groups: hears which groups changed, reads what the broker retains of them, merges, publishes.

Any number of mergers may run. A shared subscription hands each change to one of them; what it then publishes follows from the
states that the broker retains alone, so that it does not matter which one it was, how often, or whether it was killed in between.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edgebn.errors import FleetError
from edgebn.fleet.broker import Broker
from edgebn.fleet.connection import Connection
from edgebn.fleet.discover import discover
from edgebn.fleet.envelope import EnvelopeError, key_of, to_bytes
from edgebn.fleet.harm import SourceReplay
from edgebn.fleet.merging import MIN_DEVICES, Merged, merge
from edgebn.fleet.model import FleetModel, Known
from edgebn.fleet.newest import Newest
from edgebn.fleet.outcome import Outcome, group_report, members
from edgebn.fleet.topics import COMMAND, EVERY, MERGER, PART, PRIOR, REPORT, ROOT, STATE, Address, parse, whole

SHARE = "$share/edgebn-merge"
SETTLE, LONGEST_SETTLE = 0.5, 5.0  # seconds without a change, or since the first one, until a group is merged
SWEEP = 300.0  # seconds between two looks at all groups: what a merger had heard of when it was killed
FETCH_SECONDS = 60.0  # that the broker may take to send what it retains
QUIET = 0.3  # seconds of silence that end a fetch, once the broker has answered what came behind it
WINDOW = 200  # topics asked for one by one at a time
MAX_GROUPS = 1 << 17  # that are waiting

Group = tuple[str, str]  # model and group


@dataclass
class Fetch:
    """What the broker retains of a group.

    Attributes
    ----------
    group : Group
    known : dict of device to Known
    refused : dict of device to str
    priors : dict of group or part to bytes
    report : bytes
    heard : float
        When something came last.
    """

    group: Group
    known: dict[str, Known] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    priors: dict[str, bytes] = field(default_factory=dict)
    report: bytes = b""
    heard: float = 0.0


class Merger:
    """One instance.

    Parameters
    ----------
    models : iterable of FleetModel
        Whose fleets it serves.
    broker : Broker
    group : str, optional
        The only group to serve.
    master : bytes, optional
        The fleet's key: states that are not signed are then refused, and priors are signed.
    max_age : float, optional
        Seconds: see `merge`.
    least : int
        How many devices must agree.
    find_parts : bool
        Whether groups are searched for parts.
    settle, sweep : float
        Seconds.
    told : callable, optional
        Called with each `Outcome`.
    """

    def __init__(
        self,
        models: Iterable[FleetModel],
        broker: Broker,
        *,
        group: str | None = None,
        master: bytes | None = None,
        max_age: float | None = None,
        least: int = MIN_DEVICES,
        find_parts: bool = False,
        settle: float = SETTLE,
        sweep: float = SWEEP,
        told: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.models = {model.name: model for model in models}
        self._replays = {name: SourceReplay(model) for name, model in self.models.items()}
        self._group, self._master, self._max_age, self._least = group, master, max_age, least
        self._find_parts, self._settle, self._sweep, self._told = find_parts, settle, sweep, told
        self.refused: Counter[str] = Counter()
        self.merges = self.fetches = self.healed = self.late = 0
        self._lock = threading.Lock()
        self._dirty: OrderedDict[Group, tuple[float, float]] = OrderedDict()  # first and last change
        self._newest = Newest()
        self._ours: OrderedDict[str, bytes] = OrderedDict()  # what this instance published last
        self._fetch: Fetch | None = None
        self._sweeping: set[Group] | None = None
        self._heard = 0.0
        self._answered: set[bytes] = set()
        self._next_sweep = 0.0
        self._me = os.urandom(8).hex()
        self._connection = Connection(broker, "merge", self._receive, up=self._came_up)
        for name in self.models:
            self._connection.subscribe(f"{SHARE}/{ROOT}/{name}/{group or EVERY}/{EVERY}/{STATE}")
            self._connection.subscribe(self._barrier(name), own=True)

    def start(self, seconds: float = 10.0) -> None:
        """Connect.

        Raises
        ------
        FleetError
            The broker cannot be reached.
        """
        self._connection.start()
        try:
            self._connection.wait_up(seconds)
        except FleetError:
            self._connection.stop(0)
            raise

    def stop(self) -> None:
        """Disconnect."""
        self._connection.stop()

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop`."""
        while not stop.is_set():
            if not self.step():
                stop.wait(0.05)

    def step(self) -> bool:
        """Do what is due; return whether something was."""
        now = time.monotonic()
        if not self._connection.is_up:
            return False
        if now >= self._next_sweep:
            self._next_sweep = now + self._sweep
            self.sweep()
            return True
        with self._lock:
            due = next(
                (
                    group
                    for group, (first, last) in self._dirty.items()
                    if now - last >= self._settle or now - first >= LONGEST_SETTLE
                ),
                None,
            )
            if due is None:
                return False
            del self._dirty[due]
        if not self.serve(due):
            self._mark(due)  # the connection broke: again
        return True

    def serve(self, group: Group) -> bool:
        """Read, merge and publish one group; return whether the broker let it."""
        began = time.monotonic()
        fetch = self._read(group)
        if fetch is None:
            return False
        outcome = self._publish(fetch, began)
        self.merges += 1
        if self._told is not None:
            self._told(outcome)
        return True

    def sweep(self) -> bool:
        """Mark every group of which the broker retains a state; return whether the broker let it."""
        for name in self.models:
            with self._lock:
                self._sweeping = set()
            states = f"{ROOT}/{name}/{self._group or EVERY}/{EVERY}/{STATE}"
            done = self._listen(name, [states])
            with self._lock:
                found, self._sweeping = self._sweeping or set(), None
            for group in sorted(found):
                self._mark(group)
            if not done:
                return False
        return True

    def idle(self) -> bool:
        """Whether nothing waits to be merged."""
        with self._lock:
            return not self._dirty and time.monotonic() < self._next_sweep

    def flush(self) -> bool:
        """Wait until the broker has everything; return whether it does."""
        return self._connection.flush(30.0)

    # Reading.

    def _barrier(self, model: str) -> str:
        return f"{ROOT}/{model}/{MERGER}/{MERGER}-{self._me}/{COMMAND}"

    def _read(self, group: Group) -> Fetch | None:
        model, name = group
        self.fetches += 1
        with self._lock:
            fetch = self._fetch = Fetch(group)
        try:
            prior = Address(model, name, PRIOR)
            filters = [f"{ROOT}/{model}/{name}/{EVERY}/{STATE}", prior.topic(REPORT)]
            if self._find_parts:
                filters.append(f"{ROOT}/{model}/{EVERY}/{PRIOR}/{STATE}")
            if not self._listen(model, filters):
                return None
            with self._lock:
                there = fetch.known.keys() | fetch.refused.keys()
                missing = sorted(set(members(fetch.report)) - there)
            for start in range(0, len(missing), WINDOW):  # a broker whose queues are short drops retained messages without a word
                topics = [Address(model, name, device).topic(STATE) for device in missing[start : start + WINDOW]]
                if not self._listen(model, topics):
                    return None
            with self._lock:
                self.late += len((fetch.known.keys() | fetch.refused.keys()) - there)
        finally:
            with self._lock:
                self._fetch = None
        return fetch

    def _listen(self, model: str, filters: list[str]) -> bool:
        """Subscribe, wait until everything retained has come, and unsubscribe; return whether it has."""
        connects = self._connection.connects
        deadline = time.monotonic() + FETCH_SECONDS
        for one in filters:
            self._connection.subscribe(one)
        try:
            if not self._wait(lambda: all(map(self._connection.is_subscribed, filters)), deadline, connects):
                return False
            token = os.urandom(8).hex().encode()
            self._connection.publish(self._barrier(model), token, retain=False)
            if not self._wait(lambda: token in self._answered, deadline, connects):
                return False
            return self._wait(lambda: time.monotonic() - self._heard >= QUIET, deadline, connects)
        finally:
            self._answered.clear()
            for one in filters:
                self._connection.unsubscribe(one)

    def _wait(self, ready: Callable[[], bool], deadline: float, connects: int) -> bool:
        while not ready():
            if time.monotonic() > deadline or self._connection.connects != connects or not self._connection.is_up:
                return False
            time.sleep(0.01)
        return True

    # Hearing: in the connection's thread.

    def _came_up(self) -> None:
        self._next_sweep = 0.0  # what was missed meanwhile

    def _mark(self, group: Group) -> None:
        now = time.monotonic()
        with self._lock:
            first, _ = self._dirty.get(group, (now, now))
            self._dirty[group] = first, now
            while len(self._dirty) > MAX_GROUPS:
                self._dirty.popitem(last=False)

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        if payload and topic.endswith(f"{MERGER}-{self._me}/{COMMAND}"):
            self._answered.add(payload)
            return
        if retained:
            self._heard = time.monotonic()  # what is live says nothing of whether all that is retained has come
        found = parse(topic)
        if found is None or found[0].model not in self.models:
            self.refused["foreign"] += 1
            return
        address, kind = found
        with self._lock:
            fetch = self._fetch
            if self._sweeping is not None and retained:
                self._sweeping.add((address.model, whole(address.group)))
                return
        if kind == REPORT:
            if fetch is not None and address.device == PRIOR and fetch.group == (address.model, address.group):
                fetch.report = payload
            return
        if kind != STATE:
            return
        if address.device == PRIOR:
            self._hear_prior(address, payload, fetch, retained=retained)
        else:
            self._hear_state(address, topic, payload, fetch, retained=retained)

    def _hear_prior(self, address: Address, payload: bytes, fetch: Fetch | None, *, retained: bool) -> None:
        group = address.model, whole(address.group)
        if fetch is not None and fetch.group == group:
            fetch.priors[address.group] = payload
        elif not retained and self._ours.get(address.topic(STATE)) != payload:
            self._mark(group)  # another merger's, of what it saw then; or a stranger's

    def _hear_state(self, address: Address, topic: str, payload: bytes, fetch: Fetch | None, *, retained: bool) -> None:
        model, group = self.models[address.model], (address.model, address.group)
        is_fetched = fetch is not None and fetch.group == group
        if PART in address.group:
            self.refused["foreign"] += 1  # parts have priors, no devices
            return
        if not payload:  # removed by an operator
            self._newest.forget(address)
            if fetch is not None and is_fetched:
                fetch.known.pop(address.device, None)
                fetch.refused.pop(address.device, None)
            self._mark(group)
            return
        try:
            known = model.read(payload, topic, None if self._master is None else key_of(self._master, address.device))
        except EnvelopeError as error:
            self.refused[error.why] += 1
            if fetch is not None and is_fetched and retained:  # one that is not retained takes nothing's place
                fetch.refused[address.device] = error.why
            self._heal(address, topic, payload)
            return
        newest = self._newest.count(address)
        if known.envelope.count < newest:
            self.refused["replayed"] += 1
            self._heal(address, topic, payload)
            return
        is_news = known.envelope.count > newest
        self._newest.put(address, known.envelope.count, payload)
        if fetch is not None and is_fetched:
            fetch.known[address.device] = known
            fetch.refused.pop(address.device, None)
        elif is_news:
            self._mark(group)

    def _heal(self, address: Address, topic: str, payload: bytes) -> None:
        """Put the newest state back where an older one, or none, took its place."""
        newest = self._newest.payload(address)
        if newest is not None and newest != payload:
            self.healed += 1
            self._connection.publish(topic, newest)
            self._mark((address.model, address.group))

    # Merging and publishing.

    def _publish(self, fetch: Fetch, began: float) -> Outcome:
        name, group = fetch.group
        model = self.models[name]
        parts = discover(model, fetch.known) if self._find_parts else {}
        parts = {leader: of for leader, of in parts.items() if len(of) >= self._least}
        merged = merge(model, fetch.known, max_age=self._max_age, least=self._least)
        payload, harm = self._prior(model, Address(name, group, PRIOR), merged)
        wanted = {group: payload}
        for leader, of in parts.items():
            part = f"{group}{PART}{leader}"
            one = merge(model, {member: fetch.known[member] for member in of}, max_age=self._max_age, least=self._least)
            wanted[part] = self._prior(model, Address(name, part, PRIOR), one)[0]
        for old in fetch.priors:
            if old not in wanted and (old == group or old.startswith(f"{group}{PART}")):
                wanted[old] = b""
        changed = False
        for where, bytes_ in sorted(wanted.items()):
            if fetch.priors.get(where, b"") != bytes_:
                changed = True
                self._put(Address(name, where, PRIOR).topic(STATE), bytes_)
        report = group_report(merged, harm, parts, fetch.refused)
        if fetch.report != report:
            changed = True
            self._put(Address(name, group, PRIOR).topic(REPORT), report)
        return Outcome(name, group, merged, harm, parts, fetch.refused, time.monotonic() - began, changed)

    def _prior(self, model: FleetModel, address: Address, merged: Merged) -> tuple[bytes, str]:
        if merged.envelope is None:
            return b"", ""
        harm = self._replays[model.name].refusal(model.state(merged.envelope.state, "the prior"))
        if harm:
            return b"", harm
        key = None if self._master is None else key_of(self._master, PRIOR)
        return to_bytes(merged.envelope, address.topic(STATE), key), ""

    def _put(self, topic: str, payload: bytes) -> None:
        self._ours[topic] = payload
        self._ours.move_to_end(topic)
        while len(self._ours) > 1024:
            self._ours.popitem(last=False)
        self._connection.publish(topic, payload)

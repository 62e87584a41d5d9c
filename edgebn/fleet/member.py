"""What every member of a fleet does at the broker, be it an adapter or a board: its topics, its counts, its presence.

It keeps the newest state and the newest good prior, and knows nothing of how they are made or used.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from edgebn.adapt.policy import State
from edgebn.fleet.broker import Broker
from edgebn.fleet.commands import part_of, read_command
from edgebn.fleet.connection import Connection
from edgebn.fleet.envelope import Envelope, EnvelopeError, to_bytes
from edgebn.fleet.harm import SourceReplay
from edgebn.fleet.keys import DeviceKeys
from edgebn.fleet.model import FleetModel, Known
from edgebn.fleet.topics import COMMAND, PART, PRIOR, REPORT, STATE, Address

FOLLOW_WITHIN = 300  # samples after which a device that was found in another part keeps what it has learned by itself
RETAINED_SECONDS = 0.2  # that a broker takes to send what it retains, once it has confirmed a subscription
HEAL_EVERY = 5.0  # seconds between two answers to others that speak under this name
MAX_COMMANDS = 16  # that wait


class Member:
    """A device's place in a fleet. Nothing here waits but `close`.

    Parameters
    ----------
    model : FleetModel
    broker : Broker
    address : Address
    facts : callable
        What the report says beside presence, as plain data; with 'seen', the inferences run.
    keys : DeviceKeys or None
    obey, discover : bool
        Whether to hear commands, and the group's parts.

    Attributes
    ----------
    offered : Known or None
        The newest prior that was found good.
    orders : deque of dict
        Commands that wait.
    refused : dict of str to int
    """

    def __init__(
        self,
        model: FleetModel,
        broker: Broker,
        address: Address,
        facts: Callable[[], dict[str, Any]],
        *,
        keys: DeviceKeys | None = None,
        obey: bool = True,
        discover: bool = False,
    ) -> None:
        self.model, self.address, self._facts, self._keys = model, address, facts, keys
        self.offered: Known | None = None
        self.orders: deque[dict[str, Any]] = deque(maxlen=MAX_COMMANDS)
        self.refused: dict[str, int] = {}
        self._replay = SourceReplay(model)
        self._lock = threading.Lock()
        self._newest: tuple[State, int, int, int] | None = None  # state, seen, accepted, trips
        self._count = self._last_order = 0
        self._heal_due, self._healed = False, 0.0
        self._ready_at: float | None = None
        self._is_ready = False  # whether it is known what the broker retains under this name
        self._prior = address.prior
        gone = json.dumps({"v": 1, "online": False}).encode()
        self.connection = Connection(
            broker, address.device, self._receive, up=self._came_up, turn=self._turn, will=(address.topic(REPORT), gone)
        )
        self.connection.subscribe(self._prior.topic(STATE))
        self.connection.subscribe(address.topic(STATE))
        if obey:
            self.connection.subscribe(address.topic(COMMAND))
        if discover:
            self.connection.subscribe(address.prior.topic(REPORT))

    @property
    def newest(self) -> State | None:
        """The state published last."""
        return self._newest[0] if self._newest is not None else None

    def start(self) -> None:
        """Begin to connect."""
        self.connection.start()

    def publish(self, state: State, seen: int, accepted: int, trips: int) -> None:
        """Have a state published, now or when the network is back."""
        with self._lock:
            self._newest = state, seen, accepted, trips
        self._send()

    def report(self, *, online: bool = True) -> None:
        """Have the report published."""
        told = {"v": 1, "online": online, "time": time.time_ns() // 1_000_000, **self._facts(), "refused": dict(self.refused)}
        self.connection.publish(self.address.topic(REPORT), json.dumps(told, separators=(",", ":")).encode())

    def refuse(self, why: str) -> None:
        """Count something refused."""
        self.refused[why] = self.refused.get(why, 0) + 1

    def follow(self, group: str) -> None:
        """Hear the priors of another group, or of a part, from now on."""
        if group == self._prior.group:
            return
        self.connection.unsubscribe(self._prior.topic(STATE))
        self._prior, self.offered = Address(self.model.name, group, PRIOR), None
        self.connection.subscribe(self._prior.topic(STATE))

    def close(self, seconds: float = 5.0) -> None:
        """Say goodbye and disconnect; wait no longer than so many seconds."""
        deadline = time.monotonic() + seconds
        while self._newest is not None and self.connection.is_up and not self._is_ready and time.monotonic() < deadline:
            time.sleep(0.01)
        self.report(online=False)
        self.connection.stop(seconds)

    def _came_up(self) -> None:
        with self._lock:
            self._ready_at, self._is_ready = None, False
        self.report()

    def _turn(self) -> None:
        """Publish nothing under this name before it is known what the broker retains there: its count may be ahead."""
        now = time.monotonic()
        if self._ready_at is None and self.connection.is_subscribed(self.address.topic(STATE)):
            self._ready_at = now + RETAINED_SECONDS
        if self._ready_at is not None and not self._is_ready and now >= self._ready_at:
            self._is_ready = True
            self._send()
        if self._heal_due and now - self._healed >= HEAL_EVERY:
            self._heal(now)

    def _send(self) -> None:
        """Publish the newest state, with a count above every one that was seen under this device's name."""
        with self._lock:
            if self._newest is None or not self._is_ready:
                return
            state, seen, accepted, trips = self._newest
            now = time.time_ns() // 1_000_000
            self._count = max(self._count + 1, now)
            made = Envelope(self._count, now, seen, accepted, trips, self.model.numbers(state), self.model.to_bytes(state))
            topic = self.address.topic(STATE)
            payload = to_bytes(made, topic, self._keys.own if self._keys else None)
        self.connection.publish(topic, payload)

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: ARG002  # either counts
        try:
            if topic == self.address.topic(COMMAND):
                self._hear_order(payload)
            elif topic == self.address.prior.topic(REPORT):
                self._hear_parts(payload)
            elif topic == self.address.topic(STATE):
                self._hear_own(topic, payload)
            elif topic == self._prior.topic(STATE):
                self._hear_prior(topic, payload)
        except EnvelopeError as error:
            self.refuse(error.why)

    def _hear_prior(self, topic: str, payload: bytes) -> None:
        if not payload:
            self.offered = None
            return
        prior = self.model.read(payload, topic, self._keys.prior if self._keys else None)
        known = self.offered
        if known is not None and prior.envelope.count < known.envelope.count:
            self.refuse("replayed")
        elif self._replay.refusal(prior.state):
            self.refuse("harmful")
        else:
            self.offered = prior

    def _hear_own(self, topic: str, payload: bytes) -> None:
        """Somebody else's under this name: what the broker retained from an earlier life, or an old state that was sent again."""
        count = 0
        if payload:
            try:
                count = self.model.read(payload, topic, self._keys.own if self._keys else None).envelope.count
            except EnvelopeError as error:
                self.refuse(error.why)
        with self._lock:
            if 0 < count < self._count:
                self.refuse("replayed")
            self._count = max(self._count, count)
        if self._newest is not None:
            now = time.monotonic()
            if now - self._healed >= HEAL_EVERY:
                self._heal(now)
            else:
                self._heal_due = True

    def _hear_parts(self, payload: bytes) -> None:
        """In the group's report: which part this device is in."""
        part = part_of(payload, self.address.device)
        group = self.address.group if part is None else f"{self.address.group}{PART}{part}"
        if group != self._prior.group:
            take = self._facts()["seen"] <= FOLLOW_WITHIN
            self.orders.append({"do": "follow", "group": group, "take": take})

    def _heal(self, now: float) -> None:
        """Put the newest state back where it belongs; seldom, as two devices of one name would go on for ever."""
        self._heal_due, self._healed = False, now
        self._send()

    def _hear_order(self, payload: bytes) -> None:
        order = read_command(payload)
        if order is None:
            self.refuse("command")
        elif order["id"] > self._last_order:
            self._last_order = order["id"]
            self.orders.append(order)

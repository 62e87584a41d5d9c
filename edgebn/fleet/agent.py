"""A device's part: publishes what its adapter learned, takes the group's prior, obeys commands; never makes an inference wait.

The caller's thread only leaves the newest state in a drawer and takes what lies there; a thread of its own does the rest.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgebn.adapt import Adapter
from edgebn.adapt.adapter import Snapshot
from edgebn.adapt.policy import State
from edgebn.arguments import check_flag
from edgebn.errors import FleetError
from edgebn.fleet.broker import Broker, broker_of
from edgebn.fleet.connection import Connection
from edgebn.fleet.envelope import Envelope, EnvelopeError, to_bytes
from edgebn.fleet.harm import HomeReplay
from edgebn.fleet.keys import DeviceKeys, read_device
from edgebn.fleet.model import FleetModel, Known
from edgebn.fleet.topics import COMMAND, PART, PRIOR, REPORT, STATE, Address, checked_name, is_group

EVERY, MOVED = 300.0, 0.05  # seconds, and drift in units of one sample's noise, after which a state is published again
LOOK_EVERY = 10.0  # seconds between two looks at how far the drift has moved
RETAINED_SECONDS = 0.2  # that a broker takes to send what it retains, once it has confirmed a subscription
HEAL_EVERY = 5.0  # seconds between two answers to others that speak under this name
FOLLOW_WITHIN = 300  # samples after which a device that was found in another part keeps what it has learned by itself
START_WITHIN = 50  # samples after which a device that just started takes no prior by itself any more
UNDONE_WITHIN = 2000  # samples after a prior was taken in which a trip of the watchdog is laid at its door
COMMANDS = ("prior", "follow", "publish", "freeze", "thaw", "reset", "rollback")
LONGEST_COMMAND = 1024  # bytes
MOST_COMMANDS = 16  # that wait


class Agent:
    """Makes an adapter one of a fleet.

    Use `run` in place of the adapter's, or call `tick` between two inferences. Without a network everything works as without a
    fleet; when it comes back the newest state is published. What it keeps in memory is a state or two, and nothing on the disk.

    Parameters
    ----------
    adapter : Adapter
        With a policy whose states can be merged, as the default ones are.
    broker : str or Broker
        mqtt://host, mqtts://host, or a Broker with names and certificates.
    group : str
        Devices that see the same world.
    device : str
        This one's name, and by good custom its user name at the broker.
    every : float
        Seconds until a state is published again; sooner where the drift has moved by `moved`.
    moved : float
        In units of one sample's noise.
    keys : DeviceKeys or Path, optional
        Its own states are then signed, and priors that are not signed are refused.
    take_prior : bool
        Whether to start from the group's prior: a device that has learned nothing yet takes it within its first 50 samples.
    obey : bool
        Whether to obey commands.
    discover : bool
        Whether to follow the part of the group that a merger with --discover finds it in.
    accept : callable, optional
        Given a checked prior (`Known`), says whether to take it.

    Raises
    ------
    FleetError
        A name that cannot be one, a policy whose states cannot be merged, or no MQTT client installed. That the broker cannot be
        reached is no error: see `status`.

    Examples
    --------
    >>> agent = Agent(adapter, "mqtt://broker.local", "hall-3", "camera-12")  # doctest: +SKIP
    >>> y = agent.run(images)  # doctest: +SKIP
    """

    def __init__(
        self,
        adapter: Adapter,
        broker: str | Broker,
        group: str,
        device: str,
        *,
        every: float = EVERY,
        moved: float = MOVED,
        keys: DeviceKeys | Path | None = None,
        take_prior: bool = True,
        obey: bool = True,
        discover: bool = False,
        accept: Callable[[Known], bool] | None = None,
    ) -> None:
        check_flag(take_prior, "take_prior")
        check_flag(obey, "obey")
        check_flag(discover, "discover")
        if not isinstance(adapter, Adapter):
            raise FleetError(f"an Agent takes an edgebn.Adapter, not {type(adapter).__name__}")
        if not every > 0 or not moved > 0:
            raise FleetError(f"every={every!r} and moved={moved!r}: both must be more than 0")
        self.adapter = adapter
        self.model = FleetModel(adapter.program, adapter.policy)
        self.address = Address(self.model.name, checked_name(group, "group"), checked_name(device, "device"))
        self._keys = read_device(keys) if isinstance(keys, Path) else keys
        self._every, self._moved, self._accept, self._obey = every, moved, accept, obey
        self._replay = HomeReplay(self.model)
        self._lock = threading.Lock()
        # What the two threads hand each other.
        self._offered: Known | None = None  # the newest prior that was found good
        self._orders: deque[dict[str, Any]] = deque(maxlen=MOST_COMMANDS)
        self._newest: tuple[State, int, int, int] | None = None  # state, seen, accepted, trips
        self._count = self._last_order = 0
        self._heal_due, self._healed = False, 0.0
        self._ready_at: float | None = None
        self._is_ready = False  # whether it is known what the broker retains under this name
        # The caller's thread alone.
        self._starts = take_prior and self.model.to_bytes(adapter.state) == self.model.to_bytes(self.model.factory)
        self._asked = False
        self._before: Snapshot | None = None
        self._taken: Known | None = None
        self._taken_at, self._trips = 0, adapter.trips
        self._shunned = b""  # the prior that the watchdog undid
        self._last_time, self._last_look = time.monotonic(), 0.0
        self._last_state: State | None = None
        self.refused: dict[str, int] = {}
        self.taken = self.undone = self.publications = 0
        self._prior = self.address.prior
        gone = json.dumps({"v": 1, "online": False}).encode()
        self._connection = Connection(
            broker_of(broker), device, self._receive, up=self._came_up, turn=self._turn, will=(self.address.topic(REPORT), gone)
        )
        self._connection.subscribe(self._prior.topic(STATE))
        self._connection.subscribe(self.address.topic(STATE))
        if obey:
            self._connection.subscribe(self.address.topic(COMMAND))
        if discover:
            self._connection.subscribe(self.address.prior.topic(REPORT))
        self._connection.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def run(self, x: Any) -> Any:
        """Run a batch as `Adapter.run` does, with a `tick` before and after."""
        self.tick()
        y = self.adapter.run(x)
        self.tick()
        return y

    def tick(self) -> None:
        """Take what came from the fleet and leave what is to be published, between two inferences, in their thread. Never waits."""
        while self._orders:
            self._execute(self._orders.popleft())
        if self.adapter.trips != self._trips:
            self._see_trips()
        if self._starts and self.adapter.seen > START_WITHIN:
            self._starts = False
        offered = self._offered
        if offered is not None and (self._starts or self._asked):
            self._take(offered)
        now = time.monotonic()
        if now - self._last_look >= min(LOOK_EVERY, self._every):
            self._last_look = now
            self._look(now)

    def publish(self) -> None:
        """Have the state published as it stands."""
        state = self.adapter.state
        with self._lock:
            self._newest = state, self.adapter.seen, self.adapter.accepted, self.adapter.trips
        self._last_time, self._last_state = time.monotonic(), state
        self.publications += 1
        self._send()

    def rollback(self) -> bool:
        """Take back the prior taken last, with what was learned since; return whether there was one."""
        if self._before is None:
            return False
        self.adapter.rollback(self._before)
        self._before = self._taken = None
        return True

    def status(self) -> dict[str, Any]:
        """Return what can be said of the fleet: whether the broker is there, what was taken, refused and published."""
        return {
            "online": self._connection.is_up,
            "problem": self._connection.problem,
            "group": self.address.group,
            "device": self.address.device,
            "published": self.publications,
            "priors_taken": self.taken,
            "priors_undone": self.undone,
            "refused": dict(self.refused),
            "connects": self._connection.connects,
        }

    def close(self, seconds: float = 5.0) -> None:
        """Publish the state a last time, say goodbye and disconnect; wait no longer than so many seconds."""
        if self.adapter.accepted:
            self.publish()
            deadline = time.monotonic() + seconds
            while self._connection.is_up and not self._is_ready and time.monotonic() < deadline:
                time.sleep(0.01)
        self._connection.publish(self.address.topic(REPORT), self._report(online=False))
        self._connection.stop(seconds)

    def _see_trips(self) -> None:
        self._trips = self.adapter.trips
        if self._taken is not None and self.adapter.seen - self._taken_at <= UNDONE_WITHIN:
            self._shunned = self._taken.envelope.state
            self.undone += 1
            self._before = self._taken = None
            self._starts = False
        self._send_report()

    def _take(self, prior: Known) -> None:
        self._starts = self._asked = False
        if prior.envelope.state == self._shunned:
            self._refuse("undone before")
            return
        if self._accept is not None and not self._accept(prior):
            self._refuse("by the caller")
            return
        self._before = self.adapter.snapshot()
        self.adapter.rollback(Snapshot(self.adapter.policy, prior.state, self.model.key))
        self._taken, self._taken_at = prior, self.adapter.seen
        self.taken += 1
        self._send_report()

    def _execute(self, order: Mapping[str, Any]) -> None:
        what = order["do"]
        if what in {"freeze", "thaw"}:
            self.adapter.freeze(what == "freeze")
        elif what == "reset":
            self.adapter.reset()
        elif what == "rollback":
            self.rollback()
        elif what == "publish":
            self.publish()
        elif what == "follow":
            self._follow(order.get("group") or self.address.group)
            self._asked |= bool(order.get("take"))
        else:
            self._asked = True
        self._send_report()

    def _follow(self, group: str) -> None:
        """Take priors from another group's, or a part's, from now on."""
        if group == self._prior.group:
            return
        self._connection.unsubscribe(self._prior.topic(STATE))
        self._prior, self._offered = Address(self.model.name, group, PRIOR), None
        self._connection.subscribe(self._prior.topic(STATE))

    def _look(self, now: float) -> None:
        if self._heal_due and now - self._healed >= HEAL_EVERY:
            self._heal(now)
        if not self.adapter.accepted:
            return
        state = self.adapter.state
        due = now - self._last_time >= self._every
        if due or (self._last_state is None or self.model.apart(state, self._last_state) > self._moved):
            self.publish()

    # From here on: the connection's thread, or either.

    def _came_up(self) -> None:
        with self._lock:
            self._ready_at, self._is_ready = None, False
        self._send_report()

    def _turn(self) -> None:
        """Publish nothing under this name before it is known what the broker retains there: its count may be ahead."""
        if self._ready_at is None and self._connection.is_subscribed(self.address.topic(STATE)):
            self._ready_at = time.monotonic() + RETAINED_SECONDS
        if self._ready_at is not None and not self._is_ready and time.monotonic() >= self._ready_at:
            self._is_ready = True
            self._send()

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
        self._connection.publish(topic, payload)

    def _send_report(self) -> None:
        self._connection.publish(self.address.topic(REPORT), self._report(online=True))

    def _report(self, *, online: bool) -> bytes:
        report = {
            "v": 1,
            "online": online,
            "time": time.time_ns() // 1_000_000,
            "seen": self.adapter.seen,
            "accepted": self.adapter.accepted,
            "trips": self.adapter.trips,
            "frozen": self.adapter.frozen,
            "priors_taken": self.taken,
            "priors_undone": self.undone,
            "refused": dict(self.refused),
            "policy": self.adapter.policy,
        }
        return json.dumps(report, separators=(",", ":")).encode()

    def _refuse(self, why: str) -> None:
        self.refused[why] = self.refused.get(why, 0) + 1

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
            self._refuse(error.why)

    def _hear_prior(self, topic: str, payload: bytes) -> None:
        if not payload:
            self._offered = None
            return
        prior = self.model.read(payload, topic, self._keys.prior if self._keys else None)
        known = self._offered
        if known is not None and prior.envelope.count < known.envelope.count:
            self._refuse("replayed")
        elif self._replay.refusal(prior.state):
            self._refuse("harmful")
        else:
            self._offered = prior

    def _hear_own(self, topic: str, payload: bytes) -> None:
        """Somebody else's under this name: what the broker retained from an earlier life, or an old state that was sent again."""
        count = 0
        if payload:
            try:
                count = self.model.read(payload, topic, self._keys.own if self._keys else None).envelope.count
            except EnvelopeError as error:
                self._refuse(error.why)
        with self._lock:
            if 0 < count < self._count:
                self._refuse("replayed")
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
            take = self.adapter.seen <= FOLLOW_WITHIN
            self._orders.append({"do": "follow", "group": group, "take": take})

    def _heal(self, now: float) -> None:
        """Put the newest state back where it belongs; seldom, as two devices of one name would go on for ever."""
        self._heal_due, self._healed = False, now
        self._send()

    def _hear_order(self, payload: bytes) -> None:
        order = read_command(payload)
        if order is None:
            self._refuse("command")
        elif order["id"] > self._last_order:
            self._last_order = order["id"]
            self._orders.append(order)


def read_command(payload: bytes) -> dict[str, Any] | None:
    """Return a command; None where it is none."""
    if len(payload) > LONGEST_COMMAND:
        return None
    try:
        order = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(order, dict) or order.get("do") not in COMMANDS:
        return None
    number, group = order.get("id"), order.get("group")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 1 << 63:
        return None
    if group is not None and not (isinstance(group, str) and is_group(group)):
        return None
    return order


def part_of(report: bytes, device: str) -> str | None:
    """Return the part that a group's report names a device in, if any."""
    try:
        parts = json.loads(report)["parts"]
        found = next((name for name, members in parts.items() if device in members), None)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    return found if found is not None and is_group(f"x{PART}{found}") else None


def command(do: str, group: str | None = None) -> bytes:
    """Return a command's bytes; of two the later one counts.

    Raises
    ------
    FleetError
        There is no such command.
    """
    if do not in COMMANDS:
        raise FleetError(f"there is no command '{do}'; choose one of {', '.join(COMMANDS)}")
    order: dict[str, Any] = {"v": 1, "id": time.time_ns() // 1000, "do": do}
    return json.dumps(order | ({"group": group} if group else {}), separators=(",", ":")).encode()

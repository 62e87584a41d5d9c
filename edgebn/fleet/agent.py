"""A device's part: publishes what its adapter learned, takes the group's prior, obeys commands; never makes an inference wait.

The caller's thread only leaves the newest state in a drawer and takes what lies there; a thread of its own does the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgebn.adapt import Adapter
from edgebn.adapt.adapter import Snapshot
from edgebn.arguments import check_flag
from edgebn.errors import FleetError
from edgebn.fleet.broker import Broker, broker_of
from edgebn.fleet.keys import DeviceKeys, read_device
from edgebn.fleet.member import Member
from edgebn.fleet.model import FleetModel, Known
from edgebn.fleet.topics import Address, checked_name

EVERY, MOVED = 300.0, 0.05  # seconds, and drift in units of one sample's noise, after which a state is published again
LOOK_EVERY = 10.0  # seconds between two looks at how far the drift has moved
START_WITHIN = 50  # samples after which a device that just started takes no prior by itself any more
UNDONE_WITHIN = 2000  # samples after a prior was taken in which a trip of the watchdog is laid at its door


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
            raise FleetError(f"every {every!r} and moved {moved!r}: both must be more than 0")
        self.adapter = adapter
        self.model = FleetModel(adapter.program, adapter.policy)
        self.address = Address(self.model.name, checked_name(group, "group"), checked_name(device, "device"))
        self._every, self._moved, self._accept = every, moved, accept
        self._starts = take_prior and self.model.to_bytes(adapter.state) == self.model.to_bytes(self.model.initial_state)
        self._asked = False
        self._before: Snapshot | None = None
        self._taken: Known | None = None
        self._taken_at, self._trips = 0, adapter.trips
        self._shunned = b""  # the prior that the watchdog undid
        self._last_time, self._last_look = time.monotonic(), 0.0
        self.taken = self.undone = self.publications = 0
        self._member = Member(
            self.model,
            broker_of(broker),
            self.address,
            self._facts,
            keys=read_device(keys) if isinstance(keys, Path) else keys,
            obey=obey,
            discover=discover,
        )
        self._member.start()

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
        while self._member.orders:
            self._execute(self._member.orders.popleft())
        if self.adapter.trips != self._trips:
            self._see_trips()
        if self._starts and self.adapter.seen > START_WITHIN:
            self._starts = False
        offered = self._member.offered
        if offered is not None and (self._starts or self._asked):
            self._take(offered)
        now = time.monotonic()
        if now - self._last_look >= min(LOOK_EVERY, self._every):
            self._last_look = now
            self._look(now)

    def publish(self) -> None:
        """Have the state published as it stands."""
        adapter = self.adapter
        self._last_time = time.monotonic()
        self.publications += 1
        self._member.publish(adapter.state, adapter.seen, adapter.accepted, adapter.trips)

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
            "online": self._member.connection.is_up,
            "problem": self._member.connection.problem,
            "group": self.address.group,
            "device": self.address.device,
            "published": self.publications,
            "priors_taken": self.taken,
            "priors_undone": self.undone,
            "refused": self.refused,
            "connects": self._member.connection.connects,
        }

    @property
    def refused(self) -> dict[str, int]:
        """How often something was refused, by why."""
        return dict(self._member.refused)

    def close(self, seconds: float = 5.0) -> None:
        """Publish the state a last time, say goodbye and disconnect; wait no longer than so many seconds."""
        if self.adapter.accepted:
            self.publish()
        self._member.close(seconds)

    def _facts(self) -> dict[str, Any]:
        adapter = self.adapter
        return {
            "kind": "agent",
            "policy": adapter.policy,
            "seen": adapter.seen,
            "accepted": adapter.accepted,
            "trips": adapter.trips,
            "frozen": adapter.frozen,
            "priors_taken": self.taken,
            "priors_undone": self.undone,
        }

    def _see_trips(self) -> None:
        self._trips = self.adapter.trips
        if self._taken is not None and self.adapter.seen - self._taken_at <= UNDONE_WITHIN:
            self._shunned = self._taken.envelope.state
            self.undone += 1
            self._before = self._taken = None
            self._starts = False
        self._member.report()

    def _take(self, prior: Known) -> None:
        self._starts = self._asked = False
        if prior.envelope.state == self._shunned:
            self._member.refuse("undone before")
            return
        if self._accept is not None and not self._accept(prior):
            self._member.refuse("by the caller")
            return
        self._before = self.adapter.snapshot()
        self.adapter.rollback(Snapshot(self.adapter.policy, prior.state, self.model.key))
        self._taken, self._taken_at = prior, self.adapter.seen
        self.taken += 1
        self._member.report()

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
            self._member.follow(order.get("group") or self.address.group)
            self._asked |= bool(order.get("take"))
        else:
            self._asked = True
        self._member.report()

    def _look(self, now: float) -> None:
        if not self.adapter.accepted:
            return
        state, last = self.adapter.state, self._member.newest
        if now - self._last_time >= self._every or last is None or self.model.apart(state, last) > self._moved:
            self.publish()

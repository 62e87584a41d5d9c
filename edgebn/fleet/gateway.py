"""Boards behind serial lines as members of a fleet: the link's state get and set on one side, MQTT on the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgebn.adapt.policy import State
from edgebn.errors import LinkError
from edgebn.fleet.broker import Broker
from edgebn.fleet.envelope import EnvelopeError
from edgebn.fleet.keys import DeviceKeys
from edgebn.fleet.member import Member
from edgebn.fleet.merging import samples
from edgebn.fleet.model import FleetModel, Known
from edgebn.fleet.topics import Address, checked_name
from edgebn.link import Device, Information, Patience, UnknownRequestError, connect

EVERY, MOVED, POLL = 300.0, 0.05, 5.0  # seconds, drift in units of one sample's noise, seconds between two questions to a board
START_WITHIN = 50  # samples after which a board that has just started takes no prior by itself any more
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds until a line that failed is opened again


@dataclass(frozen=True)
class Line:
    """A board's name and where it is.

    Attributes
    ----------
    device : str
    url : str
        As `edgebn.link.connect` takes it.
    baud : int
    """

    device: str
    url: str
    baud: int = 115200


class Gateway:
    """One board of a fleet.

    Parameters
    ----------
    model : FleetModel
    broker : Broker
    group : str
    line : Line
    every, moved : float
        As of an Agent.
    poll : float
        Seconds between two questions for the board's state.
    keys : DeviceKeys, optional
        See `Agent`.
    take_prior, obey, discover : bool
        See `Agent`.
    keep : bool
        Whether a prior is put into the board's storage too, where it has some.
    told : callable, optional
        Called with a line of text where something happened.
    patience : Patience, optional
    """

    def __init__(
        self,
        model: FleetModel,
        broker: Broker,
        group: str,
        line: Line,
        *,
        every: float = EVERY,
        moved: float = MOVED,
        poll: float = POLL,
        keys: DeviceKeys | None = None,
        take_prior: bool = True,
        obey: bool = True,
        discover: bool = False,
        keep: bool = False,
        told: Callable[[str], None] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.model, self.line = model, line
        self.address = Address(model.name, checked_name(group, "group"), checked_name(line.device, "device"))
        self._every, self._moved, self._poll, self._takes_prior, self._keep = every, moved, poll, take_prior, keep
        self._told, self._patience = told or (lambda _: None), patience
        self.problem = "not opened yet"
        self.state: bytes = b""  # of the board, as it was last
        self.taken = self.published = self.restarts = 0
        self._board = ""
        self._known: State | None = None
        self._before: bytes | None = None
        self._asked = False
        self.is_frozen = False  # whether the board has been told to stop learning
        self._freezes: bool | None = None  # what the newest command about it wishes; None: nothing more
        self._last_time = -1e18
        self._stop = threading.Event()
        self._member = Member(model, broker, self.address, self._facts, keys=keys, obey=obey, discover=discover)
        self._thread = threading.Thread(target=self._work, name=f"edgebn-gateway-{line.device}", daemon=True)

    @property
    def refused(self) -> dict[str, int]:
        """How often something was refused, by why."""
        return dict(self._member.refused)

    @property
    def is_online(self) -> bool:
        """Whether both the board and the broker are there."""
        return not self.problem and self._member.connection.is_up

    @property
    def broker_problem(self) -> str:
        """Why the broker is not there, or ''."""
        return "" if self._member.connection.is_up else self._member.connection.problem

    def start(self) -> None:
        """Open the line and the connection, and keep both up."""
        self._member.start()
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Close both; the board is told nothing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self._member.close(seconds)

    def _work(self) -> None:
        wait = FIRST_WAIT
        while not self._stop.is_set():
            try:
                with connect(self.line.url, baud=self.line.baud, patience=self._patience) as device:
                    self._check(device.info())
                    wait = FIRST_WAIT
                    self._set_problem("")
                    self._serve(device)
            except (LinkError, EnvelopeError) as error:
                self._set_problem(str(error))
            if self._stop.wait(wait):
                return
            wait = min(2 * wait, LONGEST_WAIT)

    def _check(self, information: Information) -> None:
        self._board = information.board
        if information.model_hash[: len(self.model.name)] != self.model.name:
            raise LinkError(
                f"{self.line.url}: the device runs another model ({information.model}, {information.model_hash[:12]}...) than "
                f"{self.model.source} ({self.model.name[:12]}...)"
            )

    def _serve(self, device: Device) -> None:
        while not self._stop.is_set():
            while self._member.orders:
                self._execute(device, self._member.orders.popleft())
            self._freeze(device)
            state = self._read(device)
            offered = self._member.offered
            if offered is not None and (self._asked or self._is_new(state)):
                state = self._bring(device, offered)
            now = time.monotonic()
            last = self._member.newest
            is_due = now - self._last_time >= self._every or last is None or self.model.apart(state, last) > self._moved
            if is_due and not self._is_initial(state):
                self._publish(state)
            if self._stop.wait(self._poll if not self._member.orders else 0):
                return

    def _read(self, device: Device) -> State:
        data = device.state()
        state = self.model.state(data, self.line.url)
        if self._known is not None and samples(self.model, state) < samples(self.model, self._known) and self._is_initial(state):
            self.restarts += 1
            self._told(f"{self.line.device}: back at the source statistics: it was reset, or its watchdog has tripped")
        self.state, self._known = data, state
        return state

    def _is_initial(self, state: State) -> bool:
        return self.model.to_bytes(state) == self.model.to_bytes(self.model.initial_state)

    def _is_new(self, state: State) -> bool:
        """Whether a board has learned next to nothing, and has had no prior since it started."""
        if not self._takes_prior:
            return False
        return self._is_initial(state) or (self.taken == 0 and self._counts(state) and samples(self.model, state) <= START_WITHIN)

    def _counts(self, state: State) -> bool:
        return len(state.scalars) > 0

    def _bring(self, device: Device, prior: Known) -> State:
        self._asked = False
        self._before = device.state()
        device.set_state(prior.envelope.state)
        if self._keep:
            device.keep_state()
        state = self._read(device)
        self.taken += 1
        self._told(f"{self.line.device}: starts from the prior of {prior.envelope.accepted} devices")
        self._member.report()
        return state

    def _publish(self, state: State) -> None:
        self._last_time = time.monotonic()
        self.published += 1
        seen = int(samples(self.model, state))
        self._member.publish(state, seen, seen, self.restarts)

    def _execute(self, device: Device, order: dict[str, Any]) -> None:
        what = order["do"]
        if what == "prior":
            self._asked = True
        elif what == "follow":
            self._member.follow(order.get("group") or self.address.group)
            self._asked |= bool(order.get("take"))
        elif what == "publish":
            self._last_time = -1e18
        elif what in {"freeze", "thaw"}:
            self._freezes = what == "freeze"
        elif what == "reset":
            device.reset()
        elif what == "rollback" and self._before is not None:
            device.set_state(self._before)
            self._before = None
        else:
            self._member.refuse(f"command {what}")
        self._member.report()

    def _freeze(self, device: Device) -> None:
        """Have the board learn or not, as is wished; to freeze again and again, as a board that restarted learns."""
        wish = self._freezes
        if wish is None:
            return
        try:
            device.freeze(wish)
        except UnknownRequestError:
            self._told(
                f"{self.line.device}: its firmware is older than freezing; write it again with `edgebn generate`, and flash it"
            )
            self._member.refuse("command freeze" if wish else "command thaw")
            wish = False
        if not wish:
            self._freezes = None
        if wish != self.is_frozen or self._freezes is None:
            self.is_frozen = wish
            self._member.report()

    def _set_problem(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._told(f"{self.line.device}: {problem or f'{self._board} is there'}")
            self._member.report()

    def _facts(self) -> dict[str, Any]:
        seen = int(samples(self.model, self._known)) if self._known is not None else 0
        return {
            "kind": "gateway",
            "board": self._board,
            "policy": self.model.policy.name,
            "problem": self.problem,
            "seen": seen,
            "trips": self.restarts,
            "frozen": self.is_frozen,
            "priors_taken": self.taken,
        }

"""What can be seen of a fleet at its broker: who is there, how each drifts, who left its group and when. Publishes nothing."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from edgebn.fleet.broker import Broker
from edgebn.fleet.connection import Connection
from edgebn.fleet.envelope import Envelope, EnvelopeError, from_bytes
from edgebn.fleet.topics import EVERY, PART, PRIOR, REPORT, ROOT, STATE, Address, parse, whole

MAX_POINTS, MAX_POINTS_OF_ALL = 240, 400_000  # of drift over time, of one device and of all
MAX_DEVICES = 100_000
MAX_EVENTS = 1000
LONGEST_REPORT = 1 << 22
MAX_LETTERS = 400  # of a reason that is shown
ENERGY, GATE, DRIFT, LARGEST, SPREAD = range(5)  # columns of an envelope's drift numbers


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes
    ----------
    time : float
        Seconds since 1970, by this computer's clock.
    address : Address
    what : str
    """

    time: float
    address: Address
    what: str


@dataclass
class WatchedDevice:
    """One device.

    Attributes
    ----------
    address : Address
    online : bool or None
        None where it has said nothing of that.
    report : dict
        Its last one.
    envelope : Envelope or None
        Its last state's.
    points : deque of (float, ndarray (layers, 5))
        Seconds since 1970 by the device's clock, and the drift numbers.
    left_out : str
        Why its group's prior is made without it, or ''.
    left_at : float or None
        Since when: the time of this device's state then.
    """

    address: Address
    online: bool | None = None
    report: dict[str, Any] = field(default_factory=dict)
    envelope: Envelope | None = None
    points: deque[tuple[float, Any]] = field(default_factory=deque)
    left_out: str = ""
    left_at: float | None = None

    def figure(self, column: int) -> float:
        """Return the largest of the layers' numbers of one kind."""
        if self.envelope is None or not len(self.envelope.drift):
            return 0.0
        return float(self.envelope.drift[:, column].max())

    def as_dict(self, layers: tuple[str, ...]) -> dict[str, Any]:
        """Return everything as plain data."""
        numbers = [] if self.envelope is None else self.envelope.drift.tolist()
        names = layers if len(layers) == len(numbers) else tuple(str(i) for i in range(len(numbers)))
        columns = ("energy", "gate", "drift", "largest_drift", "spread")
        return {
            "model": self.address.model,
            "group": self.address.group,
            "device": self.address.device,
            "online": self.online,
            "time": None if self.envelope is None else self.envelope.time / 1000,
            "seen": self.seen,
            "trips": self.trips,
            "drift": self.figure(DRIFT),
            "gate": self.figure(GATE),
            "left_out": self.left_out,
            "left_at": self.left_at,
            "layers": [{"name": name, **dict(zip(columns, row, strict=True))} for name, row in zip(names, numbers, strict=True)],
            "report": self.report,
        }

    @property
    def seen(self) -> int:
        """Inferences run."""
        return max(_number(self.report.get("seen")), 0 if self.envelope is None else self.envelope.seen)

    @property
    def trips(self) -> int:
        """Returns of the watchdog."""
        return max(_number(self.report.get("trips")), 0 if self.envelope is None else self.envelope.trips)


class Watch:
    """Keeps what a broker says of its fleets.

    Parameters
    ----------
    broker : Broker
    model, group : str, optional
        The only ones to watch.
    layers : tuple of str
        Names of the model's adapted layers, where they are known.
    """

    def __init__(self, broker: Broker, *, model: str | None = None, group: str | None = None, layers: tuple[str, ...] = ()) -> None:
        self.layers = layers
        self.refused: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._devices: dict[Address, WatchedDevice] = {}
        self._groups: dict[Address, dict[str, Any]] = {}
        self._priors: dict[Address, Envelope] = {}
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.messages = 0
        self.connection = Connection(broker, "watch", self._receive)
        for kind in (STATE, REPORT):
            self.connection.subscribe(f"{ROOT}/{model or EVERY}/{group or EVERY}/{EVERY}/{kind}")

    def devices(self) -> list[WatchedDevice]:
        """Return the devices in order."""
        with self._lock:
            return [self._devices[address] for address in sorted(self._devices, key=_order)]

    def groups(self) -> list[tuple[Address, dict[str, Any], Envelope | None]]:
        """Return the groups in order: address of the prior, the merger's report, the prior's envelope."""
        with self._lock:
            known = sorted({one.prior for one in self._devices} | self._groups.keys() | self._priors.keys(), key=_order)
            return [(one, self._groups.get(one, {}), self._priors.get(one)) for one in known]

    def events(self) -> list[Event]:
        """Return what happened, the newest last."""
        with self._lock:
            return list(self._events)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return {
            "broker": str(self.connection.broker),
            "online": self.connection.is_up,
            "messages": self.messages,
            "refused": dict(self.refused),
            "groups": [
                {
                    "model": one.model,
                    "group": one.group,
                    "prior": report.get("prior"),
                    "prior_time": None if prior is None else prior.time / 1000,
                    "harm": report.get("harm", ""),
                    "used": report.get("used", []),
                    "left_out": report.get("left_out", {}),
                    "refused": report.get("refused", {}),
                    "parts": report.get("parts", {}),
                }
                for one, report, prior in self.groups()
            ],
            "devices": [one.as_dict(self.layers) for one in self.devices()],
            "events": [
                {"time": one.time, "group": one.address.group, "device": one.address.device, "what": one.what}
                for one in self.events()
            ],
        }

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        found = parse(topic)
        if found is None:
            self.refused["foreign"] += 1
            return
        address, kind = found
        with self._lock:
            self.messages += 1
            try:
                if kind == REPORT:
                    self._hear_report(address, payload, retained=retained)
                elif not payload:
                    self._remove(address)
                else:
                    self._hear_state(address, from_bytes(payload, topic), retained=retained)
            except EnvelopeError as error:
                self.refused[error.why] += 1

    def _device(self, address: Address) -> WatchedDevice | None:
        if address not in self._devices and len(self._devices) >= MAX_DEVICES:
            self.refused["too many devices"] += 1
            return None
        return self._devices.setdefault(address, WatchedDevice(address))

    def _remove(self, address: Address) -> None:
        if address.device == PRIOR:
            if self._priors.pop(address, None) is not None:
                self._happened(address, "its prior was withdrawn")
        elif self._devices.pop(address, None) is not None:
            self._happened(address, "was removed")

    def _hear_state(self, address: Address, envelope: Envelope, *, retained: bool) -> None:
        if address.device == PRIOR:
            known = self._priors.get(address)
            self._priors[address] = envelope
            if not retained and (known is None or known.state != envelope.state):
                self._happened(address, f"has a new prior, of {envelope.accepted} devices")
            return
        one = self._device(address)
        if one is None:
            return
        if one.envelope is not None and envelope.count < one.envelope.count:
            self.refused["replayed"] += 1
            return
        if one.envelope is None and not retained:
            self._happened(address, "has its first state here")
        if one.envelope is not None and envelope.trips > one.envelope.trips:
            self._happened(address, "its watchdog returned to the factory state")
        is_new = one.envelope is None or envelope.count > one.envelope.count
        one.envelope = envelope
        if is_new:
            one.points.append((envelope.time / 1000, envelope.drift))
            while len(one.points) > max(2, min(MAX_POINTS, MAX_POINTS_OF_ALL // len(self._devices))):
                one.points.popleft()

    def _hear_report(self, address: Address, payload: bytes, *, retained: bool) -> None:
        try:
            report = json.loads(payload, parse_constant=_no_number) if 0 < len(payload) <= LONGEST_REPORT else None
        except (ValueError, RecursionError):
            report = None
        if not isinstance(report, dict):
            if payload:
                self.refused["malformed"] += 1
            return
        if address.device == PRIOR:
            self._hear_group(address, report)
            return
        one = self._device(address)
        if one is None:
            return
        online = report.get("online") is True
        if one.online is not None and one.online != online:
            self._happened(address, "is back" if online else "has gone")
        elif one.online is None and online and not retained:
            self._happened(address, "is there")
        one.online = online
        if len(report) > 2:  # a will says nothing but that it is gone
            if _number(report.get("trips")) > _number(one.report.get("trips")) and one.report:
                self._happened(address, "its watchdog returned to the factory state")
            one.report = report

    def _hear_group(self, address: Address, report: dict[str, Any]) -> None:
        left = report.get("left_out")
        left = {name: printable(why) for name, why in left.items()} if isinstance(left, dict) else {}
        parts = report.get("parts")
        if not (isinstance(report.get("used"), list) and isinstance(report.get("refused"), dict) and isinstance(parts, dict)):
            self.refused["malformed"] += 1
            return
        parts = {printable(name): of for name, of in parts.items() if isinstance(of, list)}
        before = self._groups.get(address, {}).get("left_out", {})
        self._groups[address] = {**report, "left_out": left, "parts": parts, "harm": printable(report.get("harm") or "")}
        if PART in address.group:
            return
        for name in sorted(left.keys() | before.keys()):
            one = self._devices.get(Address(address.model, address.group, name))
            if one is None:
                continue
            if name in left and name not in before:
                one.left_at = time.time() if one.envelope is None else one.envelope.time / 1000
                self._happened(one.address, f"left its group: {left[name]}")
            elif name not in left:
                one.left_at = None
                self._happened(one.address, "agrees with its group again")
            one.left_out = left.get(name, "")

    def _happened(self, address: Address, what: str) -> None:
        self._events.append(Event(time.time(), address, what))


def printable(said: object) -> str:
    """Return what a stranger may have said without what a terminal or a page would act upon, and no more than is read."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(said)[:MAX_LETTERS])


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else 0


def _no_number(name: str) -> None:
    raise ValueError(name)  # NaN and the infinities are no JSON


def _order(address: Address) -> tuple[str, str, str, str]:
    return address.model, whole(address.group), address.group, address.device

"""One MQTT 5 connection that is kept up: a thread of its own, newest message of each topic, bounded memory. Knows no states."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from edgebn.errors import FleetError
from edgebn.fleet.broker import Broker

POLL_SECONDS = 0.05
KEEP_ALIVE = 30  # seconds
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # seconds between two tries to connect; doubled, and scattered by half
MAX_TOPICS = 4096  # that wait to be published; the oldest make place
MAX_IN_FLIGHT = 64  # published and not yet acknowledged
LONGEST_PACKET = 1 << 20  # bytes
HELD = 65535  # messages that the broker may send before one is acknowledged

NOT_YET = "no connection yet"

Receive = Callable[[str, bytes, bool], None]


class Connection:
    """A connection to a broker.

    What is published while the network is away goes out when it is back: of each topic the newest message. All callbacks are called
    in the connection's own thread.

    Parameters
    ----------
    broker : Broker
    name : str
        Of this client, in the broker's log; random letters are appended.
    receive : callable
        Called with topic, payload, and whether the broker had retained the message.
    up : callable, optional
        Called whenever the connection is there (again), before anything is published.
    turn : callable, optional
        Called about twenty times a second while the connection stands.
    will : (str, bytes), optional
        The topic and payload that the broker publishes, retained, when this client is gone without a word.
    longest : int
        Bytes that the broker may send at once.

    Raises
    ------
    FleetError
        paho-mqtt is not installed, or the broker's certificate files are none.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        receive: Receive,
        *,
        up: Callable[[], None] | None = None,
        turn: Callable[[], None] | None = None,
        will: tuple[str, bytes] | None = None,
        longest: int = LONGEST_PACKET,
    ) -> None:
        self.broker, self._longest = broker, longest
        self._receive, self._up, self._turn, self._will = receive, up, turn, will
        self._name = f"edgebn-{name}-{os.urandom(4).hex()}"
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, tuple[bytes, bool]] = OrderedDict()
        self._flying: dict[int, tuple[str, bytes, bool]] = {}
        self._subscriptions: OrderedDict[str, bool] = OrderedDict()  # filter, and whether own messages are wanted
        self._orders: list[tuple[str, str]] = []
        self._confirmed: set[str] = set()
        self._confirms = threading.Condition(self._lock)  # of `_confirmed`
        self._stop = threading.Event()
        self._is_up = threading.Event()
        self._asked: dict[int, str] = {}
        self.problem = NOT_YET
        self.connects = self.dropped = self.failures = 0
        self._client = self._make()
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)

    @property
    def is_up(self) -> bool:
        """Whether the connection stands."""
        return self._is_up.is_set()

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def wait_up(self, seconds: float) -> None:
        """Wait for the connection.

        Raises
        ------
        FleetError
            It does not stand after so many seconds; the message has the broker's reason.
        """
        if not self._is_up.wait(seconds):
            raise FleetError(f"{self.broker} cannot be reached: {self.problem}")

    def stop(self, seconds: float = 5.0) -> None:
        """Send what waits, as far as that goes in so many seconds, and close; the will is not published."""
        if self._thread.is_alive():
            self.flush(seconds)
            self._stop.set()
            self._thread.join(seconds + 1)

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until everything is acknowledged; return whether it was in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not self._pending and not self._flying:
                    return True
            if not self.is_up:
                return False
            time.sleep(0.01)
        return False

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        """Have a message published, QoS 1; one that waits under the same topic is replaced. Returns at once."""
        with self._lock:
            self._pending.pop(topic, None)
            self._pending[topic] = payload, retain
            while len(self._pending) > MAX_TOPICS:
                self._pending.popitem(last=False)
                self.dropped += 1

    def subscribe(self, name: str, *, own: bool = False) -> None:
        """Subscribe to a filter, QoS 1, now and after every interruption; `own`: what this client publishes comes back too."""
        with self._lock:
            self._subscriptions[name] = own
            self._orders.append(("subscribe", name))
            self._confirmed.discard(name)

    def unsubscribe(self, name: str) -> None:
        """End a subscription."""
        with self._lock:
            self._subscriptions.pop(name, None)
            self._orders.append(("unsubscribe", name))

    def is_subscribed(self, name: str) -> bool:
        """Whether the broker has confirmed a subscription."""
        with self._lock:
            return name in self._confirmed

    def wait_subscribed(self, name: str, seconds: float) -> None:
        """Wait for the broker's confirmation of a subscription.

        Raises
        ------
        FleetError
            It has not come after so many seconds.
        """
        with self._confirms:
            if not self._confirms.wait_for(lambda: name in self._confirmed, seconds):
                reason = f": {self.problem}" if self.problem else ""
                raise FleetError(f"{self.broker} has not confirmed the subscription to {name} in {seconds:g} s{reason}")

    def _make(self) -> Any:
        try:
            from paho.mqtt import client as mqtt
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.properties import Properties
        except ImportError as error:
            raise FleetError("a fleet needs an MQTT client: pip install edgebn[fleet]") from error
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self._name, protocol=mqtt.MQTTv5)
        if self.broker.user is not None:
            client.username_pw_set(self.broker.user, self.broker.password)
        if self.broker.tls:
            files = (str(path) if path else None for path in (self.broker.ca, self.broker.certificate, self.broker.key))
            try:
                client.tls_set(*files)
            except (OSError, ValueError) as error:
                raise FleetError(f"{self.broker}: the certificate files cannot be used: {error}") from None
        if self._will is not None:
            client.will_set(self._will[0], self._will[1], qos=1, retain=True)
        client.max_inflight_messages_set(2 * MAX_IN_FLIGHT)
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = HELD
        properties.MaximumPacketSize = self._longest
        self._properties = properties
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message, client.on_publish, client.on_subscribe = self._on_message, self._on_publish, self._on_subscribe
        return client

    def _work(self) -> None:
        wait = FIRST_WAIT
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._client.connect(self.broker.host, self.broker.port, KEEP_ALIVE, clean_start=True, properties=self._properties)
                self._serve()
            except (OSError, ValueError) as error:  # the network's, TLS's, and names that resolve to nothing
                self.problem = str(error) or type(error).__name__
            self._down()
            wait = FIRST_WAIT if time.monotonic() - began > LONGEST_WAIT else min(2 * wait, LONGEST_WAIT)
            if self._stop.is_set():
                break
            self.failures += 1
            self._stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311  # scatters reconnects, no secret
            self._client = self._make()  # nothing of the old connection is left

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._client.loop(POLL_SECONDS) != 0:
                if not self._is_up.is_set() and self.problem == NOT_YET:
                    self.problem = "the broker hung up before it let this client in; perhaps it asks for a certificate"
                return
            if self._is_up.is_set():
                if self._turn is not None:
                    self._turn()
                self._send()
        self._client.disconnect()
        self._client.loop(POLL_SECONDS)

    def _send(self) -> None:
        """Send what waits: messages first, so that what is then subscribed to is as they left it."""
        while True:
            with self._lock:
                if not self._pending or len(self._flying) >= MAX_IN_FLIGHT:
                    break
                topic, (payload, retain) = self._pending.popitem(last=False)
                sent = self._client.publish(topic, payload, qos=1, retain=retain)
                self._flying[sent.mid] = topic, payload, retain
        with self._lock:
            orders, self._orders = self._orders, []
        for what, name in orders:
            self._order(what, name)

    def _order(self, what: str, name: str) -> None:
        if what == "unsubscribe":
            self._client.unsubscribe(name)
            return
        from paho.mqtt.subscribeoptions import SubscribeOptions

        own = self._subscriptions.get(name, False) or name.startswith("$share/")  # for which the protocol knows no other
        number = self._client.subscribe(name, options=SubscribeOptions(qos=1, noLocal=not own))[1]
        if number is not None:
            self._asked[number] = name

    def _down(self) -> None:
        self._is_up.clear()
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
        self._client.reinitialise()  # closes its sockets, which its finalizer may do too late where a cycle is collected
        with self._lock:
            self._confirmed.clear()
            self._asked.clear()
            for topic, payload, retain in self._flying.values():  # not acknowledged: again, unless there is something newer
                self._pending.setdefault(topic, (payload, retain))
            self._flying.clear()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.problem = str(reason).lower()
            return
        self.problem = ""
        self.connects += 1
        with self._lock:
            self._orders = [("subscribe", name) for name in self._subscriptions]
        if self._up is not None:
            self._up()
        self._is_up.set()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._is_up.clear()
        if reason.is_failure and not self.problem:
            self.problem = str(reason).lower()

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._receive(topic, bytes(message.payload), bool(message.retain))

    def _on_publish(self, _client: Any, _data: Any, number: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.problem = f"the broker refuses a message: {reason}"
        with self._lock:
            self._flying.pop(number, None)

    def _on_subscribe(self, _client: Any, _data: Any, number: int, reasons: Any, _properties: Any) -> None:
        name = self._asked.pop(number, None)
        if name is None:
            return
        if any(reason.is_failure for reason in reasons):
            self.problem = f"the broker refuses a subscription to {name}: {reasons[0]}"
            return
        with self._confirms:
            self._confirmed.add(name)
            self._confirms.notify_all()

"""A Mosquitto, mergers in processes of their own, and a crowd of devices with a connection each."""

from __future__ import annotations

import json
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.fleet.world import World, neighbours
from edgebn.fleet.envelope import to_bytes
from edgebn.fleet.merging import merge
from edgebn.fleet.model import Known
from edgebn.fleet.topics import PRIOR, ROOT, Address

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Sender:
    """One MQTT 5 device, without a thread of its own."""

    def __init__(self, port: int, name: str) -> None:
        from paho.mqtt import client as mqtt

        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.client.on_connect = self._connected
        self.port, self.up, self.acknowledged = port, False, 0
        self.client.on_publish = self._published

    def _connected(self, *_: object) -> None:
        self.up = True

    def _published(self, *_: object) -> None:
        self.acknowledged += 1


class Crowd:
    """Many devices with a connection each, driven by one thread."""

    def __init__(self, port: int, names: list[str]) -> None:
        self.senders = {name: Sender(port, f"bench-{name}") for name in names}
        self.selector = selectors.DefaultSelector()
        for one in self.senders.values():
            one.client.connect("127.0.0.1", port, keepalive=600)
            self.selector.register(one.client.socket(), selectors.EVENT_READ, one)
            self.turn(0)
        self.until(lambda: all(one.up for one in self.senders.values()))

    def turn(self, wait: float) -> None:
        for key, _ in self.selector.select(wait):
            key.data.client.loop_read()
        for one in self.senders.values():
            if one.client.want_write():
                one.client.loop_write()

    def until(self, ready, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise TimeoutError("the broker does not answer")
            self.turn(0.02)

    def send(self, messages: dict[str, tuple[str, bytes]]) -> None:
        before = {name: self.senders[name].acknowledged for name in messages}
        for name, (topic, payload) in messages.items():
            self.senders[name].client.publish(topic, payload, 1, retain=True)
        self.until(lambda: all(self.senders[name].acknowledged > count for name, count in before.items()))

    def cut(self, count: int) -> int:
        """Break so many connections without a word."""
        for name in list(self.senders)[:count]:
            line = self.senders.pop(name).client.socket()
            self.selector.unregister(line)
            line.close()
        return count

    def close(self) -> None:
        for one in self.senders.values():
            one.client.disconnect()
            one.client.loop_write()
        self.selector.close()


@contextmanager
def mosquitto(folder: Path, port: int | None = None) -> Iterator[tuple[int, subprocess.Popen]]:
    if port is None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\nmax_connections -1\n")
    running = subprocess.Popen([MOSQUITTO, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port, running
    finally:
        running.kill()
        running.wait()


def started(model: Path, port: int) -> subprocess.Popen:
    """Start a merger."""
    command = [sys.executable, "-m", "edgebn", "fleet", "merge", str(model), "--broker", f"mqtt://127.0.0.1:{port}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def merger(model: Path, port: int) -> Iterator[subprocess.Popen]:
    running = started(model, port)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def memory_of(process: subprocess.Popen) -> float:
    """Return the most memory that a process has had, in MB; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


class Listener:
    """Keeps what is retained of priors and reports."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as mqtt

        self.topics: dict[str, bytes] = {}
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda _client, _data, message: self.topics.update({message.topic: bytes(message.payload)})
        self.client.on_connect = lambda *_: self.client.subscribe(
            [(f"{ROOT}/+/+/{PRIOR}/{kind}", 1) for kind in ("state", "report")]
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def wait(self, ready, seconds: float) -> float:
        began = time.monotonic()
        while not ready(self.topics):
            if time.monotonic() - began > seconds:
                raise TimeoutError("no such prior")
            time.sleep(0.02)
        return time.monotonic() - began

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def crowd_states(place: World, count: int, group: str = "hall") -> tuple[dict[str, tuple[str, bytes]], dict[str, Known], Address]:
    """Return messages of so many devices in the fog, what is in them, and the prior's address: true states, jittered."""
    base = [one.state for one in neighbours(place, "fog", 8, 0).values()]
    messages, known = {}, {}
    for device in range(count):
        name, state = f"d{device:05}", base[device % len(base)].copy()
        state.values += np.random.default_rng(device).normal(0, 0.01, state.values.shape).astype(np.float32)
        one = place.known(place.model.to_bytes(state), 1000 + device)
        topic = Address(place.model.name, group, name).topic("state")
        messages[name], known[name] = (topic, to_bytes(one.envelope, topic)), one
    return messages, known, Address(place.model.name, group, PRIOR)


def expected(place: World, known: dict[str, Known], address: Address) -> bytes:
    return to_bytes(merge(place.model, known).envelope, address.topic("state"))


def accounted(report: bytes) -> int:
    """Return how many devices a group's report knows of."""
    told = json.loads(report)
    return sum(len(told.get(name, ())) for name in ("used", "left_out", "refused"))

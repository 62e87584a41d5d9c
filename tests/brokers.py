"""A Mosquitto of the test's own: started on a free port, killed, started again; skipped where it is not installed."""

import contextlib
import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
LONGEST_WAIT = 120.0
TRIES = 20  # at ports, where others take them first
FIRST_PORT, PORTS, RANGES = 20000, 1000, 12  # below 32768, where a system's own choice of ports for connections begins


class PortTakenError(Exception):
    """Somebody else has the port of a broker."""


class Mosquitto:
    def __init__(self, folder, lines=("allow_anonymous true",), port=None):
        self.port = port or free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.config, self.log = Path(folder) / "mosquitto.conf", Path(folder) / "mosquitto.log"
        as_root = ("user root",) if hasattr(os, "getuid") and os.getuid() == 0 else ()
        self.config.write_text("\n".join([f"listener {self.port} 127.0.0.1", *as_root, "max_queued_messages 0", *lines]) + "\n")
        self.process = None

    def start(self):
        """Start, and wait until it answers; PortTakenError where another has its port."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", self.config], stdout=log, stderr=log, env={**os.environ, "LC_ALL": "C"})
        until(lambda: self.process.poll() is not None or self.answers())
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace")
            if "Address already in use" in said:
                raise PortTakenError
            raise AssertionError(f"Mosquitto does not start with this configuration: {said}")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def broker(folder, *lines):
    if PROGRAM is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    pytest.importorskip("paho.mqtt.client")
    running = started(lambda: Mosquitto(folder, lines or ("allow_anonymous true",)))
    try:
        yield running
    finally:
        running.kill()


def started(make):
    """Return a Mosquitto of `make`'s that has been started; made anew, with other ports, where somebody has taken them."""
    for _ in range(TRIES):
        running = make()
        with contextlib.suppress(PortTakenError):
            running.start()
            return running
    raise AssertionError(f"{TRIES} ports in a row were taken")


def ports():
    """Yield the ports of this process, each once in a long while: every worker of pytest-xdist has a range of its own."""
    worker = re.search(r"\d+$", os.environ.get("PYTEST_XDIST_WORKER", ""))
    mine = int(worker[0]) % (RANGES - 1) if worker else RANGES - 1
    start = random.randrange(PORTS)  # several runs of the tests share a machine
    for i in itertools.count(start):
        yield FIRST_PORT + mine * PORTS + i % PORTS


_PORTS = ports()


def free_port():
    """Return a port at which nobody listens, and that no connection is given by the system."""
    for port in itertools.islice(_PORTS, PORTS):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def until(ready, seconds=LONGEST_WAIT):
    """Wait until something is so; fail where it does not come to be in a very long time."""
    deadline = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


class Client:
    """A plain client: publishes anything, and keeps the newest message of each topic; its subscriptions stand once it is made."""

    def __init__(self, port, *filters, user=None, password=None):
        from paho.mqtt import client as mqtt

        self.topics, self.count, confirmed = {}, 0, []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if user:
            self.client.username_pw_set(user, password)
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(500)
        self.client.on_message = self._take
        self.client.on_connect = lambda *_: [self.client.subscribe(one, 1) for one in filters]
        self.client.on_subscribe = lambda *_: confirmed.append(None)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(lambda: self.client.is_connected() and len(confirmed) >= len(filters))

    def _take(self, _client, _data, message):
        self.count += 1
        self.topics[message.topic] = bytes(message.payload)

    def send(self, topic, payload, retain=True):
        return self.client.publish(topic, payload, 1, retain)

    def send_all(self, messages):
        sent = [self.send(topic, payload) for topic, payload in messages]
        for one in sent:
            one.wait_for_publish(LONGEST_WAIT)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
        self.client.reinitialise()  # closes its sockets, which its finalizer may do too late where a cycle is collected

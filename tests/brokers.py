"""A Mosquitto of the test's own: started on a free port, killed, started again; skipped where it is not installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
LONGEST_WAIT = 120.0


class Mosquitto:
    def __init__(self, folder, lines=("allow_anonymous true",), port=None):
        self.port = port or free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.config = Path(folder) / "mosquitto.conf"
        as_root = ("user root",) if hasattr(os, "getuid") and os.getuid() == 0 else ()
        self.config.write_text("\n".join([f"listener {self.port} 127.0.0.1", *as_root, "max_queued_messages 0", *lines]) + "\n")
        self.process = None

    def start(self):
        self.process = subprocess.Popen([PROGRAM, "-c", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.answers)

    def answers(self):
        assert self.process.poll() is None, "Mosquitto does not start with this configuration"
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
    running = Mosquitto(folder, lines or ("allow_anonymous true",))
    running.start()
    try:
        yield running
    finally:
        running.kill()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


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
    """A plain client: publishes anything, and keeps the newest message of each topic."""

    def __init__(self, port, *filters, user=None, password=None):
        from paho.mqtt import client as mqtt

        self.topics, self.count = {}, 0
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if user:
            self.client.username_pw_set(user, password)
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(500)
        self.client.on_message = self._take
        self.client.on_connect = lambda *_: [self.client.subscribe(one, 1) for one in filters]
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(self.client.is_connected)

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

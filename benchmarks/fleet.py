"""What a fleet gains, what it withstands, and how it grows: simulated devices, real states, a real broker.

    python -m benchmarks.fleet --json fleet.json

Sections: gain (the first samples of a new device, by shift, without and with a liar), life (devices that arrive, move, fail and
lie, error over time), broker (2,000 devices through one Mosquitto), chaos (fewer, while the broker and mergers are killed), junk
(100,000 wrong messages), growth (10 to 10,000 devices: bytes and time; and the arithmetic for a million).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.places import VARIABLE, models_folder
from benchmarks.shifts import UNTUNED_IMAGE_SHIFTS
from edgebn.adapt.streams import arrange
from edgebn.fleet.envelope import Envelope, from_bytes, to_bytes
from edgebn.fleet.harm import HomeReplay
from edgebn.fleet.merging import merge
from edgebn.fleet.model import FleetModel, Known
from edgebn.fleet.topics import PRIOR, ROOT, Address

SECTIONS = ("gain", "life", "broker", "chaos", "junk", "growth")
TUNED = ("gaussian_noise", "defocus_blur", "contrast", "brightness", "fog", "pixelate")
FIRST, LONGER = 50, 200
NEIGHBOURS = 8
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def darker(images):
    """Dusk: a quarter of the light, bluish."""
    return np.clip(np.rint(images * np.array([0.22, 0.25, 0.32])), 0, 255).astype(np.uint8)


def low_resolution_rain(images):
    """Streaks of rain over a soft picture."""
    drops = np.random.default_rng(5).random(images.shape[:3]) < 0.06
    streaks = np.maximum.reduce([np.roll(drops, shift, axis=1) for shift in range(4)])
    soft = sum(np.roll(images.astype(np.float32), shift, axis=2) for shift in (-1, 0, 1)) / 3
    return np.clip(np.where(streaks[..., None], 0.55 * soft + 100, soft), 0, 255).astype(np.uint8)


def warm_light(images):
    """A tungsten lamp: red up, blue down."""
    return np.clip(np.rint(images * np.array([1.25, 0.85, 0.45])), 0, 255).astype(np.uint8)


def haze(images):
    """A dirty lens: less contrast, lifted blacks."""
    return np.clip(np.rint(images * 0.45 + 110), 0, 255).astype(np.uint8)


def speckle(images):
    """Multiplicative noise of a high gain."""
    noise = np.random.default_rng(6).standard_normal(images.shape)
    return np.clip(np.rint(images * (1 + 0.35 * noise)), 0, 255).astype(np.uint8)


OWN = {"dusk": darker, "rain": low_resolution_rain, "tungsten": warm_light, "dirty lens": haze, "speckle": speckle}


@dataclass
class World:
    """A model, and the same labelled images in every shift; the first half is the fleet's, the second the new devices'."""

    program: edgebn.Program
    model: FleetModel
    adapter: edgebn.Adapter
    domains: dict[str, np.ndarray]
    labels: np.ndarray
    half: int

    def learn(self, domain: str, at: np.ndarray, start: bytes | None = None) -> bytes:
        self.begin(start)
        self.adapter.run(self.domains[domain][at])
        return self.model.to_bytes(self.adapter.state)

    def begin(self, start: bytes | None) -> None:
        self.adapter.reset()
        if start is not None:
            self.adapter.take_bytes(start, "a start")

    def right(self, domain: str, at: np.ndarray) -> np.ndarray:
        y = self.adapter.run(self.domains[domain][at])
        return y.reshape(len(at), -1).argmax(axis=1) == self.labels[at]

    def known(self, state: bytes, count: int = 1) -> Known:
        numbers = self.model.numbers(self.model.state(state, "a device"))
        return self.model.known(Envelope(count, count, 300, 300, 0, numbers, state), "a device")


def world(folder: Path) -> World:
    with np.load(folder / "data" / "cifar10_dev.npz") as data:
        home, clean, labels = data["x_train"], data["x_test"], data["y_test"].reshape(-1).astype(np.int64)
        domains = {"clean": clean} | {name: data[f"x_test_{name}"] for name in TUNED}
    domains |= {name: shift(clean) for name, shift in (UNTUNED_IMAGE_SHIFTS | OWN).items()}
    typical = home.astype(np.float32)
    program = edgebn.adaptable(edgebn.quantize(edgebn.load(folder / "models" / "resnet8_jpeg.h5"), typical[:1000]), typical)
    real = {name: images.astype(np.float32) for name, images in domains.items()}
    return World(program, FleetModel(program), edgebn.Adapter(edgebn.Session(program)), real, labels, len(labels) // 2)


def neighbours(place: World, domain: str, count: int, seed: int) -> dict[str, Known]:
    """Return devices that have been somewhere for 100 to 400 samples, every other one in bursts of classes."""
    found = {}
    for device in range(count):
        rng = np.random.default_rng((seed, device, 1))
        at = rng.choice(place.half, rng.integers(100, 400), replace=False)
        if device % 2:
            at = at[arrange(place.labels[at], "dirichlet", device)]
        found[f"d{device}"] = place.known(place.learn(domain, at), 1000 + device)
    return found


def liar(place: World, honest: dict[str, Known], kind: int) -> Known:
    """Return a lie: the opposite, another place's state, half as much again, or the edge of what is believed."""
    values = np.stack([one.state.values for one in honest.values()])
    middle, spread = np.median(values, axis=0), values.std(axis=0)
    told = (-middle, 0 * middle, 1.5 * middle, middle + 3 * spread)[kind % 4]
    state = honest["d0"].state.copy()
    state.values[:] = told
    return place.known(place.model.to_bytes(state), 5000)


def gain(place: World, repeats: int) -> dict:
    print(
        f"\nfirst {FIRST} / {LONGER} samples of a new device, errors in %: ResNet-8 int8, {NEIGHBOURS} neighbours, {repeats} starts"
    )
    names = ("none", "factory", "one neighbour", "fleet", "fleet, a liar of ten", "best")
    print(f"{'':18}" + "".join(f"{name:>22}" for name in names) + f"{'published':>12}")
    replay, rows = HomeReplay(place.model), {}
    plain = edgebn.Session(place.program)
    for domain in place.domains:
        honest = neighbours(place, domain, 9, 0)
        eight = {name: honest[name] for name in list(honest)[:NEIGHBOURS]}
        prior = merge(place.model, eight).envelope.state
        helps = not replay.refusal(place.model.state(prior, domain))
        lied = [merge(place.model, honest | {"liar": liar(place, honest, kind)}).envelope.state for kind in range(4)]
        best = place.learn(domain, np.random.default_rng(9).permutation(place.half))
        told = {name: ([], []) for name in names}
        for turn in range(repeats):
            at = place.half + np.random.default_rng((turn, 2)).choice(len(place.labels) - place.half, LONGER, replace=False)
            starts = {
                "factory": None,
                "one neighbour": eight[f"d{turn % NEIGHBOURS}"].envelope.state,
                "fleet": prior if helps else None,
            }
            starts |= {"fleet, a liar of ten": lied[turn % 4], "best": best}
            right = {"none": plain.run(place.domains[domain][at]).reshape(LONGER, -1).argmax(axis=1) == place.labels[at]}
            for name, start in starts.items():
                place.begin(start)
                right[name] = place.right(domain, at)
            for name, hit in right.items():
                told[name][0].append(100 * (1 - hit[:FIRST].mean()))
                told[name][1].append(100 * (1 - hit.mean()))
        rows[domain] = {name: tuple(float(np.mean(one)) for one in both) for name, both in told.items()}
        cells = "".join(f"{first:>13.1f} /{longer:>7.1f}" for first, longer in rows[domain].values())
        print(f"{domain:18}{cells}{'yes' if helps else 'no':>12}", flush=True)
    shifted = [row for domain, row in rows.items() if domain != "clean"]
    means = {name: tuple(float(np.mean([row[name][i] for row in shifted])) for i in (0, 1)) for name in names}
    print(f"{'mean of shifts':18}" + "".join(f"{first:>13.1f} /{longer:>7.1f}" for first, longer in means.values()))
    result = {
        "gain": means["factory"][0] - means["fleet"][0],
        "gain_200": means["factory"][1] - means["fleet"][1],
        "gain_with_liar": means["factory"][0] - means["fleet, a liar of ten"][0],
        "worst_shift": max(row["fleet"][0] - row["factory"][0] for row in shifted),
        "worst_shift_with_liar": max(row["fleet, a liar of ten"][0] - row["factory"][0] for row in shifted),
        "clean_harm": rows["clean"]["fleet"][0] - rows["clean"]["factory"][0],
        "clean_harm_with_liar": rows["clean"]["fleet, a liar of ten"][0] - rows["clean"]["factory"][0],
    }
    print(", ".join(f"{name} {value:.2f}" for name, value in result.items()), flush=True)
    return {"rows": rows, "means": means, **result}


@dataclass
class Resident:
    """A simulated device."""

    name: str
    domain: str
    state: bytes | None = None
    age: int = 0
    lies: bool = False
    errors: list[float] = field(default_factory=list)


def life(place: World, rounds: int, seed: int = 0) -> dict:
    """Rooms with shifts; devices arrive, move to other rooms, fail (and begin anew), and one in ten lies."""
    rooms = ("fog", "contrast", "motion blur", "jpeg", "dusk", "clean")
    outcome = {}
    for kind in ("no fleet", "fleet", "best"):
        rng = np.random.default_rng(seed)
        best = (
            {room: place.learn(room, np.random.default_rng(9).permutation(place.half)) for room in rooms} if kind == "best" else {}
        )
        residents: list[Resident] = []
        by_round, young, number, left = [], [], 0, 0
        for turn in range(rounds):
            for room in rooms:
                if len([one for one in residents if one.domain == room]) < 10:
                    residents.append(Resident(f"d{number:04}", room, lies=number % 10 == 7))
                    number += 1
            for one in residents:
                event = rng.random()
                if event < 0.02:
                    one.domain = rooms[rng.integers(len(rooms))]  # moved, with what it knows
                elif event < 0.06:
                    one.state, one.age = None, 0  # failed, and was replaced
            priors = {}
            for room in rooms if kind == "fleet" else ():
                known = {}
                for one in residents:
                    if one.domain == room and one.state is not None:
                        state = place.model.state(one.state, one.name)
                        if one.lies:
                            state.values[:] = -state.values
                        known[one.name] = place.known(place.model.to_bytes(state))
                merged = merge(place.model, known)
                left += sum(not any(one.name == name and one.lies for one in residents) for name in merged.left_out)
                priors[room] = merged.envelope.state if merged.envelope else None
            for one in residents:
                at = place.half + rng.choice(len(place.labels) - place.half, FIRST, replace=False)
                start = one.state if one.state is not None else priors.get(one.domain, best.get(one.domain))
                place.begin(start)
                error = 100 * (1 - place.right(one.domain, at).mean())
                one.state, one.age = place.model.to_bytes(place.adapter.state), one.age + 1
                by_round.append((turn, error))
                if one.age == 1:
                    young.append(error)
        quarter = max(1, rounds // 4)
        errors = [float(np.mean([error for turn, error in by_round if turn // quarter == part])) for part in range(4)]
        outcome[kind] = {"errors": errors, "young": float(np.mean(young)), "starts": len(young), "honest_left_out": left}
        print(
            f"{kind:10} errors by quarter {' '.join(f'{error:.1f}' for error in errors)}; "
            f"first {FIRST} samples {np.mean(young):.1f}"
        )
    return outcome


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


@contextmanager
def merger(model: Path, port: int, *options: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "edgebn", "fleet", "merge", str(model), "--broker", f"mqtt://127.0.0.1:{port}", *options]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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


def through_broker(place: World, model: Path, folder: Path, count: int) -> dict:
    messages, known, prior = crowd_states(place, count)
    wanted = expected(place, known, prior)
    with mosquitto(folder) as (port, broker_process):
        listener, crowd = Listener(port), Crowd(port, list(messages))  # in this order: paho's select takes no socket above 1,023
        with merger(model, port) as one:
            time.sleep(3)
            began = time.monotonic()
            crowd.send(messages)
            sent = time.monotonic() - began
            listener.wait(lambda topics: topics.get(prior.topic("state")) == wanted, 120)
            merged = time.monotonic() - began
            listener.wait(lambda topics: len(json.loads(topics[prior.topic("report")])["used"]) == count, 10)
            report = json.loads(listener.topics[prior.topic("report")])
            memory, broker_memory = memory_of(one), memory_of(broker_process)
        listener.close()
        crowd.close()
    lost = count - len(report["used"]) - len(report["left_out"]) - len(report["refused"])
    bytes_ = sum(len(payload) for _, payload in messages.values())
    print(
        f"{count:,} devices with a connection each: states sent in {sent:.1f} s, the prior of all of them {merged:.1f} s after the "
        f"first was sent; {lost} lost, {len(report['left_out'])} left out; merger {memory:.0f} MB, broker {broker_memory:.0f} MB, "
        f"{bytes_ / 1e6:.1f} MB of states",
        flush=True,
    )
    return {
        "devices": count,
        "sent": sent,
        "merged": merged,
        "lost": lost,
        "merger_mb": memory,
        "broker_mb": broker_memory,
        "bytes": bytes_,
    }


def chaos(place: World, model: Path, folder: Path, count: int, seconds: float = 40.0) -> dict:
    """Old and new states in any order while the broker is killed and started, mergers are killed, devices are cut off."""
    messages, known, prior = crowd_states(place, count)
    wanted = expected(place, known, prior)
    dice = random.Random(3)
    old = {}
    for name, (topic, _) in messages.items():
        known_ = known[name]
        stale = Envelope(
            known_.envelope.count - 1, 1, 300, 300, 0, known_.envelope.drift, place.model.to_bytes(place.model.factory)
        )
        old[name] = topic, to_bytes(stale, topic)
    kills = cuts = 0
    with mosquitto(folder) as (port, first):
        mergers = [subprocess.Popen([sys.executable, "-m", "edgebn", "fleet", "merge", str(model), "--broker", f"mqtt://127.0.0.1:{port}"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]  # fmt: skip
        try:
            began = time.monotonic()
            while time.monotonic() - began < seconds / 2:
                some = dice.sample(sorted(messages), count // 4)
                crowd = Crowd(port, some)
                crowd.send({name: dice.choice((old, messages))[name] for name in some})
                for one in list(crowd.senders.values())[: len(some) // 2]:
                    one.client.socket().close()  # cut off
                    cuts += 1
                at = dice.randrange(2)
                mergers[at].kill()
                mergers[at].wait()
                kills += 1
                mergers[at] = subprocess.Popen(mergers[at].args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(1)
            first.kill()
            first.wait()
            time.sleep(2)
            with mosquitto(folder, port) as (_, _second):
                listener, crowd = Listener(port), Crowd(port, list(messages))
                crowd.send(messages)  # as agents do when the broker is back
                mergers[0].kill()
                waited = listener.wait(lambda topics: topics.get(prior.topic("state")) == wanted, 120)
                time.sleep(8)
                same = listener.topics.get(prior.topic("state")) == wanted
                listener.close()
                crowd.close()
        finally:
            for one in mergers:
                one.kill()
                one.wait()
    print(f"{count:,} devices, {kills + 1} mergers killed, {cuts} connections cut, the broker killed: the same prior to the byte: "
          f"{'yes' if same else 'NO'}, {waited:.1f} s after the last state", flush=True)  # fmt: skip
    return {"devices": count, "mergers_killed": kills + 1, "cut": cuts, "same": same, "seconds": waited}


def junk(place: World, folder: Path, count: int) -> dict:
    """Wrong messages of every kind through the broker into a merger of this process."""
    from edgebn.fleet.broker import broker_of
    from edgebn.fleet.merger import Merger

    messages, known, prior = crowd_states(place, 20)
    wanted, dice = expected(place, known, prior), random.Random(4)
    names = sorted(messages)
    with mosquitto(folder) as (port, _):
        listener = Listener(port)
        one = Merger([place.model], broker_of(f"mqtt://127.0.0.1:{port}"))
        one.start()
        stop = threading.Event()
        worker = threading.Thread(target=one.run, args=(stop,))
        worker.start()
        feeder = Listener(port).client
        for topic, payload in messages.values():
            feeder.publish(topic, payload, 1, retain=True)
        listener.wait(lambda topics: topics.get(prior.topic("state")) == wanted, 60)
        merges, before = one.merges, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began, sent = time.monotonic(), []
        for turn in range(count):
            topic, payload = messages[names[turn % 20]]
            stranger = Address(place.model.name, f"g{turn % 50}", f"s{turn % 1000}").topic("state")
            kind = turn % 5
            if kind == 0:
                wrong = stranger, dice.randbytes(dice.randrange(1, 300))
            elif kind == 1:
                wrong = stranger, payload  # another device's
            elif kind == 2:
                wrong = stranger, payload + bytes(2000)
            elif kind == 3:
                flipped = bytearray(payload)
                flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
                wrong = topic, bytes(flipped)
            else:
                told = from_bytes(payload, topic)
                wrong = topic, to_bytes(Envelope(told.count - 1, 1, 1, 1, 0, told.drift, told.state), topic)
            sent.append(feeder.publish(*wrong, 1, retain=False))
            if turn % 2000 == 1999:
                sent.pop().wait_for_publish(60)
                sent.clear()
        deadline = time.monotonic() + 120
        while sum(one.refused.values()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        elapsed = time.monotonic() - began
        time.sleep(3)
        same = listener.topics.get(prior.topic("state")) == wanted
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        stop.set()
        worker.join()
        one.stop()
        listener.close()
        feeder.disconnect()
        feeder.loop_stop()
    total = sum(one.refused.values())
    print(f"{count:,} wrong messages in {elapsed:.0f} s: {total:,} refused {dict(one.refused)}; prior the same: {same}; "
          f"{one.merges - merges} merges meanwhile; {after - before:.0f} MB more memory in this process", flush=True)  # fmt: skip
    return {"sent": count, "refused": dict(one.refused), "same": same, "merges": one.merges - merges, "seconds": elapsed}


def growth(place: World, counts: list[int]) -> list[dict]:
    print("\nmerging alone, by devices of one group: seconds to check, to merge, to replay home; bytes")
    rows = []
    for count in counts:
        messages, _, address = crowd_states(place, count)
        began = time.perf_counter()
        known = {name: place.model.read(payload, topic) for name, (topic, payload) in messages.items()}
        checked = time.perf_counter()
        envelope = merge(place.model, known).envelope
        merged = time.perf_counter()
        HomeReplay(place.model).refusal(place.model.state(envelope.state, "prior"))
        replayed = time.perf_counter()
        size = len(to_bytes(envelope, address.topic("state")))
        rows.append(
            {
                "devices": count,
                "check": checked - began,
                "merge": merged - checked,
                "replay": replayed - merged,
                "bytes": count * size,
            }
        )
        print(
            f"{count:7,}  {checked - began:7.2f}  {merged - checked:7.2f}  {replayed - merged:7.2f}  {count * size / 1e6:8.1f} MB",
            flush=True,
        )
    each = (rows[-1]["check"] + rows[-1]["merge"]) / rows[-1]["devices"]
    size = rows[-1]["bytes"] / rows[-1]["devices"]
    rate = 1e6 / 300
    print(f"on paper, 10^6 devices in groups of 500, a state every 300 s: {rate:,.0f} messages/s, {rate * size / 1e6:.1f} MB/s in; "
          f"each group merged once a minute: {1e6 / 60:,.0f} states/s and {1e6 / 60 * size / 1e6:.0f} MB/s out of the brokers "
          f"and {1e6 / 60 * each:.1f} cores of mergers; retained {1e6 * size / 1e9:.1f} GB", flush=True)  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="the folder with data/ and models/; default $EDGEBN_MODELS")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="again for several; default all")
    parser.add_argument("--repeats", type=int, default=40, help="starts of a new device for each shift")
    parser.add_argument("--devices", type=int, default=2000, help="of broker and chaos")
    parser.add_argument("--messages", type=int, default=100_000, help="of junk")
    parser.add_argument("--rounds", type=int, default=24, help="of life")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    arguments = parser.parse_args()
    folder = models_folder(arguments.models)
    if not (folder / "data").is_dir():
        sys.exit(f"{folder} has no data/; give the folder with --models or {VARIABLE}")
    place, wanted, found = world(folder), arguments.section or SECTIONS, {}
    if MOSQUITTO is None and {"broker", "chaos", "junk"} & set(wanted):
        sys.exit("mosquitto is not installed; install it, or name other sections")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "resnet8.edgebn"
        edgebn.save(place.program, model)
        place.model = FleetModel(edgebn.load(model))
        if "gain" in wanted:
            found["gain"] = gain(place, arguments.repeats)
        if "life" in wanted:
            print("\nsix rooms, ten devices each, one in ten lies; 2 % move and 4 % fail each round of 50 samples")
            found["life"] = life(place, arguments.rounds)
        if "broker" in wanted:
            found["broker"] = through_broker(place, model, folder, arguments.devices)
        if "chaos" in wanted:
            found["chaos"] = chaos(place, model, folder, min(arguments.devices, 400))
        if "junk" in wanted:
            found["junk"] = junk(place, folder, arguments.messages)
        if "growth" in wanted:
            found["growth"] = growth(place, [10, 100, 1000, 10_000])
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

"""Mergers at a broker: what they publish follows from what it retains, whoever was killed; nothing wrong is taken."""

import json
import random
import threading
from dataclasses import replace

import pytest

from edgebn.fleet.broker import broker_of
from edgebn.fleet.envelope import key_of, to_bytes
from edgebn.fleet.merger import Fetch, Merger
from edgebn.fleet.merging import merge
from edgebn.fleet.topics import PRIOR
from tests.brokers import Client, broker, until
from tests.fleet.fleets import WORLDS, address, envelope, fleet, group_of, message

MASTER = bytes(range(32))
PRIOR_TOPIC = "edgebn/v1/+/+/_group/state"
REPORT_TOPIC = "edgebn/v1/+/+/_group/report"


@pytest.fixture
def mosquitto(tmp_path):
    with broker(tmp_path) as running:
        yield running


class Running:
    """A merger in a thread."""

    def __init__(self, running, **options):
        self.outcomes = []
        options = {"settle": 0.05} | options
        self.merger = Merger([fleet().model], broker_of(running.url), told=self.outcomes.append, **options)
        self.merger.start()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.merger.run, args=(self.stop,))
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.merger.stop()


def states(world="dim", count=10, key=None, **facts):
    return [
        message(f"d{i}", fleet().learned[world][i], key and key_of(key, f"d{i}"), count=1000 + i, **facts) for i in range(count)
    ]


def expected(world="dim", count=10, key=None):
    """What merging in this process makes of the same states: the bytes of the prior's message."""
    merged = merge(fleet().model, group_of(world, count))
    return to_bytes(merged.envelope, address(PRIOR).topic("state"), key)


def test_what_is_published_is_what_merging_says(mosquitto):
    watcher = Client(mosquitto.port, PRIOR_TOPIC, REPORT_TOPIC)
    with Running(mosquitto):
        watcher.send_all(states())
        until(lambda: watcher.topics.get(address(PRIOR).topic("state")) == expected())
        report = until(lambda: json.loads(watcher.topics.get(address(PRIOR).topic("report"), b"null")))
        assert report["used"] == sorted(f"d{i}" for i in range(10))
        watcher.send(*message("stray", fleet().learned["bright"][0]))
        until(lambda: "stray" in json.loads(watcher.topics[address(PRIOR).topic("report")])["left_out"])
        assert watcher.topics[address(PRIOR).topic("state")] == expected()
        for i in range(10):  # an operator removes devices
            watcher.send(address(f"d{i}").topic("state"), b"")
        until(lambda: watcher.topics[address(PRIOR).topic("state")] == b"")
    watcher.close()


def test_a_merger_that_comes_late_finds_what_is_retained(mosquitto):
    watcher = Client(mosquitto.port, PRIOR_TOPIC)
    watcher.send_all(states())
    with Running(mosquitto):
        until(lambda: watcher.topics.get(address(PRIOR).topic("state")) == expected())
    watcher.close()


def test_several_mergers_and_a_broker_that_is_killed_end_at_the_same_bytes(mosquitto):
    """States come in any order, more than once, old ones too; mergers and the broker are killed meanwhile."""
    random_ = random.Random(0)
    final = states()
    old = [message(f"d{i}", fleet().learned["home"][i], count=10 + i) for i in range(10)]
    feeder = Client(mosquitto.port)
    with Running(mosquitto), Running(mosquitto) as second:
        for _ in range(3):
            with Running(mosquitto) as third:
                some = random_.sample(old + final, 12)
                feeder.send_all(some)
                third.merger._connection._stop.set()  # gone without a word
        feeder.close()
        mosquitto.kill()
        mosquitto.start()
        feeder = Client(mosquitto.port, PRIOR_TOPIC)
        feeder.send_all(random_.sample(final, 10))  # as agents do when the broker is back
        until(lambda: feeder.topics.get(address(PRIOR).topic("state")) == expected())
        until(lambda: second.merger.idle() and second.merger.flush())
        assert feeder.topics[address(PRIOR).topic("state")] == expected()
    feeder.close()


def test_nothing_wrong_is_taken(mosquitto):
    """Malformed, foreign, replayed, oversized and forged messages are counted; the prior stays, to the byte."""
    watcher = Client(mosquitto.port, PRIOR_TOPIC, "edgebn/v1/+/hall/+/state")
    with Running(mosquitto) as running:
        watcher.send_all(states())
        until(lambda: watcher.topics.get(address(PRIOR).topic("state")) == expected())
        until(running.merger.idle)
        merges = running.merger.merges
        random_ = random.Random(1)
        good, junk = states(), []
        state = fleet().learned["bright"][0]
        for turn in range(400):
            kind = turn % 5
            payload = good[turn % 10][1]
            stranger = address(f"s{turn}").topic("state")
            if kind == 0:
                junk.append((stranger, random_.randbytes(random_.randrange(1, 400))))
            elif kind == 1:
                junk.append((stranger, payload))  # another device's
            elif kind == 2:
                junk.append((stranger, payload + bytes(5000)))
            elif kind == 3:
                cut = replace(envelope(state), state=state[:-5] + bytes(5))
                junk.append((stranger, to_bytes(cut, stranger)))
            else:
                junk.append(message(f"d{turn % 10}", state, count=5))  # older than what is there
        watcher.send_all(junk)
        refused = running.merger.refused  # each kind: what stays retained is refused again at every fetch, so a sum says nothing
        until(lambda: refused["replayed"] >= 80 and refused["oversized"] >= 80 and sum(refused.values()) >= 400)
        until(lambda: all(watcher.topics[topic] == payload for topic, payload in good))  # what was replaced is back
        until(running.merger.idle)
        assert watcher.topics[address(PRIOR).topic("state")] == expected()
        assert running.merger.merges <= merges + 20
        watcher.send(address(PRIOR).topic("state"), b"a forged prior")
        until(lambda: watcher.topics[address(PRIOR).topic("state")] == expected())
    watcher.close()


def test_signed_fleets(mosquitto):
    watcher = Client(mosquitto.port, PRIOR_TOPIC, REPORT_TOPIC)
    with Running(mosquitto, master=MASTER) as running:
        watcher.send_all(states(key=MASTER, count=8))
        watcher.send(*message("d8", fleet().learned["dim"][8], key_of(MASTER, "d7"), count=1008))
        watcher.send(*message("d9", fleet().learned["dim"][9], count=1009))
        until(lambda: watcher.topics.get(address(PRIOR).topic("state")) == expected(count=8, key=key_of(MASTER, PRIOR)))
        until(lambda: running.merger.refused["unsigned"] >= 2)
    watcher.close()


def test_parts_are_found(mosquitto):
    watcher = Client(mosquitto.port, PRIOR_TOPIC, REPORT_TOPIC)
    names = {world: [f"{world}{i}" for i in range(3 * turn, 3 * turn + 3)] for turn, world in enumerate(WORLDS)}
    learned = {name: (world, int(name[-1])) for world, of in names.items() for name in of}
    sent = [message(name, fleet().learned[world][i], count=1000 + i) for name, (world, i) in learned.items()]
    watcher.send_all(sent)
    with Running(mosquitto, find_parts=True):
        report = until(lambda: json.loads(watcher.topics.get(address(PRIOR).topic("report"), b"null")))
        assert report["parts"] == {min(of): of for of in names.values()}
        for world, of in names.items():
            part = address(PRIOR, f"hall~{min(of)}").topic("state")
            known = {name: group_of(world, 11)[f"d{name[-1]}"] for name in of}
            wanted = to_bytes(merge(fleet().model, known).envelope, part)
            until(lambda part=part, wanted=wanted: watcher.topics.get(part) == wanted)
        for name in names["bright"]:
            watcher.send(address(name).topic("state"), b"")
        until(lambda: watcher.topics[address(PRIOR, "hall~bright6").topic("state")] == b"")
    watcher.close()


def test_a_harmful_prior_is_not_published(mosquitto, monkeypatch):
    from edgebn.fleet import harm

    monkeypatch.setattr(harm, "RETURN", 3)
    watcher = Client(mosquitto.port, PRIOR_TOPIC, REPORT_TOPIC)
    watcher.send_all(states())
    with Running(mosquitto):
        report = until(lambda: json.loads(watcher.topics.get(address(PRIOR).topic("report"), b"null")))
        assert "still open" in report["harm"]
        assert report["prior"] is None
    assert not watcher.topics.get(address(PRIOR).topic("state"))
    watcher.close()


def test_a_live_message_takes_nothing_out_of_what_is_retained():
    """While a group is read, only what the broker retains counts against a device."""
    merger = Merger([fleet().model], broker_of("mqtt://localhost"))
    fetch = merger._fetch = Fetch((fleet().model.name, "hall"))
    topic, payload = states(count=1)[0]
    merger._receive(topic, payload, True)
    heard = merger._heard
    merger._receive(topic, payload[:-1], False)
    assert (list(fetch.known), fetch.refused, merger._heard) == (["d0"], {}, heard)
    assert merger.refused["malformed"] == 1
    other = address("d1").topic("state")
    merger._receive(other, b"junk", True)
    assert fetch.refused == {"d1": "malformed"}
    assert merger._heard > heard

"""Agents: they never make an inference wait, catch up after interruptions, take good priors only, and obey."""

import json
import subprocess
import threading

import numpy as np
import pytest

import edgebn
from edgebn.errors import FleetError
from edgebn.fleet import Agent, agent, member
from edgebn.fleet.broker import broker_of
from edgebn.fleet.commands import command, part_of, read_command
from edgebn.fleet.envelope import to_bytes
from edgebn.fleet.keys import device_keys, read_device, read_master, write_device, write_master
from edgebn.fleet.merging import merge
from edgebn.fleet.topics import PRIOR
from tests import brokers
from tests.brokers import LONGEST_WAIT, Client, Mosquitto, broker, until
from tests.demo_model import demo_images
from tests.fleet.fleets import address, envelope, fleet, group_of, message

STATE = "edgebn/v1/+/hall/+/state"
REPORT = "edgebn/v1/+/hall/+/report"


@pytest.fixture
def mosquitto(tmp_path):
    with broker(tmp_path) as running:
        yield running


@pytest.fixture
def adapter():
    return edgebn.Adapter(edgebn.Session(fleet().program))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(agent, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(member, "HEAL_EVERY", 0.05)


def dim(count, start=500):
    return demo_images()[0][start : start + count] * np.float32(0.2)


def prior_message(world="dim", key=None):
    merged = merge(fleet().model, group_of(world))
    topic = address(PRIOR).topic("state")
    return topic, to_bytes(merged.envelope, topic, key), merged.envelope.state


def run_until(one, ready):
    def turn():
        one.tick()
        return ready()

    return until(turn)


def test_it_publishes_what_the_adapter_learned(mosquitto, adapter):
    watcher = Client(mosquitto.port, STATE, REPORT)
    topic = address("pi").topic("state")
    with Agent(adapter, mosquitto.url, "hall", "pi", moved=0.001) as one:
        plain = edgebn.Adapter(edgebn.Session(fleet().program))
        assert (one.run(dim(60)) == plain.run(dim(60))).all()
        run_until(one, lambda: topic in watcher.topics)
        found = fleet().model.read(watcher.topics[topic], topic)
        assert found.envelope.state == plain.to_bytes()
        assert (found.envelope.seen, found.envelope.accepted) == (60, 60)
        report = until(lambda: json.loads(watcher.topics.get(address("pi").topic("report"), b"null")))
        assert report["online"]
        one.run(dim(40))  # the drift has moved: again, long before `every`
        run_until(one, lambda: fleet().model.read(watcher.topics[topic], topic).envelope.count > found.envelope.count)
    until(lambda: not json.loads(watcher.topics[address("pi").topic("report")])["online"])
    assert fleet().model.read(watcher.topics[topic], topic).envelope.state == adapter.to_bytes()
    watcher.close()


def test_a_new_device_starts_from_the_prior_and_may_go_back(mosquitto, adapter):
    watcher = Client(mosquitto.port, REPORT)
    topic, payload, state = prior_message()
    watcher.send_all([(topic, payload)])
    with Agent(adapter, mosquitto.url, "hall", "pi") as one:
        run_until(one, lambda: one.taken)
        assert adapter.to_bytes() == state
        one.run(dim(5))
        assert one.rollback()
        assert adapter.to_bytes() == fleet().model.to_bytes(fleet().model.initial_state)
        assert not one.rollback()
        watcher.send(address("pi").topic("command"), command("prior"))
        run_until(one, lambda: one.taken == 2)
        assert adapter.to_bytes() == state
    watcher.close()


def test_it_keeps_what_it_knows(mosquitto, adapter):
    """A device that has learned takes no prior by itself; nor does one that is told not to, or whose caller refuses."""
    watcher = Client(mosquitto.port)
    topic, payload, _ = prior_message()
    watcher.send_all([(topic, payload)])
    adapter.run(dim(3))
    before = adapter.to_bytes()
    with Agent(adapter, mosquitto.url, "hall", "pi") as one:
        run_until(one, lambda: one._member.offered is not None)
        one.tick()
        assert adapter.to_bytes() == before
    adapter.reset()
    factory = adapter.to_bytes()
    with Agent(adapter, mosquitto.url, "hall", "pi", take_prior=False, obey=False) as one:
        run_until(one, lambda: one._member.offered is not None)
        watcher.send_all([(address("pi").topic("command"), command("prior"))])
        one.tick()
        assert adapter.to_bytes() == factory
    with Agent(adapter, mosquitto.url, "hall", "pi", accept=lambda _: False, obey=False) as one:
        run_until(one, lambda: one.status()["refused"].get("by the caller"))
        assert adapter.to_bytes() == factory
    watcher.close()


def test_bad_priors_are_refused(mosquitto, adapter):
    watcher = Client(mosquitto.port)
    topic, payload, state = prior_message()
    wild = fleet().model.state(state, "")
    wild.values[0, :16] = 7  # held back by the adapter's bounds
    older = to_bytes(envelope(state, count=3), topic)
    with Agent(adapter, mosquitto.url, "hall", "pi", take_prior=False) as one:
        until(lambda: one._member.connection.is_subscribed(topic))  # else only the last of what is retained arrives
        watcher.send_all([(topic, b"anything"), (topic, to_bytes(envelope(fleet().model.to_bytes(wild)), topic))])
        until(lambda: one.refused.keys() == {"malformed", "harmful"})
        watcher.send_all([(topic, payload), (topic, older)])
        until(lambda: one.refused.get("replayed"))
        assert one._member.offered.envelope.state == state
        watcher.send_all([(topic, b"")])
        until(lambda: one._member.offered is None)
    watcher.close()


def test_the_watchdog_undoes_a_prior_and_it_is_not_taken_again(mosquitto, adapter, monkeypatch):
    watcher = Client(mosquitto.port)
    topic, payload, _ = prior_message()
    watcher.send_all([(topic, payload)])
    with Agent(adapter, mosquitto.url, "hall", "pi") as one:
        run_until(one, lambda: one.taken)
        monkeypatch.setattr(adapter._watchdog, "see", lambda *_: "runaway energy")
        one.run(dim(1))
        monkeypatch.undo()
        assert (one.undone, adapter.trips) == (1, 1)
        assert adapter.to_bytes() == fleet().model.to_bytes(fleet().model.initial_state)
        watcher.send(address("pi").topic("command"), command("prior"))
        monkeypatch.setattr(agent, "LOOK_EVERY", 0.01)
        run_until(one, lambda: one.refused.get("undone before"))
        assert one.taken == 1
    watcher.close()


def test_signed_priors(mosquitto, adapter):
    watcher = Client(mosquitto.port)
    keys = device_keys(bytes(32), "pi")
    topic, unsigned, state = prior_message()
    with Agent(adapter, mosquitto.url, "hall", "pi", keys=keys) as one:
        until(lambda: one._member.connection.is_subscribed(topic))
        watcher.send_all([(topic, unsigned), (topic, prior_message(key=keys.own)[1])])
        until(lambda: one.refused.get("unsigned", 0) >= 2)
        watcher.send_all([prior_message(key=keys.prior)[:2]])
        run_until(one, lambda: one.taken)
        assert adapter.to_bytes() == state
    watcher.close()


def test_without_a_network_nothing_waits_and_it_catches_up(tmp_path, adapter, monkeypatch):
    if brokers.PROGRAM is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    mqtt = pytest.importorskip("paho.mqtt.client")
    connect, connecting, may_fail = mqtt.Client.connect, [], threading.Event()

    def hang(*arguments, **options):
        connecting.append(threading.get_ident())
        assert may_fail.wait(LONGEST_WAIT), "an inference waits for the network"
        return connect(*arguments, **options)

    monkeypatch.setattr(mqtt.Client, "connect", hang)
    later = Mosquitto(tmp_path)
    port = later.port
    with Agent(adapter, later.url, "hall", "pi", every=0.02) as one:
        until(lambda: connecting)
        for start in range(500, 700):
            one.tick()
            adapter.run(dim(1, start))
        assert len(connecting) == 1, "a connection that hangs has hung all the while"
        may_fail.set()
        until(lambda: one._member.connection.failures)
        assert not one.status()["online"]
        assert one.status()["problem"]
        assert len(one._member.connection._pending) <= 2, "the newest state and report, however long it lasts"
        topic = address("pi").topic("state")
        later.start()
        try:
            watcher = Client(port, STATE)
            run_until(one, lambda: topic in watcher.topics)
            first_count = fleet().model.read(watcher.topics[topic], topic).envelope.count
            watcher.close()
            later.kill()
            later.start()  # without anything that it retained
            watcher = Client(port, STATE)
            run_until(one, lambda: topic in watcher.topics)
            run_until(one, lambda: fleet().model.read(watcher.topics[topic], topic).envelope.count > first_count)
            watcher.close()
            one.close()
        finally:
            later.kill()


def test_old_states_under_its_name_are_replaced(mosquitto, adapter):
    watcher = Client(mosquitto.port, STATE)
    topic = address("pi").topic("state")
    ahead = 1 << 50  # an earlier life, whose clock was ahead
    watcher.send_all([message("pi", fleet().learned["dim"][0], count=ahead)])
    adapter.run(dim(20))
    with Agent(adapter, mosquitto.url, "hall", "pi") as one:

        def newest():
            return fleet().model.read(watcher.topics[topic], topic).envelope

        run_until(one, lambda: newest().state == adapter.to_bytes())
        assert newest().count > ahead
        for bad in (message("pi", fleet().learned["home"][0], count=5)[1], b"", b"junk"):
            watcher.send_all([(topic, bad)])
            run_until(one, lambda: watcher.topics[topic][:4] == b"EBNF" and newest().state == adapter.to_bytes())
        assert one.refused["replayed"]
    watcher.close()


def test_commands(mosquitto, adapter):
    watcher = Client(mosquitto.port, STATE, REPORT)
    topic = address("pi").topic("command")
    with Agent(adapter, mosquitto.url, "hall", "pi") as one:
        one.run(dim(10))
        freeze = command("freeze")
        watcher.send(topic, freeze)
        run_until(one, lambda: adapter.frozen)
        until(lambda: json.loads(watcher.topics.get(address("pi").topic("report"), b'{"frozen": false}'))["frozen"])
        watcher.send(topic, command("thaw"))
        run_until(one, lambda: not adapter.frozen)
        watcher.send_all([(topic, freeze), (topic, b"{}"), (topic, b"\xff" * 2000)])
        run_until(one, lambda: one.refused.get("command", 0) >= 2)  # one that is retained may come again
        assert not adapter.frozen, "a command is obeyed once"
        watcher.send(topic, command("reset"))
        run_until(one, lambda: adapter.to_bytes() == fleet().model.to_bytes(fleet().model.initial_state))
    watcher.close()


def test_what_is_no_command():
    good = json.loads(command("follow", "hall~pi"))
    assert read_command(json.dumps(good).encode()) == good
    for bad in ({"do": "format"}, {"id": 0}, {"id": True}, {"id": 1 << 70}, {"group": "a/b"}, {"group": 7}):
        assert read_command(json.dumps(good | bad).encode()) is None
    for bad in (b"", b"[", b"[" * 900, b"7", b"\xff"):
        assert read_command(bad) is None
    with pytest.raises(FleetError):
        command("format")


def test_a_part_of_the_group_is_followed(mosquitto, adapter):
    watcher = Client(mosquitto.port)
    part = address(PRIOR, "hall~cam").topic("state")
    merged = merge(fleet().model, group_of("dim"))
    watcher.send_all([(part, to_bytes(merged.envelope, part))])
    report = json.dumps({"parts": {"cam": ["cam", "pi"], "other": ["x"]}}).encode()
    with Agent(adapter, mosquitto.url, "hall", "pi", discover=True) as one:
        until(lambda: one.status()["online"])
        watcher.send(address(PRIOR).topic("report"), report)
        run_until(one, lambda: one.taken)
        assert adapter.to_bytes() == merged.envelope.state
    assert part_of(report, "pi") == "cam"
    for bad in (b"", b"[]", b'{"parts": 1}', b'{"parts": {"a/b": ["pi"]}}', b'{"parts": {"cam": 1}}'):
        assert part_of(bad, "pi") is None
    watcher.close()


def test_users_and_passwords(tmp_path, adapter):

    tool = brokers.shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords = tmp_path / "passwords"
    subprocess.run([tool, "-c", "-b", passwords, "pi", "secret"], check=True, capture_output=True)
    passwords.chmod(0o600)
    (tmp_path / "acl").write_text("user pi\npattern write edgebn/v1/+/+/%u/state\npattern readwrite edgebn/v1/+/+/%u/report\n")
    with broker(tmp_path, "allow_anonymous false", f"password_file {passwords}", f"acl_file {tmp_path / 'acl'}") as running:
        (tmp_path / "secret").write_text("secret\n")
        named = running.url.replace("//", "//pi@")
        with Agent(adapter, broker_of(named, password_file=tmp_path / "secret"), "hall", "pi") as one:
            until(lambda: one.status()["online"])
        with Agent(adapter, named, "hall", "pi") as one:
            until(lambda: "authori" in one.status()["problem"] or "password" in one.status()["problem"])


def test_names_and_urls():
    assert broker_of("mqtts://me:a%40b@host").password == "a@b"
    assert (broker_of("mqtt://host").port, broker_of("mqtts://host").port, broker_of("mqtt://[::1]:7").host) == (1883, 8883, "::1")
    assert "a%40b" not in repr(broker_of("mqtts://me:a%40b@host"))
    for bad in ("host", "http://host", "mqtt://", "mqtt://host:99999", "mqtt://host/path", "mqtt://me:pw@host:x", None):
        with pytest.raises(FleetError) as caught:
            broker_of(bad)
        assert "pw" not in str(caught.value)
    with pytest.raises(FleetError, match="not encrypted"):
        broker_of("mqtt://host", ca=__file__)
    adapter = edgebn.Adapter(edgebn.Session(fleet().program), "dua")
    with pytest.raises(FleetError, match="averages"):
        Agent(adapter, "mqtt://localhost", "hall", "pi")


def test_key_files(tmp_path):
    write_master(tmp_path / "fleet.key")
    master = read_master(tmp_path / "fleet.key")
    assert len(master) == 32
    assert (tmp_path / "fleet.key").stat().st_mode & 0o077 == 0
    with pytest.raises(FleetError, match="exists"):
        write_master(tmp_path / "fleet.key")
    keys = device_keys(master, "pi")
    write_device(tmp_path / "pi.key", keys)
    assert read_device(tmp_path / "pi.key") == keys
    assert keys.own != device_keys(master, "po").own
    assert keys.prior == device_keys(master, "po").prior
    for wrong, read in (("pi.key", read_master), ("fleet.key", read_device), ("none", read_master)):
        with pytest.raises(FleetError):
            read(tmp_path / wrong)


def test_threads_end(mosquitto, adapter):
    before = set(threading.enumerate())
    with Agent(adapter, mosquitto.url, "hall", "pi"):
        own = set(threading.enumerate()) - before
        assert own
    until(lambda: not own & set(threading.enumerate()))

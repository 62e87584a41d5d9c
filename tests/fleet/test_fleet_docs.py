"""docs/fleet.md: its access list is enough for a fleet to work, and no more; its walk leads to three devices and their prior."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import edgebn
from edgebn.fleet import Agent, agent
from edgebn.fleet.broker import broker_of
from edgebn.fleet.commands import command
from edgebn.fleet.topics import PRIOR
from tests import brokers
from tests.brokers import Client, broker, until
from tests.conftest import TEST_ALL
from tests.fleet import fleet_walk
from tests.fleet.fleets import address, fleet, message
from tests.fleet.test_fleet_merger import Running, expected, states

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fleet.md"
USERS = ("merger", "watcher", *(f"d{i}" for i in range(3)), "new")


def access_list():
    (found,) = (
        block for block in re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if "pattern" in block
    )
    return found


def test_the_access_list_is_enough_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(agent, "LOOK_EVERY", 0.01)
    tool = brokers.shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords, rules = tmp_path / "passwords", tmp_path / "edgebn.acl"
    passwords.write_text("".join(f"{user}:secret\n" for user in USERS))
    passwords.chmod(0o600)
    subprocess.run([tool, "-U", passwords], check=True, capture_output=True)
    rules.write_text(access_list())
    rules.chmod(0o600)
    with broker(tmp_path, "allow_anonymous false", f"password_file {passwords}", f"acl_file {rules}") as running:

        def named(user):
            return replace(broker_of(running.url), user=user, password="secret")

        clients = {user: Client(running.port, "edgebn/v1/#", user=user, password="secret") for user in USERS[1:5]}
        watcher, thief = clients["watcher"], clients["d0"]
        as_merger = Client(running.port, user="merger", password="secret")
        monkeypatch.setattr("tests.fleet.test_fleet_merger.broker_of", lambda _: named("merger"))
        with Running(running):
            for i, one in enumerate(states(count=3)):
                clients[f"d{i}"].send_all([one])
            until(lambda: watcher.topics.get(address(PRIOR).topic("state")) == expected(count=3))
            until(lambda: address(PRIOR).topic("report") in watcher.topics)
            before = dict(watcher.topics)
            forged = message("d1", fleet().learned["home"][0], count=9999)
            prior = address(PRIOR).topic("state")
            reset = address("d1").topic("command"), command("reset")
            refused = {
                watcher: [forged, (prior, b""), reset],
                thief: [forged, (forged[0], b""), (prior, b"x"), reset],
                as_merger: [(address("d1").topic("report"), b"{}"), reset],
            }
            for one, messages in refused.items():
                for topic, payload in messages:
                    one.client.publish(topic, payload, 0, retain=True)  # Mosquitto 2.0.11 hangs up on a refusal of QoS 1
            until(lambda: not any(one.client.want_write() for one in refused))
            with Agent(edgebn.Adapter(edgebn.Session(fleet().program)), named("new"), "hall", "new") as one:
                until(lambda: one.tick() or one.taken)
                until(lambda: address("new").topic("report") in watcher.topics)
            assert {topic: watcher.topics[topic] for topic in before} == before
            assert address("d1").topic("command") not in watcher.topics
            assert address("d1").topic("state") not in thief.topics, "a device does not even read another's state"
        for one in (*clients.values(), as_merger):
            one.close()


@pytest.mark.skipif(not TEST_ALL, reason="takes a minute (EDGEBN_TEST_ALL=1)")
def test_the_walk_from_nothing_to_three_devices(tmp_path):
    if not fleet_walk.may_walk():
        pytest.skip("the walk is for root on a Debian with mosquitto and unshare")
    done = fleet_walk.walk(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hall-3: a prior of 3 devices" in done.stdout
    assert done.stdout.count("'priors_taken': 0") == 3
    assert done.stdout.count("'priors_taken': 1") == 1, "one that begins anew starts from the prior"
    assert float(done.stdout.splitlines()[-1].split()[0]) < 900, "the page promises a quarter of an hour"

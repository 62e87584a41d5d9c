"""Models that lie at the broker: mergers and gateways without a file of their own take them, and take nothing else."""

import json

import pytest

import edgebn
from edgebn.adapt.state_file import model_key
from edgebn.cli.main import main
from edgebn.errors import FleetError
from edgebn.fleet import models
from edgebn.fleet.broker import broker_of
from edgebn.fleet.topics import PRIOR, model_in, model_topic
from edgebn.formats import native
from tests.brokers import Client, broker, until
from tests.demo_model import demo_images, demo_int8
from tests.fleet.fleets import address, fleet
from tests.fleet.test_fleet_merger import expected, states


@pytest.fixture
def mosquitto(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "SETTLE", 0.3)
    with broker(tmp_path) as running:
        yield running


def test_topics():
    name = fleet().model.name
    assert model_in(model_topic(name)) == name
    for wrong in ("edgebn/v1/model", f"edgebn/v1/{name}/state", f"edgebn/v1/{name}/x/model", f"edgebn/v1/{name.upper()}/model"):
        assert model_in(wrong) is None


def test_a_merger_without_a_file(mosquitto, tmp_path, capsys):
    path = tmp_path / "m.edgebn"
    edgebn.save(fleet().program, path)
    at = ["--broker", mosquitto.url, "--json"]
    assert main(["fleet", "merge", "--once", *at]) == 1
    assert "edgebn fleet publish MODEL" in json.loads(capsys.readouterr().out)["error"]
    assert main(["fleet", "publish", str(path), *at]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == fleet().model.name
    client = Client(mosquitto.port, "edgebn/v1/+/+/+/state")
    client.send_all(states())
    assert main(["fleet", "merge", "--once", "--group", "hall", *at]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert (group["group"], group["prior"], len(group["used"])) == ("hall", True, 10)
    until(lambda: client.topics.get(address(PRIOR).topic("state")) == expected())
    client.close()


def test_what_is_not_the_model_of_its_topic_is_not_taken(mosquitto, capsys):
    other = edgebn.adaptable(demo_int8(), demo_images()[0][:300])
    client = Client(mosquitto.port)
    name = fleet().model.name
    for payload in (native.to_bytes(other), native.to_bytes(fleet().program)[:-100], b"nonsense", b"\0" * 70000):
        client.send(model_topic(name), payload).wait_for_publish()
        with pytest.raises(FleetError, match="no model lies at"):
            models.left(broker_of(mosquitto.url), 120.0)
    client.send(model_topic(name), native.to_bytes(fleet().program)).wait_for_publish()
    client.send(model_topic(model_key(other).hex()), native.to_bytes(other)).wait_for_publish()
    assert {model_key(one).hex() for one in models.left(broker_of(mosquitto.url), 120.0)} == {name, model_key(other).hex()}
    assert main(["fleet", "gateway", "--port", "a=socket://127.0.0.1:9", "--group", "hall", "--broker", mosquitto.url]) == 2
    assert "2 models lie at" in capsys.readouterr().err
    client.close()

"""`edgebn live --fleet`: what a camera learns is shared, and the answers are those of a device on its own."""

import json

import numpy as np
import pytest

import edgebn
from edgebn.cli.main import main
from edgebn.fleet.topics import PRIOR
from edgebn.preparation.data import Picture
from tests import media
from tests.brokers import Client, broker, until
from tests.demo_model import demo_images, demo_int8

cv2 = pytest.importorskip("cv2")
FRAMES = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("fleet")
    images = demo_images()[0]
    model = edgebn.adaptable(demo_int8(), images[:200])
    edgebn.save(
        edgebn.prepare(model, image=Picture("grey", scale=(1 / 255,)), labels=tuple(map(str, range(10)))), place / "m.edgebn"
    )
    writer = cv2.VideoWriter(str(place / "film.avi"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (64, 64))
    for image in images[:FRAMES, :, :, 0]:
        picture = cv2.resize((image * 255 * 0.3).astype(np.uint8), (64, 64))
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    return place


def live(folder, capsys, answers, *options):
    assert (
        main(["live", str(folder / "m.edgebn"), "--file", str(folder / "film.avi"), "--answers", str(answers), "--json", *options])
        == 0
    )
    return json.loads(capsys.readouterr().out), answers.read_text()


def test_a_film_is_answered_as_alone_and_its_state_published(folder, tmp_path, capsys):
    alone, wanted = live(folder, capsys, tmp_path / "alone.jsonl", "--adapt")
    assert alone["fleet"] is None
    assert alone["adaptation"]["accepted"] > 0
    with broker(tmp_path) as running:
        client = Client(running.port, "edgebn/v1/#")
        options = ("--adapt", "--fleet", running.url, "--group", "hall", "--device", "camera-1")
        state, found = live(folder, capsys, tmp_path / "fleet.jsonl", *options)
        assert found == wanted
        fleet = state["fleet"]
        assert (fleet["group"], fleet["device"], fleet["online"]) == ("hall", "camera-1", True)
        topics = until(lambda: [topic for topic in client.topics if topic.endswith("hall/camera-1/state")])
        report = topics[0].replace("/state", "/report")
        until(lambda: report in client.topics and json.loads(client.topics[report])["online"] is False)
        assert not [topic for topic in client.topics if f"/{PRIOR}/state" in topic]
        client.close()


def test_without_a_broker_everything_is_answered(folder, tmp_path, capsys):
    _, wanted = live(folder, capsys, tmp_path / "alone.jsonl", "--adapt")
    state, found = live(folder, capsys, tmp_path / "fleet.jsonl", "--adapt", "--fleet", "mqtt://127.0.0.1:9", "--device", "c")
    assert found == wanted
    assert state["fleet"]["online"] is False


def test_the_terminal_shows_the_fleet(folder, tmp_path):
    from edgebn.live.chain import Chain
    from edgebn.live.view import lines_of, state_of
    from tests.live.test_live import Made

    status = {
        "online": False,
        "problem": "refused",
        "group": "g",
        "device": "d",
        "published": 2,
        "priors_taken": 1,
        "priors_undone": 0,
    }
    lines = dict(lines_of(state_of(Chain(edgebn.Pipeline(media.looker()), Made([])), "m", status)))
    assert lines["fleet g/d"] == "offline: refused; 2 published, 1 priors taken, 0 undone"


REFUSED = {
    ("--fleet", "mqtt://127.0.0.1"): (2, "--fleet shares what is learned: give --adapt too"),
    ("--adapt", "--group", "hall"): (2, "--group does nothing here: give --fleet too, or leave it out"),
    ("--adapt", "--no-prior"): (2, "--no-prior does nothing here: give --fleet too, or leave it out"),
    ("--adapt", "--fleet", "nonsense"): (1, "is no address of a broker"),
    ("--adapt", "--fleet", "mqtt://127.0.0.1", "--device", "a/b"): (1, "a/b"),
    ("--adapt", "--fleet", "mqtt://127.0.0.1", "--device-key", "missing.key"): (1, "missing.key"),
}


@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
def test_what_is_refused(options, folder, capsys):
    status, reason = REFUSED[options]
    assert main(["live", str(folder / "m.edgebn"), "--file", str(folder / "film.avi"), *options]) == status
    message = capsys.readouterr().err
    assert reason in message
    assert message.count("\n") == 1

"""Watching: what is shown of a fleet, in JSON, as a page, as metrics, and the commands around it."""

import json
import re
import urllib.error
import urllib.request
from html.parser import HTMLParser

import pytest

import edgebn
from edgebn.cli.fleet import watch as watch_command
from edgebn.cli.main import main
from edgebn.errors import FleetError
from edgebn.fleet.broker import broker_of
from edgebn.fleet.envelope import to_bytes
from edgebn.fleet.metrics import serving, text
from edgebn.fleet.page import page
from edgebn.fleet.topics import PRIOR
from edgebn.fleet.watching import Watch
from tests.brokers import Client, broker, free_port, until
from tests.fleet.fleets import WORLDS, address, envelope, fleet, message
from tests.fleet.test_fleet_merger import expected, states


@pytest.fixture
def mosquitto(tmp_path):
    with broker(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "demo.edgebn"
    edgebn.save(fleet().program, path)
    return path


@pytest.fixture
def watch():
    """A watch without a broker."""
    return Watch(broker_of("mqtt://localhost"))


def report(device, **facts):
    return address(device).topic("report"), json.dumps({"v": 1, "online": True} | facts).encode()


def group_report(**facts):
    told = {"v": 1, "used": [], "left_out": {}, "refused": {}, "parts": {}, "prior": None, "harm": ""} | facts
    return address(PRIOR).topic("report"), json.dumps(told).encode()


def hear(watch, *messages, retained=False):
    for topic, payload in messages:
        watch._receive(topic, payload, retained)


def happened(watch):
    return [(one.address.device, one.what) for one in watch.events()]


def test_what_happens_is_told(watch):
    dim, home = fleet().learned["dim"][0], fleet().learned["home"][0]
    hear(watch, message("pi", dim, count=5), retained=True)
    hear(watch, report("pi", seen=100, trips=0, kind="agent"))
    hear(watch, message("new", home, count=6), report("pi", seen=150, trips=1, kind="agent"))
    hear(watch, group_report(left_out={"pi": "its drift is 3.00 away from its group's"}))
    hear(watch, group_report(), (address("pi").topic("report"), b'{"v":1,"online":false}'))
    topic = address(PRIOR).topic("state")
    hear(watch, (topic, to_bytes(envelope(dim), topic)), (topic, b""), (address("new").topic("state"), b""))
    assert happened(watch) == [
        ("pi", "is there"),
        ("new", "has its first state here"),
        ("pi", "its watchdog returned to the factory state"),
        ("pi", "left its group: its drift is 3.00 away from its group's"),
        ("pi", "agrees with its group again"),
        ("pi", "has gone"),
        (PRIOR, "has a new prior, of 100 devices"),
        (PRIOR, "its prior was withdrawn"),
        ("new", "was removed"),
    ]
    (one,) = watch.devices()
    assert (one.online, one.seen, one.trips, one.left_at) == (False, 150, 1, None)


def test_when_a_device_left_is_its_own_time(watch):
    hear(watch, message("pi", fleet().learned["dim"][0], count=5, time=1_700_000_000_000))
    hear(watch, group_report(left_out={"pi": "it is elsewhere"}))
    assert watch.devices()[0].left_at == 1_700_000_000


def test_junk_is_counted_and_changes_nothing(watch):
    hear(watch, message("pi", fleet().learned["dim"][0], count=5))
    before = json.dumps(watch.as_dict()["devices"])
    topic, payload = message("pi", fleet().learned["home"][0], count=4)
    hear(
        watch, (topic, payload), (topic, payload[:-1]), ("edgebn/v1/x", b""), ("other", b"1"), (address("pi").topic("report"), b"{")
    )
    hear(watch, (address(PRIOR).topic("report"), b'{"used": 1}'), (address("pi").topic("report"), b"[]"))
    assert watch.refused == {"replayed": 1, "malformed": 4, "foreign": 2}
    assert json.dumps(watch.as_dict()["devices"]) == before


def test_what_strangers_report_harms_no_view(watch):
    """Numbers without end, halves of letters, terminal commands and values of other kinds."""
    hear(watch, message("pi", fleet().learned["dim"][0], count=5), report("pi", seen=10**400, trips=-1, problem="\ud800"))
    told = {"pi": "\x1b[2J\ud800" + 1000 * "x"}
    hear(watch, group_report(left_out=told, harm={"\udfff": 1}, parts={"\ud800": 7, "\x1b": ["pi"]}))
    for shown in (page(watch), text(watch), watch.devices()[0].left_out):
        assert "\x1b" not in shown.encode().decode()
    assert watch.devices()[0].seen == 100
    assert watch.devices()[0].left_out == "?[2J?" + 395 * "x"
    hear(watch, (address("pi").topic("report"), b'{"v":1,"seen":NaN}'))
    assert watch.refused == {"malformed": 1}
    json.loads(json.dumps(watch.as_dict(), allow_nan=False))


def test_memory_is_bounded(watch):
    for count in range(1, 400):
        hear(watch, message("pi", fleet().learned["dim"][0], count=count))
    assert len(watch.devices()[0].points) == 240


class Well(HTMLParser):
    """Collects what a page has, and that every element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload"}, "nothing from elsewhere"
        if tag not in {"meta", "polyline"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_stands_alone(watch):
    hear(watch, *(message(world, fleet().learned[world][0], count=5, time=10**12) for world in WORLDS))
    hear(watch, message("dim", fleet().learned["dim"][5], count=6, time=10**12 + 60_000), report("dim", seen=7, problem="<b>"))
    hear(watch, group_report(left_out={"dim": "<script>alert(1)</script>"}, harm="a & b", parts={"dim": ["dim"]}))
    found = Well()
    found.feed(page(watch))
    assert not found.open
    assert "script" not in found.tags
    told = " ".join(found.text)
    for wanted in ("<script>alert(1)</script>", "a & b", "bright", "2001-09-09 01:46:40", "dim (1)"):
        assert wanted in told
    assert "svg" in found.tags
    assert page(Watch(broker_of("mqtt://localhost")))


LINE = re.compile(r'[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)*\})? -?[0-9.e+-]+')


def test_metrics_are_prometheus_text(watch):
    hear(watch, message("pi", fleet().learned["dim"][0], count=5), report("pi", seen=100, trips=2))
    hear(watch, group_report(used=["a", "b"], left_out={"pi": 'a "quote"'}))
    lines = text(watch).splitlines()
    assert all(line.startswith("# ") or LINE.fullmatch(line) for line in lines)
    at = f'model="{fleet().model.name}",group="hall",device="pi"'
    assert f"edgebn_device_seen_total{{{at}}} 100" in lines
    assert f"edgebn_device_trips_total{{{at}}} 2" in lines
    assert f"edgebn_device_left_out{{{at}}} 1" in lines
    drift = next(line for line in lines if line.startswith("edgebn_layer_drift"))
    known = fleet().model.read(message("pi", fleet().learned["dim"][0], count=5)[1], address("pi").topic("state"))
    assert float(drift.split()[-1]) == pytest.approx(float(known.envelope.drift[0, 2]), rel=1e-6)
    with serving(watch, 0) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert answer.read().decode().splitlines()[0] == lines[0]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/")
        caught.value.close()
        with pytest.raises(FleetError, match="cannot be served"), serving(watch, port):
            pass


@pytest.fixture
def let_see(monkeypatch):
    """Have `edgebn fleet watch` look on until something has been seen: `let_see(*steps)`, each called with the watch."""

    def let(*steps):
        watching, left = [], list(steps)

        class Kept(Watch):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **options)
                watching.append(self)

        def wait(*_):
            if left:
                left.pop(0)(watching[-1])
                return True
            return False

        monkeypatch.setattr(watch_command, "Watch", Kept)
        monkeypatch.setattr(watch_command, "wait", wait)

    return let


def test_the_commands(mosquitto, model, tmp_path, capsys, let_see):
    watcher = Client(mosquitto.port, "edgebn/v1/+/+/+/state")
    watcher.send_all(states())
    at = ["--broker", mosquitto.url, "--json"]

    def answer(*arguments, status=0):
        assert main(["fleet", *map(str, arguments), *at]) == status
        return json.loads(capsys.readouterr().out)

    (group,) = answer("merge", model, "--once")["groups"]
    assert (group["group"], group["prior"], len(group["used"]), group["left_out"]) == ("hall", True, 10, {})
    until(lambda: watcher.topics.get(address(PRIOR).topic("state")) == expected())
    there = [f"d{i}" for i in range(10)]

    def all_there(watch):
        return [one.address.device for one in watch.devices() if one.envelope] == there and [
            one[2] for one in watch.groups() if one[2]
        ]

    let_see(lambda watch: until(lambda: all_there(watch)))
    seen = answer("watch", model, "--report", tmp_path / "fleet.html")
    assert [one["device"] for one in seen["devices"]] == there
    assert [one["name"] for one in seen["devices"][0]["layers"]] == list(fleet().model.statistics.names)
    assert seen["groups"][0]["prior"]["devices"] == 10
    assert "d9" in (tmp_path / "fleet.html").read_text(encoding="utf-8")
    commands = Client(mosquitto.port, "edgebn/v1/+/+/+/command")
    answer("tell", model, "hall", "d3", "freeze")
    told = until(lambda: commands.topics.get(address("d3").topic("command")))
    assert json.loads(told)["do"] == "freeze"
    answer("tell", model, "hall", "d3", "forget")
    until(lambda: watcher.topics[address("d3").topic("state")] == b"")
    assert "d3" not in answer("merge", model, "--once", "--group", "hall")["groups"][0]["used"]
    commands.close()
    watcher.close()


def test_watching_in_the_terminal(mosquitto, capsys, let_see):
    watcher = Client(mosquitto.port)

    def late(watch):
        until(lambda: all(watch.connection.is_subscribed(name) for name in watch.connection._subscriptions))
        watcher.send_all([message("late", fleet().learned["dim"][0])])
        until(lambda: watch.devices() and watch.devices()[0].envelope)

    let_see(late)
    assert main(["fleet", "watch", "--broker", mosquitto.url, "--metrics", "0"]) == 0
    shown = capsys.readouterr().out
    assert "metrics at http://127.0.0.1:" in shown
    assert "hall/late has its first state here" in shown
    watcher.close()


def test_keys_and_mistakes(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fleet", "key", "fleet.key"]) == 0
    assert main(["fleet", "key", "fleet.key", "--device", "pi"]) == 0
    assert (tmp_path / "pi.key").is_file()
    closed = f"mqtt://127.0.0.1:{free_port()}"
    monkeypatch.setattr("edgebn.cli.fleet.merge.CONNECT_SECONDS", 0.3)
    capsys.readouterr()
    for status, words, arguments in (
        (1, "exists already", ["key", "fleet.key"]),
        (1, "cannot be reached", ["merge", str(model), "--once", "--broker", closed]),
        (1, "no address of a broker", ["merge", str(model), "--broker", "localhost"]),
        (1, "two keys", ["gateway", str(model), "--port", "/dev/a", "--group", "g", "--broker", closed, "--fleet-key", "pi.key"]),
        (2, "two boards", ["gateway", str(model), "--port", "/dev/a", "--port", "/dev/a", "--group", "g", "--broker", closed]),
        (1, "the name 'a/b'", ["watch", "--group", "a/b", "--broker", closed]),
        (1, "no password", ["watch", "--broker", closed, "--password-file", "none"]),
    ):
        if words == "two keys":
            words = "does not hold a fleet's key"
        assert main(["fleet", *arguments]) == status
        assert words in capsys.readouterr().err

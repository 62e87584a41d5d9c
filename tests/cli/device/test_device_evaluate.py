"""`edgebn device evaluate` and `device ports`: the measures by their definitions, and boards that are unplugged."""

import json

import numpy as np
import pytest

import edgebn
from edgebn.cli.device.measures import measures
from edgebn.cli.main import main
from edgebn.errors import LinkError
from edgebn.link import Device
from tests import emitted
from tests.demo_model import DATA, demo_int8

COUNT = 12
ARCHIVE = DATA / "fashion_mnist_slice.npz"
INPUTS = [str(ARCHIVE), "--labels", "labels", "--key", "images", "--scale", "1/255", "--limit", str(COUNT)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "int8.edgebn"
    edgebn.save(demo_int8(), path)
    return str(path)


def answer(capsys, *arguments, status=0):
    emitted.board_or_skip("host")
    assert main(["device", "evaluate", *arguments, "--board", "host", "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_measures_are_those_of_their_definitions():
    rng = np.random.default_rng(2)
    reference = rng.standard_normal((5, 7)).astype(np.float32)
    found = reference + rng.standard_normal((5, 7)).astype(np.float32) / 8
    told = measures(found, reference)
    f, r = found.astype(float).ravel(), reference.astype(float).ravel()
    assert told["rmse"] == pytest.approx(np.linalg.norm(f - r) / np.sqrt(35))
    assert told["mae"] == pytest.approx(sum(abs(a - b) for a, b in zip(f, r, strict=True)) / 35)
    assert told["l2r"] == pytest.approx(np.linalg.norm(f - r) / np.linalg.norm(r))
    assert told["nse"] == pytest.approx(1 - np.var(f - r) / np.var(r) - np.mean(f - r) ** 2 / np.var(r))
    assert told["cosine"] == pytest.approx(np.dot(f / np.linalg.norm(f), r / np.linalg.norm(r)))


@pytest.mark.parametrize(
    ("reference", "none"),
    [
        (np.zeros(4), {"l2r", "nse", "cosine"}),
        (np.ones(4), {"nse"}),
        (np.array([1, np.nan, 2, 3]), {"rmse", "mae", "l2r", "nse", "cosine"}),
    ],
    ids=["zero", "constant", "nan"],
)
def test_measures_without_a_value_are_none(reference, none):
    told = measures(np.array([1.0, 2, 3, 4]), reference)
    assert {name for name, value in told.items() if value is None} == none


def test_a_device_gives_pythons_answers_and_is_near_the_float_network(model, capsys):
    report = answer(capsys, model, *INPUTS, "--compare", str(DATA / "fashion_mnist.keras"))
    with np.load(ARCHIVE) as arrays:
        images, labels = arrays["images"][:COUNT] / np.float32(255), arrays["labels"][:COUNT]
    right = edgebn.Session(demo_int8()).run(images).reshape(COUNT, -1).argmax(axis=1) == labels
    assert (report["samples"], report["asked"], report["lost"], report["correct"]) == (COUNT, COUNT, None, int(right.sum()))
    same, other = report["against"]
    assert (same["agreement"], same["equal"], same["rmse"], same["mae"], same["l2r"], same["nse"]) == (
        1.0,
        COUNT,
        0.0,
        0.0,
        0.0,
        1.0,
    )
    assert 0.9 < other["cosine"] < 1
    assert other["rmse"] > 0


@pytest.mark.parametrize("answered", [0, 5])
def test_what_a_board_said_before_it_was_unplugged_counts(answered, model, monkeypatch, capsys):
    once = Device.run
    runs = []

    def run(self, data):
        if len(runs) == answered:
            raise LinkError("the device is silent")
        runs.append(data)
        return once(self, data)

    monkeypatch.setattr(Device, "run", run)
    report = answer(capsys, model, *INPUTS, status=1)
    if answered:
        assert (report["samples"], report["asked"], report["against"][0]["equal"]) == (5, COUNT, 5)
        assert "the device is silent" in report["lost"]
    else:
        assert "the device is silent" in report["error"]
        assert "samples" not in report


def test_labels_that_do_not_fit_are_refused(model, tmp_path, capsys):
    np.save(tmp_path / "labels.npy", np.full(1000, 10))
    options = [INPUTS[0], "--labels", str(tmp_path / "labels.npy"), *INPUTS[3:]]
    assert "a label is 10" in answer(capsys, model, *options, status=1)["error"]


def test_ports_are_listed(monkeypatch, capsys):
    list_ports_common = pytest.importorskip("serial.tools.list_ports_common")
    list_ports = pytest.importorskip("serial.tools.list_ports")
    port = list_ports_common.ListPortInfo("/dev/ttyACM7")
    port.description, port.vid, port.pid, port.serial_number = "Pico", 0x2E8A, 0x000A, "E661"
    monkeypatch.setattr(list_ports, "comports", lambda: [port])
    assert main(["device", "ports", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["ports"]
    assert told == [{"port": "/dev/ttyACM7", "description": "Pico", "usb": "2e8a:000a", "serial_number": "E661"}]
    monkeypatch.setattr(list_ports, "comports", list)
    assert main(["device", "ports"]) == 0
    assert "no serial ports" in capsys.readouterr().out

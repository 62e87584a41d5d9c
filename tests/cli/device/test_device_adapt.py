"""`edgebn device adapt` and `state`: what a device learns over the line is what Python learns, and it goes to files and back."""

import json

import numpy as np
import pytest

import boards
import edgebn
from boards import emulator
from codegen.adaptation import DEFAULT_POLICY
from edgebn.adapt import Adapter
from edgebn.cli.device import learning, target
from edgebn.cli.device.samples import drawn
from edgebn.cli.device.way import Alone
from edgebn.cli.main import main
from edgebn.errors import LinkError
from edgebn.link import connect
from tests import emitted
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images
from tests.link_device import Library, Noise, SimulatedPort, build, expected, meet
from tests.plugged import plugged


@pytest.fixture(scope="module")
def files(adapting_demo, tmp_path_factory):
    """The adaptable demo network, and 12 darker images of it as real numbers."""
    folder = tmp_path_factory.mktemp("files")
    edgebn.save(adapting_demo[0], folder / "demo.edgebn")
    np.save(folder / "dark.npy", demo_images()[0][500:512] * np.float32(0.4))
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build("link_library", tmp_path_factory.mktemp("link"), "-shared", "-fPIC")


def answer(capsys, *arguments, status=0):
    assert main(["device", *map(str, arguments), "--json"]) == status
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("board", ["host", "mps2-an386"] if TEST_ALL else ["host"])
def test_a_device_learns_what_python_learns(files, board, capsys, tmp_path):
    emitted.board_or_skip(board)
    model, stream = files / "demo.edgebn", files / "dark.npy"
    report = answer(capsys, "adapt", model, stream, "--board", board, "--every", 5, "--save", tmp_path / "learned.state")
    adapter = Adapter(edgebn.Session(edgebn.load(model)))
    outputs = adapter.run(np.load(stream))
    adapter.save(tmp_path / "python.state")
    assert (tmp_path / "learned.state").read_bytes() == (tmp_path / "python.state").read_bytes()
    assert report["predicted"] == outputs.reshape(12, -1).argmax(axis=1).tolist()
    assert [line["seen"] for line in report["drift"]] == [5, 10, 12]
    there = answer(capsys, "state", model, "--load", tmp_path / "learned.state", "--board", board)
    assert [layer["drift"] for layer in there["layers"]] == [layer.drift for layer in adapter.report().layers]


@pytest.mark.parametrize("board", ["host", "mps2-an386"] if TEST_ALL else ["host"])
def test_verify_learns_too(files, board, capsys):
    emitted.board_or_skip(board)
    report = answer(capsys, "verify", files / "demo.edgebn", "--samples", 2, "--board", board)
    assert (report["mismatches"], report["learns_as_python"]) == (0, True)
    assert main(["device", "verify", str(files / "demo.edgebn"), "--samples", "2", "--board", board]) == 0
    assert "10 samples learned from: the same state as Python's" in capsys.readouterr().out


def test_verify_finds_another_learning(files, capsys, monkeypatch):
    emitted.board_or_skip("host")
    emit = target.codegen.emit

    def emit_with_another_rate(program, *arguments, **options):
        project = emit(program, *arguments, **options)
        path = project.folder / "kernels/edgebn_adapt.c"
        path.write_text(path.read_text().replace("#define FAST_RATE 0.1f", "#define FAST_RATE 0.11f"))
        return project

    monkeypatch.setattr(target.codegen, "emit", emit_with_another_rate)
    report = answer(capsys, "verify", files / "demo.edgebn", "--samples", 2, "--board", "host", status=1)
    assert (report["mismatches"], report["learns_as_python"]) == (0, False)
    assert main(["device", "verify", str(files / "demo.edgebn"), "--samples", "2", "--board", "host"]) == 1
    assert "the device learns something else than Python" in capsys.readouterr().err


def test_verify_leaves_what_the_device_had_learned(files, tmp_path):
    emitted.board_or_skip("host")
    program = edgebn.load(files / "demo.edgebn")
    policy = "compensated"
    adapter = Adapter(edgebn.Session(program), policy)
    adapter.run(np.load(files / "dark.npy"))
    board = boards.load("host")
    elf = target.build(program, board, tmp_path, policy)
    with emulator.start(board, elf) as running, connect(running.url) as device:
        device.set_state(adapter.to_bytes())
        with learning.factory_state(program, device) as found:
            assert found == policy
            assert learning.learns(program, device, policy, Alone(program, drawn(program, 2), 2))
        assert device.state() == adapter.to_bytes()


def test_a_frozen_device_is_not_adapted_and_is_frozen_when_it_was_verified(files, capsys, tmp_path):
    emitted.board_or_skip("host")
    model, board = files / "demo.edgebn", boards.load("host")
    elf = target.build(edgebn.load(model), board, tmp_path, DEFAULT_POLICY)
    with emulator.start(board, elf) as running, plugged(running.url) as url:
        at = ("--port", url)
        assert answer(capsys, "freeze", *at)["frozen"] is True
        refused = answer(capsys, "adapt", model, files / "dark.npy", *at, status=1)["error"]
        assert "has stopped learning; `edgebn device freeze --off`" in refused
        assert answer(capsys, "verify", model, "--samples", 2, *at)["learns_as_python"] is True
        with connect(url) as device:
            assert device.is_frozen()
            before = device.state()
        assert answer(capsys, "freeze", model, "--off", *at)["frozen"] is False
        answer(capsys, "adapt", model, files / "dark.npy", *at)
        with connect(url) as device:
            assert device.state() != before


def test_a_damaged_state_and_a_model_without_tables_are_refused(files, capsys, tmp_path):
    (tmp_path / "bad.state").write_bytes(b"EBNS" + bytes(60))
    model = files / "demo.edgebn"
    assert main(["device", "state", str(model), "--load", str(tmp_path / "bad.state"), "--board", "host"]) == 1
    assert "bad.state" in capsys.readouterr().err


def test_the_link_learns_once_a_run_however_noisy_the_line(library):
    """What a run is asked to do beside its output happens once, though requests are repeated."""
    device = Library(library)
    port = SimulatedPort(device, Noise(3, flip=0.0005, drop=0.0005, double=0.0005))
    device.start(with_state=True)
    met = meet(port)
    before = met.state()[0]
    data = bytes(range(256)) * 3
    data = data[:605]
    for turn in range(5):
        assert met.learn(data).output[: len(expected(data)[0])] == expected(data)[0]
        assert met.state()[0] == (before + turn + 1) % 256
    met.run(data)
    assert met.state()[0] == (before + 5) % 256
    assert port.noise.damaged


def test_learning_without_adaptation_is_refused(library):
    device = Library(library)
    port = SimulatedPort(device)
    device.start()
    with pytest.raises(LinkError, match="adaptation"):
        meet(port).learn(bytes(605))


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_a_network_with_states_learns_over_the_link_what_python_learns(board, tmp_path, capsys):
    """Behind samples that were run already: verifying and adapting begin the sequence anew."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    emitted.board_or_skip(board)
    from tests.adapt.test_adapt_states import listener

    onnx.save(listener(), tmp_path / "listener.onnx")
    network = edgebn.load(tmp_path / "listener.onnx", states={"past": "past_out"})
    walk = np.random.default_rng(4).normal(0, 1, (200, *network.shapes["x"])).astype(np.float32)
    model, stream = tmp_path / "listener.edgebn", tmp_path / "stream.npy"
    edgebn.save(edgebn.adaptable(edgebn.quantize(network, walk), walk), model)
    np.save(stream, walk[:40] * np.float32(1.6) + np.float32(0.8))
    report = answer(capsys, "verify", model, stream, "--samples", 5, "--board", board)
    assert (report["mismatches"], report["learns_as_python"]) == (0, True)
    report = answer(capsys, "adapt", model, stream, "--board", board, "--save", tmp_path / "learned.state")
    adapter = Adapter(edgebn.Session(edgebn.load(model)))
    outputs = adapter.run(np.load(stream))
    adapter.save(tmp_path / "python.state")
    assert (tmp_path / "learned.state").read_bytes() == (tmp_path / "python.state").read_bytes()
    wanted = (outputs.reshape(-1) > 0.5).astype(int).tolist()  # one probability: of the second of two classes
    assert report["predicted"] == wanted
    assert len(set(wanted)) == 2

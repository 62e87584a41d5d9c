"""What a device learned outlives a restart: in two slots of its storage, a cut write or a flipped bit costs one save at most."""

import contextlib
import json
import threading
import time

import numpy as np
import pytest

import boards
import edgebn
from boards import emulator
from boards.board import STORAGE_FILE, STORAGE_PAGE
from edgebn.adapt import Adapter
from edgebn.cli.device.samples import sample, to_bytes
from edgebn.cli.device.target import build
from edgebn.cli.main import main
from edgebn.errors import LinkError
from edgebn.link import connect
from tests import emitted
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images
from tests.link_device import Library, SimulatedPort, meet
from tests.link_device import build as build_simulated

BOARDS = ("host", "mps2-an386", *(("qemu-riscv32-virt", "mps2-an385", "mps3-an547") if TEST_ALL else ()))
CUTS = 60 if TEST_ALL else 12  # on the host; a third of them in an emulator


class Firmware:
    """The demo network's firmware for one board, and its storage."""

    def __init__(self, program, board, folder):
        self.program, self.board, self.folder = program, boards.load(board), folder
        self._elves = {}

    @contextlib.contextmanager
    def on(self, storage, policy="compensated-tracking"):
        """Switch the device on; yield it and its process."""
        if policy not in self._elves:
            self._elves[policy] = build(self.program, self.board, self.folder / policy, policy)
        with emulator.start(self.board, self._elves[policy], storage) as running, connect(running.url, booting=True) as device:
            yield device, running.process


@pytest.fixture(scope="module", params=BOARDS)
def firmware(request, adapting_demo, tmp_path_factory):
    emitted.board_or_skip(request.param)
    return Firmware(adapting_demo[0], request.param, tmp_path_factory.mktemp("keep"))


def stream(program, count):
    images = demo_images()[0][500 : 500 + count] * np.float32(0.4)
    return [to_bytes(program, sample(program, images, i)) for i in range(count)], images


def flip(storage, place):
    data = bytearray((storage / STORAGE_FILE).read_bytes())
    data[place] ^= 4
    (storage / STORAGE_FILE).write_bytes(data)


def test_a_device_goes_on_from_what_it_kept(firmware, tmp_path):
    data, images = stream(firmware.program, 8)
    adapter = Adapter(edgebn.Session(firmware.program))
    saved = []
    with firmware.on(tmp_path) as (device, _):
        assert (device.kept().number, device.kept().started) == (0, False)
        assert device.state() == adapter.to_bytes()
        for turn in range(2):
            for i in range(4 * turn, 4 * turn + 4):
                device.learn(data[i])
            adapter.run(images[4 * turn : 4 * turn + 4])
            assert device.keep_state().number == turn + 1
            saved.append(adapter.to_bytes())
            assert device.state() == saved[-1]
    with firmware.on(tmp_path) as (device, _):
        assert (device.kept().number, device.kept().started) == (2, True)
        assert device.state() == saved[1]
        adapter.run(images[:1])
        device.learn(data[0])
        assert device.state() == adapter.to_bytes(), "what was not kept learns on from what was"
        device.reset()
        assert device.state() == Adapter(edgebn.Session(firmware.program)).to_bytes(), "a reset is the factory's"
    slot = -(-len(saved[0]) // STORAGE_PAGE) * STORAGE_PAGE
    flip(tmp_path, slot + 100)  # the second save went into the second slot
    with firmware.on(tmp_path) as (device, _):
        assert (device.kept().number, device.kept().started) == (1, True)
        assert device.state() == saved[0]
    flip(tmp_path, 100)
    with firmware.on(tmp_path) as (device, _):
        assert (device.kept().number, device.kept().started) == (0, False)
        assert device.state() == Adapter(edgebn.Session(firmware.program)).to_bytes()
        assert device.keep_state().number == 1


def test_what_another_policy_kept_is_refused(firmware, tmp_path):
    data, _ = stream(firmware.program, 1)
    with firmware.on(tmp_path) as (device, _):
        device.learn(data[0])
        device.keep_state()
    with firmware.on(tmp_path, "compensated") as (device, _):
        assert (device.kept().number, device.kept().started) == (0, False)
        assert device.state() == Adapter(edgebn.Session(firmware.program), "compensated").to_bytes()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pyserial's, of a socket whose other end is dead
def test_power_may_fail_while_it_keeps(firmware, tmp_path):
    """The emulator is killed at any moment of a save: the next start has that state or the one before."""
    data, images = stream(firmware.program, 2)
    adapter = Adapter(edgebn.Session(firmware.program))
    rng = np.random.default_rng(0)
    known = adapter.to_bytes()
    for cut in range(CUTS if firmware.board.name == "host" else CUTS // 3):
        with firmware.on(tmp_path) as (device, process):
            adapter.take_bytes(device.state(), "the device")
            assert adapter.to_bytes() == known
            device.learn(data[cut % 2])
            adapter.run(images[cut % 2][None])
            wanted = adapter.to_bytes()
            killer = emulator_killer(process, rng.uniform(0, 0.004))
            with contextlib.suppress(LinkError):
                device._exchange._patience = device._patience = type(device._patience)(repeat=0.2, request=0.5)
                device.keep_state()
            killer.join()
        with firmware.on(tmp_path) as (device, _):
            found = device.state()
        assert found in {known, wanted}
        known = found


def emulator_killer(process, delay):
    def kill():
        time.sleep(delay)
        process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    return killer


def test_the_command_keeps_and_tells(adapting_demo, tmp_path, capsys):
    model = tmp_path / "demo.edgebn"
    edgebn.save(adapting_demo[0], model)
    np.save(tmp_path / "dark.npy", demo_images()[0][500:505] * np.float32(0.4))
    options = ["--board", "host", "--storage", str(tmp_path / "storage"), "--json"]
    assert main(["device", "adapt", str(model), str(tmp_path / "dark.npy"), "--keep", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["started_from_kept"], told["kept"]) == (False, 1)
    assert main(["device", "state", str(model), "--save", str(tmp_path / "kept.state"), *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["started_from_kept"], told["kept"]) == (True, 1)
    adapter = Adapter(edgebn.Session(edgebn.load(model)))
    adapter.run(np.load(tmp_path / "dark.npy"))
    assert (tmp_path / "kept.state").read_bytes() == adapter.to_bytes()
    assert main(["device", "info", "--port", "/dev/null", "--storage", str(tmp_path)]) == 2
    assert "--storage" in capsys.readouterr().err


def test_a_board_without_storage_says_so(tmp_path):
    device = Library(build_simulated("link_library", tmp_path, "-shared", "-fPIC"))
    port = SimulatedPort(device)
    device.start(with_state=True)
    met = meet(port)
    assert met.keep_state().number == 1
    met.set_state(bytes([0, 1]) + bytes(298))  # the made-up model's storage fails while this byte is odd
    with pytest.raises(LinkError, match="no storage"):
        met.keep_state()
    assert met.kept().number == 1
    device.start()
    with pytest.raises(LinkError, match="adaptation"):
        meet(SimulatedPort(device)).kept()

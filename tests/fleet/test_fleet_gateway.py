"""A gateway: boards behind serial lines publish what they learned, and a new one starts from the prior, to the byte."""

import contextlib
import json
from functools import cache

import numpy as np
import pytest

import boards
import edgebn
from boards import emulator
from edgebn.adapt import Adapter
from edgebn.cli.device.samples import sample, to_bytes
from edgebn.cli.device.target import build
from edgebn.cli.fleet.gateway import line_of
from edgebn.fleet import gateway as module
from edgebn.fleet.broker import broker_of
from edgebn.fleet.commands import command
from edgebn.fleet.gateway import Gateway, Line
from edgebn.fleet.merging import merge
from edgebn.fleet.topics import PRIOR
from edgebn.link import Device, UnknownRequestError, connect
from tests import emitted
from tests.brokers import Client, broker, until
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images, demo_int8
from tests.fleet.fleets import address, fleet
from tests.fleet.test_fleet_merger import Running
from tests.plugged import plugged

PATIENCE = 120.0
SAMPLES = 3  # that a board learns from over the line


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 0.05)


@pytest.fixture(scope="module")
def boards_of(tmp_path_factory):
    """Return the fleet of a kind of board; its firmware is built once."""
    return cache(lambda board: Fleet(board, tmp_path_factory.mktemp("firmware")))


class Fleet:
    """Boards of one kind with the demo network, and the Python adapters beside them."""

    def __init__(self, board, folder):
        emitted.board_or_skip(board)
        self.board = boards.load(board)
        self.elf = build(fleet().program, self.board, folder, "compensated-tracking")
        self.images = demo_images()[0] * np.float32(0.2)

    @contextlib.contextmanager
    def on(self, learned):
        """Switch a board on that goes on from what a device learned, or is new; yield its address and what Python has then."""
        program = fleet().program
        adapter = Adapter(edgebn.Session(program))
        with emulator.start(self.board, self.elf) as running, plugged(running.url) as url:
            if learned is not None:
                adapter.take_bytes(fleet().learned["dim"][learned], "Python")
                with connect(url) as device:
                    device.set_state(adapter.to_bytes())
                    for i in range(SAMPLES):
                        device.learn(to_bytes(program, sample(program, self.images, learned + i)))
                adapter.run(self.images[learned : learned + SAMPLES])
            yield url, adapter.to_bytes()


@pytest.mark.parametrize(("board", "count"), [("host", 3), *([("mps2-an386", 5)] if TEST_ALL else [])])
def test_a_new_board_starts_from_the_prior_of_the_others(board, count, tmp_path, boards_of):
    those = boards_of(board)
    model = fleet().model
    with broker(tmp_path) as mosquitto, contextlib.ExitStack() as stack:
        learned = [stack.enter_context(those.on(i)) for i in range(count if count == 3 else count - 1)]
        new, factory = stack.enter_context(those.on(None))
        watcher = Client(mosquitto.port, "edgebn/v1/+/hall/+/state")
        stack.callback(watcher.close)
        stack.enter_context(Running(mosquitto))

        def gateway(i, url):
            one = Gateway(model, broker_of(mosquitto.url), "hall", Line(f"board{i}", url), poll=0.1, moved=0.001)
            one.start()
            stack.callback(one.stop)
            return one

        for i, (url, _) in enumerate(learned):
            gateway(i, url)
        known = {}
        for i, (_, state) in enumerate(learned):
            topic = address(f"board{i}").topic("state")
            until(lambda topic=topic: topic in watcher.topics, PATIENCE)
            known[f"board{i}"] = model.read(watcher.topics[topic], topic)
            assert known[f"board{i}"].envelope.state == state, "what the board learned is what Python learned"
        wanted = merge(model, known).envelope.state
        prior = address(PRIOR).topic("state")

        def published():
            return watcher.topics.get(prior) and model.read(watcher.topics[prior], prior).envelope.state == wanted

        until(published, PATIENCE)
        started = gateway(count, new)
        until(lambda: started.taken, PATIENCE)
        assert factory == model.to_bytes(model.initial_state)
        assert started.state == wanted, "the board's state, asked for after it was set, is the prior's to the byte"
        adapter = Adapter(edgebn.Session(fleet().program))
        adapter.take_bytes(wanted, "the prior")
        assert started.state == adapter.to_bytes()
        started.stop()
        with connect(new) as device:  # it goes on as Python does
            device.learn(to_bytes(fleet().program, sample(fleet().program, those.images, 7)))
            adapter.run(those.images[7:8])
            assert device.state() == adapter.to_bytes()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pyserial's, of a socket whose other end is dead
def test_other_models_restarts_and_commands(tmp_path, boards_of):
    those = boards_of("host")
    other = edgebn.adaptable(demo_int8(), demo_images()[0][:60])  # with other source tables: another model
    with broker(tmp_path) as mosquitto:
        at, watcher = broker_of(mosquitto.url), Client(mosquitto.port, "edgebn/v1/+/hall/+/state")
        wrong = module.FleetModel(other)
        with those.on(None) as (url, _):
            one = Gateway(wrong, at, "hall", Line("board", url), poll=0.05)
            one.start()
            until(lambda: "another model" in one.problem)
            one.stop()
        told = []
        with those.on(1) as (url, state):
            one = Gateway(fleet().model, at, "hall", Line("board", url), poll=0.05, told=told.append)
            one.start()
            topic = address("board").topic("state")
            until(lambda: topic in watcher.topics)
            assert fleet().model.read(watcher.topics[topic], topic).envelope.state == state
            watcher.send(address("board").topic("command"), command("reset"))
            until(lambda: one.state == fleet().model.to_bytes(fleet().model.initial_state))
            assert any("back at the source statistics" in line for line in told)
        until(lambda: one.problem)  # the line is gone, and that is said
        one.stop()
        watcher.close()


def test_a_frozen_board_stays_so_when_it_restarts(tmp_path, boards_of):
    with broker(tmp_path) as mosquitto, boards_of("host").on(1) as (url, state), contextlib.ExitStack() as stack:
        watcher = Client(mosquitto.port, "edgebn/v1/+/hall/+/report")
        stack.callback(watcher.close)

        def gateway():
            one = Gateway(fleet().model, broker_of(mosquitto.url), "hall", Line("board", url), poll=0.05)
            one.start()
            stack.callback(one.stop)
            return one

        def learn(device):
            device.learn(to_bytes(fleet().program, sample(fleet().program, boards_of("host").images, 7)))
            return device.state()

        report = address("board").topic("report")
        one = gateway()
        watcher.send(address("board").topic("command"), command("freeze"))
        until(lambda: one.is_frozen)
        until(lambda: json.loads(watcher.topics[report]).get("frozen"))
        one.stop()
        with connect(url) as device:
            assert device.is_frozen()
            assert learn(device) == state
            device.reset()  # as a restart does
            assert not device.is_frozen()
            device.set_state(state)
        one = gateway()  # which finds the command at the broker, and did not see the restart
        until(lambda: one.is_frozen)
        watcher.send(address("board").topic("command"), command("reset"))
        until(lambda: one.state == fleet().model.to_bytes(fleet().model.initial_state))
        one.stop()
        with connect(url) as device:
            assert device.is_frozen(), "a command to reset leaves it frozen"
            assert learn(device) == one.state
        one = gateway()
        watcher.send(address("board").topic("command"), command("freeze"))
        until(lambda: one.is_frozen)
        watcher.send(address("board").topic("command"), command("thaw"))
        until(lambda: not one.is_frozen)
        one.stop()
        with connect(url) as device:
            assert not device.is_frozen()
            assert learn(device) != one.state


def test_firmware_older_than_freezing_is_told_once(tmp_path, boards_of, monkeypatch):
    def freeze(_device, _frozen=True):
        raise UnknownRequestError("the device refuses a request (state freeze): it does not know the request")

    monkeypatch.setattr(Device, "freeze", freeze)
    told = []
    with broker(tmp_path) as mosquitto, boards_of("host").on(1) as (url, _):
        one = Gateway(fleet().model, broker_of(mosquitto.url), "hall", Line("board", url), poll=0.05, told=told.append)
        one.start()
        watcher = Client(mosquitto.port)
        watcher.send(address("board").topic("command"), command("freeze"))
        until(lambda: one.refused.get("command freeze"))
        watcher.send(address("board").topic("command"), command("publish"))
        published = one.published
        until(lambda: one.published > published)
        assert not one.is_frozen
        assert not one.problem
        one.stop()
        watcher.close()
    assert sum("older than freezing" in line for line in told) == 1


def test_a_board_that_is_not_there_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 86400.0)  # that `stop` ends
    with broker(tmp_path) as mosquitto:
        one = Gateway(fleet().model, broker_of(mosquitto.url), "hall", Line("board", "/dev/no-such-port"))
        one.start()
        until(lambda: "cannot be opened" in one.problem)
        one.stop(PATIENCE)
        assert not one._thread.is_alive()


def test_names_of_lines():
    assert line_of("/dev/ttyACM0", 9600) == Line("ttyACM0", "/dev/ttyACM0", 9600)
    assert line_of("door=/dev/ttyACM0", 9600) == Line("door", "/dev/ttyACM0", 9600)
    assert line_of("socket://host:7?a=b", 9600) == Line("host-7-a-b", "socket://host:7?a=b", 9600)

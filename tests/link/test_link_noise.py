"""Requests over a line that flips, drops, doubles and delays bytes, to a device that resets: no wrong answer is ever accepted."""

import numpy as np

from edgebn.errors import LinkError
from tests.conftest import TEST_ALL
from tests.link_device import INPUT, LAYER_BYTES, STEPS, Library, Noise, SimulatedPort, build, expected, meet

REQUESTS = 10_000 if TEST_ALL else 1_000
ROUND = 500  # requests between changes of the noise
LEVELS = (0.0002, 0.001, 0.002, 0.003)  # of each kind of damage, a byte; at the last, one long frame in 24 gets through


def test_no_wrong_answer_is_accepted(tmp_path):
    library = Library(build("link_library", tmp_path, "-O2", "-shared", "-fPIC"))
    draw = np.random.default_rng(11)
    finished = failed = damaged = 0
    for number in range(REQUESTS // ROUND * len(LEVELS)):
        level = LEVELS[number % len(LEVELS)]
        port = SimulatedPort(library)
        port.restart()
        device = meet(port, repeat=0.2, request=20.0, inference=20.0)
        information = device.info()
        port.noise = Noise(number, flip=level, drop=level, double=level, delay=level)
        port.on_write = lambda line: line.restart() if draw.random() < 0.0005 else None
        for _ in range(ROUND // len(LEVELS)):
            data = draw.bytes(INPUT)
            kind = draw.choice(["info", "reset", "run", "run_ticks", "run_layers"], p=[0.1, 0.05, 0.35, 0.2, 0.3])
            try:
                if kind in {"info", "reset"}:
                    assert getattr(device, kind)() == information
                else:
                    check(getattr(device, kind)(data), data, kind)
                finished += 1
            except LinkError:
                failed += 1
        damaged += port.noise.damaged
    print(f"{finished + failed} requests: {finished} finished, {failed} failed cleanly, 0 wrong; {damaged} bytes damaged")
    assert finished + failed == REQUESTS
    assert finished > 0.7 * REQUESTS
    assert damaged > 10 * REQUESTS


def check(run, data, kind):
    output, layers = expected(data)
    assert run.output == output
    if kind != "run":
        assert [layer.step for layer in run.layers] == list(STEPS)
        assert [layer.size for layer in run.layers] == list(LAYER_BYTES)
        assert kind == "run_ticks" or [layer.data for layer in run.layers] == layers

"""The device's end of the link for tests: the C as a library behind a simulated line, and what its made-up model answers.

Time is simulated: a read that finds nothing moves the clock, so that a test takes no longer on a slow machine and never differs.
"""

import ctypes
import heapq
import subprocess
from pathlib import Path

import numpy as np

from edgebn.link import Patience
from edgebn.link.device import Device
from edgebn.link.port import POLL_SECONDS, Line

C = Path(__file__).resolve().parents[1] / "codegen" / "c"
OWN = Path(__file__).parent / "c"
SOURCES = [C / "edgebn_link.c", C / "edgebn_frame.c", OWN / "link_model.c"]
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", f"-I{C}", f"-I{OWN}"]
FIRST_INPUT, INPUT, FIRST_OUTPUT, OUTPUT, STATE = 5, 605, 300, 303, 300
LAYER_BYTES = (600, 252, 600)
STEPS = (10, 11, 12)
TICKS = (1000, 2000, 3000)


def build(name, folder, *flags, compiler="cc"):
    """Compile one of tests/c with the link and the made-up model."""
    target = Path(folder) / name
    command = [compiler, *FLAGS, *flags, *map(str, SOURCES), str(OWN / f"{name}.c"), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def expected(data, step=0):
    """Return (output, three layers) of the made-up model, as link_model.c has it; `step` of a sequence where it keeps one."""
    seed = 1 + step
    for byte in data[:FIRST_INPUT]:
        seed = (seed * 31 + byte) % 256
    arena = bytearray(data[FIRST_INPUT:])
    layers = []
    for size in LAYER_BYTES:
        value = seed
        for i, byte in enumerate(arena):
            value = (value * 31 + byte) % 256
            arena[i] = value
        layers.append(bytes(arena[:size]))
    return bytes(arena[:OUTPUT]), layers


class Library:
    """The C device in this process."""

    def __init__(self, path):
        self._c = ctypes.CDLL(str(path))
        self._c.device_sent.restype = ctypes.POINTER(ctypes.c_uint8)

    def start(self, *, with_state=False):
        """Start it; `with_state` is 2 for a model that keeps something from run to run."""
        self._c.device_start(int(with_state))
        return self.take(b"")

    def take(self, data):
        count = self._c.device_take(data, len(data))
        assert self._c.device_lost() == 0
        return ctypes.string_at(self._c.device_sent(), count)


class Noise:
    """What a line does to bytes: each is flipped, dropped, doubled or held back with these probabilities, by a seed."""

    def __init__(self, seed, *, flip=0.0, drop=0.0, double=0.0, delay=0.0):
        self._draw = np.random.default_rng(seed)
        self._rates = np.array([flip, drop, double, delay])
        self.damaged = 0

    def pass_on(self, data):
        """Return what becomes of `data`: pairs (bytes, seconds by which they are late)."""
        if not data or not self._rates.any():
            return [(data, 0.0)] if data else []
        edges = np.cumsum(self._rates)
        fates = np.searchsorted(edges, self._draw.random(len(data)), side="right")
        hit = np.flatnonzero(fates < 4)
        self.damaged += len(hit)
        pieces, start = [], 0
        for i in hit:
            pieces.append((data[start:i], 0.0))
            start = i + 1
            byte, fate = data[i : i + 1], fates[i]
            if fate == 0:
                pieces.append((bytes([byte[0] ^ (1 << self._draw.integers(8))]), 0.0))
            elif fate == 2:
                pieces.append((byte + byte, 0.0))
            elif fate == 3:
                # by less than a poll (among the bytes that follow), or by so much that the host has repeated meanwhile
                pieces.append((byte, float(self._draw.choice([0.001, 0.3, 3.0]))))
        pieces.append((data[start:], 0.0))
        return [(piece, late) for piece, late in pieces if piece]


class SimulatedPort:
    """A pyserial-like port with a device behind a noisy line; `seconds` is the simulated time."""

    def __init__(self, device, noise=None, on_write=None):
        self.device, self.noise = device, noise or Noise(0)
        self.seconds = 0.0
        self.on_write = on_write  # called before every write: a test's chance to reset or hang the device
        self.hangs_until = 0.0
        self._queue = []  # (due, number, towards the device, bytes)
        self._number = 0
        self._inbox = bytearray()

    def clock(self):
        return self.seconds

    @property
    def in_waiting(self):
        self._deliver()
        return len(self._inbox)

    def write(self, data):
        if self.on_write is not None:
            self.on_write(self)
        self._send(data, to_device=True)
        self._deliver()
        return len(data)

    def read(self, size=1):
        self._deliver()
        if not self._inbox:
            self.seconds += POLL_SECONDS
            self._deliver()
        found = bytes(self._inbox[:size])
        del self._inbox[:size]
        return found

    def restart(self, **options):
        self._send(self.device.start(**options), to_device=False)

    def _send(self, data, *, to_device):
        for piece, late in self.noise.pass_on(data):
            self._number += 1
            heapq.heappush(self._queue, (self.seconds + late, self._number, to_device, piece))

    def _deliver(self):
        while self._queue and self._queue[0][0] <= self.seconds:
            _, number, to_device, piece = heapq.heappop(self._queue)
            if not to_device:
                self._inbox += piece
            elif self.seconds < self.hangs_until:
                heapq.heappush(self._queue, (self.hangs_until, number, True, piece))
            else:
                self._send(self.device.take(piece), to_device=False)


def meet(port, **patience):
    """Return a Device behind `port` that has been met."""
    device = Device(Line(port, port.clock), Patience(**patience))
    device.meet(booting=False)
    return device

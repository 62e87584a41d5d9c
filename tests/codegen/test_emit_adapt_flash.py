"""Saved states in the emitted C: the bytes are Python's, what does not belong is refused, and power may fail during any write."""

import ctypes
import subprocess

import numpy as np
import pytest

import edgebn
from edgebn.adapt import Adapter, slots, state_file
from tests.c_programs import WARNINGS
from tests.codegen import adapting_c
from tests.conftest import TEST_ALL

PAGE = 512
READ = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint32)
CUTS = 100_000 if TEST_ALL else 700


class FlashStruct(ctypes.Structure):
    """struct edgebn_adapt_flash."""

    _fields_ = (("page_bytes", ctypes.c_uint32), ("slot_pages", ctypes.c_uint32), ("read", READ), ("write", WRITE))


class Flash:
    """Two slots of pages whose power fails after `left` bytes were erased or programmed; the byte at hand is then half done."""

    def __init__(self, pages, seed=0):
        self.bytes = np.full(2 * pages * PAGE, 0xFF, np.uint8)
        self.left = None
        self.done = 0
        self._draw = np.random.default_rng(seed)
        self.struct = FlashStruct(PAGE, pages, READ(self._read), WRITE(self._write))

    def _read(self, page, target, count):
        ctypes.memmove(target, self.bytes[page * PAGE :].ctypes.data, count)

    def _write(self, page, source, count):
        start = page * PAGE
        given = np.ctypeslib.as_array(source, (count,))
        room = PAGE + count if self.left is None else max(self.left - self.done, 0)
        self.done += PAGE + count
        self.bytes[start : start + min(PAGE, room)] = 0xFF
        if room < PAGE:
            self.bytes[start + room] |= self._draw.integers(256)
            return 0
        programmed = min(count, room - PAGE)
        self.bytes[start : start + programmed] &= given[:programmed]
        if programmed < count:
            self.bytes[start + programmed] &= given[programmed] | self._draw.integers(256)
            return 0
        return 1


@pytest.fixture(scope="module")
def library(adapting_demo, tmp_path_factory):
    """The demo network as a shared library, and three states that it learned one after the other."""
    program, stream = adapting_demo
    folder = tmp_path_factory.mktemp("flash")
    project = adapting_c.emit(program, folder / "out", None, "compensated-tracking")
    sources = [str(project.folder / file) for file in ("net.c", "net_params.c", "kernels/edgebn_adapt.c")]
    command = ["cc", *WARNINGS, "-O2", "-shared", "-fPIC", f"-I{project.folder}", f"-I{project.folder / 'kernels'}"]
    subprocess.run([*command, *sources, "-o", str(folder / "net.so")], check=True)
    c = ctypes.CDLL(str(folder / "net.so"))
    c.net_init()
    output = (ctypes.c_int8 * 16)()
    states = [get(c, program)]
    for sample in stream[5:17]:
        c.net_run(np.ascontiguousarray(sample).ctypes.data_as(ctypes.c_void_p), output)
        assert c.net_adapt() == 1
        assert c.net_adapt() == 0, "an inference is learned from once"
        states.append(get(c, program))
    return c, program, states


def size_of(program):
    """Return the bytes of a state of `compensated-tracking`: 4 numbers a channel and a count, in header and checksum."""
    channels = sum(layer.channels for layer in program.adaptation.layers)
    return state_file.HEADER.size + 4 * (4 * channels + 1) + state_file.CHECKSUM.size


def get(c, program):
    found = (ctypes.c_uint8 * size_of(program))()
    c.net_state_get(found)
    return bytes(found)


def numbers(state):
    return state[state_file.HEADER.size : -4]


def test_states_go_to_python_and_come_back(library, tmp_path):
    c, program, states = library
    adapter = Adapter(edgebn.Session(program))
    (tmp_path / "board.state").write_bytes(states[3])
    adapter.load(tmp_path / "board.state")
    adapter.save(tmp_path / "back.state")
    assert (tmp_path / "back.state").read_bytes() == states[3]
    assert c.net_state_set(states[3], len(states[3])) == 1
    assert get(c, program) == states[3]


def test_what_does_not_belong_is_refused_and_changes_nothing(library):
    c, program, states = library
    assert c.net_state_set(states[1], len(states[1])) == 1
    record = state_file.from_bytes(states[2], "here")
    bad = [states[2][:-1], states[2] + b"\0", b""]
    for at in np.random.default_rng(0).integers(0, 8 * len(states[2]), 300):
        flipped = bytearray(states[2])
        flipped[at // 8] ^= 1 << (at % 8)
        bad.append(bytes(flipped))
    nan = np.frombuffer(record.payload, "<f4").copy()
    nan[7] = np.nan
    bad.append(state_file.to_bytes(state_file.Record(record.policy, 0, record.model, nan.tobytes())))
    bad.append(state_file.to_bytes(state_file.Record(1, 0, record.model, record.payload)))
    bad.append(state_file.to_bytes(state_file.Record(record.policy, 0, bytes(16), record.payload)))
    for data in bad:
        assert c.net_state_set(data, len(data)) == 0
        assert get(c, program) == states[1]


def test_power_may_fail_at_any_point_of_a_save(library):
    c, program, states = library
    size = size_of(program)
    pages = -(-size // PAGE)
    buffer = (ctypes.c_uint8 * size)()
    whole = pages * PAGE + size
    rng = np.random.default_rng(1)
    flash = Flash(pages)
    assert c.net_state_load(ctypes.byref(flash.struct), buffer) == 0, "empty flash holds no state"
    known = None
    lost = kept = 0
    # One in every part of a save, at random within it: as many at random anywhere would leave parts out.
    drawn = rng.permutation((np.arange(CUTS) + rng.random(CUTS)) * ((whole + 200) / CUTS)).astype(int)
    for cut in (0, 1, PAGE - 1, PAGE, whole - 1, whole, *drawn.tolist()):
        wanted = states[rng.integers(len(states))]
        assert c.net_state_set(wanted, len(wanted)) == 1
        flash.left, flash.done = cut, 0
        saved = c.net_state_save(ctypes.byref(flash.struct), buffer)
        assert saved == (cut >= whole)
        c.net_reset()
        loaded = c.net_state_load(ctypes.byref(flash.struct), buffer)
        now = numbers(get(c, program))
        if saved:
            known, kept = numbers(wanted), kept + 1
            assert (loaded, now) == (1, known)
        elif loaded:  # the new one where only its last byte's cut left that byte as it should be
            lost += 1
            assert now == known or (now == numbers(wanted) and cut == whole - 1)
            known = now
        else:
            lost += 1
            assert known is None
            assert now == numbers(states[0])
        sides = [flash.bytes[side * pages * PAGE :][: pages * PAGE].tobytes() for side in range(2)]
        found = slots.newest(sides, 2, state_file.model_key(program))
        assert (found is not None) == bool(loaded)
        assert found is None or found[1].payload == now
    assert lost > kept > 1


def test_a_slot_too_small_is_refused(library):
    c, program, _ = library
    flash = Flash(1)
    buffer = (ctypes.c_uint8 * size_of(program))()
    assert c.net_state_save(ctypes.byref(flash.struct), buffer) == 0
    assert c.net_state_load(ctypes.byref(flash.struct), buffer) == 0
    assert (flash.bytes == 0xFF).all()

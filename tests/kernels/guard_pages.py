"""Runs convolutions and random steps with a forbidden page beside every buffer: a byte read or written there ends the process.

    python -m tests.kernels.guard_pages int8 end

Run in a process of its own (`test_guard_pages.py`). `end` puts every buffer, scratch, constant and user's array right before a
forbidden page, but for what is left to the next multiple of 64 bytes; `start` right behind one.
"""

import ctypes
import mmap
import sys

import numpy as np
from hypothesis import given, settings

from edgebn import reference
from edgebn.kernels import isa
from edgebn.memory import Plan
from edgebn.quick_dataclass import replace
from edgebn.session import Session, direct_inputs, layout, packer, strip_pairs, strips, tables, winograd
from tests.programs import inputs_for, programs
from tests.test_contract import GEOMETRIES, convolution_program

PAGE = mmap.PAGESIZE
NO_ACCESS = 0


def forbid(address, size):
    """Take all rights from whole pages."""
    call = ctypes.CDLL(None, use_errno=True).mprotect
    call.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    assert call(address, size, NO_ACCESS) == 0, ctypes.get_errno()


def pages(size):
    return -(-max(size, 1) // PAGE) * PAGE


class Guard:
    """Replaces the session's planner and allocator."""

    def __init__(self, side):
        self.at_end = side == "end"
        self.forbidden = []  # (offset, size) in the arena that is planned
        self.kept = []

    def plan(self, requests, alignment):
        self.forbidden = [(0, PAGE)]
        offsets, at = {}, PAGE
        for request in requests:
            room, size = pages(request.size), -(-request.size // alignment) * alignment
            offsets[request.name] = at + (room - size if self.at_end else 0)
            self.forbidden.append((at + room, PAGE))
            at += room + PAGE
        return Plan(offsets, at, at)

    def aligned(self, size):
        """Return the arena where one was planned just now, else memory beside a page of its own."""
        if self.forbidden:
            memory = self._map(size)
            for offset, count in self.forbidden:
                forbid(memory.ctypes.data + offset, count)
            self.forbidden = []
            return memory
        return self.array(np.zeros(size, np.uint8), 64)

    def array(self, value, alignment=1):
        """Return a copy of an array beside forbidden pages."""
        room = pages(value.nbytes)
        memory = self._map(room + 2 * PAGE)
        forbid(memory.ctypes.data, PAGE)
        forbid(memory.ctypes.data + PAGE + room, PAGE)
        size = -(-value.nbytes // alignment) * alignment
        start = PAGE + (room - size if self.at_end else 0)
        copy = memory[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
        copy[...] = value
        return copy

    def _map(self, size):
        self.kept.append(mmap.mmap(-1, pages(size)))  # its pages are zero, and begin at a page
        return np.frombuffer(self.kept[-1], np.uint8)[:size]


def check(program, guard):
    session = Session(program)
    x = inputs_for(program, 1)
    given_ = guard.array(x) if isinstance(x, np.ndarray) else {name: guard.array(value) for name, value in x.items()}
    found = session.run(given_)
    session.run_buffers(given_)
    if guard.at_end and isinstance(x, np.ndarray):  # with room for one vector behind, it may be read in place
        room = guard.array(np.concatenate([x.reshape(-1).view(np.uint8), np.zeros(isa.SELECTED.vector_bytes, np.uint8)]))
        session.run(room[: x.nbytes].view(x.dtype).reshape(x.shape))
    expected = reference.run(program, x)
    if isinstance(found, np.ndarray):
        found, expected = {"y": found}, {"y": expected}
    for name, value in found.items():
        bound = 0 if value.dtype == np.int8 else 1e-4 * max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(value.astype(float), expected[name].astype(float), rtol=0, atol=bound)


def main(dtype, side):
    guard = Guard(side)
    layout.plan, tables.aligned, packer.aligned = guard.plan, guard.aligned, guard.aligned
    direct_inputs.MIN_IN_PLACE = tables.MIN_DIRECT = strip_pairs.MIN_MAP = 0
    strips.STRIP = 1
    winograd.NUMBERS |= {name: replace(numbers, worth=np.inf) for name, numbers in winograd.NUMBERS.items()}
    for seed, geometry in enumerate(GEOMETRIES):
        check(convolution_program(geometry, dtype, seed), guard)
        guard.kept.clear()

    @settings(settings.get_profile("quick"))
    @given(programs(dtype))
    def random_programs(program):
        check(program, guard)
        guard.kept.clear()

    random_programs()
    print("stayed inside")


if __name__ == "__main__":
    from tests import conftest  # noqa: F401  # registers the profiles

    main(*sys.argv[1:])

"""Saved states: what is refused, and that power may fail at any point of a write to flash."""

from dataclasses import replace

import numpy as np
import pytest

from edgebn.adapt.policy import State
from edgebn.adapt.slots import newest, next_write
from edgebn.adapt.state_file import Record, StateError, from_bytes, payload, state_of, to_bytes
from tests.conftest import TEST_ALL

PAGE = 256
MODEL = bytes(range(16))
POLICY = 1


def state(seed, channels=60):
    rng = np.random.default_rng(seed)
    return State(rng.standard_normal((2, channels)).astype(np.float32), rng.standard_normal(3).astype(np.float32))


def record(seed, sequence=0):
    return Record(POLICY, sequence, MODEL, payload(state(seed)))


def test_a_state_comes_back_bit_for_bit():
    found = from_bytes(to_bytes(record(1, 7)), "here")
    assert found == record(1, 7)
    back = state_of(found, POLICY, MODEL, state(0), "here")
    np.testing.assert_array_equal(back.values, state(1).values)
    np.testing.assert_array_equal(back.scalars, state(1).scalars)


def test_the_bytes_are_those_of_the_documentation():
    data = to_bytes(Record(0x0102, 0x03040506, MODEL, np.float32([1.0]).tobytes()))
    assert data[:36].hex() == "45424e53" + "0100" + "0201" + "06050403" + "04000000" + MODEL.hex() + "0000803f"
    assert len(data) == 40


def test_every_flipped_bit_and_every_cut_is_refused():
    data = to_bytes(record(2))
    for byte in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[byte] ^= 1 << bit
            with pytest.raises(StateError):
                from_bytes(bytes(broken), "here")
        with pytest.raises(StateError):
            from_bytes(data[:byte], "here")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": bytes(16)}, "another model"),
        ({"policy": 2}, "another policy"),
        ({"payload": payload(state(1, 61))}, "numbers, but the model"),
        ({"payload": payload(State(np.full((2, 60), np.nan, np.float32), np.zeros(3, np.float32)))}, "not finite"),
    ],
)
def test_states_that_do_not_belong_here_are_refused(change, reason):
    with pytest.raises(StateError, match=reason):
        state_of(from_bytes(to_bytes(replace(record(1), **change)), "here"), POLICY, MODEL, state(0), "here")


def test_another_version_is_refused():
    data = bytearray(to_bytes(record(1)))
    data[4] = 2
    with pytest.raises(StateError, match="format 2"):
        from_bytes(bytes(data), "here")


class PowerLossError(Exception):
    """Raised in the middle of an erase or a program."""


class Flash:
    """Two slots of pages: erasing sets all bits of a page, programming clears some; power fails after `left` bytes of either."""

    def __init__(self, slot_bytes, rng):
        self.pages = -(-slot_bytes // PAGE)
        self.slots = [bytearray(b"\xff" * self.pages * PAGE) for _ in range(2)]
        self.left = None
        self.rng = rng

    def spend(self, slot, at):
        if self.left is None:
            return
        if self.left == 0:
            # The byte in hand, and the page being erased, are left as anything.
            self.slots[slot][at] = int(self.rng.integers(256))
            raise PowerLossError
        self.left -= 1

    def write(self, slot, data):
        for page in range(self.pages):
            for at in range(page * PAGE, (page + 1) * PAGE):
                self.spend(slot, at)
                self.slots[slot][at] = 0xFF
        for at, value in enumerate(data):
            self.spend(slot, at)
            self.slots[slot][at] &= value

    def read(self):
        return [bytes(slot) for slot in self.slots]


def test_the_last_good_or_the_new_state_is_loaded_after_a_power_cut():
    rng = np.random.default_rng(0)
    size = len(to_bytes(record(0)))
    flash = Flash(size, rng)
    total = flash.pages * PAGE + size
    written = None
    cuts = 100_000 if TEST_ALL else 2_000
    every = list(range(total + 1)) if TEST_ALL else []  # first each byte once, then at random
    for turn in range(cuts):
        wanted = record(turn)
        write = next_write(flash.read(), wanted)
        flash.left = every[turn] if turn < len(every) else int(rng.integers(total + 1))
        try:
            flash.write(write.slot, write.data)
            completed = True
        except PowerLossError:
            completed = False
        flash.left = None
        found = newest(flash.read(), POLICY, MODEL)
        now = None if found is None else found[1].payload
        if completed:
            assert now == wanted.payload
        else:  # the new one where only its last bytes' cut left them as they should be
            assert now in (written, wanted.payload)
        written = now


def test_sequence_numbers_wrap_around():
    slots = [to_bytes(record(1, 2**32 - 1)), to_bytes(record(2, 0))]
    assert newest(slots, POLICY, MODEL)[0] == 1
    assert newest(slots[::-1], POLICY, MODEL)[0] == 0
    assert from_bytes(next_write(slots, record(3)).data, "here").sequence == 1


def test_slots_of_another_model_or_policy_do_not_count():
    slots = [to_bytes(replace(record(1, 9), model=bytes(16))), to_bytes(record(2, 3))]
    assert newest(slots, POLICY, MODEL)[1].sequence == 3
    assert newest(slots, 4, MODEL) is None
    assert next_write(slots, replace(record(1), policy=4)).slot == 0

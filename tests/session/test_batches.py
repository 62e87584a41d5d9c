"""Batches whose samples threads take side by side, each in memory of its own: the bytes of one thread, whatever happens."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn.errors import ModelError
from edgebn.session import Session, bands
from edgebn.session.batches import Batch, nan_in
from edgebn.session.pace import Pace
from edgebn.session.tables import Packed
from edgebn.session.workers import Workers
from tests.programs import inputs_for, programs
from tests.session.forking import both_states, forked, network, reals
from tests.session.test_states import large as with_state

SAMPLES = 11
LEAST_MACS = ("float32", "int8", "int16")


@pytest.fixture(params=["small", "large"])
def always(request, monkeypatch):
    """Let every batch go side by side, of networks that are shared by rows too (large) and of others."""
    monkeypatch.setattr(Pace, "shares", True)
    if request.param == "large":
        monkeypatch.setattr(bands, "MIN_MACS", dict.fromkeys(LEAST_MACS, 1))
        monkeypatch.setattr(bands, "MIN_PROGRAM_MACS", dict.fromkeys(LEAST_MACS, 0))
    monkeypatch.setattr(Session, "_least_batch", 2)
    return request.param


def by_name(program, result):
    return result if isinstance(result, dict) else {program.outputs[0]: result}


def count_runs(monkeypatch):
    """Return the list of (thread, samples) of each run that threads take from now on."""
    found = []
    take = Batch._take

    def noted(self):
        taken = take(self)
        if taken is not None:
            found.append((threading.get_ident(), taken.stop - taken.start))
        return taken

    monkeypatch.setattr(Batch, "_take", noted)
    return found


@pytest.mark.parametrize("dtype", ["float32", "int8", "mixed"])
def test_random_programs_give_the_same_bytes(dtype, always, monkeypatch):
    runs = count_runs(monkeypatch)

    @given(programs(dtype), st.integers(2, 4))
    def check(program, threads):
        x = inputs_for(program, SAMPLES)
        session = Session(program, threads=threads)
        expected = by_name(program, Session(program).run(x))
        before = sum(samples for _, samples in runs)
        for found in (by_name(program, session.run(x)) for _ in range(2)):
            for name, value in expected.items():
                assert found[name].tobytes() == value.tobytes(), name
        assert sum(samples for _, samples in runs) == before + 2 * SAMPLES

    check()


@pytest.mark.parametrize("dtype", ["float32", "int8", "mixed"])
def test_other_memory_has_the_words_that_packing_there_would_give(dtype):
    """Words in the range of the arena are taken for addresses: what was packed elsewhere says whether they all are."""

    @given(programs(dtype))
    def check(program):
        first, second = Packed(program), Packed(program)
        copied = first._copied()
        apart = second.arena.ctypes.data - copied.arena.ctypes.data
        constants = second.constants.ctypes.data - first.constants.ctypes.data
        held = [first.constants.ctypes.data, first.constants.ctypes.data + first.constants.size]
        there = [copied.arena.ctypes.data, copied.arena.ctypes.data + copied.arena.size]
        for mine, theirs in zip(copied._sections, second._sections, strict=True):
            for one, other in zip(mine, theirs, strict=True):
                moved = [
                    word + (apart if there[0] <= word < there[1] else constants if held[0] <= word < held[1] else 0)
                    for word in one.lines["whole"]
                ]
                assert moved == other.lines["whole"]

    check()


def test_every_thread_takes_part(always, monkeypatch):
    """Nobody goes on before three threads have samples in hand."""
    met = threading.Barrier(3)
    program = network("float32")
    session = Session(program, threads=3)
    x = reals(24)
    expected = Session(program).run(x)
    runs = count_runs(monkeypatch)
    workers = session._workers
    execute = workers._execute
    seen = set()

    def together(*arguments):
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            met.wait(timeout=60)
        return execute(*arguments)

    monkeypatch.setattr(workers, "_execute", together)
    assert session.run(x).tobytes() == expected.tobytes()
    assert len({thread for thread, _ in runs}) == 3
    assert sum(samples for _, samples in runs) == len(x)


def test_a_batch_waits_for_no_worker(always, monkeypatch):
    """Whoever does not come has taken nothing."""
    monkeypatch.setattr(Workers, "dismiss", lambda self: None)
    session = Session(network("int8"), threads=4)
    workers = session._workers
    for calls in workers._calls:
        calls.put(None)
    for thread in threading.enumerate():
        if thread.name == "edgebn worker":
            thread.join(0.2)
    x = reals(9)
    assert session.run(x).tobytes() == Session(session.program).run(x).tobytes()


def test_the_last_to_end_has_little_in_hand(always):
    """Even where one thread takes nothing but its first samples."""
    batch = Batch(lambda *_: 0, [None, None], (), 64)
    first = batch._take()
    sizes = [first.stop - first.start]
    while (taken := batch._take()) is not None:
        sizes.append(taken.stop - taken.start)
    assert sum(sizes) == 64
    assert max(sizes) <= 64 // 4
    assert sizes[-1] == 1


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_statistics_that_are_folded_count_in_every_memory(dtype, always):
    program = network(dtype)
    alone, session = Session(program), Session(program, threads=3)
    x = reals(SAMPLES)
    for state in (*both_states(program)[::-1], both_states(program)[1]):
        for one in (alone, session):
            one.refold(*state)
        assert session.run(x).tobytes() == alone.run(x).tobytes()


def test_codes_and_reals_by_turns_have_tables_of_their_own(always):
    program = network("int8")
    alone, session = Session(program), Session(program, threads=2)
    codes = np.random.default_rng(0).integers(-128, 128, (SAMPLES, 24, 24, 3)).astype(np.int8)
    for state in both_states(program):
        for x in (codes, reals(SAMPLES)):
            for one in (alone, session):
                one.refold(*state)
            assert session.run(x).tobytes() == alone.run(x).tobytes()


@pytest.mark.parametrize("bad", [0, 5, SAMPLES - 1])
def test_nan_in_any_sample_is_told_before_anything_is_written(bad, always):
    session = Session(network("float32"), threads=3)
    x = reals(SAMPLES)
    out = np.full((SAMPLES, 24, 24, 16), 7, np.float32)
    x[bad, 3, 4, 1] = np.nan
    with pytest.raises(ModelError, match="holds NaN"):
        session.run(x, out)
    assert (out == 7).all()
    with pytest.raises(ModelError, match="holds NaN"):
        session.run(x)
    x[bad] = 0
    assert session.run(x, out).tobytes() == Session(session.program).run(x).tobytes()


def test_the_first_array_with_a_nan_is_named():
    whole, broken = np.zeros(3, np.float32), np.array([0, np.nan], np.float32)
    assert [nan_in(arrays) for arrays in ((whole,), (whole, broken), (broken, whole), (whole.astype(np.int8),))] == [0, 2, 1, 0]


def test_results_may_overlap_what_is_read(always):
    program = network("float32")
    session = Session(program, threads=2)
    memory = np.zeros(SAMPLES * 24 * 24 * 16, np.float32)
    x = memory[-SAMPLES * 24 * 24 * 3 :].reshape(SAMPLES, 24, 24, 3)
    x[:] = reals(SAMPLES)
    expected = Session(program).run(x.copy())
    session.run(x, memory.reshape(SAMPLES, 24, 24, 16))
    assert memory.tobytes() == expected.tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_batch_computes_all_of_it(always):
    """Forked while others have samples in hand."""
    program = network("int8")
    session = Session(program, threads=3)
    x = reals(200)
    expected = Session(program).run(x).tobytes()
    session.run(x)
    done = threading.Event()

    def work():
        while not done.is_set():
            session.run(x)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        outcomes = []
        for _ in range(8):
            time.sleep(0.003)
            outcomes.append(forked(lambda: "right" if session.run(x).tobytes() == expected else "wrong"))
    finally:
        done.set()
        thread.join()
    assert outcomes == ["right"] * 8


def test_many_callers_of_one_session_get_their_own_results(always):
    session = Session(network("float32"), threads=2)
    batches = [reals(5) + i for i in range(4)]
    expected = [Session(session.program).run(x).tobytes() for x in batches]
    found = [[] for _ in batches]

    def call(i):
        for _ in range(30):
            found[i].append(session.run(batches[i]).tobytes())
            found[i].append(b"".join(session.run(one[None]).tobytes() for one in batches[i]))

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(batches))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [set(results) for results in found] == [{one} for one in expected]


def test_a_call_that_is_interrupted_leaves_the_session_fit_for_another(always, monkeypatch):
    session = Session(network("float32"), threads=2)
    x = reals(40)
    session.run(x)
    workers = session._workers
    execute, main = workers._execute, threading.get_ident()

    def interrupted(*arguments):
        if threading.get_ident() == main:
            raise KeyboardInterrupt
        return execute(*arguments)

    monkeypatch.setattr(workers, "_execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.run(x)
    monkeypatch.undo()
    assert session.run(x).tobytes() == Session(session.program).run(x).tobytes()


def test_small_batches_of_small_networks_stay_with_the_caller(monkeypatch):
    runs = count_runs(monkeypatch)
    program = network("float32")
    least = bands.least_batch(program)
    assert least > 4
    session = Session(program, threads=2)
    session.run(reals(least - 1))
    assert not runs
    session.run(reals(least))
    assert sum(samples for _, samples in runs) == least


def test_sequences_stay_in_order(always, monkeypatch):
    """Samples of a network with states are steps of a sequence."""
    runs = count_runs(monkeypatch)
    program = with_state()
    x = inputs_for(program, SAMPLES)
    assert Session(program, threads=2).run(x).tobytes() == Session(program).run(x).tobytes()
    assert not runs

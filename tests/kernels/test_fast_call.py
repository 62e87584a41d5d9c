"""The fast call, checked in machine code: what passes, what is left to the general way, and whose turn it is."""

import gc
import sys
import threading

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn.errors import ModelError
from edgebn.kernels import executor
from edgebn.session import Session, ndarray_struct
from tests.brokers import until
from tests.session.test_out import two_ends
from tests.session.test_session import network, reals

pytestmark = pytest.mark.skipif(not ndarray_struct.ARE_KNOWN, reason="another Python: every call goes the general way")


class Watched:
    """What a fresh session asks of machine code, by the fast way and the general one, and what it is answered."""

    def __init__(self, session, monkeypatch):
        self.answers = []
        execute, fast = session._execute, executor.fast_call

        def general(*arguments):
            answer = execute(*arguments)
            self.answers.append(("general", answer))
            return answer

        def watched(*arguments, **options):
            function = fast(*arguments, **options)

            def call(*given):
                result = function(*given)
                assert result is None or result is given[-1]
                self.answers.append(("fast", result is not None))
                return result

            return call

        session._execute = general
        monkeypatch.setattr(executor, "fast_call", watched)


class Special(np.ndarray):
    pass


def of_another_order(x):
    return np.asfortranarray(x)


def with_gaps(x):
    return np.repeat(x, 2, axis=-1)[..., ::2]


def misaligned(x):
    data = np.zeros(x.nbytes + 1, np.uint8)[1:]
    found = data.view(x.dtype).reshape(x.shape)
    found[:] = x
    return found


def swapped(x):
    return x.astype(x.dtype.newbyteorder())


def special(x):
    return x.view(Special)


@pytest.fixture(params=["float32", "codes"])
def sample(request, monkeypatch):
    """A fresh session, its executor watched, and one sample."""
    program = network("float32" if request.param == "float32" else "int8")
    x = reals(1)
    if request.param == "codes":
        x = (x * 30).astype(np.int8)
    session = Session(program)
    return session, Watched(session, monkeypatch), x


def test_one_sample_is_the_usual_call(sample):
    session, watched, x = sample
    two = session.run(np.concatenate([x, x]))
    assert watched.answers == [("fast", False), ("general", 0)]
    watched.answers.clear()
    out = np.empty_like(two[:1])
    np.testing.assert_array_equal(session.run(x), two[:1])
    assert session.run(x, out) is out
    np.testing.assert_array_equal(out, two[:1])
    assert watched.answers == [("fast", True)] * 2


@pytest.mark.parametrize("made", [of_another_order, with_gaps, misaligned, swapped, special])
def test_other_arrays_go_the_general_way(sample, made):
    session, watched, x = sample
    wanted = session.run(x)
    watched.answers.clear()
    np.testing.assert_array_equal(session.run(made(x)), wanted)
    alike = x.dtype == np.int8 and made is misaligned  # a byte is aligned everywhere
    assert watched.answers[-1] == (("fast", True) if alike else ("general", 0))


def test_wrong_shapes_and_results_are_refused_with_an_error(sample):
    session, watched, x = sample
    right = session.run(x)
    watched.answers.clear()
    for wrong in (x[0], x[:, :-1], x[:, :, :, :2].copy(), x.reshape(1, -1), x[None], x.reshape(1, 8, 9, 3)):
        with pytest.raises(ModelError, match="shape"):
            session.run(wrong)
    frozen = np.empty_like(right)
    frozen.flags.writeable = False
    outs = (frozen, np.empty((2, 5), right.dtype), np.empty(5, right.dtype), np.empty((1, 10), right.dtype)[:, ::2])
    for out in (*outs, np.empty((1, 5), np.float64)):
        with pytest.raises(ModelError, match="out for"):
            session.run(x, out)
    assert set(watched.answers) <= {("fast", False)}
    assert np.array_equal(session.run(x), right)


@pytest.fixture(params=["float32", "codes"])
def several(request, monkeypatch):
    """A fresh session of two inputs and two outputs, its executor watched, one sample, and what the general way makes of it."""
    program, rng = two_ends(), np.random.default_rng(0)
    x = {name: rng.standard_normal((1, 2, 3, 2)).astype(np.float32) for name in "ab"}
    if request.param == "codes":
        program = edgebn.quantize(program, {name: rng.standard_normal((50, 2, 3, 2)).astype(np.float32) for name in "ab"})
        x = {name: (value * 30).astype(np.int8) for name, value in x.items()}
    session = Session(program)
    watched = Watched(session, monkeypatch)
    two = session.run({name: np.concatenate([value, value]) for name, value in x.items()})
    assert watched.answers[-1] == ("general", 0)
    watched.answers.clear()
    return session, watched, x, {name: value[:1] for name, value in two.items()}


def same(found, wanted):
    return list(found) == list(wanted) and all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_one_sample_of_several_arrays_is_the_usual_call(several):
    session, watched, x, wanted = several
    found = session.run(x)
    assert same(found, wanted)
    assert [value.dtype for value in found.values()] == [value.dtype for value in wanted.values()]
    assert same(session.run({"b": x["b"], "a": x["a"]}), wanted)
    out = {name: np.empty_like(value) for name, value in reversed(wanted.items())}
    found = session.run(x, out)
    assert same({name: out[name] for name in wanted}, wanted)
    assert all(found[name] is out[name] for name in wanted)
    assert watched.answers == [("fast", True)] * 3


@pytest.mark.parametrize("which", ["a", "b"])
@pytest.mark.parametrize("made", [of_another_order, with_gaps, misaligned, swapped, special, np.ndarray.tolist])
def test_several_arrays_one_of_them_another_go_the_general_way(several, made, which):
    session, watched, x, wanted = several
    if x["a"].dtype == np.int8 and made is np.ndarray.tolist:
        pytest.skip("a list holds no codes")
    assert same(session.run(x | {which: made(x[which])}), wanted)
    alike = x["a"].dtype == np.int8 and made is misaligned
    assert watched.answers[-1] == (("fast", True) if alike else ("general", 0))


def test_several_arrays_that_are_wrong_are_refused_with_an_error(several):
    session, watched, x, wanted = several
    a, b = x["a"], x["b"]
    seconds = (None, b[0], b.reshape(1, 3, 2, 2), np.concatenate([b, b]))
    for wrong in ({"a": a}, {"a": a, "c": b}, {**x, "c": b}, *({"a": a, "b": one} for one in seconds), a, [a, b]):
        with pytest.raises(ModelError):
            session.run(wrong)
    out = {name: np.empty_like(value) for name, value in wanted.items()}
    memory = np.empty(2 * a.size, out["sum"].dtype)
    crossing = {"sum": memory[: a.size].reshape(a.shape), "product": memory[a.size - 1 : -1].reshape(a.shape)}
    sums = ({"sum": None}, {"sum": out["product"]}, {"c": a})
    for wrong in ({"sum": out["sum"]}, *(out | one for one in sums), crossing, crossing["sum"]):
        with pytest.raises(ModelError, match="out"):
            session.run(x, wrong)
    assert set(watched.answers) <= {("fast", False)}
    assert same(session.run(x), wanted)
    if a.dtype == np.float32:
        b[0, 1, 2, 1] = np.nan
        with pytest.raises(ModelError, match="'b' holds NaN"):
            session.run(x)


def test_no_reference_of_several_arrays_is_lost_or_kept(several):
    session, _, x, _ = several
    out = session.run(x)
    held = [*x.values(), *out.values()]
    before = [sys.getrefcount(one) for one in held]
    for _ in range(1000):
        session.run(x, out)
        session.run(x)
        session.run(x | {"b": of_another_order(x["b"])})
    assert [sys.getrefcount(one) for one in held] == before


@pytest.mark.parametrize(("size", "keeps"), [(8, True), (256, False)])
def test_brief_networks_keep_pythons_lock(size, keeps, monkeypatch):
    """Others wait no longer than to release it and to acquire it again would take; a thread that runs beside is never blocked."""
    asked = []
    fast = executor.fast_call
    monkeypatch.setattr(executor, "fast_call", lambda *given, **options: (asked.append(options), fast(*given, **options))[1])
    shape = (size, size, 2)
    buffers = {name: p.Buffer(name, shape) for name in "xy"}
    program = p.Program(
        "m", "m", "test", False, buffers, {}, (p.Elementwise("f", ("x",), "y", "tanh"),), ("x",), ("y",), dict.fromkeys("xy", shape)
    )
    session = Session(program)
    x = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    expected = session.run(np.concatenate([x, x]))[:1]
    results = []
    threads = [threading.Thread(target=lambda: results.append([session.run(x) for _ in range(50)])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [{"keeps_lock": keeps}]
    assert all(np.array_equal(found, expected) for many in results for found in many)


def test_a_nan_is_refused_and_the_session_goes_on():
    session = Session(network())
    x = reals(1)
    wanted = session.run(x)
    x[0, 4, 5, 1] = np.nan
    with pytest.raises(ModelError, match="NaN"):
        session.run(x)
    x = reals(1)
    np.testing.assert_array_equal(session.run(x), wanted)


def test_who_cannot_wait_goes_the_general_way_and_waits(monkeypatch):
    session = Session(network())
    watched = Watched(session, monkeypatch)
    x = reals(1)
    wanted = session.run(x)
    session._packed._lock_word[0] = 1  # as if another thread's inference were going on
    found = []
    waiting = threading.Thread(target=lambda: found.append(session.run(x)))
    waiting.start()
    until(lambda: watched.answers[-1] == ("fast", False))
    waiting.join(0.3)  # a chance to go on where it must not; one that waits cannot end here, however long this takes
    assert waiting.is_alive()
    assert watched.answers[-1] == ("fast", False)
    session._packed._lock_word[0] = 0
    waiting.join()
    np.testing.assert_array_equal(found[0], wanted)
    assert watched.answers[-1] == ("general", 0)


def test_no_reference_is_lost_or_kept(sample):
    session, _, x = sample
    out = session.run(x)
    gc.collect()  # what others left also refers to None
    counts = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(None)
    with pytest.raises(ModelError):
        session.run(x, out[:, :-1])
    for _ in range(10_000):
        assert session.run(x, out) is out
        session.run(x)
        assert session.run(of_another_order(x), out) is out  # the fast way answers None
    gc.collect()
    after = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(None)
    assert after[:2] == counts[:2]
    assert abs(after[2] - counts[2]) < 5000


def test_threads_share_a_session_that_adapts():
    """Fast calls, batches and refolds of one session at once: every answer is that of one state or the other."""
    model = edgebn.quantize(network(), reals(20))
    model = edgebn.adaptable(model, reals(40, seed=2))
    session = Session(model)
    channels = session._packed.sums.words.shape[1]
    states = [(np.full(channels, drift, np.float32), np.full(channels, ratio, np.float32)) for drift, ratio in ((0, 1), (0.5, 2))]
    x = reals(3, seed=3)
    answers = []
    for state in states:
        session.refold(*state)
        answers.append(session.run(x))
    assert not np.array_equal(*answers)
    wrong, stop = [], threading.Event()

    def one_by_one(i):
        while not stop.is_set():
            found = session.run(x[i : i + 1])
            if not any(np.array_equal(found, answer[i : i + 1]) for answer in answers):
                wrong.append(("one", found))

    def together():
        while not stop.is_set():
            found = session.run(x)
            if not any(np.array_equal(found, answer) for answer in answers):  # no refold comes between two samples of a call
                wrong.append(("batch", found))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=one_by_one, args=(i,)) for i in range(3)] + [threading.Thread(target=together)]
        for thread in threads:
            thread.start()
        for i in range(3000):
            session.refold(*states[i % 2])
        stop.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong

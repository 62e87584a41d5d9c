"""Sessions and adapters that are copied, pickled, or sent to the workers of a pool: the same numbers, from memory of their own."""

import copy
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgebn
from edgebn import passes
from edgebn import program as p
from edgebn.adapt.engines import ReferenceEngine
from edgebn.errors import ModelError
from tests.adaptations import with_adaptation
from tests.session.test_session import network, reals
from tests.test_tiny import network as tiny

ROOT = Path(__file__).resolve().parents[2]
COPIES = {
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
copied = pytest.mark.parametrize("how", COPIES.values(), ids=COPIES)


def images(count, seed):
    return np.random.default_rng(seed).normal(0, 1, (count, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def models():
    """float32, and int8 as if it had come folded from a file."""
    float32 = passes.lower(tiny())
    int8 = edgebn.quantize(float32, images(40, 1))
    steps = tuple(
        replace(step, epilogue=replace(step.epilogue, norms=(), bias=None)) if isinstance(step, p.Convolution) else step
        for step in int8.steps
    )
    folded = replace(int8, steps=steps)
    return {name: edgebn.adaptable(model, images(80, 2)) for name, model in (("float32", float32), ("int8", folded))}


@copied
@pytest.mark.parametrize("name", ["float32", "int8"])
def test_a_copied_program_is_saved_as_the_first(models, name, how, tmp_path):
    edgebn.save(models[name], tmp_path / "first.edgebn")
    edgebn.save(how(models[name]), tmp_path / "copy.edgebn")
    assert (tmp_path / "copy.edgebn").read_bytes() == (tmp_path / "first.edgebn").read_bytes()


@copied
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_copied_session_gives_the_same_bytes_from_memory_of_its_own(dtype, how):
    session = edgebn.Session(network(dtype), threads=2, winograd=False)
    x = reals(3)
    expected = session.run(x)
    other = how(session)
    assert other._options == session._options
    assert other._packed.arena.ctypes.data != session._packed.arena.ctypes.data
    assert other.run(x).tobytes() == expected.tobytes()
    assert other.run(x[:1]).tobytes() == session.run(x[:1]).tobytes() == expected[:1].tobytes()


@copied
def test_a_copied_session_has_the_statistics_that_were_folded(how):
    """A layer that refused the last statistics has those before: so has the copy."""
    session = edgebn.Session(with_adaptation(network("int8"), seed=3))
    counts = [layer.channels for layer in session.program.adaptation.layers]
    x, channels = reals(4), sum(counts)
    drift, ratio = np.full(channels, 0.5, np.float32), np.full(channels, 2, np.float32)
    assert session.refold(drift, ratio) == []
    ratio[: counts[0]] = 1e-9  # a multiplier far beyond int32
    drift[counts[0] :] = -0.7
    assert session.refold(drift, ratio) == [0]
    expected = session.run(x)
    assert not np.array_equal(expected, edgebn.Session(session.program).run(x))
    np.testing.assert_array_equal(how(session).run(x), expected)


@copied
@pytest.mark.parametrize(
    ("name", "policy"), [("int8", None), ("float32", None), ("int8", "moments"), ("float32", "tent"), ("float32", "supervised")]
)
def test_a_copied_adapter_goes_on_where_the_first_is(models, name, policy, how):
    x = images(90, 4) * 1.7 + 0.4
    adapter = edgebn.Adapter(edgebn.Session(models[name]), policy, drift_bound=3.0)
    teaches = policy == "supervised"
    labels = edgebn.Session(models[name]).run(x).reshape(len(x), -1).argmax(axis=1)

    def go_on(one, part):
        if teaches:
            one.teach(x[part], labels[part])
        return one.run(x[part])

    go_on(adapter, slice(0, 60))
    other = how(adapter)
    assert other.report() == adapter.report()
    assert other.to_bytes() == adapter.to_bytes()
    found, expected = (go_on(one, slice(60, 90)) for one in (other, adapter))
    np.testing.assert_array_equal(found, expected)
    assert other.report() == adapter.report()
    assert other.to_bytes() == adapter.to_bytes()


def test_a_session_and_its_adapter_travel_together(models):
    session = edgebn.Session(models["int8"])
    adapter = edgebn.Adapter(session, watchdog=False)
    x = images(60, 5) * 2
    adapter.run(x)
    adapter.freeze()
    session, adapter, other_session, other = (session, adapter, *pickle.loads(pickle.dumps((session, adapter))))
    expected = session.run(x)
    np.testing.assert_array_equal(other_session.run(x), expected)
    np.testing.assert_array_equal(other.run(x), expected)
    assert other._watchdog is None
    other.reset()
    np.testing.assert_array_equal(other_session.run(x), edgebn.Session(models["int8"]).run(x))
    np.testing.assert_array_equal(session.run(x), expected)


def test_an_adapter_over_the_specification_travels_too(models):
    x = images(20, 6) * 2
    adapter = edgebn.Adapter(ReferenceEngine(models["int8"]))
    adapter.run(x)
    other = copy.deepcopy(adapter)
    np.testing.assert_array_equal(other.run(x), adapter.run(x))
    assert other.to_bytes() == adapter.to_bytes()


def test_the_first_of_two_adapters_is_told(models, tmp_path):
    session, x = edgebn.Session(models["int8"]), images(30, 7) * 2
    first = edgebn.Adapter(session)
    first.run(x)
    kept = first.snapshot()
    learned = first.to_bytes()
    second = edgebn.Adapter(session)
    np.testing.assert_array_equal(session.run(x), edgebn.Session(models["int8"]).run(x))  # from the factory
    first.save(tmp_path / "state")
    for use in (
        lambda: first.run(x),
        first.reset,
        lambda: first.rollback(kept),
        lambda: first.load(tmp_path / "state"),
        lambda: first.take_bytes(learned, "a board"),
    ):
        with pytest.raises(ModelError, match="another Adapter was made for this session"):
            use()
    assert first.to_bytes() == learned  # what it learned is still its own
    assert first.report().seen == len(x)
    second.load(tmp_path / "state")
    assert second.to_bytes() == learned


def test_an_adapter_that_could_not_be_made_takes_nothing_over(models):
    session = edgebn.Session(models["int8"])
    first = edgebn.Adapter(session)
    for options in ({"policy": "best"}, {"drift_bound": 0.5}):
        with pytest.raises(ModelError):
            edgebn.Adapter(session, **options)
    first.run(images(2, 8))


POOL = """
import json, multiprocessing, sys
import numpy as np
import edgebn
from tests.session.test_session import network, reals

if __name__ == "__main__":
    session = edgebn.Session(network("int8"), threads=2)
    x = reals(6)
    session.run(x)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        found = pool.map_async(session.run, [x[i : i + 2] for i in range(0, 6, 2)]).get(timeout=200)
    print(json.dumps(bool(np.array_equal(np.concatenate(found), session.run(x)))))
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_pool_maps_session_run(method, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(script), method]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is True

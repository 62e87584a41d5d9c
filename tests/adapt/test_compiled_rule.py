"""The compiled class-compensated rules against the policies in NumPy, to the bit: states, what is folded, and what is refused."""

import numba
import numpy as np
import pytest

import edgebn
from edgebn import passes
from edgebn.adapt.engines import SessionEngine
from edgebn.adapt.learning import CompiledLearning, PolicyLearning
from edgebn.kernels import exact
from edgebn.reference import float32
from tests.test_tiny import network

POLICIES = "compensated-tracking", "compensated"


def images(count, seed):
    return np.random.default_rng(seed).normal(0, 1, (count, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def models():
    real = passes.lower(network())
    found = {"float32": real, "int8": edgebn.quantize(real, images(40, 1))}
    return {name: edgebn.adaptable(model, images(80, 2)) for name, model in found.items()}


def both(model, policy):
    """Return an adapter with compiled learning, and one in NumPy over the same kernels."""
    compiled, plain = edgebn.Adapter(edgebn.Session(model), policy), edgebn.Adapter(SessionEngine(edgebn.Session(model)), policy)
    assert isinstance(compiled._learning, CompiledLearning)
    assert isinstance(plain._learning, PolicyLearning)
    return compiled, plain


def assert_same(compiled, plain):
    assert compiled.to_bytes() == plain.to_bytes()
    one, other = compiled._learning.last, plain._learning.last
    for name in ("drift", "ratio", "gate", "energy", "pinned"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert compiled.report() == plain.report()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["float32", "int8"])
def test_they_learn_the_same(models, name, policy):
    compiled, plain = both(models[name], policy)
    gates = set()
    # Home; then a shift that opens the gate, a change that the tracking rule notices, and home again.
    for x in (images(60, 3), images(150, 4) * 1.7 + 0.4, images(60, 5) * 0.4 - 0.8, images(60, 6)):
        for i in range(len(x)):
            np.testing.assert_array_equal(compiled.run(x[i : i + 1]), plain.run(x[i : i + 1]))
            gates.add(float(plain._learning.last.gate[0]))
        assert_same(compiled, plain)
    assert {0.0, 1.0} < gates
    assert any(0 < gate < 1 for gate in gates)


@pytest.mark.parametrize("policy", POLICIES)
def test_they_refuse_the_same(models, policy):
    compiled, plain = both(models["float32"], policy)
    for exponent in range(-40, 39, 2):
        x = images(3, exponent + 100) * np.float32(10.0) ** exponent
        compiled.run(x)
        plain.run(x)
        assert_same(compiled, plain)
    reasons = compiled.report().refused
    assert "statistics or logits that are not finite" in reasons
    assert compiled.report().accepted > 0


def test_an_update_that_overflows_leaves_everything_as_it_was(models):
    compiled, plain = both(models["float32"], "compensated")
    for size in np.geomspace(1e17, 1e20, 40):  # of some, squares are finite, and their distance from the state is not
        for adapter in (compiled, plain):
            state = adapter.state
            state.values[1] = np.float32(-3.4e38)
            adapter._take(state)
            adapter.run(images(1, 7) * np.float32(size))
        assert_same(compiled, plain)
    assert "an update that is not finite" in compiled.report().refused


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_reset_rollback_and_saved_states(models, name, tmp_path):
    compiled, plain = both(models[name], "compensated-tracking")
    x = images(60, 9) + 0.7
    for adapter in (compiled, plain):
        adapter.run(x)
        adapter.save(tmp_path / "state")
        snapshot = adapter.snapshot()
        adapter.run(-x)
        adapter.rollback(snapshot)
    assert_same(compiled, plain)
    for adapter in (compiled, plain):
        adapter.reset()
        assert not adapter.state.values.any()
        adapter.load(tmp_path / "state")
        adapter.run(x)
    assert_same(compiled, plain)


def test_codes_go_in_and_come_out(models):
    compiled, plain = both(models["int8"], "compensated")
    x = np.random.default_rng(10).integers(-128, 128, (40, 8, 8, 3)).astype(np.int8)
    found = compiled.run(x)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, plain.run(x))
    assert_same(compiled, plain)


def mapped(function, values):
    @numba.njit(error_model="numpy")
    def run(source, target):
        for i in range(len(source)):
            target[i] = function(source[i])

    found = np.empty_like(values)
    run(values, found)
    return found


@pytest.mark.parametrize("name", ["ln", "exp"])
def test_logarithm_and_exponential_are_the_references(name):
    rng = np.random.default_rng(11)
    bits = rng.integers(1 << 23, 255 << 23, 200_000).astype(np.int32).view(np.float32)  # positive normal numbers of every size
    near = (1 + rng.normal(0, 1e-3, 50_000)).astype(np.float32)
    values = np.concatenate([bits, near, [1.0, np.sqrt(np.float32(2))]]).astype(np.float32)
    if name == "exp":
        values = np.concatenate([values, -values, rng.uniform(-90, 90, 100_000), [0.0, -0.0]]).astype(np.float32)
    found = mapped(getattr(exact, name), values)
    wanted = getattr(float32, name)(values)
    assert found.tobytes() == wanted.tobytes()

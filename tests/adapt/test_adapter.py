"""The adapter: what it learns equals the reference to the bit, what it forgets is forgotten, and nothing it is fed breaks it."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

import edgebn
from edgebn import passes
from edgebn import program as p
from edgebn.adapt.engines import ReferenceEngine
from edgebn.adapt.guards import PATIENCE, SETTLING, Watchdog
from edgebn.adapt.rule import Targets
from edgebn.errors import ModelError, QuantizationError
from edgebn.session.refolding import Arguments
from edgebn.session.tables import CHANGING
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images, demo_int8
from tests.test_tiny import network


def images(count, seed):
    return np.random.default_rng(seed).normal(0, 1, (count, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def models():
    """float32, int8, and int8 as if it had come folded from a file."""
    float32 = passes.lower(network())
    int8 = edgebn.quantize(float32, images(40, 1))
    steps = tuple(
        replace(step, epilogue=replace(step.epilogue, norms=(), bias=None)) if isinstance(step, p.Convolution) else step
        for step in int8.steps
    )
    found = {"float32": float32, "int8": int8, "folded": replace(int8, steps=steps)}
    return {name: edgebn.adaptable(model, images(80, 2)) for name, model in found.items()}


def epilogues(session):
    """Return all that a refold may change: packed epilogues, and the arguments of operations that go with them."""
    packed = session._packed
    steps = {step.name: step for step in session.program.steps}
    arguments = Arguments([table.words for table in packed._tables], packed.constants.ctypes.data)
    found = []
    for copy in packed._packer.copies:
        size = copy.layout.pack(steps[copy.step].epilogue)[0].nbytes
        found.append(packed.constants[copy.place.offset : copy.place.offset + size].tobytes())
        for name in CHANGING:
            places = arguments.places(copy.place.offset, name).tolist()
            found.append({ctypes.c_int64.from_address(place).value for place in places})
    return found


@pytest.mark.parametrize("name", ["float32", "int8", "folded"])
def test_an_adaptable_program_gives_the_same_outputs(models, name):
    model = models[name]
    x = images(10, 3)
    wanted = edgebn.Session(replace(model, adaptation=None)).run(x)
    np.testing.assert_array_equal(edgebn.Session(model).run(x), wanted)


@pytest.mark.parametrize("name", ["int8", "folded"])
def test_the_reference_learns_the_same_to_the_bit(models, name):
    session = edgebn.Session(models[name])
    adapters = edgebn.Adapter(session), edgebn.Adapter(ReferenceEngine(models[name]))
    x = images(200, 4) * 1.7 + 0.4
    found, wanted = (adapter.run(x) for adapter in adapters)
    np.testing.assert_array_equal(found, wanted)
    for one, other in zip(vars(adapters[0].state).values(), vars(adapters[1].state).values(), strict=True):
        assert one.tobytes() == other.tobytes()
    assert adapters[0].report() == adapters[1].report()
    assert adapters[0].report().layers[0].gate > 0
    np.testing.assert_array_equal(session.run(x), _frozen(adapters[1], x))


def _frozen(adapter, x):
    adapter.freeze()
    found = adapter.run(x)
    adapter.freeze(False)
    return found


def test_a_prediction_does_not_use_its_own_sample(models):
    x = images(30, 5) * 2
    together = edgebn.Adapter(edgebn.Session(models["int8"])).run(x)
    adapter = edgebn.Adapter(edgebn.Session(models["int8"]))
    for i in range(len(x)):
        before = _frozen(adapter, x[i : i + 1])
        np.testing.assert_array_equal(adapter.run(x[i : i + 1]), before)
        np.testing.assert_array_equal(together[i : i + 1], before)


@pytest.mark.parametrize("name", ["float32", "int8", "folded"])
def test_reset_gives_the_factory_bytes(models, name):
    session = edgebn.Session(models[name])
    adapter = edgebn.Adapter(session)
    x = images(50, 6) * 3 - 1
    session.run(x)
    source = epilogues(session)
    adapter.run(x)
    assert epilogues(session) != source
    adapter.reset()
    assert epilogues(session) == source
    np.testing.assert_array_equal(session.run(x), edgebn.Session(models[name]).run(x))


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_nothing_it_is_fed_breaks_it(models, name):
    session = edgebn.Session(models[name])
    adapter = edgebn.Adapter(session)
    rng = np.random.default_rng(7)
    count = 1_000_000 if TEST_ALL else 3_000
    done = 0
    while done < count:
        kind = rng.integers(6)
        x = rng.standard_normal((50, 8, 8, 3)).astype(np.float32)
        if kind == 1:
            x[:] = rng.standard_normal() * 100
        elif kind == 2:
            x = np.where(x > 0, np.float32(3e38), np.float32(-3e38))
        elif kind == 3:
            x = (x * np.float32(10.0) ** rng.integers(-30, 30)).astype(np.float32)
        elif kind == 4:
            x[:] = 0
        elif kind == 5:
            x[rng.random(x.shape) < 0.3] = np.float32(np.inf)
        adapter.run(x)
        done += len(x)
        assert np.isfinite(adapter.state.values).all()
    report = adapter.report()
    assert report.accepted > 0
    assert report.seen == done
    if name == "float32":
        assert report.refused
    with pytest.raises(ModelError, match="NaN"):
        adapter.run(np.full((1, 8, 8, 3), np.nan, np.float32))
    adapter.reset()
    x = images(20, 8)
    np.testing.assert_array_equal(session.run(x), edgebn.Session(models[name]).run(x))


def test_freeze_snapshot_and_rollback(models):
    adapter = edgebn.Adapter(edgebn.Session(models["int8"]))
    x = images(40, 9) * 2
    adapter.run(x)
    snapshot = adapter.snapshot()
    wanted = _frozen(adapter, x)
    adapter.freeze()
    state = adapter.state
    adapter.run(x * 3)
    np.testing.assert_array_equal(adapter.state.values, state.values)
    adapter.freeze(False)
    adapter.run(x * 3)
    assert (adapter.state.values != state.values).any()
    adapter.rollback(snapshot)
    np.testing.assert_array_equal(_frozen(adapter, x), wanted)
    other = edgebn.Adapter(edgebn.Session(models["float32"]))
    with pytest.raises(ModelError, match="snapshot"):
        other.rollback(replace(snapshot, policy="another"))


def test_states_are_saved_and_belong_to_their_model(models, tmp_path):
    adapter = edgebn.Adapter(edgebn.Session(models["int8"]))
    x = images(40, 10) * 2
    adapter.run(x)
    adapter.save(tmp_path / "a.bnstate")
    wanted = _frozen(adapter, x)
    edgebn.save(models["int8"], tmp_path / "model.edgebn")
    again = edgebn.Adapter(edgebn.Session(edgebn.load(tmp_path / "model.edgebn")))
    again.load(tmp_path / "a.bnstate")
    np.testing.assert_array_equal(_frozen(again, x), wanted)
    other = edgebn.Adapter(edgebn.Session(models["folded"]))
    with pytest.raises(ModelError, match="another model"):
        other.load(tmp_path / "a.bnstate")
    with pytest.raises(ModelError, match="cannot be read"):
        adapter.load(tmp_path / "nothing.bnstate")
    (tmp_path / "b.bnstate").write_bytes((tmp_path / "a.bnstate").read_bytes() + b"x")
    with pytest.raises(ModelError, match="goes on"):
        adapter.load(tmp_path / "b.bnstate")


def test_a_program_without_adaptation_keeps_its_bytes(models):
    from edgebn.formats import native

    plain = replace(models["int8"], adaptation=None)
    assert b"adaptation" not in native.to_bytes(plain)
    assert native.program_hash(plain) != native.program_hash(models["int8"])
    back = native.from_bytes(native.to_bytes(models["int8"]), "here")
    assert native.program_hash(back) == native.program_hash(models["int8"])


def test_the_watchdog_trips_on_lasting_signs_only():
    calm = Targets(*(np.zeros(4, np.float32),) * 4, np.zeros(4, bool))
    for wild in (replace(calm, pinned=np.ones(4, bool)), replace(calm, energy=np.full(4, 1e3, np.float32))):
        dog = Watchdog(10)
        assert not any(dog.see(wild, i % 10) for i in range(PATIENCE - 1))
        assert not dog.see(calm, 0)
        assert not any(dog.see(wild, i % 10) for i in range(PATIENCE - 1))
        assert dog.see(wild, 0)
    dog = Watchdog(10)
    assert not any(dog.see(calm, 3) for _ in range(SETTLING - 1))
    assert "class 3" in dog.see(calm, 3)
    dog = Watchdog(10)
    assert not any(dog.see(calm, i // 100 % 10) for i in range(3 * SETTLING))


def test_a_trip_returns_to_the_factory_state(models):
    session = edgebn.Session(models["int8"])
    adapter = edgebn.Adapter(session)
    x = images(1, 20)
    while not adapter.report().trips:
        adapter.run(x)
        assert adapter.report().seen < 3 * SETTLING
    assert "saturation" in adapter.report().trips[0][1]
    assert not adapter.state.values.any()
    np.testing.assert_array_equal(session.run(x), edgebn.Session(models["int8"]).run(x))
    assert "tripped" in str(adapter.report())


def test_mistakes_get_one_clear_error(models):
    session = edgebn.Session(models["int8"])
    with pytest.raises(ModelError, match="no adaptation policy 'best'"):
        edgebn.Adapter(session, policy="best")
    with pytest.raises(ModelError, match="drift_bound=1"):
        edgebn.Adapter(session, drift_bound=1.0)
    with pytest.raises(ModelError, match="no source tables"):
        edgebn.Adapter(edgebn.Session(replace(models["int8"], adaptation=None)))
    with pytest.raises(QuantizationError, match="too few"):
        edgebn.adaptable(models["int8"], images(1, 0))
    with pytest.raises(ModelError, match="labels must be"):
        edgebn.adaptable(models["int8"], images(10, 0), labels=np.arange(10))
    with pytest.raises(ModelError, match="leaves out every layer"):
        edgebn.adaptable(models["int8"], images(10, 0), rows=0)
    with pytest.raises(ModelError, match="no layer can adapt"):
        edgebn.adaptable(without_convolutions(), images(10, 0))


def without_convolutions():
    buffers = {name: p.Buffer(name, (8, 8, 3)) for name in "xy"}
    steps = (p.Elementwise("tanh", ("x",), "y", "tanh"),)
    return p.Program("m", "m.test", "test", False, buffers, {}, steps, ("x",), ("y",), dict.fromkeys("xy", (8, 8, 3)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mean", [3.0e38, -3.0e38, 1e12])
def test_a_channel_whose_factory_mean_no_sum_can_have_is_left_out(mean):
    """Its batch norm was trained on something else; in units of an accumulator its mean is beyond int64."""
    float32 = passes.lower(network())
    int8 = edgebn.quantize(float32, images(40, 1))
    first = next(step for step in int8.steps if isinstance(step, p.Convolution) and step.epilogue.norms)
    norm = first.epilogue.norms[0]
    far = np.array([mean, *norm.mean[1:]], np.float32)
    changed = replace(first, epilogue=replace(first.epilogue, norms=(replace(norm, mean=far), *first.epilogue.norms[1:])))
    program = edgebn.adaptable(replace(int8, steps=tuple(changed if step is first else step for step in int8.steps)), images(40, 2))
    layer = next(layer for layer in program.adaptation.layers if layer.observation.step == first.name)
    assert layer.sigma[0] == 0
    assert (layer.sigma[1:] > 0).all()
    adapters = edgebn.Adapter(edgebn.Session(program)), edgebn.Adapter(ReferenceEngine(program))
    np.testing.assert_array_equal(*(adapter.run(images(20, 3) * 2) for adapter in adapters))
    assert adapters[0].report().refused == {}


@pytest.mark.filterwarnings("error")
def test_values_whose_squares_overflow_name_their_layer():
    float32 = passes.lower(network())
    with pytest.raises(ModelError, match=r"squares overflow.*rows=\{'\w+': 0\}"):
        edgebn.adaptable(float32, images(10, 2) * np.float32(1e25))


def test_a_snapshot_of_other_tables_is_refused():
    """Its numbers mean something else there: a model's accuracy fell from 94 to 40 % with another's."""
    images, _ = demo_images()
    one, other = (edgebn.adaptable(demo_int8(), images[at : at + 200]) for at in (0, 200))
    taken = edgebn.Adapter(edgebn.Session(one)).snapshot()
    adapter = edgebn.Adapter(edgebn.Session(other))
    with pytest.raises(ModelError, match="other source tables"):
        adapter.rollback(taken)
    with pytest.raises(ModelError, match="not NoneType"):
        adapter.rollback(None)

"""`edgebn.batchnorm` against recorded Keras and PyTorch layers, against numerical gradients, and with bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn.batchnorm import BatchNorm
from edgebn.errors import ModelError

TOLERANCE = 1e-5
WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")

with np.load(Path(__file__).parent / "recorded" / "batchnorm.npz") as _file:
    RECORDED = {name: _file[name] for name in _file.files}
CASES = json.loads(str(RECORDED["cases"]))


def make_layer(case):
    names = ("axis", "momentum", "epsilon", "center", "scale", "activation", "convention")
    layer = BatchNorm(**{name: case[name] for name in names})
    initial = {name: RECORDED.get(f"{case['name']}/initial_{name}") for name in WEIGHTS}
    layer.set_weights(**initial)
    return layer


def assert_equal(actual, recorded, what):
    assert actual.dtype == np.float32
    assert actual.shape == recorded.shape
    worst = np.abs(actual - recorded).max()
    assert worst <= TOLERANCE, f"{what} is off by {worst}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_steps_equal_the_framework(case):
    """Three training steps and an inference step: outputs, moving statistics and all gradients after each."""
    layer = make_layer(case)
    for step, training in enumerate(RECORDED["training"]):
        recorded = {
            name: RECORDED[f"{case['name']}/{name}"][step] for name in ("x", "y", "dy", "dx", "moving_mean", "moving_variance")
        }
        assert_equal(layer(recorded["x"], training=bool(training)), recorded["y"], f"step {step}: y")
        assert_equal(layer.backward(recorded["dy"]), recorded["dx"], f"step {step}: dx")
        for name in ("moving_mean", "moving_variance"):
            assert_equal(getattr(layer, name), recorded[name], f"step {step}: {name}")
        for name, kept in (("grad_gamma", case["scale"]), ("grad_beta", case["center"])):
            if kept:
                assert_equal(getattr(layer, name), RECORDED[f"{case['name']}/{name}"][step], f"step {step}: {name}")
            else:
                assert getattr(layer, name) is None


def test_recording_covers_both_frameworks_and_ranks():
    conventions = {case["convention"] for case in CASES}
    assert conventions == {"keras", "pytorch"}
    for convention in conventions:
        assert {len(case["shape"]) for case in CASES if case["convention"] == convention} >= {2, 3, 4}


def random_layer(random, channels, axis, **arguments):
    layer = BatchNorm(axis=axis, **arguments)
    layer.set_weights(
        gamma=random.uniform(0.5, 2.0, channels) * random.choice([-1, 1], channels),
        beta=random.normal(0, 1, channels),
        moving_mean=random.normal(0, 1, channels),
        moving_variance=random.uniform(0.25, 4.0, channels),
    )
    return layer


layouts = st.integers(2, 4).flatmap(
    lambda rank: st.tuples(st.tuples(*[st.integers(2, 4)] * rank), st.integers(1, rank - 1), st.integers(0, 2**32 - 1))
)


@given(layouts, st.booleans())
def test_gradients_are_those_of_small_differences(layout, training):
    """A weighted sum of the outputs, differentiated along a random direction of the input, of gamma and of beta."""
    shape, axis, seed = layout
    random = np.random.default_rng(seed)
    x, dy = random.standard_normal(shape) + np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), random.standard_normal(shape)
    layer = random_layer(random, shape[axis], axis, epsilon=0.1)  # large, so that the loss is smooth at this step size
    initial = {name: getattr(layer, name).copy() for name in WEIGHTS}

    def loss(values, **weights):
        layer.set_weights(**(initial | weights))
        return np.sum(layer(values, training=training).astype(np.float64) * dy)

    loss(x)
    dx = layer.backward(dy)
    gradients = {"gamma": layer.grad_gamma, "beta": layer.grad_beta}
    step = 2.0**-7
    direction = random.choice([-1.0, 1.0], shape)
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert slope == pytest.approx(np.sum(dx * direction), rel=5e-3, abs=5e-2)
    for name, gradient in gradients.items():
        direction = random.choice([-1.0, 1.0], shape[axis])
        ahead, behind = (loss(x, **{name: initial[name] + sign * step * direction}) for sign in (1, -1))
        assert (ahead - behind) / (2 * step) == pytest.approx(np.sum(gradient * direction), rel=1e-3, abs=1e-2)


@given(layouts, st.booleans(), st.sampled_from(["relu", "relu6"]))
def test_activation_clips_and_blocks_gradients(layout, training, activation):
    shape, axis, seed = layout
    x, dy = (3 * array for array in np.random.default_rng(seed).standard_normal((2, *shape)))
    plain = random_layer(np.random.default_rng(seed), shape[axis], axis)
    fused = random_layer(np.random.default_rng(seed), shape[axis], axis, activation=activation)
    end = 6.0 if activation == "relu6" else np.inf
    z = plain(x, training=training)
    np.testing.assert_array_equal(fused(x, training=training), np.clip(z, 0, end))
    np.testing.assert_array_equal(fused.backward(dy), plain.backward(np.where((z > 0) & (z < end), dy, 0)))
    np.testing.assert_array_equal(fused.grad_gamma, plain.grad_gamma)


@given(layouts, st.booleans())
def test_any_axis_is_the_last_axis_moved(layout, training):
    shape, axis, seed = layout
    x, dy = np.random.default_rng(seed).standard_normal((2, *shape))
    layer = random_layer(np.random.default_rng(seed), shape[axis], axis)
    last = random_layer(np.random.default_rng(seed), shape[axis], -1)
    moved = last(np.moveaxis(x, axis, -1), training=training)
    np.testing.assert_allclose(layer(x, training=training), np.moveaxis(moved, -1, axis), rtol=1e-6, atol=1e-6)
    moved_dx = np.moveaxis(last.backward(np.moveaxis(dy, axis, -1)), -1, axis)
    np.testing.assert_allclose(layer.backward(dy), moved_dx, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, last.moving_variance, rtol=1e-6)


def test_new_layer_is_built_by_its_first_input():
    layer = BatchNorm()
    assert layer.moving_mean.shape == layer.gamma.shape == (0,)
    y = layer(np.full((2, 4, 3), 5, np.uint8))
    assert layer.gamma.tolist() == layer.moving_variance.tolist() == [1.0] * 3
    assert layer.beta.tolist() == layer.moving_mean.tolist() == [0.0] * 3
    np.testing.assert_allclose(y, 5 / np.sqrt(1.001), rtol=1e-6)


def test_large_offset_keeps_its_precision():
    """A mean 10,000 times the spread: sums in float32 would lose the variance."""
    values = np.float32(10_000) + np.arange(4096, dtype=np.float32).reshape(-1, 1) % 2
    layer = BatchNorm(momentum=0.0, epsilon=1e-12)
    np.testing.assert_allclose(np.abs(layer(values, training=True)), 1.0, rtol=1e-6)
    assert layer.moving_variance[0] == np.float32(0.25)


def test_momentum_means_what_the_convention_says():
    batch = np.array([[0.0], [2.0]])  # mean 1, biased variance 1, unbiased variance 2
    keras, pytorch = BatchNorm(momentum=0.75), BatchNorm(momentum=0.25, convention="pytorch")
    for layer in (keras, pytorch):
        layer(batch, training=True)
        assert layer.moving_mean[0] == 0.25
    assert keras.moving_variance[0] == 1.0
    assert pytorch.moving_variance[0] == 1.25


def test_caller_owns_what_it_gave_and_got():
    random = np.random.default_rng(5)
    x, gamma = random.standard_normal((4, 3)).astype(np.float32), np.ones(3, np.float32)
    layer = BatchNorm()
    layer.set_weights(gamma=gamma)
    y = layer(x, training=True)
    before = layer.backward(np.eye(4, 3))
    x[:], y[:] = 7.0, 7.0
    layer.gamma += 1.0  # an optimiser's step in place
    np.testing.assert_array_equal(layer.backward(np.eye(4, 3)), before)
    assert gamma.tolist() == [1.0, 1.0, 1.0]


def test_empty_batch_in_inference_is_empty():
    assert BatchNorm()(np.zeros((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": 0}, "batch axis"),
        ({"axis": 1.5}, "axis must be an integer"),
        ({"axis": None}, "axis must be an integer"),
        ({"momentum": 1.01}, "momentum must lie in 0..1"),
        ({"momentum": -0.1}, "momentum must lie in 0..1"),
        ({"momentum": float("nan")}, "momentum must lie in 0..1"),
        ({"momentum": "0.9"}, "momentum must be a number"),
        ({"epsilon": 0.0}, "epsilon must be a small positive number"),
        ({"epsilon": -1e-3}, "epsilon must be a small positive number"),
        ({"epsilon": float("inf")}, "epsilon must be a small positive number"),
        ({"epsilon": 10**400}, "epsilon must be a number"),
        ({"activation": "gelu"}, "activation must be"),
        ({"activation": ["relu"]}, "activation must be None or 'relu' or 'relu6'"),
        ({"activation": np.array(["relu", "relu6"])}, "activation must be"),
        ({"convention": "tensorflow"}, "convention must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ModelError, match=message):
        BatchNorm(**arguments)


@pytest.mark.parametrize(
    ("x", "training", "message"),
    [
        (np.zeros((2, 4)), False, "4 channels along axis -1, the layer was built for 3"),
        (np.zeros(3), False, "no channel axis"),
        (np.float32(1), False, "no channel axis"),
        (np.zeros((2, 0)), False, "no channels"),
        ([[1.0, 2.0, np.nan]], False, "NaN"),
        ([[1.0, 2.0, 1e39]], False, "beyond float32"),
        ([[1j, 2, 3]], False, "complex"),
        ([["a", "b", "c"]], False, "real numbers"),
        ([[1.0, 2.0], [3.0]], False, "not an array of numbers"),
        ([[1.0, 2.0, 3.0]], True, "at least two values per channel"),
        (np.zeros((0, 3)), True, "at least two values per channel"),
        ([[3e38, 0, 0], [-3e38, 0, 0]], True, "moving variance"),
    ],
)
def test_bad_input_leaves_the_layer_as_it_was(x, training, message):
    layer = BatchNorm()
    layer.build(3)
    layer(np.arange(6).reshape(2, 3), training=True)
    expected, before = layer.backward(np.eye(2, 3)), layer.moving_mean.copy()
    with pytest.raises(ModelError, match=message):
        layer(x, training=training)
    np.testing.assert_array_equal(layer.moving_mean, before)
    np.testing.assert_array_equal(layer.backward(np.eye(2, 3)), expected)


def test_overflowing_output_is_refused():
    layer = BatchNorm()
    layer.set_weights(gamma=[1e30])
    with pytest.raises(ModelError, match="the output"):
        layer([[1e30]])


def test_bad_gradient_and_order_of_calls():
    layer = BatchNorm()
    with pytest.raises(ModelError, match="forward before"):
        layer.backward(np.zeros((2, 3)))
    layer(np.zeros((2, 3)))
    with pytest.raises(ModelError, match=r"shape \(3, 2\)"):
        layer.backward(np.zeros((3, 2)))
    with pytest.raises(ModelError, match="NaN"):
        layer.backward(np.full((2, 3), np.nan))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"gamma": [1.0, 2.0]}, "gamma has shape"),
        ({"gamma": 1.0}, "gamma has shape"),
        ({"moving_mean": [[0.0, 0.0, 0.0]]}, "moving_mean has shape"),
        ({"moving_variance": [1.0, -1.0, 1.0]}, "negative"),
        ({"moving_variance": [1.0, np.inf, 1.0]}, "infinite"),
        ({"beta": [0.0, 0.0, 0.0]}, "center=False"),
    ],
)
def test_bad_weights_change_nothing(weights, message):
    layer = BatchNorm(center=False)
    layer.build(3)
    with pytest.raises(ModelError, match=message):
        layer.set_weights(**({"moving_mean": [5.0, 5.0, 5.0]} | weights))
    assert not layer.moving_mean.any()


@pytest.mark.parametrize(("channels", "message"), [(0, "positive"), (-1, "positive"), (2.0, "integer"), (4, "rebuilt")])
def test_bad_build(channels, message):
    layer = BatchNorm()
    layer.build(3)
    with pytest.raises(ModelError, match=message):
        layer.build(channels)


def test_a_refused_first_input_leaves_the_layer_unbuilt():
    layer = BatchNorm()
    with pytest.raises(ModelError):
        layer(np.array([[3e38, 1], [-3e38, 2]], np.float32), training=True)
    assert layer(np.random.default_rng(0).normal(size=(4, 3)), training=True).shape == (4, 3)

"""`edgebn.BatchNorm` against live Keras and PyTorch layers on random shapes: outputs, statistics and gradients, step by step."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="live comparison: runs in the frameworks' environment of `make test-all`")
pytest.importorskip("keras", reason="live comparison: runs in the frameworks' environment of `make test-all`")
os.environ.setdefault("KERAS_BACKEND", "torch")

import keras  # noqa: E402

import edgebn  # noqa: E402

TOLERANCE = 1e-5  # beside the size of the numbers compared

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and PyTorch warn of each other

TORCH_NAMES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)
settings = st.fixed_dictionaries(
    {
        "batch": st.integers(3, 8),
        "shape": shapes,
        "momentum": st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 1.0]),
        "epsilon": st.sampled_from([1e-2, 1e-3, 1e-5]),
        "activation": st.sampled_from([None, "relu", "relu6"]),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def random_weights(rng, channels, center, scale):
    weights = {
        "gamma": rng.normal(0, 2, channels),
        "beta": rng.normal(0, 1, channels),
        "moving_mean": rng.normal(0, 1, channels),
        "moving_variance": rng.uniform(0.1, 4, channels),
    }
    kept = {"gamma": scale, "beta": center}
    return {name: value.astype(np.float32) for name, value in weights.items() if kept.get(name, True)}


def close(ours, theirs, what):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape, what
    assert np.abs(ours - theirs).max() <= TOLERANCE * max(1.0, np.abs(theirs).max()), what


def assert_steps_equal(ours, layer, call, tensors, case, rng):
    """Three training steps and one of inference; `tensors` are the framework's own, by our names."""
    activation = {None: lambda z: z, "relu": torch.relu, "relu6": torch.nn.functional.relu6}[case["activation"]]
    for training in (True, True, True, False):
        # Keras takes a variance as E[x^2] - E[x]^2 in float32: without a spread beside the mean, its rounding would be compared.
        spread = np.where(np.arange(case["batch"]) % 2, 1.0, -1.0).reshape(-1, *(1,) * len(case["shape"]))
        values = spread + 0.5 * rng.standard_normal((case["batch"], *case["shape"]))
        x = torch.tensor(values.astype(np.float32), requires_grad=True)
        z = call(layer, x, training)
        y = activation(z)
        dy = torch.tensor(rng.standard_normal(y.shape).astype(np.float32))
        trained = [name for name in ("gamma", "beta") if name in tensors]
        gradients = torch.autograd.grad(y, [x, *(tensors[name] for name in trained)], dy)
        close(ours(x.detach().numpy(), training=training), y, "output")
        near_kink = torch.minimum(z.abs(), (z - 6).abs()).min() < 1e-5  # which side of a kink is then rounding
        if case["activation"] is None or not near_kink:
            close(ours.backward(dy.numpy()), gradients[0], "gradient of the input")
            for name, gradient in zip(trained, gradients[1:], strict=True):
                close(getattr(ours, f"grad_{name}"), gradient, f"gradient of {name}")
        for name in ("moving_mean", "moving_variance"):
            close(getattr(ours, name), tensors[name], name)


@given(settings, st.booleans(), st.booleans(), st.data())
def test_keras_layer(case, center, scale, data):
    rng = np.random.default_rng(case["seed"])
    axis = data.draw(st.integers(1, len(case["shape"])), "axis")
    options = {"axis": axis, "momentum": case["momentum"], "epsilon": case["epsilon"], "center": center, "scale": scale}
    layer = keras.layers.BatchNormalization(**options)
    layer.build((None, *case["shape"]))
    weights = random_weights(rng, case["shape"][axis - 1], center, scale)
    for name, value in weights.items():
        getattr(layer, name).assign(value)
    ours = edgebn.BatchNorm(**options, activation=case["activation"])
    ours.set_weights(**weights)

    class Current(dict):
        """Keras replaces its statistics' tensors at each step: look them up each time."""

        def __getitem__(self, name):
            return getattr(layer, name).value

    tensors = Current.fromkeys(weights)
    assert_steps_equal(ours, layer, lambda layer, x, training: layer(x, training=training), tensors, case, rng)


@given(settings, st.booleans())
def test_torch_layer(case, affine):
    rng = np.random.default_rng(case["seed"])
    classes = {1: torch.nn.BatchNorm1d, 2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm2d}
    channels = case["shape"][0]
    layer = classes[len(case["shape"])](channels, eps=case["epsilon"], momentum=case["momentum"], affine=affine)
    weights = random_weights(rng, channels, affine, affine)
    tensors = {name: getattr(layer, TORCH_NAMES[name]) for name in weights}
    with torch.no_grad():
        for name, value in weights.items():
            tensors[name].copy_(torch.from_numpy(value))
    ours = edgebn.BatchNorm(
        axis=1, momentum=case["momentum"], epsilon=case["epsilon"], center=affine, scale=affine, activation=case["activation"],
        convention="pytorch",
    )  # fmt: skip
    ours.set_weights(**weights)
    assert_steps_equal(ours, layer, lambda layer, x, training: layer.train(training)(x), tensors, case, rng)

"""Every network of keras.applications, with its head and without, in both kinds of file: against Keras.

Weights are random, and batch norms standardise what they see, so that values stay of a size whatever the depth. Some of these
networks carry rounding further than the tolerance: there edgebn may be as far from Keras in float64 as Keras in float32 is.
"""

import gc
import os

import numpy as np
import pytest

pytest.importorskip("torch", reason="live comparison: runs in the frameworks' environment of `make test-all`")
pytest.importorskip("keras", reason="live comparison: runs in the frameworks' environment of `make test-all`")
os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import torch

import edgebn

TOLERANCE = 1e-5  # of the output's range
AS_FAR = 3.0  # times Keras' own distance from float64
SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}  # the smallest that they take; all others take 64
MAX_WEIGHTS = 1 << 27  # numbers; more take gigabytes and show nothing else
# Keras has no NASNet on this backend.
APPLICATIONS = sorted(name for name in vars(keras.applications) if name[0].isupper() and "NASNet" not in name)

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and PyTorch warn of each other


def randomised(model, rng, x):
    """Give a model weights that a trained one could have, and batch norms the statistics of `x`, a little moved."""
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for weight in model.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if kind == "gamma":
            weight.assign(rng.uniform(0.5, 1.5, shape).astype(np.float32))
        elif kind in ("beta", "bias"):
            weight.assign(rng.normal(0, 0.1, shape).astype(np.float32))
    for layer in model._flatten_layers():
        for name, value in (("momentum", 0.0), ("rate", 0.0), ("drop_path_rate", 0.0)):
            if hasattr(layer, name):
                setattr(layer, name, value)
    with torch.no_grad():
        model(x, training=True)
    for norm in norms:
        variance = np.maximum(np.asarray(norm.moving_variance.numpy()), 1e-3)
        norm.moving_variance.assign(variance * rng.uniform(0.7, 1.4, variance.shape).astype(np.float32))


def in_float64(build, model, x):
    """Return what the same network gives in float64."""
    keras.config.set_dtype_policy("float64")
    try:
        wide = build()
        for target, source in zip(wide.weights, model.weights, strict=True):
            target.assign(np.asarray(source.numpy(), np.float64))
        return wide.predict(x.astype(np.float64), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")


def distance(one, other):
    return float(np.abs(one.astype(np.float64) - other).max() / np.ptp(other))


@pytest.mark.parametrize("top", [True, False], ids=["top", "no top"])
@pytest.mark.parametrize("name", APPLICATIONS)
def test_network(name, top, tmp_path):
    gc.collect()
    keras.backend.clear_session()
    size = SIZES.get(name, 64)
    settings = {"input_shape": (size, size, 3), "weights": None, "include_top": top, **({"classes": 10} if top else {})}

    def build():
        return getattr(keras.applications, name)(**settings)

    keras.utils.set_random_seed(1)
    model = build()
    if model.count_params() > MAX_WEIGHTS:
        pytest.skip("more weights than this test reads")
    rng = np.random.default_rng(1)
    pixels = any(isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) for layer in model.layers)
    x = (rng.uniform(0, 255, (8, size, size, 3)) if pixels else rng.uniform(-1, 1, (8, size, size, 3))).astype(np.float32)
    randomised(model, rng, x)
    x = x[:2]
    y, wanted = model.predict(x, verbose=0), in_float64(build, model, x)
    allowed = max(TOLERANCE, AS_FAR * distance(y, wanted))
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        result = edgebn.Session(edgebn.load(tmp_path / f"model{suffix}")).run(x)
        assert result.shape == wanted.shape
        assert distance(result, wanted) <= allowed, suffix

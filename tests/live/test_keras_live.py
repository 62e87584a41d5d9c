"""The Keras reader against live Keras: the recorded zoo with other weights, and random networks; saved as .keras and .h5."""

import logging
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="live comparison: runs in the frameworks' environment of `make test-all`")
pytest.importorskip("keras", reason="live comparison: runs in the frameworks' environment of `make test-all`")
os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "recorders"))

import keras
from keras import layers
from record_keras_zoo import MENDED, UNREADABLE_AS_ARCHIVE, UNREADABLE_AS_H5, ZOO, randomise

import edgebn
from edgebn import reference
from edgebn.formats import keras as reader

TOLERANCE = 1e-5  # of the output's range

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and PyTorch warn of each other
CUSTOM = {"BNLayer": "BatchNormalization"}


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    """Keras advises against .h5 at every save; edgebn reads it."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def assert_file_equal(path, x, y):
    """What edgebn computes from a file is what Keras says, both channels-last."""
    if reader.read(path, custom_layers=CUSTOM).channels_first:
        x, y = (np.moveaxis(array, 1, -1) if array.ndim > 2 else array for array in (x, y))
    result = reference.run(edgebn.load(path, custom_layers=CUSTOM), x)
    assert result.shape == y.shape
    assert np.abs(result - y).max() <= TOLERANCE * max(np.ptp(y), 1e-3)


def assert_both_files_equal(model, x, y, folder, suffixes=(".keras", ".h5")):
    for suffix in suffixes:
        model.save(folder / f"model{suffix}")
        assert_file_equal(folder / f"model{suffix}", x, y)


@pytest.mark.parametrize("name", sorted(set(ZOO) - set(MENDED)))
def test_zoo_with_other_weights(name, tmp_path):
    keras.backend.clear_session()
    rng = np.random.default_rng(zlib.crc32(name.encode()) + 1)
    model = ZOO[name]()
    randomise(model, rng)
    x = rng.standard_normal((3, *model.input_shape[1:])).astype(np.float32)
    unread = {".keras": UNREADABLE_AS_ARCHIVE, ".h5": UNREADABLE_AS_H5}
    suffixes = [suffix for suffix, names in unread.items() if name not in names]
    assert_both_files_equal(model, x, model.predict(x, verbose=0), tmp_path, suffixes)


# The networks of keras.applications --------------------------------------------------------------------------------------

# Smallest sizes that each takes; those that take pixels scale them inside.
APPLICATIONS = {
    "MobileNet": (32, 1), "MobileNetV2": (32, 1), "MobileNetV3Small": (32, 255), "MobileNetV3Large": (32, 255),
    "EfficientNetB0": (32, 255), "EfficientNetV2B0": (32, 255), "ResNet50": (32, 1), "ResNet50V2": (32, 1), "DenseNet121": (32, 1),
    "VGG16": (32, 1), "Xception": (71, 1), "InceptionV3": (75, 1), "InceptionResNetV2": (75, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name, tmp_path):
    """The whole network with random statistics that keep its values finite, in both kinds of file."""
    keras.backend.clear_session()
    size, scale = APPLICATIONS[name]
    model = getattr(keras.applications, name)(input_shape=(size, size, 3), weights=None, classes=10)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, shape).astype(np.float32))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(rng.normal(0, 0.1, shape).astype(np.float32))
    x = (scale * rng.uniform(0, 1, (2, size, size, 3))).astype(np.float32)
    y = model.predict(x, verbose=0)
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        result = edgebn.Session(edgebn.load(tmp_path / f"model{suffix}")).run(x)
        assert result.shape == y.shape
        assert np.abs(result - y).max() <= TOLERANCE * np.ptp(y)


# Random networks: a chain of drawn layers on images, then a head ---------------------------------------------------------

ODD = st.integers(1, 3)
PADDING = st.sampled_from(["same", "valid"])
ACTIVATION = st.sampled_from([None, "relu", "relu6", "sigmoid", "tanh", "silu", "hard_sigmoid", "hard_silu", "leaky_relu"])


def image_layer(draw, shape):
    """Draw one layer for values of `shape` (H, W, C) that leaves at least one pixel."""
    height, width, channels = shape
    kernel = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
    kind = draw(
        st.sampled_from(["conv", "depthwise", "separable", "transposed", "norm", "norm", "pool", "activation", "prelu", "move"])
    )
    if kind in ("conv", "separable"):
        groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0])) if kind == "conv" else 1
        options = {"groups": groups} if kind == "conv" else {"depth_multiplier": draw(st.integers(1, 2))}
        strided = draw(st.booleans())
        options["strides" if strided else "dilation_rate"] = draw(st.integers(1, 2)) if strided else 1
        layer = layers.Conv2D if kind == "conv" else layers.SeparableConv2D
        return layer(
            groups * draw(ODD), kernel, padding=draw(PADDING), activation=draw(ACTIVATION), use_bias=draw(st.booleans()), **options
        )
    if kind == "depthwise":
        return layers.DepthwiseConv2D(
            kernel, strides=draw(st.integers(1, 2)), depth_multiplier=draw(st.integers(1, 2)), padding=draw(PADDING),
            activation=draw(ACTIVATION),
        )  # fmt: skip
    if kind == "transposed":
        return layers.Conv2DTranspose(draw(ODD), kernel, strides=draw(st.integers(1, 2)), padding=draw(PADDING))
    if kind == "norm":
        return layers.BatchNormalization(
            axis=draw(st.sampled_from([-1, -1, -1, 1])), epsilon=draw(st.sampled_from([1e-3, 1e-5])), center=draw(st.booleans()),
            scale=draw(st.booleans()),
        )  # fmt: skip
    if kind == "pool":  # same padding of an average counts it in Keras' torch backend, and in no other
        if draw(st.booleans()):
            return layers.MaxPooling2D(kernel, strides=draw(st.integers(1, 2)), padding=draw(PADDING))
        return layers.AveragePooling2D(kernel, strides=draw(st.integers(1, 2)))
    if kind == "prelu":
        return layers.PReLU(shared_axes=draw(st.sampled_from([None, [1, 2], [1], [3]])))
    if kind == "move":
        return draw(
            st.sampled_from(
                [layers.ZeroPadding2D(((1, 0), (0, 2))), layers.UpSampling2D(2), layers.UpSampling2D(2, interpolation="bilinear"),
                 layers.Dropout(0.5), layers.Permute((2, 1, 3)), layers.Rescaling(0.5, offset=0.1)]
            )
        )  # fmt: skip
    return draw(
        st.sampled_from(
            [layers.ReLU(), layers.ReLU(max_value=2.0, negative_slope=0.1), layers.LeakyReLU(0.2), layers.Softmax(),
             layers.Activation("hard_silu")]
        )
    )  # fmt: skip


def network(draw):
    """Draw a chain of layers, some merged with their input, and a head."""
    shape = (draw(st.integers(4, 7)), draw(st.integers(4, 7)), draw(st.integers(1, 4)))
    image = keras.Input(shape)
    x = image
    for _ in range(draw(st.integers(1, 5))):
        made = image_layer(draw, tuple(x.shape[1:]))
        grown = made(x)
        if max(grown.shape[1:]) > 40:
            break
        if tuple(grown.shape) == tuple(x.shape) and draw(st.booleans()):
            x = draw(st.sampled_from([layers.Add, layers.Multiply, layers.Concatenate]))()([grown, x])
        else:
            x = grown
    head = draw(st.sampled_from(["none", "flatten", "average", "max"]))
    if head == "flatten":
        x = layers.Flatten()(x)
    elif head != "none":
        x = (layers.GlobalAveragePooling2D if head == "average" else layers.GlobalMaxPooling2D)()(x)
    if head != "none":
        x = layers.Dense(3, activation=draw(st.sampled_from([None, "softmax", "relu"])))(layers.BatchNormalization()(x))
    return keras.Model(image, x)


@given(st.data(), st.integers(0, 2**32 - 1))
def test_random_networks(tmp_path_factory, data, seed):
    keras.backend.clear_session()
    model = network(data.draw)
    rng = np.random.default_rng(seed)
    randomise(model, rng)
    x = rng.standard_normal((2, *model.input_shape[1:])).astype(np.float32)
    assert_both_files_equal(model, x, model.predict(x, verbose=0), tmp_path_factory.mktemp("model"))

"""Zoo models of convolutions, pools, norms and reductions that code calls, and of layers beside them. See ``zoo.py``."""

from __future__ import annotations

import keras
import numpy as np
from keras import Model, layers, ops
from zoo import registry
from zoo_functions import joined

ZOO, zoo = registry()


def numbers(*shape: int) -> np.ndarray:
    """Return uneven numbers, not all positive."""
    return (np.cos(np.arange(np.prod(shape), dtype=np.float32) * 0.7) * 0.8 + 0.1).reshape(shape).astype(np.float32)


@zoo
def convolutions_in_code() -> Model:
    """Plain, depthwise and separable, in one and two dimensions."""
    x = keras.Input((6, 5, 4))
    row = layers.Reshape((30, 4))(x)
    made = [ops.conv(x, numbers(3, 2, 4, 5), strides=2, padding="same"), ops.conv(x, numbers(2, 2, 4, 6), dilation_rate=2)]
    made += [ops.conv(row, numbers(3, 4, 2), strides=3, padding="valid")]
    made += [ops.depthwise_conv(x, numbers(3, 3, 4, 2), padding="same"), ops.depthwise_conv(row, numbers(5, 4, 1), strides=4)]
    made += [ops.separable_conv(x, numbers(2, 3, 4, 2), numbers(1, 1, 8, 3), padding="same")]
    return Model(x, joined(*made))


@zoo
def pools_in_code() -> Model:
    """Windows and whole maps cut into unequal parts, in code and as layers."""
    x = keras.Input((6, 7, 3))
    row = layers.Reshape((14, 9))(x)
    made = [ops.max_pool(x, 2, padding="same"), ops.average_pool(x, (3, 2), strides=2), ops.max_pool(row, 3, strides=2)]
    made += [ops.adaptive_max_pool(x, (4, 3)), ops.adaptive_average_pool(x, (3, 7)), ops.adaptive_average_pool(row, (5,))]
    made += [layers.AdaptiveAveragePooling2D((4, 3))(x), layers.AdaptiveMaxPooling2D(2)(x)]
    return Model(x, joined(*made, layers.AdaptiveAveragePooling1D(7)(row), layers.AdaptiveMaxPooling1D(4)(row)))


@zoo
def norms_in_code() -> Model:
    """By constant statistics and by the sample's own, lengths and what has length 1."""
    x = keras.Input((3, 4, 5))
    statistics = (numbers(5), np.abs(numbers(5)) + 0.5)
    made = [ops.batch_normalization(x, *statistics, axis=-1, offset=numbers(5), scale=numbers(5) + 2)]
    made += [ops.layer_normalization(x, gamma=numbers(5), beta=numbers(5) - 1, axis=-1), ops.rms_normalization(x, scale=numbers(5))]
    made += [
        ops.norm(x, axis=-1),
        ops.norm(x, ord=1, axis=1, keepdims=True),
        ops.norm(x, ord=np.inf, axis=2),
        ops.norm(x, axis=(1, 3)),
    ]
    made += [ops.normalize(x, axis=-1), ops.normalize(x, axis=2, order=1), *ops.moments(x, axes=[1, 2])]
    return Model(x, joined(*made, *ops.moments(x, axes=[3], keepdims=True)))


@zoo
def reductions_in_code() -> Model:
    """Products, sums of exponentials, running sums."""
    x = keras.Input((3, 4, 5))
    made = [ops.prod(x, axis=3), ops.prod(x, axis=(1, 2), keepdims=True), ops.logsumexp(x * 30, axis=-1) / 30]
    made += [ops.logsumexp(x, axis=(1, 3), keepdims=True), ops.cumsum(x, axis=1), ops.cumsum(x, axis=-1)]
    return Model(x, joined(*made))


@zoo
def largest_elements() -> Model:
    """The three largest of each row, their places, and a mark at the place of the largest."""
    x = keras.Input((3, 6))
    values, places = ops.top_k(x, 3)
    (first, place) = ops.top_k(ops.negative(x), 1)
    marks = [ops.one_hot(ops.argmax(x, axis=-1), 6), ops.one_hot(ops.argmin(x, axis=2), 7, axis=1)]
    return Model(x, joined(values, ops.cast(places, "float32"), first, ops.cast(place, "float32"), *marks))


@zoo
def further_functions() -> Model:
    """Functions that are several layers, as activations by name and in code with other settings."""
    x = keras.Input((3, 4))
    made = [ops.sign(x), ops.abs(x), ops.expm1(x), ops.log1p(ops.tanh(x)), ops.exp2(x), ops.hard_shrink(x), ops.hard_shrink(x, 0.2)]
    made += [ops.threshold(x, 0.3, -2.0), ops.sparse_plus(x), ops.sparse_sigmoid(x), ops.log2(ops.square(x)), ops.log10(ops.exp(x))]
    made += [layers.Dense(4, activation=name)(x) for name in ("hard_shrink", "sparse_plus", "sparse_sigmoid")]
    return Model(x, joined(*made))


@zoo
def functions_near_zero() -> Model:
    """log(1 + x) and exp(x) - 1 of numbers whose sum with 1 rounds them away."""
    x = keras.Input((6,))
    return Model(x, joined(ops.log1p(x * 1e-5), ops.expm1(x * 1e-5)))


@zoo
def softmax_over_axes() -> Model:
    """Along two axes together, neighbours and not, as a layer."""
    x = keras.Input((3, 4, 5))
    made = [layers.Softmax(axis=(1, 2))(x), layers.Softmax(axis=(1, 3))(x), layers.Softmax(axis=(-1, 2))(x)]
    return Model(x, joined(*made))


@zoo
def nearest_of_any_size() -> Model:
    """Resized to what is no whole multiple."""
    x = keras.Input((6, 5, 2))
    made = [layers.Resizing(4, 7, interpolation="nearest")(x), ops.image.resize(x, (9, 3), interpolation="nearest")]
    return Model(x, joined(*made))

"""Zoo models of functions of one value, in code and as `activation=`, of splits and stacks, and of ConvNeXt's own layers.

See ``zoo.py``.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import Model, layers, ops
from keras.src.applications.convnext import LayerScale, StochasticDepth
from zoo import registry

ZOO, zoo = registry()


def joined(*values: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Concatenate()([layers.Flatten()(value) for value in values])


@zoo
def functions_anywhere() -> Model:
    """Functions that are defined everywhere, steps among them."""
    x = keras.Input((3, 4))
    made = [ops.absolute(x), ops.ceil(x), ops.floor(x), ops.round(x), ops.erf(x), ops.exp(x), ops.square(x), ops.stop_gradient(x)]
    return Model(x, joined(*made))


@zoo
def functions_above_zero() -> Model:
    """Functions that are defined above zero."""
    x = keras.Input((3, 4))
    positive = layers.Activation("softplus")(x) + 0.1
    made = [ops.log(positive), ops.sqrt(positive), ops.rsqrt(positive), ops.reciprocal(positive)]
    return Model(x, joined(*made, positive**1.5, positive**-1, positive**3, x**2, x**1))


@zoo
def activations_in_code() -> Model:
    """Each with other settings than its own."""
    x = keras.Input((3, 4))
    plain = [ops.elu(x), ops.selu(x), ops.gelu(x), ops.softplus(x), ops.hard_tanh(x), ops.celu(x), ops.glu(x), ops.log_sigmoid(x)]
    plain += [ops.log_softmax(x), ops.soft_shrink(x), ops.softsign(x), ops.squareplus(x), ops.tanh_shrink(x)]
    other = [ops.elu(x, 0.3), ops.gelu(x, approximate=False), ops.celu(x, 2.5), ops.glu(ops.swapaxes(x, 1, 2), 1)]
    other += [ops.log_softmax(x, axis=1), ops.soft_shrink(x, 0.2), ops.squareplus(x, 1)]
    return Model(x, joined(*plain, *other))


@zoo
def activations_by_name() -> Model:
    """Those that are several layers, and one that is given as a layer."""
    x = keras.Input((5,))
    names = ("celu", "glu", "log_sigmoid", "log_softmax", "soft_shrink", "softsign", "squareplus", "tanh_shrink")
    made = [layers.Dense(4, activation=name)(x) for name in names]
    return Model(x, joined(*made, layers.Dense(3, activation=layers.ELU(0.4))(x), layers.Activation("softsign")(x)))


@zoo
def spread_of_values() -> Model:
    """Variances and deviations, and extremes by their other names."""
    x = keras.Input((3, 4, 2))
    made = [ops.var(x, axis=-1), ops.var(x, axis=(1, 2), keepdims=True), ops.std(x, axis=1), ops.std(x, axis=(2, 3), keepdims=True)]
    return Model(x, joined(*made, ops.amax(x, axis=1), ops.amin(x, axis=2, keepdims=True)))


@zoo
def products_in_code() -> Model:
    """Of two values, and by a matrix."""
    x = keras.Input((3, 4))
    matrix = (0.5 + np.arange(12, dtype=np.float32) / 7).reshape(4, 3)
    return Model(x, joined(ops.matmul(x, ops.transpose(x, (0, 2, 1))), x @ matrix))


@zoo
def split_and_stacked() -> Model:
    """Parts in another order, side by side along a new axis, and axes moved."""
    x = keras.Input((3, 4, 6))
    halves = ops.split(x, 2, axis=-1)
    uneven = ops.split(x, [1, 4], axis=3)
    rows = ops.unstack(x, axis=1)
    made = [halves[1] - halves[0], uneven[2], uneven[0], ops.stack([rows[2], rows[0]], axis=-1), ops.stack([rows[1]], axis=1)]
    made += [ops.swapaxes(x, 1, -1), ops.moveaxis(x, 3, 1), ops.moveaxis(x, (1, 2), (3, 1))]
    return Model(x, joined(*made, ops.repeat(x, 2, axis=2)))


@zoo
def pixels_of_caffe() -> Model:
    """What ``resnet.preprocess_input`` is inside a model: channels unstacked, turned around, stacked, less their means."""
    x = keras.Input((4, 5, 3))
    return Model(x, layers.Conv2D(2, 3)(keras.applications.resnet.preprocess_input(x)))


@zoo
def resized_in_code() -> Model:
    """Larger and smaller, between pixels and of whole ones, in code and as layers."""
    x = keras.Input((6, 5, 2))
    made = [ops.image.resize(x, (9, 4)), ops.image.resize(x, (12, 15), interpolation="nearest"), layers.Resizing(4, 7)(x)]
    return Model(x, joined(*made, layers.Resizing(6, 10, interpolation="nearest")(x)))


@zoo
def block_of_convnext() -> Model:
    """A trained scale a channel in front of the sum, and a depth that only training changes; in a model inside the model too."""
    inner = keras.Input((4, 4, 6))
    y = layers.LayerNormalization()(layers.DepthwiseConv2D(3, padding="same")(inner))
    y = StochasticDepth(0.5)(LayerScale(1e-6, 6)(layers.Dense(6, activation="gelu")(y)))
    block = Model(inner, layers.Add()([inner, y]))
    x = keras.Input((4, 4, 6))
    return Model(x, LayerScale(1e-6, 6)(block(x)))

"""Zoo models of layers in TimeDistributed and SpectralNormalization. See ``zoo.py``."""

from __future__ import annotations

import keras
from keras import Model, Sequential, layers
from zoo import registry

ZOO, zoo = registry()


def small() -> Model:
    """A network with weights that training changes by gradients, and others."""
    x = keras.Input((5, 5, 2))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(3, 3, use_bias=False)(x)))
    return Model(x, layers.Dense(4)(layers.GlobalAveragePooling2D()(y)))


@zoo
def layers_over_time() -> Model:
    """A network of pictures, moment by moment, and then one over time."""
    x = keras.Input((3, 6, 5, 2))
    y = layers.TimeDistributed(layers.Conv2D(4, 3, padding="same", activation="relu"))(x)
    y = layers.TimeDistributed(layers.BatchNormalization())(y)
    y = layers.TimeDistributed(layers.MaxPooling2D())(y)
    y = layers.TimeDistributed(layers.Flatten())(y)
    y = layers.TimeDistributed(layers.Dropout(0.5))(y)
    return Model(x, layers.Conv1D(2, 2)(layers.TimeDistributed(layers.Dense(5, activation="softmax"))(y)))


@zoo
def models_over_time() -> Model:
    """A model moment by moment, of several moments and of one; and inside a model."""
    x = keras.Input((2, 5, 5, 2))
    chained = Sequential([layers.Conv2D(2, 2), layers.Flatten()])
    inner = keras.Input((2, 5, 5, 2))
    nested = Model(inner, layers.TimeDistributed(small())(inner))
    one = layers.TimeDistributed(small())(layers.Reshape((1, 5, 5, 2))(x[:, 1]))
    made = [layers.TimeDistributed(small())(x), one, layers.TimeDistributed(chained)(x), nested(x)]
    return Model(x, layers.Concatenate()([layers.Flatten()(value) for value in made]))


@zoo
def spectral_norms() -> Model:
    """Kernels that training left as they are, in the model and in a model inside it."""
    inner = keras.Input((4, 4, 3))
    block = Model(inner, layers.BatchNormalization()(layers.SpectralNormalization(layers.Conv2D(3, 3, padding="same"))(inner)))
    x = keras.Input((4, 4, 3))
    y = layers.SpectralNormalization(layers.Conv2D(3, 1, activation="relu"))(x)
    return Model(x, layers.SpectralNormalization(layers.Dense(2))(layers.Flatten()(block(y))))

"""Zoo models of norms without a mean, and of vectors repeated over time. See ``zoo.py``."""

from __future__ import annotations

import keras
from keras import Model, layers
from zoo import registry

ZOO, zoo = registry()


@zoo
def norms_of_squares() -> Model:
    """Over several sets of axes."""
    values = keras.Input((4, 3, 6))
    norms = [
        layers.RMSNormalization(),
        layers.RMSNormalization(axis=(2, 3), epsilon=0.01),
        layers.UnitNormalization(),
        layers.UnitNormalization(axis=(1, 2)),
    ]
    return Model(values, layers.Concatenate()([norm(values) for norm in norms]))


@zoo
def unit_norm_of_zeros() -> Model:
    """Values that are all zero stay zero."""
    values = keras.Input((5,))
    return Model(values, layers.UnitNormalization()(layers.ReLU()(values) * 0.0) + values)


@zoo
def vector_over_time() -> Model:
    values = keras.Input((5,))
    return Model(values, layers.Conv1D(3, 2)(layers.RepeatVector(4)(layers.Dense(6)(values))))

"""Zoo models of operations that reduce, copy and pick elements. See ``zoo.py``."""

from __future__ import annotations

import keras
from keras import Model, ops
from zoo import registry
from zoo_operations import joined

ZOO, zoo = registry()


@zoo
def resizing() -> Model:
    x = keras.Input((7, 5, 3))
    wide = keras.layers.Resizing(11, 8)(x)
    return Model(x, keras.layers.Resizing(4, 6)(keras.layers.Conv2D(4, 3)(wide)))


@zoo
def sums_and_minima() -> Model:
    x = keras.Input((3, 4, 5))
    return Model(
        x, joined(ops.sum(x, axis=(1, 3)), ops.min(x, axis=2, keepdims=True), ops.sum(x, axis=-1), ops.min(x, axis=(1, 2)))
    )

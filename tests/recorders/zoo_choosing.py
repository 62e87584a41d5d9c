"""Zoo models of what Keras records of operations that choose, compare and pick; truth and places are cast to real numbers.

See ``zoo.py``.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import Model, layers, ops
from zoo import registry

ZOO, zoo = registry()
SHAPE = (3, 4, 2)


def joined(*values: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Concatenate()([layers.Flatten()(ops.cast(value, "float32")) for value in values])


@zoo
def sines() -> Model:
    x = keras.Input(SHAPE)
    return Model(x, joined(ops.sin(x * 9.0), ops.cos(x * 9.0)))


@zoo
def picking() -> Model:
    x = keras.Input(SHAPE)
    outputs = [
        *(ops.take(x, indices, axis=axis) for indices, axis in (([2, 0, 0], 1), ([[1, -1], [0, 3]], 2), (1, -1))),
        ops.tile(x, (1, 2, 1, 3)),
        ops.tile(x, (2, 1)),
        ops.flip(x, axis=1),
        ops.flip(x, axis=(2, 3)),
        ops.roll(x, 2, axis=2),
        ops.roll(x, (1, -1), axis=(1, 3)),
        ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=0.5),
        ops.pad(x, ((0, 0), (1, 2), (0, 3), (1, 0)), mode="reflect"),
        ops.pad(x, ((0, 0), (1, 0), (0, 1), (1, 1)), mode="symmetric"),  # beyond 1, Keras on PyTorch repeats the edge
    ]
    return Model(x, joined(*outputs))


@zoo
def comparing() -> Model:
    x = keras.Input(SHAPE)
    steps = ops.cast(x * 2.0, "int32")
    compare = (ops.equal, ops.not_equal, ops.greater, ops.greater_equal, ops.less, ops.less_equal)
    outputs = [f(ops.cast(steps, "float32"), np.float32(1)) for f in compare]
    outputs += [f(steps, ops.flip(steps, axis=1)) for f in compare]
    outputs += [ops.greater(x, np.full((4, 1), 0.25, np.float32)), ops.less(steps, 1)]
    return Model(x, joined(*outputs))


@zoo
def choosing() -> Model:
    x = keras.Input(SHAPE)
    low, high = x > -0.5, x < 0.5
    outputs = [
        ops.logical_and(low, high),
        ops.logical_or(x < -0.5, x < 0.25),
        ops.logical_xor(low, x > 0.25),
        ops.logical_not(low),
        ops.logical_and(ops.cast(x, "int32"), high),
        ops.where(low, x, ops.sin(x)),
        ops.where(low, x, 0.25),
        ops.where(high, ops.argmax(x, axis=1, keepdims=True), ops.argmin(x, axis=1, keepdims=True)),
    ]
    return Model(x, joined(*outputs))


@zoo
def places() -> Model:
    x = keras.Input(SHAPE)
    outputs = [f(x, axis=axis) for f in (ops.argmax, ops.argmin) for axis in (1, 2, -1)]
    return Model(x, joined(*outputs, ops.argmax(x, axis=2, keepdims=True), ops.cast(ops.cast(x, "bool"), "int32")))

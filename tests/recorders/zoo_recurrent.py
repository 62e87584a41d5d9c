"""Zoo models of recurrent layers. See ``zoo.py``."""

from __future__ import annotations

import keras
from keras import Model, layers
from zoo import registry

ZOO, zoo = registry()
SEQUENCE = (5, 3)  # moments, inputs
UNITS = 4


def joined(x: keras.KerasTensor, *made: keras.KerasTensor) -> Model:
    """Return a model of values of any shapes."""
    return Model(x, layers.Concatenate()([layers.Flatten()(value) for value in made]))


@zoo
def lstm() -> Model:
    """The state that came last, all of them, the other way, and with the cell."""
    x = keras.Input(SEQUENCE)
    whole = layers.LSTM(UNITS, return_sequences=True)(x)
    backwards = layers.LSTM(UNITS, return_sequences=True, go_backwards=True, use_bias=False)(whole)
    moments, state, cell = layers.LSTM(UNITS, return_sequences=True, return_state=True)(x)
    hard = layers.LSTM(UNITS, activation="relu", recurrent_activation="hard_sigmoid")(x)
    return joined(x, layers.LSTM(UNITS)(x), backwards, moments, state, cell, hard)


@zoo
def gru() -> Model:
    """Its reset gate behind the product and before it, with other functions, without biases, and the other way."""
    x = keras.Input(SEQUENCE)
    before = layers.GRU(UNITS, reset_after=False, return_sequences=True)(x)
    linear = layers.GRU(UNITS, activation="linear", recurrent_activation="hard_sigmoid")(before)
    moments, state = layers.GRU(UNITS, go_backwards=True, use_bias=False, return_sequences=True, return_state=True)(x)
    return joined(x, layers.GRU(UNITS)(x), linear, moments, state)


@zoo
def simple_rnn() -> Model:
    """SimpleRNN, and cells in an RNN."""
    x = keras.Input(SEQUENCE)
    y = layers.SimpleRNN(UNITS, activation="sigmoid", return_sequences=True)(x)
    cells = (layers.LSTMCell(UNITS), layers.GRUCell(UNITS), layers.SimpleRNNCell(UNITS))
    return joined(x, *(layers.RNN(cell)(y) for cell in cells))


@zoo
def bidirectional() -> Model:
    """All ways to join both directions, of their last states too, and a backward layer of its own."""
    x = keras.Input(SEQUENCE)
    modes = ("concat", "sum", "mul", "ave")
    merged = [layers.Bidirectional(layers.GRU(UNITS, return_sequences=True), merge_mode=mode)(x) for mode in modes]
    forward, backward = layers.Bidirectional(layers.SimpleRNN(UNITS, return_sequences=True), merge_mode=None)(x)
    states = layers.Bidirectional(layers.LSTM(UNITS, return_state=True))(x)
    other = layers.GRU(UNITS, return_sequences=True, go_backwards=True)
    own = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True), backward_layer=other)(x)
    cells = layers.Bidirectional(layers.RNN(layers.GRUCell(UNITS)))(x)
    return joined(x, *merged, forward, backward, *states, own, cells)


@zoo
def first_states() -> Model:
    """An encoder's last states are a decoder's first ones, in one direction and in both."""
    x = keras.Input(SEQUENCE)
    y, state, cell = layers.LSTM(UNITS, return_state=True)(x)
    repeated = layers.RepeatVector(3)(y)
    decoded = layers.LSTM(UNITS, return_sequences=True)(repeated, initial_state=[state, cell])
    both = layers.Bidirectional(layers.LSTM(UNITS))(repeated, initial_state=[state, cell, cell, state])
    return joined(x, decoded, both, layers.GRU(UNITS)(x, initial_state=state))


@zoo
def recurrent_inside() -> Model:
    """A model within the model, its batch norm before a cell, moments made of the columns of a map."""
    inner = keras.Input((4, 8))
    y = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True))(inner)
    y = layers.LSTM(UNITS, use_bias=False)(layers.BatchNormalization()(y))
    block = Model(inner, layers.Dense(2)(y))
    x = keras.Input((8, 4, 2))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x))
    return Model(x, block(layers.Reshape((4, 8))(y)))

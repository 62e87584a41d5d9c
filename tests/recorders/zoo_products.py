"""Zoo models of attention and of sums of products. See ``zoo.py``."""

from __future__ import annotations

import keras
import numpy as np
from keras import Model, layers, ops
from zoo import registry
from zoo_functions import joined

ZOO, zoo = registry()


@zoo
def dots() -> Model:
    """Along each axis, of two vectors, and of unit length."""
    x = keras.Input((4, 5))
    y, mean, image = layers.Dense(5)(x), ops.mean(x, axis=1), layers.Reshape((2, 2, 5))(x)
    made = [layers.Dot(axes=(2, 2))([x, y]), layers.Dot(axes=1)([x, y]), layers.Dot(axes=(2, 1))([x, mean])]
    made += [layers.Dot(axes=1, normalize=True)([mean, layers.Dense(5)(mean)]), layers.Dot(axes=(1, 2))([mean, y])]
    return Model(x, joined(*made, layers.Dot(axes=-1, normalize=True)([x, y]), layers.Dot(axes=(3, -1))([image, x])))


@zoo
def einsum_layers() -> Model:
    """Kernels of two and three axes, elided axes on either side, biases along some axes, an activation."""
    x = keras.Input((3, 4, 6))
    rows = layers.Reshape((12, 6))(x)
    made = [layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d", activation="relu")(rows)]
    made += [layers.EinsumDense("abc,cde->abde", output_shape=(12, 2, 3), bias_axes="de")(rows)]
    made += [layers.EinsumDense("...x,xy->...y", output_shape=3, bias_axes="y")(x)]
    made += [layers.EinsumDense("ab...,bc->ac...", output_shape=2, bias_axes="c")(x)]
    made += [layers.EinsumDense("abcd,bde->aceb", output_shape=(4, 2, 3), bias_axes="ce")(x)]
    return Model(x, joined(*made, layers.EinsumDense("abcd,db->acb", output_shape=(4, 3))(x)))


@zoo
def einsum_in_code() -> Model:
    """Of two values, of a value and a constant on either side, of one value, and with dots."""
    x = keras.Input((3, 4))
    y = layers.Dense(4)(x)
    matrix = (0.5 + np.arange(12, dtype=np.float32) / 7).reshape(4, 3)
    made = [ops.einsum("bij,bkj->bik", x, y), ops.einsum("bij,bij->bj", x, y), ops.einsum("bij,jk->bki", x, matrix)]
    made += [ops.einsum("kj,bij->bik", matrix.T, x), ops.einsum("bij->bji", x), ops.einsum("bij->bj", x)]
    made += [ops.einsum("...ij,...kj->...ki", x, y), ops.einsum("bij,bkl->bil", x, y)]
    return Model(x, joined(*made, ops.einsum("bi,bj->bij", ops.mean(x, axis=1), ops.mean(y, axis=2))))


@zoo
def attention_of_heads() -> Model:
    """Across two values with all three sizes apart, and within one: causal, without biases, in a window."""
    x = keras.Input((5, 6))
    y = layers.Dense(4)(layers.ZeroPadding1D(1)(x))
    made = [
        layers.MultiHeadAttention(2, 3, value_dim=5, output_shape=8)(x, y),
        layers.MultiHeadAttention(3, 2)(x, y, key=ops.tanh(y)),
    ]
    made += [layers.MultiHeadAttention(2, 3, use_bias=False)(x, x, use_causal_mask=True)]
    made += [layers.MultiHeadAttention(2, 2, sliding_window=2, use_gate=True)(x, x)]
    output, scores = layers.MultiHeadAttention(1, 4)(x, x, return_attention_scores=True)
    return Model(x, joined(*made, output, scores))


@zoo
def attention_over_images() -> Model:
    """Along both axes of an image, and along one of them."""
    x = keras.Input((3, 4, 6))
    made = [layers.MultiHeadAttention(2, 3)(x, x), layers.MultiHeadAttention(2, 3, attention_axes=(2,), output_shape=(2, 3))(x, x)]
    return Model(x, joined(*made))


@zoo
def attention_of_groups() -> Model:
    """Two heads of queries for one of keys, alone and with a mask."""
    x = keras.Input((5, 6))
    made = [
        layers.GroupQueryAttention(3, 4, 2)(x, x),
        layers.GroupQueryAttention(2, 4, 4, use_bias=False)(x, x, use_causal_mask=True),
    ]
    return Model(x, joined(*made, layers.GroupQueryAttention(2, 2, 1, use_gate=True)(x, ops.tanh(x))))


@zoo
def attention_without_projections() -> Model:
    """By products and by sums, scaled and not, causal and not."""
    x = keras.Input((5, 6))
    y = layers.Dense(6)(layers.ZeroPadding1D(1)(x))
    made = [layers.Attention()([x, y]), layers.Attention(use_scale=True)([x, y, ops.tanh(y)], use_causal_mask=True)]
    made += [layers.Attention(score_mode="concat", use_scale=True)([x, y]), layers.Attention(score_mode="concat")([x, x])]
    made += [layers.AdditiveAttention()([x, y]), layers.AdditiveAttention(use_scale=False)([x, x], use_causal_mask=True)]
    return Model(x, joined(*made))


@zoo
def attention_in_code() -> Model:
    """Heads of values, with what Keras' layers do not set."""
    x = keras.Input((5, 12))
    q, k, v = (layers.Reshape((5, 4, 3))(layers.Dense(12)(x)) for _ in range(3))
    shared = layers.Reshape((5, 2, 3))(layers.Dense(6)(x))
    made = [ops.dot_product_attention(q, k, v), ops.dot_product_attention(q, k, v, is_causal=True, scale=0.3)]
    return Model(x, joined(*made, ops.dot_product_attention(q, shared, shared)))


@zoo
def block_of_transformer() -> Model:
    """Attention in a model within the model, with batch norm before it; called twice."""
    inner = keras.Input((4, 6))
    y = layers.BatchNormalization()(inner)
    y = layers.Add()([inner, layers.MultiHeadAttention(2, 3)(y, y)])
    y = layers.Add()([y, layers.Dense(6)(layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), activation="gelu")(y))])
    block = Model(inner, layers.LayerNormalization()(y))
    x = keras.Input((4, 6))
    return Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(block(block(x)))))

"""Zoo models of merging, pooling, moving, preprocessing, nesting, channels-first and small known networks. See ``zoo.py``."""

from __future__ import annotations

import keras
from keras import Model, Sequential, layers, ops
from zoo import chain, registry

ZOO, zoo = registry()

FIRST = "channels_first"

# Merging --------------------------------------------------------------------------------------------------------------


@zoo
def residual() -> Model:
    image = keras.Input((8, 8, 3))
    stem = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(image)))
    deep = layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2, padding="same")(stem))
    short = layers.Conv2D(6, 1, strides=2, padding="same")(stem)
    total = layers.Activation("relu")(layers.Add()([deep, short]))
    return Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(layers.AveragePooling2D(4)(total))))


@zoo
def squeeze_excite() -> Model:
    """Reshape to (1, 1, C) and 1x1 convolutions; then keepdims and Dense; then a (C,) vector made by Reshape."""
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="silu")(image)
    s = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(x))
    s = layers.Conv2D(4, 1, activation="hard_sigmoid")(layers.Conv2D(2, 1, activation="relu")(s))
    x = layers.Multiply()([x, s])
    s = layers.Dense(2, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([layers.Dense(4, activation="sigmoid")(s), x])
    return Model(image, x)


@zoo
def concatenation() -> Model:
    """Channels, then rows, then vectors."""
    image = keras.Input((4, 5, 3))
    a = layers.Conv2D(2, 1, activation="relu")(image)
    b = layers.Conv2D(4, 3, padding="same")(image)
    c = layers.Concatenate()([a, image, b])
    d = layers.Concatenate(axis=1)([c, layers.Conv2D(9, 1)(c)])
    e = layers.GlobalMaxPooling2D()(d)
    return Model(image, layers.Concatenate(axis=-1)([e, layers.GlobalAveragePooling2D()(d)]))


@zoo
def multiply_add_same_shape() -> Model:
    image = keras.Input((4, 4, 3))
    a = layers.Conv2D(3, 1, activation="tanh")(image)
    b = layers.Conv2D(3, 1, activation="sigmoid")(image)
    return Model(image, layers.Add()([layers.Multiply()([a, b]), image, a]))


@zoo
def operators() -> Model:
    """Plain ``+`` and ``*`` between tensors and ``ops.mean``: Keras stores them as operations, not layers."""
    image = keras.Input((4, 4, 3))
    a = layers.Conv2D(3, 1)(image)
    return Model(image, ops.mean(a * image + a, axis=(1, 2)))


# Pooling, moving, resizing --------------------------------------------------------------------------------------------


@zoo
def pooling_2d() -> Model:
    """Same-padded average pooling divides by the cells inside the image."""
    image = keras.Input((9, 7, 2))
    outputs = [
        layers.MaxPooling2D(3, strides=2, padding="same")(image),
        layers.AveragePooling2D(3, strides=2, padding="same")(image),
        layers.ZeroPadding2D(((0, 1), (0, 1)))(layers.MaxPooling2D(2)(image)),
        layers.ZeroPadding2D(((0, 1), (0, 1)))(layers.AveragePooling2D((2, 2))(image)),
    ]
    tall = layers.AveragePooling2D((3, 1), strides=(1, 2), padding="valid")(layers.Concatenate()(outputs))
    return Model(image, layers.MaxPooling2D((1, 2), strides=1, padding="same")(tall))


@zoo
def pooling_average_uneven() -> Model:
    """Same padding with more cells at the end than at the start (see ``MENDED`` in the recorder)."""
    return chain((6, 8, 2), layers.AveragePooling2D(3, strides=2, padding="same"))


@zoo
def pooling_1d() -> Model:
    values = keras.Input((13, 3))
    outputs = [
        layers.MaxPooling1D(3, strides=2, padding="same")(values),
        layers.AveragePooling1D(3, strides=2, padding="same")(values),
    ]
    x = layers.AveragePooling1D(2)(layers.MaxPooling1D(2, strides=1)(layers.Concatenate()(outputs)))
    return Model(values, layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]))


@zoo
def global_pooling() -> Model:
    image = keras.Input((5, 4, 3))
    outputs = [
        layers.GlobalAveragePooling2D()(image),
        layers.GlobalMaxPooling2D()(image),
        layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(image)),
        layers.Flatten()(layers.GlobalMaxPooling2D(keepdims=True)(image)),
    ]
    return Model(image, layers.Concatenate()(outputs))


@zoo
def padding_cropping_2d() -> Model:
    return chain(
        (6, 5, 2),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Conv2D(3, 3, strides=2),
        layers.ZeroPadding2D(2),
        layers.Cropping2D(((1, 0), (2, 1))),
        layers.ZeroPadding2D((1, 0)),
    )


@zoo
def padding_cropping_1d() -> Model:
    return chain((8, 3), layers.ZeroPadding1D((2, 1)), layers.Conv1D(3, 3), layers.Cropping1D((1, 2)))


@zoo
def upsampling() -> Model:
    image = keras.Input((4, 3, 2))
    nearest = layers.UpSampling2D((2, 3))(image)
    bilinear = layers.UpSampling2D((2, 3), interpolation="bilinear")(image)
    return Model(image, layers.Conv2D(3, 1)(layers.Concatenate()([nearest, bilinear])))


@zoo
def upsampling_1d() -> Model:
    return chain((5, 3), layers.UpSampling1D(3), layers.Conv1D(2, 2))


@zoo
def shapes() -> Model:
    return chain(
        (4, 6, 3),
        layers.Permute((2, 1, 3)),
        layers.Conv2D(4, 3),
        layers.Dropout(0.5),
        layers.Reshape((8, -1)),
        layers.SpatialDropout1D(0.1),
        layers.Dense(3),
        layers.Flatten(),
        layers.Reshape((4, 3, 2)),
        layers.GaussianNoise(0.1),
        layers.Activation("relu"),
        layers.Flatten(),
    )


# Preprocessing --------------------------------------------------------------------------------------------------------


@zoo
def rescaling() -> Model:
    return chain((5, 5, 2), layers.Rescaling(1 / 127.5, offset=-1.0), layers.Conv2D(3, 3, activation="relu"))


@zoo
def normalization_given() -> Model:
    """Mean and variance given as arguments: they stand in the configuration, not among the weights."""
    return chain((4, 4, 3), layers.Normalization(mean=[0.1, -0.3, 2.0], variance=[0.5, 4.0, 1.5]), layers.Conv2D(2, 3))


@zoo
def normalization_adapted() -> Model:
    """Mean and variance learnt by ``adapt``: they stand among the weights."""
    values = keras.random.normal((64, 6), mean=1.5, stddev=2.0, seed=3)
    normalization = layers.Normalization()
    normalization.adapt(keras.ops.convert_to_numpy(values))
    return chain((6,), normalization, layers.Dense(4, activation="relu"))


# Models within models -------------------------------------------------------------------------------------------------


@zoo
def nested_sequential() -> Model:
    stem = Sequential([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()], name="stem")
    head = Sequential([layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")], name="head")
    return chain((6, 6, 2), stem, layers.MaxPooling2D(), head)


@zoo
def nested_functional() -> Model:
    """A Functional block inside a block, and one block called twice."""
    inner_in = keras.Input((5, 5, 3), name="inner_in")
    inner = Model(inner_in, layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same")(inner_in)), name="inner")
    block_in = keras.Input((5, 5, 3), name="block_in")
    block = Model(block_in, layers.Add()([layers.ReLU()(inner(block_in)), block_in]), name="block")
    image = keras.Input((5, 5, 3), name="image")
    return Model(image, layers.Conv2D(2, 1)(block(block(image))))


# Channels first -------------------------------------------------------------------------------------------------------


@zoo
def channels_first_cnn() -> Model:
    """Flatten sees (C, H, W): the dense layer's rows are in that order."""
    return chain(
        (3, 8, 7),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", data_format=FIRST),
        layers.BatchNormalization(axis=1),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, data_format=FIRST),
        layers.BatchNormalization(axis=1),
        layers.ReLU(),
        layers.MaxPooling2D(2, data_format=FIRST),
        layers.Flatten(),
        layers.Dense(5),
        layers.BatchNormalization(),
    )


@zoo
def channels_first_image_out() -> Model:
    image = keras.Input((2, 6, 5))
    x = layers.ZeroPadding2D(((1, 0), (0, 2)), data_format=FIRST)(image)
    x = layers.SeparableConv2D(4, 3, padding="same", data_format=FIRST)(x)
    x = layers.BatchNormalization(axis=1)(x)
    y = layers.Conv2D(4, 1, data_format=FIRST)(x)
    x = layers.Concatenate(axis=1)([layers.Add()([x, y]), y])
    x = layers.AveragePooling2D(3, strides=2, padding="same", data_format=FIRST)(x)
    x = layers.UpSampling2D(2, data_format=FIRST)(x)
    x = layers.Cropping2D(1, data_format=FIRST)(x)
    x = layers.PReLU(shared_axes=[2, 3])(x)
    return Model(image, layers.Conv2DTranspose(3, 3, strides=2, padding="same", data_format=FIRST)(x))


@zoo
def channels_first_squeeze_excite() -> Model:
    image = keras.Input((3, 5, 6))
    x = layers.Conv2D(4, 3, padding="same", data_format=FIRST)(image)
    s = layers.GlobalAveragePooling2D(data_format=FIRST)(x)
    s = layers.Reshape((4, 1, 1))(layers.Dense(4, activation="sigmoid")(layers.Dense(2, activation="relu")(s)))
    x = layers.BatchNormalization(axis=1)(layers.Multiply()([x, s]))
    return Model(image, layers.GlobalMaxPooling2D(data_format=FIRST)(x))


@zoo
def channels_first_conv1d() -> Model:
    return chain(
        (3, 14),
        layers.Conv1D(4, 3, strides=2, padding="same", data_format=FIRST),
        layers.BatchNormalization(axis=1),
        layers.MaxPooling1D(2, data_format=FIRST),
        layers.GlobalAveragePooling1D(data_format=FIRST),
    )


@zoo
def channels_first_permuted() -> Model:
    """A channels-last image turned to channels-first inside the model and back."""
    return chain(
        (6, 5, 3),
        layers.Permute((3, 1, 2)),
        layers.Conv2D(4, 3, data_format=FIRST),
        layers.BatchNormalization(axis=1),
        layers.Permute((2, 3, 1)),
        layers.ReLU(),
    )


# Small versions of known networks -------------------------------------------------------------------------------------


@zoo
def ds_cnn() -> Model:
    image = keras.Input((12, 6, 1))
    x = layers.Conv2D(8, (10, 4), strides=2, padding="same")(image)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
    x = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(8, 1)(x)))
    x = layers.Flatten()(layers.AveragePooling2D((6, 3))(x))
    return Model(image, layers.Dense(4, activation="softmax")(x))


@zoo
def inverted_residual() -> Model:
    image = keras.Input((8, 8, 4))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(image)))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=1, padding="same", use_bias=False)(x)
    x = layers.Cropping2D(((0, 1), (0, 1)))(x)
    x = layers.Activation("hard_silu")(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(4, 1, use_bias=False)(x))
    return Model(image, layers.Add()([image, x]))

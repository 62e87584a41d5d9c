"""Zoo models of single layers: convolutions, batch norm wherever it can stand, activations. See ``zoo.py``."""

from __future__ import annotations

import keras
from keras import Model, layers
from zoo import chain, registry

ZOO, zoo = registry()

# Convolutions ---------------------------------------------------------------------------------------------------------


@zoo
def conv2d_strides() -> Model:
    """Same padding that is uneven (even sizes, even kernels), then valid with unequal strides."""
    return chain(
        (10, 9, 3),
        layers.Conv2D(3, (2, 4), padding="same"),
        layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(5, (2, 3), strides=(2, 1), padding="valid", use_bias=False),
    )


@zoo
def conv2d_dilated() -> Model:
    return chain(
        (11, 12, 2),
        layers.Conv2D(4, 3, dilation_rate=2, padding="same", activation="tanh"),
        layers.Conv2D(4, 3, dilation_rate=(3, 2), padding="valid"),
    )


@zoo
def conv2d_grouped() -> Model:
    return chain((8, 8, 4), layers.Conv2D(6, 3, groups=2, padding="same"), layers.Conv2D(6, 3, groups=3, strides=2))


@zoo
def conv1d() -> Model:
    return chain(
        (20, 3),
        layers.Conv1D(4, 5, strides=2, padding="same", activation="relu"),
        layers.Conv1D(4, 3, dilation_rate=2, padding="causal"),
        layers.BatchNormalization(),
        layers.Conv1D(6, 2, groups=2),
    )


@zoo
def depthwise_multiplier() -> Model:
    return chain(
        (9, 8, 3),
        layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", activation="relu6"),
        layers.DepthwiseConv2D((2, 3), padding="valid", use_bias=False),
    )


@zoo
def depthwise_conv1d() -> Model:
    return chain((16, 3), layers.DepthwiseConv1D(3, strides=2, depth_multiplier=2, padding="same"))


@zoo
def separable() -> Model:
    return chain(
        (8, 8, 3),
        layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.SeparableConv2D(4, 3, strides=2, use_bias=False),
    )


@zoo
def separable_conv1d() -> Model:
    return chain((15, 3), layers.SeparableConv1D(4, 3, depth_multiplier=2, padding="same"))


@zoo
def transposed() -> Model:
    return chain(
        (3, 4, 3),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.Conv2DTranspose(3, (2, 3), strides=(2, 1), padding="valid"),
        layers.Conv2DTranspose(2, 2, strides=3, padding="valid", use_bias=False),
    )


@zoo
def transposed_output_padding() -> Model:
    return chain((4, 4, 2), layers.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=0))


@zoo
def transposed_conv1d() -> Model:
    return chain((6, 2), layers.Conv1DTranspose(3, 4, strides=2, padding="same"))


@zoo
def dense() -> Model:
    return chain(
        (11,),
        layers.Dense(9, activation="relu"),
        layers.BatchNormalization(),
        layers.Dense(5, use_bias=False),
        layers.Softmax(),
    )


@zoo
def dense_on_image() -> Model:
    """Dense works on the last axis whatever the rank: a 1x1 convolution."""
    return chain((4, 3, 5), layers.Dense(6, activation="sigmoid"), layers.Flatten(), layers.Dense(3))


# Batch norm -----------------------------------------------------------------------------------------------------------


@zoo
def batchnorm_after_conv() -> Model:
    return chain(
        (6, 6, 3),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(epsilon=1e-5, momentum=0.9),
        layers.Activation("relu"),
    )


@zoo
def batchnorm_after_activation() -> Model:
    """The example network's order, in small."""
    return chain(
        (8, 8, 1),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(8, activation="relu"),
        layers.BatchNormalization(),
        layers.Dense(5, activation="softmax"),
    )


@zoo
def batchnorm_no_center_no_scale() -> Model:
    return chain(
        (6, 5, 3),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(center=False),
        layers.Conv2D(4, 1),
        layers.BatchNormalization(scale=False),
        layers.Conv2D(4, 1),
        layers.BatchNormalization(center=False, scale=False),
    )


@zoo
def batchnorm_axis_rows() -> Model:
    """Axis 1 and 2 of a channels-last image: a norm over rows, then over columns."""
    return chain(
        (5, 6, 3),
        layers.BatchNormalization(axis=1),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(axis=2),
    )


@zoo
def batchnorm_before_padded_conv() -> Model:
    return chain((6, 6, 3), layers.BatchNormalization(), layers.Conv2D(4, 3, padding="same", activation="relu"))


@zoo
def batchnorm_two_in_a_row() -> Model:
    return chain(
        (6, 6, 2),
        layers.Conv2D(3, 3),
        layers.BatchNormalization(),
        layers.BatchNormalization(epsilon=1e-2),
        layers.ReLU(),
        layers.BatchNormalization(),
    )


@zoo
def batchnorm_everywhere() -> Model:
    """After add, concatenation, average pooling, upsampling and flatten."""
    image = keras.Input((6, 6, 3))
    left = layers.Conv2D(4, 3, padding="same")(image)
    right = layers.Conv2D(4, 1, activation="relu")(image)
    total = layers.BatchNormalization()(layers.Add()([left, right]))
    joined = layers.BatchNormalization()(layers.Concatenate()([total, right]))
    pooled = layers.BatchNormalization()(layers.AveragePooling2D(2)(joined))
    raised = layers.BatchNormalization()(layers.UpSampling2D(2)(layers.MaxPooling2D(2, strides=1)(pooled)))
    flat = layers.BatchNormalization()(layers.Flatten()(raised))
    return Model(image, layers.Dense(3)(flat))


@zoo
def batchnorm_shared_conv() -> Model:
    """One convolution called twice, each call followed by its own batch norm."""
    image = keras.Input((6, 6, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    once = layers.BatchNormalization()(shared(image))
    twice = layers.BatchNormalization()(shared(layers.ReLU()(once)))
    return Model(image, layers.Add()([once, twice]))


@keras.saving.register_keras_serializable(package="house")
class BNLayer(layers.BatchNormalization):
    """A class of the user's own: a reader is told that it is a batch norm."""


@zoo
def custom_batchnorm() -> Model:
    return chain((7,), layers.Dense(5, activation="relu"), BNLayer(epsilon=1e-4), layers.Dense(3))


# Activations ----------------------------------------------------------------------------------------------------------


@zoo
def relu_variants() -> Model:
    values = keras.Input((4, 3, 3))
    outputs = [
        layers.ReLU()(values),
        layers.ReLU(max_value=1.0)(values),
        layers.ReLU(max_value=6.0)(values),
        layers.ReLU(negative_slope=0.2)(values),
        layers.ReLU(threshold=0.5)(values),
        layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.25)(values),
        layers.LeakyReLU()(values),
        layers.LeakyReLU(negative_slope=0.05)(values),
    ]
    return Model(values, layers.Concatenate()(outputs))


@zoo
def prelu() -> Model:
    return chain(
        (5, 4, 3),
        layers.Conv2D(4, 3, padding="same"),
        layers.PReLU(shared_axes=[1, 2]),
        layers.Conv2D(2, 1),
        layers.PReLU(),
    )


@zoo
def activation_layers() -> Model:
    """Every activation by name as a layer, some inside a layer."""
    values = keras.Input((4, 4, 3))
    names = ["relu", "relu6", "sigmoid", "tanh", "hard_sigmoid", "hard_silu", "silu", "linear", "leaky_relu", "softmax"]
    outputs = [layers.Activation(name)(values) for name in names]
    outputs += [layers.Conv2D(2, 1, activation=name)(values) for name in ("hard_silu", "silu", "softmax")]
    return Model(values, layers.Concatenate()(outputs))


@zoo
def own_statistics() -> Model:
    """Norms by each sample's own statistics, over several sets of axes and in several groups."""
    values = keras.Input((4, 3, 6))
    norms = [
        layers.LayerNormalization(),
        layers.LayerNormalization(axis=(1, 2, 3), epsilon=0.01),
        layers.LayerNormalization(axis=(2, 3), center=False),
        layers.LayerNormalization(scale=False),
        layers.GroupNormalization(3),
        layers.GroupNormalization(-1, epsilon=0.01),
        layers.GroupNormalization(2, scale=False),
        layers.GroupNormalization(1, axis=1),
    ]
    return Model(values, layers.Concatenate()([norm(values) for norm in norms]))


@zoo
def smooth_activations() -> Model:
    """Activations that are functions of their own."""
    values = keras.Input((4, 4, 3))
    names = ["elu", "exponential", "gelu", "mish", "selu", "softplus"]
    outputs = [layers.Activation(name)(values) for name in names]
    return Model(values, layers.Concatenate()([*outputs, layers.ELU(0.7)(values)]))

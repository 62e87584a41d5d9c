"""Zoo models of what Keras records beside layers: constants, operations and slices, and of layers that only training changes.

Also of models within models whose weights a .h5 file keeps in one list. See ``zoo.py``.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import Model, layers, ops
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
from zoo import chain, registry

ZOO, zoo = registry()


def ramp(*shape: int) -> np.ndarray:
    """Constants that differ everywhere and are never zero."""
    return (0.5 + np.arange(np.prod(shape), dtype=np.float32) / 7).reshape(shape)


def joined(*values: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Concatenate()([layers.Flatten()(value) for value in values])


# Constants ------------------------------------------------------------------------------------------------------------


def arithmetic(x: keras.KerasTensor, constant: np.ndarray | float) -> list[keras.KerasTensor]:
    """Return every operation of two operands that edgebn reads, in either order."""
    return [
        *(operation(x, constant) for operation in (ops.add, ops.multiply, ops.subtract, ops.divide)),
        *(operation(constant, x) for operation in (ops.add, ops.multiply, ops.subtract)),
    ]


@zoo
def constants_on_vectors() -> Model:
    """Without the batch axis, with it, as a number, and as a tensor of the backend."""
    x = keras.Input((5,))
    constants = (ramp(5), ramp(1, 5), 0.75, ops.convert_to_tensor(ramp(1, 5)))
    divided = [x / np.float32(1.5), x / ramp(1, 1), x / ramp(1)]
    return Model(x, joined(*(value for constant in constants for value in arithmetic(x, constant)), *divided))


@zoo
def constants_on_images() -> Model:
    """Along every set of axes, with the batch axis and without."""
    x = keras.Input((3, 4, 2))
    shapes = ((1, 1, 1, 2), (4, 1), (1, 3, 4, 2))
    return Model(x, joined(*(value for shape in shapes for value in arithmetic(x, ramp(*shape)))))


@zoo
def constants_that_spread() -> Model:
    """A constant that is larger than the value beside it."""
    x = keras.Input((1, 4, 1))
    return Model(x, ops.add(ops.multiply(x, ramp(1, 3, 1, 2)), ramp(3, 4, 1)))


@zoo
def constants_on_numbers() -> Model:
    """Samples that are single numbers."""
    x = keras.Input((6,))
    number = ops.mean(x, axis=1)
    return Model(x, ops.add(ops.multiply(number, 2.0), ops.multiply(ops.max(x, axis=-1), ramp(1))))


@zoo
def standardised_inside() -> Model:
    """(x - mean) / std with constants of shape (1, 1, 1, C), then a network."""
    x = keras.Input((8, 8, 3))
    scaled = ops.divide(ops.subtract(x, ramp(1, 1, 1, 3)), np.full((1, 1, 1, 3), 0.25, np.float32))
    return Model(x, layers.BatchNormalization()(layers.Conv2D(2, 3)(scaled)))


@zoo
def merging_with_constants() -> Model:
    """Merging layers give shorter operands axes behind the batch axis, where operations broadcast as NumPy does."""
    x = keras.Input((3, 4, 2))
    outputs = [
        layers.Add()([x, ramp(1, 3, 4, 2)]),
        layers.Add()([x, ramp(1, 2), x]),
        layers.Multiply()([x, ramp(1, 4, 2)]),
        layers.Subtract()([x, ramp(1, 1, 1, 2)]),
        layers.Average()([x, ramp(1, 1, 4, 1), x]),
        layers.Add()([x]),
    ]
    return Model(x, joined(*outputs))


@zoo
def merging_other_ranks() -> Model:
    """A vector beside an image stands for its channels."""
    image = keras.Input((3, 4, 2))
    vector = layers.GlobalAveragePooling2D()(image)
    return Model(image, layers.Add()([layers.Multiply()([vector, image]), vector]))


@zoo
def scales_with_a_batch_axis() -> Model:
    x = keras.Input((3, 4, 2))
    return Model(x, layers.Rescaling(scale=ramp(1, 1, 1, 2), offset=ramp(1, 4, 1))(x))


@zoo
def normalization_broadcast() -> Model:
    """Given statistics with fewer axes than are kept."""
    x = keras.Input((3, 4, 2))
    outputs = [
        layers.Normalization(axis=(1, 3), mean=ramp(2), variance=ramp(2) + 1)(x),
        layers.Normalization(axis=(2, 3), mean=ramp(4, 1), variance=ramp(4, 1))(x),
        layers.Normalization(axis=None, mean=0.5, variance=2.0)(x),
    ]
    return Model(x, joined(*outputs))


# Operations -----------------------------------------------------------------------------------------------------------


@zoo
def hard_swish_written_out() -> Model:
    """As in MobileNetV3, in a model within the model too."""
    inside = keras.Input((4, 4, 3))
    block = Model(inside, inside * (ops.relu6(inside + 3.0) * (1.0 / 6.0)), name="block")
    x = keras.Input((4, 4, 3))
    gate = layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(block(x)))
    gate = layers.ReLU(6.0)(gate + 3.0) * (1.0 / 6.0)
    return Model(x, layers.Multiply()([x, gate]))


@zoo
def activation_operations() -> Model:
    x = keras.Input((3, 4, 2))
    functions = (ops.relu, ops.relu6, ops.leaky_relu, ops.sigmoid, ops.tanh, ops.silu, ops.hard_sigmoid, ops.hard_silu)
    outputs = [function(x) for function in functions]
    outputs += [ops.leaky_relu(x, negative_slope=0.3), ops.softmax(x), ops.softmax(x, axis=1), ops.clip(x, -0.5, 0.75), -x]
    outputs += [keras.activations.relu(x, max_value=2.0), keras.activations.relu(x, negative_slope=0.2, threshold=0.5)]
    return Model(x, joined(*outputs))


@zoo
def shape_operations() -> Model:
    x = keras.Input((3, 4, 2))
    outputs = [
        ops.reshape(x, (-1, 8, 3)),
        ops.transpose(x, (0, 3, 1, 2)),
        ops.mean(x, axis=(1, 2)),
        ops.mean(x, axis=-1, keepdims=True),
        ops.max(x, axis=2),
        ops.max(x, axis=[1, 3], keepdims=True),
        ops.concatenate([x, x * 2.0], axis=2),
        ops.expand_dims(x, 2),
        ops.expand_dims(x, axis=[-1, 1]),
        ops.squeeze(ops.max(x, axis=2, keepdims=True), 2),
        ops.squeeze(ops.expand_dims(x, 1)),
    ]
    return Model(x, joined(*outputs))


@zoo
def slices() -> Model:
    """Ranges, single elements, new axes, every second row."""
    x = keras.Input((5, 6, 3))
    outputs = [
        x[:, 1:3],
        x[:, :, 2:-1, 1:],
        x[:, -2],
        x[:, 1, :, None, 2],
        x[:, ::2, 1::3],
        x[..., 2],
        x[:, None, 3:5],
        x[:, :, :100],
    ]
    return Model(x, joined(*outputs))


@zoo
def channels_first_operations() -> Model:
    """Constants and slices of images whose channels come first."""
    x = keras.Input((3, 6, 5))
    y = layers.Conv2D(4, 3, data_format="channels_first")(ops.divide(ops.subtract(x, ramp(1, 3, 1, 1)), ramp(3, 1, 1)))
    y = layers.Multiply()([y[:, 1:, ::2], ramp(1, 3, 1, 1)])
    return Model(x, ops.add(y, np.array([[[True]], [[False]], [[True]]])))


# Layers that only training changes --------------------------------------------------------------------------------------


@zoo
def augmentation() -> Model:
    factor, full = {"factor": 0.5}, {"value_range": (0, 255)}
    return chain(
        (10, 12, 3),
        layers.RandomFlip(),
        layers.RandomRotation(0.2),
        layers.RandomZoom(0.2),
        layers.RandomTranslation(0.2, 0.2),
        layers.RandomContrast(0.2),
        layers.RandomBrightness(0.2),
        layers.RandomColorDegeneration(**factor),
        layers.RandomColorJitter(**full),
        layers.RandomElasticTransform(**factor),
        layers.RandomErasing(**factor),
        layers.RandomGaussianBlur(**factor),
        layers.RandomGrayscale(**factor),
        layers.RandomHue(**factor),
        layers.RandomInvert(**factor),
        layers.RandomPerspective(**factor),
        layers.RandomPosterization(4),
        layers.RandomSaturation(**factor),
        layers.RandomSharpness(**factor),
        layers.RandomShear(),
        layers.RandAugment(),
        layers.AugMix(),
        layers.MixUp(),
        layers.CutMix(),
        layers.GaussianNoise(0.5),
        layers.GaussianDropout(0.5),
        layers.AlphaDropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.Dropout(0.5),
        layers.ActivityRegularization(0.1),
        layers.CenterCrop(7, 8),
        layers.Conv2D(2, 3),
    )


@zoo
def augmentation_called() -> Model:
    """Keras 3 records `training=True` in such calls; what it predicts is the image as it was."""
    x = keras.Input((6, 6, 2))
    y = layers.RandomFlip()(x)
    y = layers.Dropout(0.5)(y, training=True)
    return Model(x, layers.BatchNormalization()(y, training=True))


# Outputs and models within models ---------------------------------------------------------------------------------------


@zoo
def custom_scale() -> Model:
    x = keras.Input((4, 4, 2))
    return Model(x, CustomScaleLayer(scale=0.17)([x, layers.Conv2D(2, 1)(x)]))


def nested(name: str, *stack: layers.Layer) -> Model:
    x = keras.Input((4, 4, 2))
    y = x
    for layer in stack:
        y = layer(y)
    return Model(x, y, name=name)


def block(name: str) -> list[layers.Layer]:
    return [layers.Conv2D(2, 3, padding="same", name=f"{name}_conv"), layers.BatchNormalization(name=f"{name}_bn"), layers.PReLU()]


@zoo
def nested_models_called_in_a_row() -> Model:
    """One model called on its own result; a Sequential too."""
    inner = nested("inner", *block("a"))
    stack = keras.Sequential([keras.Input((4, 4, 2)), *block("b")], name="stack")
    x = keras.Input((4, 4, 2))
    return Model(x, inner(stack(inner(stack(x)))))


@zoo
def nested_models_frozen() -> Model:
    """Weights of frozen layers stand behind those that are trained, whatever layer they are of."""
    deep = nested("deep", *block("a"))
    deep.trainable = False
    deep.get_layer("a_bn").trainable = True
    last = block("c")
    last[0].trainable = False
    inner = nested("inner", *block("b"), deep, *last)
    x = keras.Input((4, 4, 2))
    return Model(x, inner(x))


@zoo
def nested_models_that_share() -> Model:
    """The same layer and the same model in two models; Keras cannot read the .keras archive of it."""
    shared, frozen = nested("shared", *block("a")), layers.Conv2D(2, 1, name="once_more")
    frozen.trainable = False
    first, second = nested("first", frozen, shared), nested("second", shared, *block("b"), frozen)
    x = keras.Input((4, 4, 2))
    return Model(x, layers.Add()([first(x), second(x)]))

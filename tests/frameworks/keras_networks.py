"""Random Keras networks, drawn by a seed alone: every layer class that edgebn reads, on images, sequences and vectors.

One table, layer class to drawer. A drawer applies the layer to a symbolic value and returns what comes out; what does not fit is
drawn again. Needs Keras; knows nothing of edgebn but which numbers its tests can compare.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers

MAX_LAYERS = 12
MAX_ELEMENTS = 1500
FUNCTIONS = (
    "relu", "relu", "relu6", "sigmoid", "tanh", "silu", "hard_sigmoid", "hard_silu", "leaky_relu", "hard_tanh", "linear", "softmax",
)  # fmt: skip


class NotDrawnError(Exception):
    """What was drawn does not fit the values there are; another draw may."""


@dataclass
class Net:
    """The network so far: symbolic values, by how many axes they have, and the layout of its images."""

    rng: np.random.Generator
    first: bool
    values: list = field(default_factory=list)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def need(self, holds: object) -> None:
        if not holds:
            raise NotDrawnError

    @property
    def layout(self) -> dict:
        return {"data_format": "channels_first"} if self.first else {}

    def spatial(self, x, count: int) -> tuple[list[int], int]:
        """Return the sizes of an image or a sequence and its channels."""
        sample = list(x.shape[1:])
        self.need(len(sample) == count + 1)
        return (sample[1:], sample[0]) if self.first else (sample[:-1], sample[-1])

    def activation(self) -> dict:
        return {"activation": self.pick(FUNCTIONS)} if self.chance(0.4) else {}

    def bias(self) -> dict:
        return {"use_bias": False} if self.chance(0.3) else {}

    def window(self, sizes: list[int], widest: int = 4) -> tuple[int, ...]:
        return tuple(self.size(1, min(widest, size)) for size in sizes)

    def padding(self, count: int = 2, *, causal: bool = False) -> dict:
        choices = ["valid", "same", "same"]
        return {"padding": self.pick([*choices, "causal"] if causal and count == 1 and not self.first else choices)}

    def strided(self, sizes: list[int], kernel: tuple[int, ...]) -> dict:
        """Draw strides or dilations; Keras takes one of them."""
        count = len(sizes)
        if self.chance(0.5):
            steps = [self.size(1, 3)] * count if self.chance(0.7) else [self.size(1, 3) for _ in sizes]
            return {"strides": steps if count > 1 else steps[0]}
        fits = all(2 * (length - 1) < size for length, size in zip(kernel, sizes, strict=True))
        return {"dilation_rate": 2} if fits and self.chance(0.5) else {}


def convolution(count: int) -> Callable:
    def draw(net: Net, x):
        sizes, channels = net.spatial(x, count)
        kernel = net.window(sizes)
        groups = net.pick([groups for groups in (1, 1, 2, 3) if channels % groups == 0])
        layer = layers.Conv2D if count == 2 else layers.Conv1D
        return layer(
            groups * net.size(1, 4), kernel, groups=groups, **net.strided(sizes, kernel), **net.padding(count, causal=True),
            **net.activation(), **net.bias(), **net.layout,
        )(x)  # fmt: skip

    return draw


def depthwise(count: int) -> Callable:
    def draw(net: Net, x):
        sizes, _ = net.spatial(x, count)
        kernel = net.window(sizes)
        layer = layers.DepthwiseConv2D if count == 2 else layers.DepthwiseConv1D
        options = {"strides": net.size(1, 2)} if net.chance(0.6) else {"dilation_rate": net.size(1, 2)}
        net.need(options.get("dilation_rate", 1) * (max(kernel) - 1) < min(sizes))
        return layer(
            kernel, depth_multiplier=net.size(1, 2), **options, **net.padding(), **net.activation(), **net.bias(), **net.layout
        )(x)

    return draw


def separable(count: int) -> Callable:
    def draw(net: Net, x):
        sizes, _ = net.spatial(x, count)
        kernel = net.window(sizes)
        layer = layers.SeparableConv2D if count == 2 else layers.SeparableConv1D
        return layer(
            net.size(1, 6), kernel, depth_multiplier=net.size(1, 2), strides=net.size(1, 2), **net.padding(), **net.activation(),
            **net.bias(), **net.layout,
        )(x)  # fmt: skip

    return draw


def transposed(count: int) -> Callable:
    def draw(net: Net, x):
        net.spatial(x, count)
        layer = layers.Conv2DTranspose if count == 2 else layers.Conv1DTranspose
        stride = net.size(1, 3)
        kernel = net.size(stride, 4)  # narrower than its stride: the backends of Keras differ
        return layer(net.size(1, 5), kernel, strides=stride, **net.padding(), **net.activation(), **net.bias(), **net.layout)(x)

    return draw


def dense(net: Net, x):
    return layers.Dense(net.size(1, 8), **net.activation(), **net.bias())(x)


def batch_norm(net: Net, x):
    rank = len(x.shape)
    usual = 1 if net.first and rank > 2 else -1
    options = {"axis": usual if net.chance(0.8) else net.size(1, rank - 1), "epsilon": net.pick((1e-3, 1e-5))}
    return layers.BatchNormalization(center=net.chance(0.8), scale=net.chance(0.8), **options)(x)


def rescaling(net: Net, x):
    channels = x.shape[-1]
    scale = net.pick((0.5, -1.5, [round(number, 2) for number in net.rng.uniform(0.5, 1.5, channels).tolist()]))
    return layers.Rescaling(scale, offset=net.pick((0.0, 0.3)))(x)


def normalization(net: Net, x):
    axis = net.pick((-1, net.size(1, len(x.shape) - 1), None))
    length = 1 if axis is None else x.shape[axis]
    mean, variance = net.rng.normal(0, 0.5, length), net.rng.uniform(0.5, 2, length)
    if axis is None:
        return layers.Normalization(axis=None, mean=float(mean[0]), variance=float(variance[0]))(x)
    return layers.Normalization(axis=axis, mean=mean.tolist(), variance=variance.tolist())(x)


def activation(net: Net, x):
    return layers.Activation(net.pick(FUNCTIONS))(x)


def relu(net: Net, x):
    return layers.ReLU(
        **net.pick(({}, {"max_value": 2.0}, {"negative_slope": 0.1}, {"max_value": 1.0, "negative_slope": 0.2}, {"threshold": 0.2}))
    )(x)


def prelu(net: Net, x):
    rank = len(x.shape)
    shared = [axis for axis in range(1, rank) if net.chance(0.5)]
    return layers.PReLU(shared_axes=shared or None)(x)


def softmax(net: Net, x):
    return layers.Softmax(axis=net.pick((-1, net.size(1, len(x.shape) - 1))))(x)


def merged(layer: type) -> Callable:
    def draw(net: Net, x):
        same = [value for value in net.values if value.shape == x.shape]
        parts = [x, *(net.pick(same) for _ in range(1 if layer is layers.Subtract else net.size(1, 2)))]
        if net.chance(0.2) and len(x.shape) == 4 and not net.first:  # a number a channel
            parts[1:] = [layers.GlobalAveragePooling2D(keepdims=True)(x)]
        parts[1:] = [layers.Activation("tanh")(part) if part is x else part for part in parts[1:]]
        return layer()(parts)

    return draw


def concatenate(net: Net, x):
    rank = len(x.shape)
    axis = net.size(1, rank - 1)

    def fits(value) -> bool:
        return len(value.shape) == rank and all(value.shape[place] == x.shape[place] for place in range(1, rank) if place != axis)

    parts = [x, *(net.pick([value for value in net.values if fits(value)]) for _ in range(net.size(1, 2)))]
    return layers.Concatenate(axis=net.pick((axis, axis - rank)))(parts)


def pool(layer: type, count: int) -> Callable:
    def draw(net: Net, x):
        sizes, _ = net.spatial(x, count)
        window = net.window(sizes, 3)
        # Same padding of an average counts the padding in Keras' torch backend, and in no other.
        padding = {} if "Average" in layer.__name__ else net.padding()
        strides = {"strides": net.size(1, 3)} if net.chance(0.6) else {}
        net.need(not (padding.get("padding") == "same" and strides.get("strides", 1) > min(window)))
        return layer(window if count == 2 else window[0], **strides, **padding, **net.layout)(x)

    return draw


def whole(layer: type, count: int) -> Callable:
    def draw(net: Net, x):
        net.spatial(x, count)
        return layer(keepdims=net.chance(0.4), **net.layout)(x)

    return draw


def zero_padding(count: int) -> Callable:
    def draw(net: Net, x):
        net.spatial(x, count)
        sides = tuple((net.size(0, 2), net.size(0, 2)) for _ in range(count))
        if count == 1:
            return layers.ZeroPadding1D(sides[0], **net.layout)(x)
        return layers.ZeroPadding2D(net.pick((1, sides)), **net.layout)(x)

    return draw


def cropping(count: int) -> Callable:
    def draw(net: Net, x):
        sizes, _ = net.spatial(x, count)
        net.need(min(sizes) > 2)
        sides = tuple((net.size(0, 1), net.size(0, 1)) for _ in range(count))
        return layers.Cropping1D(sides[0])(x) if count == 1 else layers.Cropping2D(sides, **net.layout)(x)

    return draw


def upsampling(count: int) -> Callable:
    def draw(net: Net, x):
        net.spatial(x, count)
        if count == 1:
            return layers.UpSampling1D(net.size(2, 3))(x)
        size = (net.size(1, 3), net.size(1, 3))
        return layers.UpSampling2D(size, interpolation=net.pick(("nearest", "nearest", "bilinear")), **net.layout)(x)

    return draw


def flatten(net: Net, x):
    net.need(np.prod(x.shape[1:]) <= 200)
    return layers.Flatten(**net.layout)(x)


def reshape(net: Net, x):
    sizes = list(x.shape[1:])
    count = int(np.prod(sizes))
    if len(sizes) > 1 and net.chance(0.5):
        axis = net.size(0, len(sizes) - 2)
        target = [*sizes[:axis], sizes[axis] * sizes[axis + 1], *sizes[axis + 2 :]]
    else:
        target = []
        for _ in range(net.size(0, 2)):
            target.append(net.pick([divisor for divisor in range(1, count + 1) if count % divisor == 0]))
            count //= target[-1]
        target.append(count)
    if net.chance(0.3):
        target[net.size(0, len(target) - 1)] = -1
    return layers.Reshape(target)(x)


def permute(net: Net, x):
    net.need(len(x.shape) > 2)
    return layers.Permute((1 + net.rng.permutation(len(x.shape) - 1)).tolist())(x)


def layer_norm(net: Net, x):
    net.need(x.shape[-1] > 1)
    layer = net.pick((layers.LayerNormalization, layers.RMSNormalization))
    options = {"center": net.chance(0.8), "scale": net.chance(0.8)} if layer is layers.LayerNormalization else {}
    return layer(axis=-1, epsilon=net.pick((1e-3, 1e-2)), **options)(x)


def group_norm(net: Net, x):
    axis = 1 if net.first and len(x.shape) > 2 else -1
    net.need(len(x.shape) > 2)
    return layers.GroupNormalization(net.pick([n for n in (1, 2, 3) if x.shape[axis] % n == 0]), axis=axis, scale=net.chance(0.7))(
        x
    )


def unit_norm(net: Net, x):
    return layers.UnitNormalization(axis=-1)(layers.Activation("sigmoid")(x))  # of numbers near 0 the last digits would become all


def sequence_like(net: Net, x):
    """Return a value of the shape of a sequence, to attend to."""
    net.need(len(x.shape) == 3)
    return net.pick([value for value in net.values if value.shape == x.shape])


def self_attention(net: Net, x):
    other = sequence_like(net, x)
    heads, size = net.size(1, 3), net.size(1, 4)
    if net.chance(0.3):
        return layers.GroupQueryAttention(size, 2 * heads, heads, **net.bias())(x, other)
    return layers.MultiHeadAttention(heads, size, **net.bias())(x, other)


def attention(net: Net, x):
    layer = net.pick((layers.Attention(use_scale=net.chance(0.5)), layers.AdditiveAttention()))
    return layer([x, sequence_like(net, x)])


def dot(net: Net, x):
    return layers.Dot(axes=net.pick((1, 2)), normalize=False)([x, sequence_like(net, x)])


def einsum_dense(net: Net, x):
    net.need(len(x.shape) == 3)
    return layers.EinsumDense("abc,cd->abd", output_shape=(x.shape[1], net.size(1, 5)), bias_axes=net.pick((None, "d")))(x)


def repeated(net: Net, x):
    net.need(len(x.shape) == 2)
    return layers.RepeatVector(net.size(1, 4))(x)


def resizing(net: Net, x):
    net.need(len(x.shape) == 4)
    sizes = net.size(2, 9), net.size(2, 9)
    return layers.Resizing(*sizes, interpolation=net.pick(("nearest", "bilinear")), **net.layout)(x)


def center_crop(net: Net, x):
    sizes, _ = net.spatial(x, 2)
    return layers.CenterCrop(*(net.size(1, size) for size in sizes), **net.layout)(x)


def adaptive(layer: type, count: int) -> Callable:
    def draw(net: Net, x):
        sizes, _ = net.spatial(x, count)
        targets = [net.size(1, size) for size in sizes]
        return layer(targets[0] if count == 1 else tuple(targets), **net.layout)(x)

    return draw


def idle(layer: type, *given, images: bool = False) -> Callable:
    def draw(net: Net, x):
        net.need(not images or len(x.shape) == given[1] + 2)
        return layer(*given[:1])(x)

    return draw


def nested(net: Net, x):
    """A model inside, called twice where its output is like its input: shared layers."""
    inner = keras.Input(x.shape[1:])
    y = inner
    for _ in range(2):
        y = net.pick((batch_norm, activation, dense, relu))(net, y)
    block = keras.Model(inner, y)
    made = block(x)
    return block(made) if made.shape == x.shape and net.chance(0.5) else made


TABLE: dict[str, tuple[Callable, float]] = {
    "Conv1D": (convolution(1), 2),
    "Conv2D": (convolution(2), 4),
    "DepthwiseConv1D": (depthwise(1), 1),
    "DepthwiseConv2D": (depthwise(2), 2),
    "SeparableConv1D": (separable(1), 1),
    "SeparableConv2D": (separable(2), 1),
    "Conv1DTranspose": (transposed(1), 1),
    "Conv2DTranspose": (transposed(2), 1),
    "Dense": (dense, 2),
    "BatchNormalization": (batch_norm, 4),
    "Rescaling": (rescaling, 0.7),
    "Normalization": (normalization, 0.7),
    "Activation": (activation, 2),
    "ReLU": (relu, 1),
    "LeakyReLU": (lambda net, x: layers.LeakyReLU(negative_slope=net.pick((0.1, 0.3)))(x), 0.7),
    "PReLU": (prelu, 1),
    "ELU": (lambda net, x: layers.ELU(alpha=net.pick((1.0, 0.5)))(x), 0.4),
    "Softmax": (softmax, 0.7),
    "LayerNormalization": (layer_norm, 0.7),
    "RMSNormalization": (layer_norm, 0.2),
    "GroupNormalization": (group_norm, 0.5),
    "UnitNormalization": (unit_norm, 0.3),
    "MultiHeadAttention": (self_attention, 0.5),
    "GroupQueryAttention": (self_attention, 0.4),
    "Attention": (attention, 0.5),
    "AdditiveAttention": (attention, 0.2),
    "Dot": (dot, 0.3),
    "EinsumDense": (einsum_dense, 0.7),
    "RepeatVector": (repeated, 0.3),
    "Resizing": (resizing, 0.4),
    "CenterCrop": (center_crop, 0.3),
    "AdaptiveMaxPooling1D": (adaptive(layers.AdaptiveMaxPooling1D, 1), 0.3),
    "AdaptiveMaxPooling2D": (adaptive(layers.AdaptiveMaxPooling2D, 2), 0.3),
    "AdaptiveAveragePooling1D": (adaptive(layers.AdaptiveAveragePooling1D, 1), 0.3),
    "AdaptiveAveragePooling2D": (adaptive(layers.AdaptiveAveragePooling2D, 2), 0.3),
    "Maximum": (merged(layers.Maximum), 0.4),
    "Minimum": (merged(layers.Minimum), 0.4),
    "Add": (merged(layers.Add), 1.5),
    "Multiply": (merged(layers.Multiply), 1),
    "Subtract": (merged(layers.Subtract), 0.7),
    "Average": (merged(layers.Average), 0.7),
    "Concatenate": (concatenate, 1.5),
    "MaxPooling1D": (pool(layers.MaxPooling1D, 1), 1),
    "MaxPooling2D": (pool(layers.MaxPooling2D, 2), 1.5),
    "AveragePooling1D": (pool(layers.AveragePooling1D, 1), 1),
    "AveragePooling2D": (pool(layers.AveragePooling2D, 2), 1.5),
    "GlobalMaxPooling1D": (whole(layers.GlobalMaxPooling1D, 1), 0.5),
    "GlobalMaxPooling2D": (whole(layers.GlobalMaxPooling2D, 2), 0.5),
    "GlobalAveragePooling1D": (whole(layers.GlobalAveragePooling1D, 1), 0.5),
    "GlobalAveragePooling2D": (whole(layers.GlobalAveragePooling2D, 2), 0.7),
    "ZeroPadding1D": (zero_padding(1), 0.7),
    "ZeroPadding2D": (zero_padding(2), 1),
    "Cropping1D": (cropping(1), 0.7),
    "Cropping2D": (cropping(2), 0.7),
    "UpSampling1D": (upsampling(1), 0.7),
    "UpSampling2D": (upsampling(2), 0.7),
    "Flatten": (flatten, 1),
    "Reshape": (reshape, 1),
    "Permute": (permute, 0.7),
    "Identity": (idle(layers.Identity), 0.2),
    "Dropout": (idle(layers.Dropout, 0.3), 0.4),
    "AlphaDropout": (idle(layers.AlphaDropout, 0.3), 0.2),
    "GaussianDropout": (idle(layers.GaussianDropout, 0.3), 0.2),
    "GaussianNoise": (idle(layers.GaussianNoise, 0.3), 0.2),
    "SpatialDropout1D": (idle(layers.SpatialDropout1D, 0.3, 1, images=True), 0.3),
    "SpatialDropout2D": (idle(layers.SpatialDropout2D, 0.3, 2, images=True), 0.3),
    "ActivityRegularization": (idle(layers.ActivityRegularization), 0.2),
    "Functional": (nested, 0.7),
}


def draw(seed: int, *, channels_first: bool = True, batch_size: int | None = None) -> keras.Model:
    """Return network `seed`, its weights as Keras begins them; one in seven has its channels first, if that is allowed."""
    keras.backend.clear_session()
    rng = np.random.default_rng([seed, 3])
    net = Net(rng, first=bool(rng.random() < 0.15) and channels_first)
    rank = net.pick((1, 2, 2, 3, 3, 3))
    sizes, channels = [net.size(4, {2: 14, 3: 9}.get(rank, 4)) for _ in range(rank - 1)], net.size(1, 5)
    shape = [channels, *sizes] if net.first else [*sizes, channels] if sizes else [net.size(2, 16)]
    image = keras.Input(shape, batch_size=batch_size)
    net.values.append(image)
    names = sorted(TABLE)
    weights = np.array([TABLE[name][1] for name in names])
    weights /= weights.sum()
    wanted = net.size(2, MAX_LAYERS)
    for _ in range(40 * wanted):
        if len(net.values) > wanted:
            break
        x = net.values[-1] if net.chance(0.85) else net.pick(net.values)
        try:
            made = TABLE[names[int(rng.choice(len(names), p=weights))]][0](net, x)
        except (NotDrawnError, ValueError, RuntimeError):  # Keras refuses what does not fit in its own ways
            continue
        if all(made.shape[1:]) and np.prod(made.shape[1:], dtype=int) <= MAX_ELEMENTS:
            net.values.append(made)
    ends = [net.values[-1]]
    if len(net.values) > 3 and net.chance(0.3):
        ends.append(net.pick(net.values[1:-1]))
    return keras.Model(image, ends if len(ends) > 1 else ends[0])

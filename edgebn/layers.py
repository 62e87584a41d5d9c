"""The vocabulary of `Graph`: one frozen class a layer type, with the shape rule of each. Knows nothing of files or devices.

Shapes and axes leave out the batch axis, and axes count from 0 (readers resolve negative ones). Spatial layers take one or two
spatial dimensions: (L, C) or (H, W, C), or (C, L) / (C, H, W) with `channels_first`. Kernel, stride and dilation are always
pairs (height, width); a 1-D layer uses height 1. Padding is always explicit: (top, left, bottom, right).
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import numpy as np

from edgebn import functions
from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.functions import CELL_STATES, CELLS, GATES, STATE_FUNCTIONS
from edgebn.quick_dataclass import dataclass, field, fields_of

Shape = tuple[int, ...]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]

# Marks the fields that hold trained numbers.
PARAMETER = {"parameter": True}

# Strides, kernels and paddings beyond this are damage, not design.
MAX_EXTENT = 1 << 16

# Elements that a Gather takes of one axis at most: more would be damage too.
MAX_PICKED = 1 << 22

# Functions of one value and of two, by the names that say their formulas.
ACTIVATIONS = tuple(functions.FUNCTIONS)
BINARY_FUNCTIONS = tuple(functions.BINARY)

# Functions of two values whose value is int32; comparisons are 1 where they hold, else 0.
COMPARISONS = tuple(functions.COMPARISONS)
INTEGER_FUNCTIONS = tuple(functions.INTEGER_BINARY)


@dataclass(frozen=True)
class Quantization:
    """real = scale * (code - zero_point).

    Attributes
    ----------
    scale : ndarray of float64, shape (1,) or (channels,)
        Positive. Float32 values of the file, widened exactly.
    zero_point : ndarray of int64, same shape
    axis : int or None
        The axis of the tensor along which the values run, None for one value.
    unsigned : bool
        Whether the file holds uint8 codes, which are these plus 128 (zero point too). TensorFlow Lite's arithmetic on them differs
        from that on int8 in places.
    bits : int
        Of a code: 8 or 16.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None = None
    unsigned: bool = False
    bits: int = 8

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int, *, unsigned: bool = False, bits: int = 8) -> Quantization:
        """Return the quantisation with one scale and zero point for the whole tensor."""
        return cls(np.array([scale], np.float64), np.array([zero_point], np.int64), unsigned=unsigned, bits=bits)

    @property
    def dtype(self) -> str:
        """The type of the codes."""
        return f"int{self.bits}"


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes
    ----------
    name : str
        The layer's name in the file, used in every message about it.
    inputs : tuple of str
        Names of the values it reads.
    output : str
        Name of the value it makes.
    """

    name: str
    inputs: tuple[str, ...]
    output: str

    @property
    def kind(self) -> str:
        """The class name, for messages and tables."""
        return type(self).__name__

    def check(self) -> None:
        """Refuse arrays that are not finite numbers."""
        kind: type = type(self)
        for name in fields_of(kind):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                raise ModelError(f"its {name} holds NaN or infinite numbers; train or export the model again")

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the output's shape; by default that of the only input."""
        return shapes[0]

    def parameters(self) -> int:
        """Return how many trained numbers the layer holds."""
        kind: type = type(self)
        arrays = [getattr(self, name) for name, entry in fields_of(kind).items() if entry.metadata.get("parameter")]
        return sum(array.size for array in arrays if array is not None)


def window_output(size: int, kernel: int, stride: int, dilation: int, before: int, after: int, what: str) -> int:
    """Return how many windows fit: floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1."""
    if not (0 < kernel <= MAX_EXTENT and 0 < stride <= MAX_EXTENT and 0 < dilation <= MAX_EXTENT):
        raise ModelError(f"{what} {kernel}, stride {stride} and dilation {dilation} must be between 1 and {MAX_EXTENT}")
    if not (0 <= before <= MAX_EXTENT and 0 <= after <= MAX_EXTENT):
        raise ModelError(f"padding ({before}, {after}) must be between 0 and {MAX_EXTENT}; negative padding is a Crop")
    span = dilation * (kernel - 1) + 1
    count = (size + before + after - span) // stride + 1
    if count < 1:
        raise ModelError(f"{what} {kernel} (dilation {dilation}) is larger than its padded input of {size + before + after}")
    return count


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """Return TensorFlow's SAME padding (before, after) of one axis: the odd element goes after."""
    out = -(-size // stride)
    total = max((out - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def split_spatial(shape: Shape, channels_first: bool) -> tuple[int, int, int]:
    """Return (height, width, channels) of a (L, C), (H, W, C), (C, L) or (C, H, W) shape; height is 1 for 1-D."""
    if len(shape) not in (2, 3):
        raise UnsupportedLayerError(
            f"its input of shape {shape} has {len(shape) - 1} spatial dimensions; edgebn runs 1-D and 2-D layers"
        )
    channels, spatial = (shape[0], shape[1:]) if channels_first else (shape[-1], shape[:-1])
    height, width = (1, spatial[0]) if len(spatial) == 1 else spatial
    return height, width, channels


def join_spatial(height: int, width: int, channels: int, like: Shape, channels_first: bool) -> Shape:
    """Put (height, width, channels) back into the rank and layout of `like`."""
    spatial = (width,) if len(like) == 2 else (height, width)
    return (channels, *spatial) if channels_first else (*spatial, channels)


@dataclass(frozen=True)
class Constant(Layer):
    """A fixed array that some layer reads (no inputs)."""

    value: np.ndarray = field(metadata=PARAMETER)

    def output_shape(self, *shapes: Shape) -> Shape:
        assert not shapes
        return tuple(self.value.shape)


@dataclass(frozen=True)
class Identity(Layer):
    """Does nothing at inference: dropout, casts of the same type, stop-gradient; `channels_first` says what its value is."""

    channels_first: bool = False


@dataclass(frozen=True)
class Convolution(Layer):
    """Convolution (cross-correlation) over one or two spatial axes; depthwise is groups == input channels.

    Attributes
    ----------
    weight : ndarray, shape (O, kh, kw, I / groups), float32, or int8 with `weight_quantization`
        Output channel o belongs to group o // (O / groups).
    bias : ndarray, shape (O,), float32 (int32 codes when the weight is int8) or None
    """

    weight: np.ndarray = field(metadata=PARAMETER)
    bias: np.ndarray | None = field(default=None, metadata=PARAMETER)
    strides: Pair = (1, 1)
    dilations: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    groups: int = 1
    channels_first: bool = False
    weight_quantization: Quantization | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        height, width, channels = split_spatial(shape, self.channels_first)
        out_channels, kh, kw = _check_kernel(self.weight, self.bias, self.groups, channels)
        top, left, bottom, right = self.padding
        oh = window_output(height, kh, self.strides[0], self.dilations[0], top, bottom, "kernel height")
        ow = window_output(width, kw, self.strides[1], self.dilations[1], left, right, "kernel width")
        return join_spatial(oh, ow, out_channels, shape, self.channels_first)


@dataclass(frozen=True)
class TransposedConvolution(Layer):
    """Transposed convolution: the gradient of `Convolution` with respect to its input.

    output = (input - 1) * stride + dilation * (kernel - 1) + 1 + output_padding - before - after, per axis.

    Attributes
    ----------
    weight : ndarray, shape (O, kh, kw, I / groups)
        Output pixel (y * stride + i * dilation - top, ...) receives weight[o, i, j, c] * input[y, x, c]: not flipped.
    """

    weight: np.ndarray = field(metadata=PARAMETER)
    bias: np.ndarray | None = field(default=None, metadata=PARAMETER)
    strides: Pair = (1, 1)
    dilations: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    output_padding: Pair = (0, 0)
    groups: int = 1
    channels_first: bool = False
    weight_quantization: Quantization | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        height, width, channels = split_spatial(shape, self.channels_first)
        out_channels, kh, kw = _check_kernel(self.weight, self.bias, self.groups, channels)
        top, left, bottom, right = self.padding
        sizes = []
        for size, kernel, stride, dilation, pads, extra in (
            (height, kh, self.strides[0], self.dilations[0], top + bottom, self.output_padding[0]),
            (width, kw, self.strides[1], self.dilations[1], left + right, self.output_padding[1]),
        ):
            if not (0 < stride <= MAX_EXTENT and 0 < dilation <= MAX_EXTENT and 0 <= pads <= 2 * MAX_EXTENT):
                raise ModelError(f"stride {stride}, dilation {dilation} or padding {pads} is out of range")
            if min(self.padding) < 0 or not 0 <= extra <= MAX_EXTENT:
                raise ModelError("negative padding or output padding; use a Crop layer after it")
            sizes.append((size - 1) * stride + dilation * (kernel - 1) + 1 + extra - pads)
        if min(sizes) < 1:
            raise ModelError(f"its padding {self.padding} leaves no output")
        return join_spatial(sizes[0], sizes[1], out_channels, shape, self.channels_first)


@dataclass(frozen=True)
class Dense(Layer):
    """Matrix product over the last axis; leading axes are kept.

    Attributes
    ----------
    weight : ndarray, shape (outputs, inputs), float32, or int8 with `weight_quantization`
    bias : ndarray, shape (outputs,) or None
    """

    weight: np.ndarray = field(metadata=PARAMETER)
    bias: np.ndarray | None = field(default=None, metadata=PARAMETER)
    weight_quantization: Quantization | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if self.weight.ndim != 2 or not shape or shape[-1] != self.weight.shape[1]:
            raise ModelError(f"its weight {self.weight.shape} (outputs, inputs) does not fit an input of shape {shape}")
        _check_vector(self.bias, self.weight.shape[0], "bias")
        return (*shape[:-1], self.weight.shape[0])


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation at inference: gamma * (x - mean) / sqrt(variance + epsilon) + beta along `axis`.

    Arrays have shape (channels,), float32. center=False is beta = 0, scale=False is gamma = 1: readers fill them in.
    `channels_first` says that the value is an image or a sequence whose first axis is `axis`, by the operator's definition.
    """

    gamma: np.ndarray = field(metadata=PARAMETER)
    beta: np.ndarray = field(metadata=PARAMETER)
    mean: np.ndarray = field(metadata=PARAMETER)
    variance: np.ndarray = field(metadata=PARAMETER)
    epsilon: float = 1e-3
    axis: int = -1
    channels_first: bool = False

    @property
    def has_statistics(self) -> bool:
        """Whether it is more than a product and a sum with numbers, which have none to adapt."""
        return bool(self.epsilon != 0 or self.mean.any() or (self.variance != 1).any())

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if not 0 <= self.axis < len(shape):
            raise ModelError(f"its axis {self.axis} is outside the input's shape {shape} (the batch axis not counted)")
        for what in ("gamma", "beta", "mean", "variance"):
            _check_vector(getattr(self, what), shape[self.axis], what)
        if not np.isfinite(self.epsilon) or self.epsilon < 0 or (self.variance.astype(np.float64) + self.epsilon <= 0).any():
            raise ModelError("a variance plus epsilon is not positive; train the model again or set a positive epsilon")
        return shape


@dataclass(frozen=True)
class Activation(Layer):
    """An elementwise function.

    Attributes
    ----------
    function : str
        One of `ACTIVATIONS`; `functions.FUNCTIONS` gives the formulas.
    low, high : float
        Bounds of 'clip'; infinite where there is none.
    alpha, beta : float
        Of 'leaky_relu', 'elu', 'power', whose exponent it is, and 'exp_base', whose base (alpha), and 'hard_sigmoid' (alpha, beta).
    slope : ndarray or None
        Of 'prelu', broadcast against the input without its batch axis. In an int8 graph a second input may be a Constant
        with the slope's codes; `slope` then holds the same real numbers.
    """

    function: str = "clip"
    low: float = -np.inf
    high: float = np.inf
    alpha: float = 0.0
    beta: float = 0.0
    slope: np.ndarray | None = field(default=None, metadata=PARAMETER)

    def check(self) -> None:
        super().check()
        if self.function not in ACTIVATIONS:
            raise UnsupportedLayerError(f"its function '{self.function}' is not one of {', '.join(ACTIVATIONS)}")
        if np.isnan([self.low, self.high]).any() or self.low > self.high:
            raise ModelError(f"its clip bounds [{self.low}, {self.high}] are empty or NaN")
        if not np.isfinite([self.alpha, self.beta]).all():
            raise ModelError("its alpha or beta is not a finite number")

    def output_shape(self, *shapes: Shape) -> Shape:
        if self.slope is not None and broadcast(tuple(self.slope.shape), shapes[0]) != shapes[0]:
            raise ModelError(f"its slope {self.slope.shape} does not fit an input of shape {shapes[0]}")
        return shapes[0]


@dataclass(frozen=True)
class Softmax(Layer):
    """exp(beta x) / sum(exp(beta x)) along `axis`."""

    axis: int = -1
    beta: float = 1.0

    def output_shape(self, *shapes: Shape) -> Shape:
        _check_axis(self.axis, shapes[0])
        return shapes[0]


@dataclass(frozen=True)
class Normalization(Layer):
    """A norm by the sample's own statistics: layer, group, instance and RMS norm. They are never folded.

    y = gamma * (x - mean) / sqrt(mean((x - mean)**2) + epsilon) + beta; without `centred` the mean counts as zero.

    Attributes
    ----------
    axes : tuple of int
        Over which the means run.
    groups : int
        With more than one the means run over all axes, and apart in so many blocks of neighbouring channels.
    axis : int
        That of the channels.
    gamma, beta : ndarray of float32 or None
        As many axes as the value; they broadcast against it.
    epsilon : float
    centred : bool
    """

    axes: tuple[int, ...] = (-1,)
    groups: int = 1
    axis: int = -1
    gamma: np.ndarray | None = None
    beta: np.ndarray | None = None
    epsilon: float = 1e-5
    centred: bool = True
    channels_first: bool = False

    def check(self) -> None:
        super().check()
        if not (np.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ModelError(f"its epsilon {self.epsilon} is not a finite number of 0 or more")
        if self.groups < 1 or not self.axes or len(set(self.axes)) != len(self.axes):
            raise ModelError(f"its groups {self.groups} or axes {self.axes} are damaged")

    def output_shape(self, *shapes: Shape) -> Shape:
        for axis in (*self.axes, self.axis):
            _check_axis(axis, shapes[0])
        if self.groups > 1 and (shapes[0][self.axis] % self.groups or len(self.axes) != len(shapes[0])):
            raise ModelError(f"its {self.groups} groups do not divide {shapes[0][self.axis]} channels")
        for array in (self.gamma, self.beta):
            if array is not None and (array.ndim != len(shapes[0]) or broadcast(tuple(array.shape), shapes[0]) != shapes[0]):
                raise ModelError(f"its gamma or beta of shape {array.shape} does not fit an input of shape {shapes[0]}")
        return shapes[0]


@dataclass(frozen=True)
class Recurrence(Layer):
    """What a recurrent layer carries from one moment to the next: (moments, gates * units) becomes (moments, units).

    The first input is what the layer makes of its own input at every moment, biases included, which is a Dense before this layer;
    the others are the first state and, of an LSTM, the first cell, (1, units) each, or nothing for zeros. One axis more in front
    holds several sequences, each of which goes its own way. `program.Recurrence` has the formulas.

    Attributes
    ----------
    cell : str
        One of `CELLS`, whose gates are: 'lstm' input, forget, output, candidate; 'gru' update, reset, candidate; 'rnn' one.
    weight : ndarray of float32, shape (gates * units, units)
        What the state before adds to the gates.
    bias : ndarray of float32, shape (units,), or None
        Of a GRU's candidate: added to its product with the state, before the reset gate applies.
    reset_after : bool
        Of a GRU: whether the reset gate applies to that product, and not to the state.
    gate, function : str
        Of `GATES` and `STATE_FUNCTIONS`.
    slope : float
        Of 'hard_sigmoid', whose offset is 0.5.
    limit : float
        An LSTM's cell is clipped to [-limit, limit].
    backwards : bool
        Whether the last moment comes first; rows stay in the input's order.
    gives_cell : bool
        Of an LSTM: whether the cell after the moment that came last is one more row.
    """

    weight: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32), metadata=PARAMETER)
    cell: str = "lstm"
    bias: np.ndarray | None = field(default=None, metadata=PARAMETER)
    reset_after: bool = True
    gate: str = "sigmoid"
    function: str = "tanh"
    slope: float = 0.2
    limit: float = np.inf
    backwards: bool = False
    gives_cell: bool = False

    def check(self) -> None:
        super().check()
        if self.cell not in CELLS or self.gate not in GATES or self.function not in STATE_FUNCTIONS:
            raise UnsupportedLayerError(
                f"its cell '{self.cell}' with the functions '{self.gate}' and '{self.function}' is not made of "
                f"{', '.join((*CELLS, *GATES, *STATE_FUNCTIONS))}"
            )
        if self.weight.ndim != 2 or not self.weight.size or self.weight.shape[0] != CELLS[self.cell] * self.weight.shape[1]:
            raise ModelError(f"its recurrent weights of shape {self.weight.shape} do not fit {CELLS[self.cell]} gates")
        if self.bias is not None and (self.cell != "gru" or self.bias.shape != (self.weight.shape[1],)):
            raise ModelError(f"its recurrent bias of shape {self.bias.shape} does not fit")
        if not (np.isfinite(self.slope) and self.limit > 0) or (self.gives_cell and self.cell != "lstm"):
            raise ModelError(f"its slope {self.slope} or limit {self.limit} is damaged, or it has no cell to give")

    def output_shape(self, *shapes: Shape) -> Shape:
        units = self.weight.shape[1]
        if len(shapes) > 1 + CELL_STATES[self.cell]:
            raise ModelError(f"it has {len(shapes)} inputs")
        *sequences, moments, gates = shapes[0] if len(shapes[0]) in (2, 3) else (0, 0)
        if gates != self.weight.shape[0] or any(shape != (*sequences, 1, units) for shape in shapes[1:]):
            raise ModelError(f"its inputs of shapes {', '.join(map(str, shapes))} do not fit {units} units")
        return (*sequences, moments + self.gives_cell, units)


@dataclass(frozen=True)
class Add(Layer):
    """Sum of two values (broadcast as NumPy does), then a clip to [low, high]."""

    low: float = -np.inf
    high: float = np.inf

    def output_shape(self, *shapes: Shape) -> Shape:
        return broadcast(*shapes)


@dataclass(frozen=True)
class Multiply(Layer):
    """Product of two values (broadcast as NumPy does), then a clip to [low, high]."""

    low: float = -np.inf
    high: float = np.inf

    def output_shape(self, *shapes: Shape) -> Shape:
        return broadcast(*shapes)


@dataclass(frozen=True)
class MatMul(Layer):
    """Product of two values as matrices over their last two axes, (..., n, k) x (..., k, m); axes before broadcast as NumPy's."""

    def output_shape(self, *shapes: Shape) -> Shape:
        a, b = shapes
        if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
            raise ModelError(f"its inputs of shapes {a} and {b} cannot be multiplied as matrices")
        return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])


@dataclass(frozen=True)
class Binary(Layer):
    """A function of two values (broadcast as NumPy does), then a clip to [low, high].

    Attributes
    ----------
    function : str
        One of `BINARY_FUNCTIONS`; sums and products are `Add` and `Multiply`.
    """

    function: str = "subtract"
    low: float = -np.inf
    high: float = np.inf

    def check(self) -> None:
        super().check()
        if self.function not in BINARY_FUNCTIONS:
            raise UnsupportedLayerError(f"its function '{self.function}' is not one of {', '.join(BINARY_FUNCTIONS)}")

    def output_shape(self, *shapes: Shape) -> Shape:
        return broadcast(*shapes)


@dataclass(frozen=True)
class Concat(Layer):
    """Concatenation along `axis`."""

    axis: int = -1

    def output_shape(self, *shapes: Shape) -> Shape:
        _check_axis(self.axis, shapes[0])
        first = list(shapes[0])
        for shape in shapes[1:]:
            if len(shape) != len(first) or any(
                a != b for axis, (a, b) in enumerate(zip(shape, shapes[0], strict=True)) if axis != self.axis
            ):
                raise ModelError(f"its inputs of shapes {shapes} cannot be joined along axis {self.axis}")
        first[self.axis] = sum(shape[self.axis] for shape in shapes)
        return tuple(first)


@dataclass(frozen=True)
class Pool(Layer):
    """Max or average pooling over windows.

    Attributes
    ----------
    function : {'max', 'average'}
    count_padding : bool
        Whether the average divides by the whole window where it overlaps the padding (ONNX count_include_pad).
        Padding beyond what `ceil_mode` adds is the reader's to express in `padding`; `clipped_end` tells how many of the
        bottom and right padding rows never count (ceil mode).
    rounds_codes : bool
        Whether an average of codes rounds the code, as onnxruntime's QLinearAveragePool does, where QuantizeLinear rounds the steps
        from the zero point: ties differ where that is odd.
    """

    function: str = "max"
    kernel: Pair = (2, 2)
    strides: Pair = (2, 2)
    dilations: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    count_padding: bool = False
    clipped_end: Pair = (0, 0)
    rounds_codes: bool = False
    channels_first: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        height, width, channels = split_spatial(shape, self.channels_first)
        top, left, bottom, right = self.padding
        oh = window_output(height, self.kernel[0], self.strides[0], self.dilations[0], top, bottom, "window height")
        ow = window_output(width, self.kernel[1], self.strides[1], self.dilations[1], left, right, "window width")
        return join_spatial(oh, ow, channels, shape, self.channels_first)


@dataclass(frozen=True)
class Reduce(Layer):
    """Mean, sum, maximum or minimum ('mean', 'sum', 'max', 'min') over `axes`, as in global pooling.

    `channels_first` says that those axes are behind the channels.
    """

    function: str = "mean"
    axes: tuple[int, ...] = ()
    keepdims: bool = False
    channels_first: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        for axis in self.axes:
            _check_axis(axis, shapes[0])
        if self.keepdims:
            return tuple(1 if axis in self.axes else size for axis, size in enumerate(shapes[0]))
        return tuple(size for axis, size in enumerate(shapes[0]) if axis not in self.axes)


@dataclass(frozen=True)
class Pad(Layer):
    """Padding with one constant; `pads` holds (before, after) for each axis."""

    pads: tuple[Pair, ...] = ()
    value: float = 0.0

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(self.pads) != len(shapes[0]) or any(not 0 <= p <= MAX_EXTENT for pair in self.pads for p in pair):
            raise ModelError(f"its pads {self.pads} do not fit an input of shape {shapes[0]}")
        return tuple(size + before + after for size, (before, after) in zip(shapes[0], self.pads, strict=True))


@dataclass(frozen=True)
class Crop(Layer):
    """The part of the input that begins at `starts` and has shape `sizes`."""

    starts: Shape = ()
    sizes: Shape = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(self.starts) != len(shape) or len(self.sizes) != len(shape):
            raise ModelError(f"its starts {self.starts} and sizes {self.sizes} do not fit an input of shape {shape}")
        if any(
            start < 0 or size < 1 or start + size > whole for start, size, whole in zip(self.starts, self.sizes, shape, strict=True)
        ):
            raise ModelError(f"it takes {self.sizes} from {self.starts} on, outside an input of shape {shape}")
        return self.sizes


@dataclass(frozen=True)
class Gather(Layer):
    """Elements picked by constant indices: slices with steps, tiles, expansions, reflections, any order of an axis.

    Attributes
    ----------
    indices : tuple of (ndarray of int64, shape (n,), or None)
        For each axis, which of its elements the output has, in that order and any number of times; None for all as they are.
    """

    indices: tuple[np.ndarray | None, ...] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(self.indices) != len(shape):
            raise ModelError(f"its {len(self.indices)} lists of indices do not fit an input of shape {shape}")
        for picked, size in zip(self.indices, shape, strict=True):
            if picked is not None and (picked.ndim != 1 or picked.size == 0 or picked.min() < 0 or picked.max() >= size):
                raise ModelError(f"its indices do not fit an input of shape {shape}")
        return tuple(size if picked is None else len(picked) for picked, size in zip(self.indices, shape, strict=True))


@dataclass(frozen=True)
class DetectionPostProcess(Layer):
    """The boxes of an SSD detector, decoded against anchors and freed of overlaps, as `TFLite_Detection_PostProcess` does it.

    Of box codes (anchors, 4 or more) and scores (anchors, classes, or one more with the background first) it makes one vector of
    6 * most * each + 1 numbers: boxes (top, left, bottom, right in shares of the picture), classes, scores, and how many there are.
    `program.DetectionPostProcess` says how.

    Attributes
    ----------
    anchors : ndarray of float32, shape (anchors, 4)
        Middle (y, x), height and width.
    scales : tuple of float
        By which codes of y, x, height and width are divided.
    classes : int
        Without the background.
    most, each, per_class : int
        `max_detections`, `max_classes_per_detection`, `detections_per_class`.
    regular : bool
        Whether boxes are suppressed class by class.
    score, overlap : float
        `nms_score_threshold`, `nms_iou_threshold`.
    """

    anchors: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    scales: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    classes: int = 1
    most: int = 1
    each: int = 1
    per_class: int = 100
    regular: bool = False
    score: float = 0.0
    overlap: float = 0.5

    def check(self) -> None:
        super().check()
        if self.anchors.ndim != 2 or self.anchors.shape[1] != 4:
            raise ModelError(f"its anchors of shape {self.anchors.shape} are none of (n, 4)")
        if not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise ModelError(f"its scales {self.scales} are not all positive")
        if min(self.classes, self.most, self.each, self.per_class) < 1:
            raise ModelError("it finds no detection, no class, or none of a class")
        if not (0 < self.overlap <= 1 and np.isfinite(self.score)):
            raise ModelError(f"its overlap {self.overlap} is not above 0 and at most 1, or its score {self.score} is not finite")

    def output_shape(self, *shapes: Shape) -> Shape:
        boxes, scores = shapes
        count = len(self.anchors)
        if len(boxes) != 2 or boxes[0] != count or boxes[1] < 4:
            raise ModelError(f"its {count} anchors do not fit boxes of shape {boxes}")
        if len(scores) != 2 or scores[0] != count or scores[1] - self.classes not in (0, 1):
            raise ModelError(f"its {count} anchors and {self.classes} classes do not fit scores of shape {scores}")
        return (6 * self.most * self.each + 1,)


@dataclass(frozen=True)
class NonMaxSuppression(Layer):
    """Which boxes (n, 4) with scores (classes, n) stay, int32 (rows, 3): 0, class, box; `program.NonMaxSuppression` says how.

    Attributes
    ----------
    most : int
        Boxes of a class that stay at most, and no more than there are.
    centred : bool
        Whether boxes are middle (x, y), width and height; else two opposite corners, y before x.
    score, overlap : float
        Which scores are too low, and by how much two boxes may overlap.
    """

    most: int = 1
    centred: bool = False
    score: float = -np.inf
    overlap: float = 0.0

    def check(self) -> None:
        super().check()
        if self.most < 1:
            raise ModelError("it keeps no box")
        if not (0 <= self.overlap <= 1 and self.score < np.inf):
            raise ModelError(f"its overlap {self.overlap} is not between 0 and 1, or its score {self.score} is not a number")

    def output_shape(self, *shapes: Shape) -> Shape:
        boxes, scores = shapes
        if len(boxes) != 2 or boxes[1] != 4 or len(scores) != 2 or scores[1] != boxes[0]:
            raise ModelError(f"its scores of shape {scores} do not fit boxes of shape {boxes}")
        return (scores[0] * min(self.most, boxes[0]), 3)


@dataclass(frozen=True)
class Resize(Layer):
    """Spatial resampling.

    Source coordinate of output index i, with ratio r = input / output (or 1 / scale where the file gives a scale):
    'asymmetric' i * r; 'half_pixel' (i + 0.5) * r - 0.5; 'pytorch_half_pixel' the same, but 0 for a single output;
    'tf_half_pixel_for_nn' (i + 0.5) * r; 'align_corners' i * (input - 1) / (output - 1); 'half_pixel_symmetric' half_pixel +
    input / 2 * (1 - output * r / input).

    Attributes
    ----------
    function : {'nearest', 'bilinear', 'cubic'}
    size : pair of int
        Output (height, width).
    ratio : pair of float
        Input per output, of each axis.
    coordinates : str
        One of those above.
    rounding : {'floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil', 'ceil_when_smaller'}
        Of the nearest source index; the last is 'ceil' along axes that become smaller, else 'floor'.
    arithmetic : {'exact', 'onnxruntime', 'pytorch'}
        In whose arithmetic coordinates are computed, which decides where one is nearly whole: float64; float32, divided by
        1 / ratio, and indices unchanged where that is 1; float32, multiplied by ratio.
    truncation_offset : int or None
        Of int8 codes that the file's own runtime interpolates as real numbers whose fraction it drops: what its codes are larger by
        than ours, 0 for int8 and 128 for uint8. None rounds.
    cubic : (float, bool)
        Of cubic ones, the kernel's parameter, and whether pixels outside do not count (`coordinates.cubic_matrix`).
    """

    function: str = "nearest"
    size: Pair = (1, 1)
    ratio: tuple[float, float] = (1.0, 1.0)
    coordinates: str = "asymmetric"
    rounding: str = "floor"
    arithmetic: str = "exact"
    truncation_offset: int | None = None
    cubic: tuple[float, bool] = (-0.75, False)
    channels_first: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        _, _, channels = split_spatial(shapes[0], self.channels_first)
        return join_spatial(self.size[0], self.size[1], channels, shapes[0], self.channels_first)


@dataclass(frozen=True)
class Reshape(Layer):
    """The same elements, in row-major order, under another shape (flatten included)."""

    shape: Shape = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        if np.prod(shapes[0], dtype=np.int64) != np.prod(self.shape, dtype=np.int64):
            raise ModelError(f"it turns a value of shape {shapes[0]} into {self.shape}: not the same number of elements")
        return self.shape


@dataclass(frozen=True)
class Transpose(Layer):
    """Axes in another order: output axis i is input axis permutation[i]."""

    permutation: tuple[int, ...] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        if sorted(self.permutation) != list(range(len(shapes[0]))):
            raise ModelError(f"its permutation {self.permutation} does not fit an input of shape {shapes[0]}")
        return tuple(shapes[0][axis] for axis in self.permutation)


@dataclass(frozen=True)
class Quantize(Layer):
    """float32 to int8 codes (the output tensor carries the quantisation), or int8 codes to other int8 codes.

    Attributes
    ----------
    compared : bool
        Of codes to int16 ones of scale 1/256: rounded as TensorFlow Lite rounds codes that it compares.
    """

    compared: bool = False


@dataclass(frozen=True)
class Dequantize(Layer):
    """int8 codes (the input tensor carries the quantisation) to float32."""


def broadcast(*shapes: Shape) -> Shape:
    """Return NumPy's broadcast of `shapes`, or refuse."""
    try:
        return tuple(int(size) for size in np.broadcast_shapes(*shapes))
    except ValueError:
        raise ModelError(f"its inputs of shapes {shapes} cannot be broadcast together") from None


def _check_kernel(weight: np.ndarray, bias: np.ndarray | None, groups: int, channels: int) -> tuple[int, int, int]:
    """Return (output channels, kernel height, kernel width) of a weight that fits an input of `channels`, or refuse it."""
    if weight.ndim != 4:
        raise ModelError(f"its weight has shape {weight.shape}; it should have 4 axes (O, kh, kw, I / groups)")
    out_channels, kh, kw, per_group = weight.shape
    if groups < 1 or channels != per_group * groups or out_channels % groups:
        raise ModelError(f"its weight {weight.shape} with {groups} groups does not fit an input of {channels} channels")
    _check_vector(bias, out_channels, "bias")
    return out_channels, kh, kw


def _check_vector(array: np.ndarray | None, length: int, what: str) -> None:
    if array is not None and array.shape != (length,):
        raise ModelError(f"its {what} has shape {array.shape}; it should be ({length},)")


def _check_axis(axis: int, shape: Shape) -> None:
    if not 0 <= axis < len(shape):
        raise ModelError(f"its axis {axis} is outside the input's shape {shape} (the batch axis not counted)")


@dataclass(frozen=True)
class Cast(Layer):
    """float32 to int32 (what stands behind the point is dropped) or back.

    Attributes
    ----------
    to : {'float32', 'int32'}
    """

    to: str = "float32"

    def check(self) -> None:
        super().check()
        if self.to not in ("float32", "int32"):
            raise UnsupportedLayerError(f"it makes {self.to}; edgebn casts to float32 and int32")


@dataclass(frozen=True)
class IntegerBinary(Layer):
    """A function of two values (broadcast as NumPy does) whose value is int32: of int32, or a comparison of float32.

    Attributes
    ----------
    function : str
        One of `INTEGER_FUNCTIONS`.
    """

    function: str = "equal"

    def check(self) -> None:
        super().check()
        if self.function not in INTEGER_FUNCTIONS:
            raise UnsupportedLayerError(f"its function '{self.function}' is not one of {', '.join(INTEGER_FUNCTIONS)}")

    def output_shape(self, *shapes: Shape) -> Shape:
        return broadcast(*shapes)


@dataclass(frozen=True)
class ArgExtreme(Layer):
    """Where along `axis`, which is `count` long in the output, the largest or smallest values stand, the best first, as int32.

    Attributes
    ----------
    function : {'max', 'min'}
    axis : int
    last : bool
        Of several that are equal, whether the last is taken and not the first.
    count : int
    """

    function: str = "max"
    axis: int = -1
    last: bool = False
    count: int = 1

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        _check_axis(self.axis, shape)
        if not 1 <= self.count <= shape[self.axis]:
            raise UnsupportedLayerError(f"it finds {self.count} of {shape[self.axis]} values; edgebn finds 1 to all of them")
        return (*shape[: self.axis], self.count, *shape[self.axis + 1 :])


@dataclass(frozen=True)
class Select(Layer):
    """Inputs (condition, a, b), broadcast as NumPy does: a where the int32 condition is not 0, else b."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return broadcast(broadcast(*shapes[:2]), shapes[2])


@dataclass(frozen=True)
class GatherND(Layer):
    """Parts of a value by computed indices: inputs (values, indices), output (n, elements of a part).

    Row i of the int32 indices (n, columns) has, from column `first` on, the place of part i along the first axes of the values. A
    negative index counts from its axis' end; what is outside even so is taken for the nearest that is not.

    Attributes
    ----------
    first : int
    """

    first: int = 0

    def output_shape(self, *shapes: Shape) -> Shape:
        values, indices = shapes
        indexed = indices[-1] - self.first if len(indices) == 2 else 0
        if not 1 <= indexed <= len(values) or self.first < 0:
            raise ModelError(f"its indices of shape {indices} do not fit an input of shape {values}")
        return (indices[0], int(np.prod(values[indexed:])))


# Layers that move values or choose among them: what they give is of the type of their last input.
_MOVING = (Concat, Crop, Gather, Identity, Pad, Reshape, Select, Transpose)


def integer_values(layers: Iterable[Layer]) -> frozenset[str]:
    """Return the values that are int32, of layers in topological order."""
    found: set[str] = set()
    for layer in layers:
        if makes_integers(layer, found):
            found.add(layer.output)
    return frozenset(found)


def makes_integers(layer: Layer, integers: Container[str]) -> bool:
    """Whether a layer's output is int32, given which values in front of it are."""
    if isinstance(layer, Constant):
        return bool(layer.value.dtype == np.int32)
    if isinstance(layer, Cast):
        return layer.to == "int32"
    if isinstance(layer, GatherND):
        return layer.inputs[0] in integers
    if isinstance(layer, IntegerBinary | ArgExtreme | NonMaxSuppression):
        return True
    return isinstance(layer, _MOVING) and layer.inputs[-1] in integers

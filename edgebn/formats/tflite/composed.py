"""Operators on float32 values that are several layers: norms, products over axes, log-softmax, powers, local response norms.

What they are made of stands in `common_layers.py`, which asks for a node and a context; `Composer` is both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats import common_layers
from edgebn.formats.tflite import whole_numbers
from edgebn.formats.tflite.context import FUSED_CLIPS, Reading, inputs_of, only_output, short_name, without_batch
from edgebn.formats.tflite.convolutions import image, padding_of
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.graph import Shape
from edgebn.layers import Activation, Add, Binary, Constant, Convolution, Crop, Layer, Multiply, Normalization, Pool, Reshape
from edgebn.quick_dataclass import dataclass

MIN_NORM = 1e-6  # LiteRT's: a smaller norm counts as this
MAX_SUMMANDS = 64


@dataclass(frozen=True)
class Value:
    """A value of the graph with its shape, without the batch axis."""

    tensor: str
    shape: Shape


@dataclass(frozen=True)
class Composer:
    """One operator while it becomes layers: helper layers are named after it, the last one makes its output."""

    reading: Reading
    operator: FileOperator

    def refuse(self, reason: str) -> UnsupportedLayerError:
        """Return the error that refuses the operator."""
        return UnsupportedLayerError(reason)

    def damaged(self, reason: str) -> ModelError:
        """Return the error that says that the file contradicts itself."""
        return ModelError(f"{reason}; the file is damaged")

    def input(self, index: int) -> Value:
        """Return a value, which must be float32."""
        output = only_output(self.operator)
        if self.reading.is_codes(index) or self.reading.is_codes(output):
            raise UnsupportedLayerError("it runs on integers; edgebn runs it in float32: leave it out of the quantisation")
        return Value(self.reading.value(index), self.reading.sample(index))

    def emit(self, _node: Any, kind: type[Layer], *inputs: Value, part: str = "", place: Any = None, **fields: Any) -> Value:  # noqa: ARG002  # places are of formats that follow a batch axis
        """Append a layer; the one without a `part` makes the operator's output."""
        names = tuple(value.tensor for value in inputs)
        output = only_output(self.operator)
        if part:
            label = short_name(self.reading.tensor(output).name)
            made = self.reading.step(kind, f"{label}/{part}", names, None, **fields)
        else:
            self.reading.emit(self.operator, kind, names, self.fused(), **fields)
            made = self.reading.names[output]
        return Value(made, self.reading.builder.tensors[made].shape)

    moved = emit

    def fused(self) -> int:
        """Return the number of the fused activation of operators that have one here."""
        names = {"L2_NORMALIZATION": "L2NormOptions", "L2_POOL_2D": "Pool2DOptions"}
        if self.operator.kind not in names:
            return 0
        number: int = self.operator.options(names[self.operator.kind]).fused_activation_function
        if number and number not in FUSED_CLIPS:
            raise UnsupportedLayerError(f"its fused activation number {number} is none of RELU, RELU_N1_TO_1 and RELU6")
        return number

    def number(self, _node: Any, value: float, part: str) -> Value:
        """Append a constant of one number."""
        shape = (1,) if self.reading.sample(self.operator.inputs[0]) else ()
        return self.emit(self, Constant, part=part, value=np.full(shape, value, np.float32))

    def broadcast(self, _node: Any, operands: Sequence[Value]) -> tuple[list[Value], None]:
        """Return operands as they meet: as they are."""
        return list(operands), None

    def resolved(self, _node: Any, axis: int, rank: int) -> int:
        """Return an axis counted from 0."""
        return axis % rank

    def reduction(self, _node: Any, _x: Value, axes: Iterable[int], *, keepdims: bool) -> dict[str, Any]:
        """Return the fields of a `Reduce`."""
        return {"axes": tuple(sorted(set(axes))), "keepdims": keepdims}

    def joined(self, _node: Any, parts: Sequence[Value], axis: int) -> tuple[list[Value], int, None]:
        """Return parts as they are joined."""
        return list(parts), axis, None

    def crop(self, _node: Any, x: Value, starts: Sequence[int], sizes: Sequence[int], part: str) -> Value:
        """Append a crop."""
        return self.emit(self, Crop, x, part=part, starts=tuple(starts), sizes=tuple(sizes))


def l2_normalization(reading: Reading, operator: FileOperator) -> None:
    """L2_NORMALIZATION over the last axis."""
    (x,) = inputs_of(operator, 1, 1)
    make = Composer(reading, operator)
    if reading.is_codes(x) and not make.fused():
        rank, channels = len(reading.sample(x)), reading.shape(x)[-1]
        gamma = np.full((1,) * rank, channels**-0.5, np.float32)
        settings: dict[str, Any] = {"axes": (rank - 1,), "axis": rank - 1, "gamma": gamma, "epsilon": 0.0, "centred": False}
        reading.emit(operator, Normalization, (reading.value(x),), **settings)
        return
    value = make.input(x)
    common_layers.unit_norm(make, make, value, "l2", (len(value.shape) - 1,), MIN_NORM)


def log_softmax(reading: Reading, operator: FileOperator) -> None:
    """LOG_SOFTMAX over the last axis."""
    (x,) = inputs_of(operator, 1, 1)
    make = Composer(reading, operator)
    value = make.input(x)
    common_layers.log_softmax(make, make, value, len(value.shape) - 1)


def reduce_prod(reading: Reading, operator: FileOperator) -> None:
    """REDUCE_PROD over any axes."""
    x, _ = inputs_of(operator, 2, 2)
    if reading.is_integer(x):
        whole_numbers.reduced(reading, operator, "product")
        return
    make = Composer(reading, operator)
    axes, full = whole_numbers.reduced_shape(reading, operator)
    batch = int(reading.has_batch(x))  # of size 1, so that reducing it is nothing but its going
    own = [axis - batch for axis in axes if axis >= batch]
    product = make.input(x)
    if own:
        product = common_layers.reduce(make, make, product, "product", own, keepdims=True, part="product")
    reading.emit(operator, Reshape, (product.tensor,), full=full, shape=without_batch(full))


def negative(reading: Reading, operator: FileOperator) -> None:
    """NEG."""
    (x,) = inputs_of(operator, 1, 1)
    make = Composer(reading, operator)
    common_layers.times(make, make, make.input(x), -1.0, "")


def power(reading: Reading, operator: FileOperator) -> None:
    """POW: by one constant number, of one positive constant number, or element by element."""
    x, e = inputs_of(operator, 2, 2)
    make = Composer(reading, operator)
    one_base, one_exponent = (_one_number(reading, index) for index in (x, e))
    if one_exponent is not None:
        common_layers.power(make, make, make.input(x), one_exponent)
    elif one_base is not None and one_base > 0:
        common_layers.exponential(make, make, make.input(e), one_base)
    else:
        for index in (x, e):
            if not reading.is_constant(index):
                make.input(index)  # refuses codes
        values, full = reading.operands((x, e), reading.tensor(only_output(operator)).name)
        reading.emit(operator, Binary, values, full=full, function="power")


def _one_number(reading: Reading, index: int) -> float | None:
    """Return the number that a constant of one element holds."""
    if not reading.is_constant(index):
        return None
    numbers = reading.numbers(index).reshape(-1)
    return float(numbers[0]) if numbers.size == 1 else None


def add_n(reading: Reading, operator: FileOperator) -> None:
    """ADD_N of two values or more."""
    make = Composer(reading, operator)
    if not 2 <= len(operator.inputs) <= MAX_SUMMANDS:
        raise UnsupportedLayerError(f"it adds {len(operator.inputs)} values; edgebn adds 2 to {MAX_SUMMANDS}")
    total, *rest = (make.input(index) for index in operator.inputs)
    for place, value in enumerate(rest, 1):
        total = make.emit(make, Add, total, value, part="" if place == len(rest) else f"sum{place}")


def l2_pool_2d(reading: Reading, operator: FileOperator) -> None:
    """L2_POOL_2D: the root of the mean of squares in a window; padding is not counted."""
    (x,) = inputs_of(operator, 1, 1)
    options = operator.options("Pool2DOptions")
    make = Composer(reading, operator)
    height, width, _ = image(reading, x)
    kernel, strides = (options.filter_height, options.filter_width), (options.stride_h, options.stride_w)
    squares = make.emit(make, Activation, make.input(x), part="squares", function="square")
    padding = padding_of(options, (height, width), kernel, strides, (1, 1))
    means = make.emit(make, Pool, squares, part="means", function="average", kernel=kernel, strides=strides, padding=padding)
    make.emit(make, Activation, means, function="sqrt")


def local_response_normalization(reading: Reading, operator: FileOperator) -> None:
    """LOCAL_RESPONSE_NORMALIZATION: x / (bias + alpha * sum of squares over neighbouring channels)^beta."""
    (x,) = inputs_of(operator, 1, 1)
    options = operator.options("LocalResponseNormalizationOptions")
    make = Composer(reading, operator)
    channels, radius = image(reading, x)[2], options.radius
    bias, alpha, beta = (float(number) for number in (options.bias, options.alpha, options.beta))
    if not (np.isfinite((bias, alpha, beta)).all() and bias > 0 and alpha >= 0 and radius >= 0):
        raise UnsupportedLayerError(f"its bias {bias} is not positive or its alpha {alpha}, beta {beta} or radius {radius} damaged")
    if channels > common_layers.MAX_NEIGHBOURS:
        raise UnsupportedLayerError(f"it sums over {channels} channels; edgebn sums up to {common_layers.MAX_NEIGHBOURS}")
    value = make.input(x)
    squares = make.emit(make, Activation, value, part="squares", function="square")
    weight = common_layers.neighbours_weight(channels, radius, radius, alpha)
    level = make.emit(make, Convolution, squares, part="level", weight=weight, bias=np.full(channels, bias, np.float32))
    make.emit(make, Multiply, value, common_layers.power(make, make, level, -beta, "divisor"))


ROWS: dict[str, Callable[[Reading, FileOperator], None]] = {
    "ADD_N": add_n,
    "L2_NORMALIZATION": l2_normalization,
    "L2_POOL_2D": l2_pool_2d,
    "LOCAL_RESPONSE_NORMALIZATION": local_response_normalization,
    "LOG_SOFTMAX": log_softmax,
    "POW": power,
    "REDUCE_PROD": reduce_prod,
}

"""Arithmetic between tensors that Keras stores as nodes of the graph and not as layers.

Keras 3 stores `x + y` as an operation of class Add, its axes in the configuration; Keras 2 as a TFOpLambda with the name of the
TensorFlow function. Knows both, for the functions of the layers that edgebn runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras import attention, choosing, functions, picking, products, reductions, splitting, weighted
from edgebn.formats.keras.activations import operation as activation_operation
from edgebn.formats.keras.activations import relu, softmax_along
from edgebn.formats.keras.merging import chain, difference, joined
from edgebn.formats.keras.moving import identity, permuted, reshaped, resized
from edgebn.formats.keras.operands import Operand, as_array, broadcast, named, operand
from edgebn.formats.keras.parts import Parts
from edgebn.formats.keras.place import LayerFunction, Place, Value
from edgebn.formats.keras.settings import as_flag, as_integer, as_number, resolved_axis
from edgebn.formats.keras.slicing import get_item
from edgebn.layers import Activation, Add, Binary, Layer, Multiply, Reduce, Reshape


def _argument(place: Place, position: int, *names: str) -> Any:
    """Return an argument of the call, by position or by name, else from the settings."""
    if position < len(place.args):
        return place.args[position]
    for name in names:
        if name in place.kwargs:
            return place.kwargs[name]
        if place.settings.get(name) is not None:
            return place.settings.get(name)
    return None


def _operands(place: Place) -> tuple[Operand, Operand]:
    """Return both operands as they broadcast beside samples."""
    left, right = _argument(place, 0, "x", "x1", "value"), _argument(place, 1, "y", "x2", "bias")
    both = broadcast(place, [operand(left, "operand 1"), operand(right, "operand 2")])
    return both[0], both[1]


def _two(kind: type[Layer], **fields: Any) -> LayerFunction:
    def add(place: Place) -> str:
        left, right = _operands(place)
        return chain(place, kind, [named(place, left, "left"), named(place, right, "right")], **fields)

    return add


def _difference(place: Place) -> str:
    return difference(place, *_operands(place))


def _quotient(place: Place) -> str:
    left, right = _operands(place)
    if not isinstance(right, np.ndarray):
        return place.add(Binary, [named(place, left, "left"), right], function="divide")
    if (np.abs(right) < 1e-30).any():
        raise place.unsupported("it divides by zero, or as good as zero")
    return place.add(Multiply, [named(place, left, "left"), place.constant(1 / right, "right")])


def _power(place: Place) -> str:
    """A value by one constant number, or element by element."""
    exponent = _argument(place, 1, "y", "x2")
    if isinstance(_argument(place, 0, "x", "x1"), Value) and not isinstance(exponent, Value):
        exponents = as_array(exponent, "exponent").reshape(-1)
        if exponents.size == 1:
            return functions.power(place, float(exponents[0]))
    left, right = _operands(place)
    return place.add(Binary, [named(place, left, "left"), named(place, right, "right")], function="power")


def _negative(place: Place) -> str:
    return place.add(Multiply, [place.input, place.constant(-1.0, "minus_one")])


def _reduced(function: str) -> LayerFunction:
    def add(place: Place) -> str:
        axes = _argument(place, 1, "axis")
        if axes is None:
            raise place.unsupported("edgebn does not reduce over the batch; name the axes")
        listed = axes if isinstance(axes, list) else [axes]
        resolved = sorted({resolved_axis(as_integer(axis, "axis"), len(place.shape), "axis") for axis in listed})
        keep = as_flag(_argument(place, 2, "keepdims"), "keepdims")
        return place.add(Reduce, [place.input], function=function, axes=tuple(resolved), keepdims=keep)

    return add


def _clip(place: Place) -> str:
    low, high = _argument(place, 1, "x_min", "clip_value_min"), _argument(place, 2, "x_max", "clip_value_max")
    return place.add(
        Activation, [place.input], function="clip", low=as_number(low, "lower bound"), high=as_number(high, "upper bound")
    )


def _function(name: str) -> LayerFunction:
    return lambda place: place.add(Activation, [place.input], function=name)


def _softmax(place: Place) -> str:
    return softmax_along(place, _argument(place, 1, "axis"))


def _reshape(place: Place) -> str:
    target = _argument(place, 1, "newshape", "shape")
    if not isinstance(target, list) or len(target) < 2 or target[0] not in (None, -1):
        raise place.unsupported("edgebn reshapes within a sample: the first size must be -1, the batch; use a Reshape layer")
    return reshaped(place, target[1:])


def _transpose(place: Place) -> str:
    axes = _argument(place, 1, "axes", "perm")
    if not isinstance(axes, list) or not axes or axes[0] != 0:
        raise place.unsupported("edgebn keeps the batch axis first; use a Permute layer")
    return permuted(place, axes[1:])


def _concatenate(place: Place) -> str:
    items = _argument(place, 0, "xs", "values")
    return joined(place, items if isinstance(items, list) else [items], _argument(place, 1, "axis"))


def _axes(value: Any, rank: int) -> set[int]:
    """Return axes that count the batch, of a value of `rank` axes with the batch's."""
    listed = [as_integer(axis, "axis") for axis in (value if isinstance(value, list) else [value])]
    if not all(-rank <= axis < rank for axis in listed):
        raise ModelError(f"its axes {listed} are outside a value of {rank} axes with the batch's")
    return {axis % rank for axis in listed}


def _expand_dims(place: Place) -> str:
    argument = _argument(place, 1, "axis")
    rank = len(place.shape) + 1 + (len(argument) if isinstance(argument, list) else 1)
    axes, sizes = _axes(argument, rank), iter((1, *place.shape))
    shape = [1 if axis in axes else next(sizes) for axis in range(rank)]
    if 0 in axes:
        raise place.unsupported("it puts an axis before the batch axis; edgebn keeps the batch axis first")
    return place.add(Reshape, [place.input], shape=tuple(shape[1:]))


def _squeeze(place: Place) -> str:
    argument, shape = _argument(place, 1, "axis"), (0, *place.shape)  # whatever its size, the batch axis is not squeezed
    axes = {axis for axis, size in enumerate(shape) if size == 1} if argument is None else _axes(argument, len(shape))
    if any(shape[axis] != 1 for axis in axes):
        raise ModelError(f"it squeezes axes of a value of shape {place.shape} that are not of size 1")
    return place.add(Reshape, [place.input], shape=tuple(size for axis, size in enumerate(shape) if axis and axis not in axes))


def _resize(place: Place) -> str:
    """Keras 3's image.resize, and TensorFlow's, of images; without antialiasing and whatever the aspect."""
    for key in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio"):
        if as_flag(_argument(place, len(place.args), key), key):
            raise place.unsupported(f"edgebn resizes without {key}; prepare the input before the network")
    size = _argument(place, 1, "size")
    if not isinstance(size, list) or len(size) != 2:
        raise ModelError(f"its size {str(size)[:60]} should be a height and a width")
    function = _argument(place, 2, "interpolation", "method")
    height, width = (as_integer(length, "size") for length in size)
    return resized(place, (height, width), "bilinear" if function is None else str(function))


def _get_item(place: Place) -> str:
    return get_item(place, _argument(place, 1, "key"))


def slicing_operation(place: Place) -> str:
    """SlicingOpLambda: how Keras 2 recorded `x[...]`."""
    function = place.settings.text("function", "")
    if function != "__operators__.getitem":
        raise place.unsupported(f"edgebn does not run the TensorFlow function '{function[:60]}'; use a Keras layer in its place")
    return get_item(place, _argument(place, 1, "slice_spec"))


# Functions of one value that Keras and TensorFlow call as the activation is called, by TensorFlow's module.
_OF_ONE_VALUE = {
    "math": ("ceil", "cos", "erf", "exp", "floor", "log", "reciprocal", "rsqrt", "sin", "softplus", "sqrt", "square"),
    "nn": ("selu",),
}

# Keras 3's class names, which are those of keras.ops.
OPERATIONS: dict[str, LayerFunction] = {
    "Add": _two(Add),
    "Multiply": _two(Multiply),
    "Subtract": _difference,
    "Maximum": _two(Binary, function="maximum"),
    "Minimum": _two(Binary, function="minimum"),
    "Divide": _quotient,
    "TrueDivide": _quotient,
    "Negative": _negative,
    "Power": _power,
    "Matmul": functions.matrix_product,
    "Einsum": products.einsum,
    "DotProductAttention": attention.dot_product,
    "Mean": _reduced("mean"),
    "Max": _reduced("max"),
    "Min": _reduced("min"),
    "Sum": _reduced("sum"),
    "Amax": _reduced("max"),
    "Amin": _reduced("min"),
    "Prod": reductions.product,
    "Norm": reductions.norm,
    "Normalize": reductions.normalize,
    "Logsumexp": reductions.log_sum_exp,
    "Cumsum": reductions.running_sum,
    "TopK": reductions.largest,
    "OneHot": reductions.one_hot,
    "Moments": reductions.moments,
    "Conv": weighted.convolution,
    "DepthwiseConv": weighted.depthwise,
    "SeparableConv": weighted.separable,
    "MaxPool": weighted.pool("max"),
    "AveragePool": weighted.pool("average"),
    "AdaptiveMaxPool": weighted.adaptive_pool("max"),
    "AdaptiveAveragePool": weighted.adaptive_pool("average"),
    "BatchNorm": weighted.batch_norm,
    "LayerNorm": weighted.layer_norm,
    "RMSNorm": weighted.rms_norm,
    "Var": functions.deviation(root=False),
    "Std": functions.deviation(root=True),
    "Clip": _clip,
    "ReLU": relu,  # keras.activations.relu with arguments
    "Relu": activation_operation("relu"),
    "Relu6": activation_operation("relu6"),
    "LeakyRelu": activation_operation("leaky_relu"),
    **{name.capitalize(): _function(name) for names in _OF_ONE_VALUE.values() for name in names},
    "Absolute": _function("abs"),
    "Round": functions.rounded,
    "Elu": functions.elu,
    "Gelu": functions.gelu,
    "HardTanh": activation_operation("hard_tanh"),
    "Log1p": functions.operation(functions.log1p),
    "Log2": functions.logarithm(2.0),
    "Log10": functions.logarithm(10.0),
    "Exp2": functions.exp2,
    "Expm1": functions.operation(functions.expm1),
    "Sign": functions.operation(functions.sign),
    "Threshold": functions.threshold,
    "HardShrink": functions.operation(functions.hard_shrink, "threshold"),
    "SparsePlus": functions.operation(functions.sparse_plus),
    "SparseSigmoid": activation_operation("sparse_sigmoid"),
    "Celu": functions.operation(functions.celu, "alpha"),
    "Glu": functions.operation(functions.glu, "axis"),
    "LogSigmoid": functions.operation(functions.log_sigmoid),
    "LogSoftmax": functions.operation(functions.log_softmax, "axis"),
    "SoftShrink": functions.operation(functions.soft_shrink, "threshold"),
    "Softsign": functions.operation(functions.softsign),
    "Squareplus": functions.operation(functions.squareplus, "b"),
    "TanhShrink": functions.operation(functions.tanh_shrink),
    "Sigmoid": activation_operation("sigmoid"),
    "Tanh": activation_operation("tanh"),
    "Silu": activation_operation("silu"),
    "HardSigmoid": activation_operation("hard_sigmoid"),
    "HardSilu": activation_operation("hard_silu"),
    "Softmax": _softmax,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concatenate": _concatenate,
    "Split": splitting.split,
    "Stack": splitting.stack,
    "Unstack": splitting.unstack,
    "Swapaxes": splitting.swap_axes,
    "Moveaxis": splitting.move_axes,
    "Repeat": splitting.repeat,
    "Resize": _resize,
    "StopGradient": identity,
    "GetItem": _get_item,
    "ExpandDims": _expand_dims,
    "Squeeze": _squeeze,
    "Take": picking.take,
    "Tile": picking.tile,
    "Flip": picking.flip,
    "Roll": picking.roll,
    "Pad": picking.pad,
    "Argmax": choosing.arg("max"),
    "Argmin": choosing.arg("min"),
    "Where": choosing.where,
    "Cast": choosing.cast,
    "Equal": choosing.comparison("equal"),
    "NotEqual": choosing.comparison("not_equal"),
    "Greater": choosing.comparison("greater"),
    "GreaterEqual": choosing.comparison("greater_equal"),
    "Less": choosing.comparison("less"),
    "LessEqual": choosing.comparison("less_equal"),
    "LogicalAnd": choosing.logical("minimum"),
    "LogicalOr": choosing.logical("maximum"),
    "LogicalXor": choosing.logical("not_equal"),
    "LogicalNot": choosing.logical_not,
}


def _tensorflow_gelu(place: Place) -> str:
    by_tanh = as_flag(_argument(place, 1, "approximate"), "approximate")
    return place.add(Activation, [place.input], function="gelu_tanh" if by_tanh else "gelu")


def _tensorflow_leaky_relu(place: Place) -> str:
    alpha = _argument(place, 1, "alpha")
    return place.add(Activation, [place.input], function="leaky_relu", alpha=0.2 if alpha is None else as_number(alpha, "alpha"))


def _tensorflow_product(place: Place) -> str:
    """matmul, either side perhaps transposed."""
    sides = [_argument(place, 0, "a"), _argument(place, 1, "b")]
    for position, name in enumerate(("transpose_a", "transpose_b")):
        side = sides[position]
        if as_flag(place.kwargs.get(name), name):
            if not isinstance(side, Value):
                raise place.unsupported(f"it transposes a constant ({name}); store it transposed")
            order = list(range(len(place.shape_of(side))))
            order[-2:] = order[:-3:-1]
            sides[position] = Value(Parts(place).moved(str(side), order, f"{name}d"))
    return functions.matrix_product(replace(place, args=sides, kwargs={}))


def _tensorflow_tile(place: Place) -> str:
    return picking.tile(replace(place, args=[*place.args[:1], _argument(place, 1, "multiples")]))


# TensorFlow's names, as a TFOpLambda gives them under 'function'.
TENSORFLOW_OPERATIONS: dict[str, LayerFunction] = {
    "__operators__.add": _two(Add),
    "math.add": _two(Add),
    "nn.bias_add": _two(Add),
    "math.multiply": _two(Multiply),
    "math.subtract": _difference,
    "math.maximum": _two(Binary, function="maximum"),
    "math.minimum": _two(Binary, function="minimum"),
    "math.squared_difference": _two(Binary, function="squared_difference"),
    "math.truediv": _quotient,
    "math.divide": _quotient,
    "math.negative": _negative,
    "math.reduce_mean": _reduced("mean"),
    "math.reduce_max": _reduced("max"),
    "math.reduce_min": _reduced("min"),
    "math.reduce_sum": _reduced("sum"),
    "clip_by_value": _clip,
    "nn.relu": activation_operation("relu"),
    "nn.relu6": activation_operation("relu6"),
    **{f"{module}.{name}": _function(name) for module, names in _OF_ONE_VALUE.items() for name in names},
    "math.abs": _function("abs"),
    "math.expm1": functions.operation(functions.expm1),
    "math.log1p": functions.operation(functions.log1p),
    "math.pow": _power,
    "math.round": functions.rounded,
    "math.sign": functions.operation(functions.sign),
    "nn.elu": functions.elu,
    "nn.gelu": _tensorflow_gelu,
    "nn.leaky_relu": _tensorflow_leaky_relu,
    "linalg.matmul": _tensorflow_product,
    "tile": _tensorflow_tile,
    "math.sigmoid": activation_operation("sigmoid"),
    "math.tanh": activation_operation("tanh"),
    "nn.silu": activation_operation("silu"),
    "nn.softmax": _softmax,
    "reshape": _reshape,
    "compat.v1.transpose": _transpose,
    "compat.v1.squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "image.resize": _resize,
    "concat": _concatenate,
}


def tensorflow_operation(place: Place) -> str | list[str]:
    """TFOpLambda: one TensorFlow function by name."""
    function = place.settings.text("function", "")
    if function not in TENSORFLOW_OPERATIONS:
        raise place.unsupported(f"edgebn does not run the TensorFlow function '{function[:60]}'; use a Keras layer in its place")
    return TENSORFLOW_OPERATIONS[function](place)

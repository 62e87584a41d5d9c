"""Functions of numbers that are several layers, sums along an axis so far, and the pixels under windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.formats import composed, products, unfolding
from edgebn.formats.channels_first import pair
from edgebn.formats.common_layers import by_halves
from edgebn.formats.torch import choosing, whole_numbers, windows
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static
from edgebn.layers import Cast, IntegerBinary, Select


def function(name: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of a function of one number."""

    def read(node: Node, context: Context) -> Dynamic:
        made: Dynamic = composed.COMPOSED[name](composed.Layers(node, context), node.dynamic("self"))
        return made

    return read


def hard_shrink(node: Node, context: Context) -> Dynamic:
    """hardshrink: what lies outside [-lambd, lambd], 0 inside."""
    made: Dynamic = composed.shrink(node, context, node.dynamic("self"), node.number("lambd", 0.5), 0.0)
    return made


def soft_shrink(node: Node, context: Context) -> Dynamic:
    """softshrink: how far it lies outside [-lambd, lambd]."""
    threshold = node.number("lambd", 0.5)
    made: Dynamic = composed.shrink(node, context, node.dynamic("self"), threshold, threshold)
    return made


def glu(node: Node, context: Context) -> Dynamic:
    """glu: the first half along an axis times the sigmoid of the second."""
    x, of = node.dynamic("self"), composed.Layers(node, context)
    axis = context.resolved(node, node.integer("dim", -1), len(x.shape))
    sizes = tuple(size // 2 if place == axis else size for place, size in enumerate(x.shape))
    starts = tuple(size if place == axis else 0 for place, size in enumerate(sizes))
    first = context.crop(node, x, (0,) * len(sizes), sizes, part="first")
    gate = of.apply("sigmoid", context.crop(node, x, starts, sizes, part="second"), "gate")
    made: Dynamic = of.times(first, gate)
    return made


def logit(node: Node, context: Context) -> Dynamic:
    """Logit: log(x / (1 - x)), of x between eps and 1 - eps where that is given."""
    x, of = node.dynamic("self"), composed.Layers(node, context)
    if node.has("eps"):
        eps = node.number("eps")
        x = of.apply("clip", x, "between", low=eps, high=1 - eps)
    made: Dynamic = of.apply("log", of.over(x, of.less(1.0, x, "rest"), "odds"))
    return made


def rest(*, floored: bool) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of remainder (`floored`) or fmod, of real numbers; of whole ones see `whole_numbers.py`."""

    def read(node: Node, context: Context) -> Dynamic:
        if floored and whole_numbers.made_by(node):
            return whole_numbers.remainder(node, context)
        if whole_numbers.made_by(node):
            raise node.refuse("it takes the rest of whole numbers towards zero; edgebn takes that of torch.remainder")
        operands = [choosing.held(node, name) for name in ("self", "other")]
        real = [np.asarray(x, np.float32) if isinstance(x, np.ndarray) else x for x in operands]
        made: Dynamic = composed.rest(node, context, *real, floored=floored)
        return made

    return read


def power(node: Node, context: Context) -> Dynamic:
    """Power of two values, element by element."""
    operands = [choosing.held(node, name) for name in ("self", "exponent")]
    real = [np.asarray(x, np.float32) if isinstance(x, np.ndarray) else x for x in operands]
    made: Dynamic = composed.power(node, context, *real)
    return made


def cumulative(node: Node, context: Context) -> Dynamic:
    """Cumsum: the sum so far along an axis."""
    x = node.dynamic("self")
    axis = context.resolved(node, node.integer("dim"), len(x.shape))
    context.check_apart(node, x, (axis,))
    made: Dynamic = products.cumulative(node, context, x, axis)
    return made


def triangle(*, upper: bool) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of triu (`upper`) or tril: matrices with zeros on the other side of a diagonal."""

    def read(node: Node, context: Context) -> Dynamic:
        x = node.dynamic("self")
        ones = np.ones(x.shape[-2:], np.int32)
        diagonal = node.integer("diagonal", 0)
        mask = context.array(node, np.triu(ones, diagonal) if upper else np.tril(ones, diagonal), "mask")
        return context.emit(node, Select, mask, x, context.number(node, 0.0, "nothing"), place=x.place)

    return read


def truth(join: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of any ('maximum') or all ('minimum'): along axes, or of everything."""

    def read(node: Node, context: Context) -> Dynamic:
        x = node.dynamic("self")
        stated = node.integers("dim") if node.has("dim") else ()
        axes = tuple(context.resolved(node, axis, len(x.shape)) for axis in stated or range(len(x.shape)))
        context.check_apart(node, x, axes)
        zero = context.array(node, np.zeros((), np.int32 if x.whole else np.float32), "zero")
        each = context.emit(node, IntegerBinary, x, zero, part="each", place=x.place, function="not_equal")
        one = by_halves(
            node, context, each, axes, "", lambda halves, part: context.emit(node, IntegerBinary, *halves, part=part, function=join)
        )
        kept = node.flag("keepdim", default=False)
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape) if kept or axis not in axes)
        batch = x.place.axis
        place = None if batch is None else batch - (0 if kept else sum(axis < batch for axis in axes))
        return context.reshape(node, one, shape, axis=place)

    return read


def _windows(node: Node) -> unfolding.Windows:
    kernel, dilations, pads, strides = (
        pair(node.per_axis(name, 2, default), default)
        for name, default in (("kernel_size", 1), ("dilation", 1), ("padding", 0), ("stride", 1))
    )
    return unfolding.Windows(kernel, strides, dilations, windows.sides(pads, pads))


def taken_apart(node: Node, context: Context) -> Dynamic:
    """im2col, which unfold calls: (N, C * pixels, windows)."""
    x, over = node.dynamic("self"), _windows(node)
    if len(x.shape) != 4:
        raise node.refuse(f"it unfolds a value of shape {x.shape}; edgebn unfolds images (N, C, H, W)")
    apart = unfolding.taken_apart(node, context, x, over, "windows")
    shape = (x.shape[0], apart.shape[1], apart.shape[2] * apart.shape[3])
    made: Dynamic = context.reshape(node, apart, shape, axis=x.place.axis)
    return made


def put_together(node: Node, context: Context) -> Dynamic:
    """col2im, which fold calls: an image of the sums of what windows hold."""
    x, over = node.dynamic("self"), _windows(node)
    rows, columns = node.per_axis("output_size", 2, 1)
    if len(x.shape) != 3 or x.shape[1] % over.size:
        raise node.refuse(f"it folds a value of shape {x.shape}; edgebn folds (N, C * pixels, windows)")
    made: Dynamic = unfolding.put_together(node, context, x, x.shape[1] // over.size, (rows, columns), over)
    return made


def clamp(node: Node, context: Context) -> Dynamic:
    """Clamp between values or constants of any shape."""
    x, of = node.dynamic("self"), composed.Layers(node, context)
    bounds = [(name, choosing.held(node, key)) for key, name in (("min", "maximum"), ("max", "minimum")) if node.has(key)]
    for number, (name, bound) in enumerate(bounds):
        last = number == len(bounds) - 1
        bound = np.asarray(bound, np.float32) if isinstance(bound, np.ndarray) else bound
        x = of.extreme(name, x, bound, "" if last else "lower")
    return x


def one_hot(node: Node, context: Context) -> Dynamic:
    """one_hot: whole numbers as places of a new last axis, 1 there and 0 elsewhere."""
    x, count = node.dynamic("self"), node.integer("num_classes", -1)
    if count < 1:
        raise node.refuse("the number of its classes depends on the values; give num_classes")
    wide = context.reshape(node, x, (*x.shape, 1), axis=x.place.axis, part="wide")
    each = context.array(node, np.arange(count, dtype=np.int32), "each")
    return context.emit(node, IntegerBinary, wide, each, place=wide.place, function="equal")


def of_another_type(node: Node, context: Context) -> Dynamic | Static:
    """type_as: cast to the type of another value, which is what it says it makes."""
    value = node.value("self")
    whole = whole_numbers.made_by(node)
    if isinstance(value, Static):
        return Static(value.array.astype(np.int64 if whole else np.float32))
    if value.whole == whole:
        return value
    return context.emit(node, Cast, value, place=value.place, to="int32" if whole else "float32")

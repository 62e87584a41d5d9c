"""Operators that make or read whole numbers and truth: casts, comparisons, logic, ArgMax, Where, and computed indices.

Integers and truth that the network computes are int32, truth being 1 and 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebn.formats import composed, computed_indices
from edgebn.formats.batch_axis import Place
from edgebn.formats.common_layers import by_halves
from edgebn.formats.computed_indices import ALONE
from edgebn.formats.onnx import weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.suppression import filled, keeps_signs
from edgebn.formats.onnx.values import Dynamic, Static, Value
from edgebn.layers import Activation, ArgExtreme, Cast, Constant, Dequantize, GatherND, IntegerBinary, Reshape, Select

FLOAT, UINT8, BOOL = 1, 2, 9
REAL, INTEGERS = (1, 10, 11, 16), (6, 7)  # float32, float16, float64 and bfloat16; int32 and int64
BYTES = 256
INPUT_COUNT = 10  # from this opset on TopK's number is an input


def reads_integers(node: Node) -> bool:
    """Whether an input is whole numbers that the network computes."""
    return any(isinstance(value, Dynamic) and value.whole for value in node.inputs)


def _operand(node: Node, index: int, *, whole: bool) -> Dynamic | np.ndarray:
    """Return an input as a value or an array, of whole numbers or of real ones."""
    value = node.value(index)
    if isinstance(value, Dynamic):
        found = node.dynamic(index) if whole else node.real(index)
        if found.whole != whole or found.quantization is not None:
            raise node.refuse(f"its input {index} has another type than the others")
        return found
    return (
        weights.whole_array(node, value.array, f"input {index}")
        if whole
        else weights.real_array(node, value.array, f"input {index}")
    )


def _met(node: Node, context: Context, operands: Sequence[Dynamic | np.ndarray]) -> tuple[list[Dynamic], Place]:
    """Return operands as values that broadcast, arrays as constants, and the place of the result."""
    met, place = context.broadcast(node, list(operands))
    values = [
        item if isinstance(item, Dynamic) else context.array(node, item, f"constant{number}") for number, item in enumerate(met)
    ]
    return values, place


def two_integers(node: Node, context: Context, function: str) -> Dynamic:
    """A function of two values or more of whole numbers, two at a time."""
    result, *others = [_operand(node, index, whole=True) for index in range(len(node.inputs))]
    for number, other in enumerate(others, 1):
        (a, b), place = _met(node, context, (result, other))
        part = "" if number == len(others) else f"of{number}"
        made = context.emit(node, IntegerBinary, a, b, part=part, whole=True, function=function, place=place)
        result = keeps_signs(context, made, (result, other), function)
    if isinstance(result, np.ndarray) or len(node.inputs) < 2:
        raise node.damaged(f"it has {len(node.inputs)} inputs")
    return result


def comparison(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of a comparison of two values of one type."""

    def read(node: Node, context: Context) -> Dynamic:
        if len(node.inputs) != 2:
            raise node.damaged(f"it has {len(node.inputs)} inputs; it should have 2")
        whole = reads_integers(node)
        (a, b), place = _met(node, context, [_operand(node, index, whole=whole) for index in (0, 1)])
        return context.emit(node, IntegerBinary, a, b, whole=True, function=function, place=place)

    return read


def logical(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of a function of truth values, 1 and 0."""
    return lambda node, context: two_integers(node, context, function)


def logical_not(node: Node, context: Context) -> Dynamic:
    """Not: whether it is 0."""
    return with_number(node, context, node.whole(0), "equal", 0)


def is_nan(node: Node, context: Context) -> Dynamic:
    """IsNaN: what differs from itself."""
    x = node.real(0)
    return context.emit(node, IntegerBinary, x, x, place=x.place, whole=True, function="not_equal")


def is_inf(node: Node, context: Context) -> Dynamic:
    """IsInf: what lies beyond every number, on the sides that are asked for."""
    x = node.real(0)
    most = float(np.finfo(np.float32).max)
    above, below = node.integer("detect_positive", 1), node.integer("detect_negative", 1)
    if above and below:
        return with_number(node, context, context.emit(node, Activation, x, part="size", function="abs"), "greater", most)
    if not (above or below):
        raise node.refuse("it looks for neither infinity")
    return with_number(node, context, x, "greater" if above else "less", most if above else -most)


def with_number(node: Node, context: Context, x: Dynamic, function: str, number: float, part: str = "") -> Dynamic:
    """Append a function of whole numbers and one number, or of real ones and one."""
    constant = context.array(node, np.full((), number, np.int32 if x.whole else np.float32), f"{part}number")
    return context.emit(node, IntegerBinary, x, constant, part=part, place=x.place, whole=True, function=function)


def cast(node: Node, context: Context) -> Dynamic:
    """Cast between real numbers, int32, int64, uint8 and truth; what is cast to uint8 keeps its low 8 bits."""
    to = node.integer("to", FLOAT)
    x = node.dynamic(0)
    if x.quantization is not None:
        if not _is_plain(x):
            raise node.refuse("it casts codes that have a scale; edgebn dequantises those only")
        x = context.emit(node, Dequantize, x, part="real" if to not in REAL else "", place=x.place)
        if to in REAL:
            return x
    if to in REAL:
        return context.emit(node, Cast, x, place=x.place, to="float32") if x.whole else context.identity(node, x)
    if to == BOOL:
        return with_number(node, context, x, "not_equal", 0)
    if to not in (*INTEGERS, UINT8):
        raise node.refuse("it changes the type of a value of the network; edgebn casts to float32, int32, int64, uint8 and bool")
    if not x.whole:
        x = context.emit(node, Cast, x, part="whole" if to == UINT8 else "", place=x.place, whole=True, to="int32")
        if to in INTEGERS:
            return x
    elif to in INTEGERS:
        return context.identity(node, x)
    return with_number(node, context, x, "floor_mod", BYTES)


def _is_plain(x: Dynamic) -> bool:
    """Whether codes stand for themselves."""
    quantization = x.quantization
    return quantization is not None and float(quantization.scale[0]) == 1.0 and int(quantization.zero_point[0]) == -x.shift


# Reductions of whole numbers, and what joins two of them.
JOINS = {"sum": "add", "max": "maximum", "min": "minimum", "product": "multiply"}


def reduced(node: Node, context: Context, x: Dynamic, function: str, axes: Sequence[int], *, keepdims: bool) -> Dynamic:
    """Append a reduction of whole numbers, exact in 32 bits."""

    def join(halves: list[Dynamic], part: str) -> Dynamic:
        return context.whole_numbers(node, IntegerBinary, *halves, part=part, place=halves[0].place, function=JOINS[function])

    x, _ = context.along(node, x, axes)
    ones: Dynamic = by_halves(node, context, x, axes, "", join)
    inner = {context.resolved(node, axis, len(x.shape)) for axis in axes}
    shape = tuple(1 if axis in inner else size for axis, size in enumerate(x.shape) if keepdims or axis not in inner)
    place = None if x.place.axis is None else x.place.axis - (0 if keepdims else sum(axis < x.place.axis for axis in inner))
    made: Dynamic = context.reshape(node, ones, shape, axis=place)
    return made


def arg(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of ArgMax or ArgMin."""

    def read(node: Node, context: Context) -> Dynamic:
        x, (axis,) = context.along(node, node.dynamic(0), (node.integer("axis", 0),))
        keeps, last = bool(node.integer("keepdims", 1)), bool(node.integer("select_last_index", 0))
        part = "" if keeps else "place"
        found = context.emit(node, ArgExtreme, x, part=part, whole=True, function=function, axis=axis, last=last)
        return found if keeps else context.without_axis(node, found, axis + x.place.leading)

    return read


def hardmax(node: Node, context: Context) -> Dynamic:
    """Hardmax: 1 where the first of the largest values stands, 0 elsewhere; before opset 13 over everything from `axis` on."""
    x = node.real(0)
    axis = context.resolved(node, node.integer("axis", -1 if node.opset >= 13 else 1), len(x.shape))
    x, behind = context.along(node, x, range(axis, axis + 1 if node.opset >= 13 else len(x.shape)))
    sample = context.batch.sample(x.shape, x.place)
    first, last = behind[0], behind[-1] + 1
    flat = (*sample[:first], int(np.prod(sample[first:last])), *sample[last:])
    whole = context.moved(node, Reshape, x, part="flat", shape=flat)
    place = context.emit(node, ArgExtreme, whole, part="place", whole=True, function="max", axis=first)
    count = np.arange(flat[first], dtype=np.int32).reshape(-1, *[1] * (len(flat) - first - 1))
    each = context.array(node, count, "each")
    one = context.emit(node, IntegerBinary, place, each, part="one", place=x.place, whole=True, function="equal")
    real = context.emit(node, Cast, one, part="real", to="float32")
    return context.moved(node, Reshape, real, shape=sample)


def one_hot(node: Node, context: Context) -> Dynamic:
    """OneHot of whole numbers: a new axis, with one value where its place is the number and another elsewhere."""
    x, depth, values = node.whole(0), node.static_scalar(1, "depth"), node.static(2, "values").reshape(-1)
    if depth is None or depth < 1 or values.size != 2:
        raise node.damaged(f"its depth is {depth} and it has {values.size} values")
    rank, count = len(x.shape) + 1, int(depth)
    axis, batch = context.resolved(node, node.integer("axis", -1), rank), x.place.axis
    after = (*x.shape[:axis], 1, *x.shape[axis:])
    moved = None if batch is None else batch + (axis <= batch)
    wide = context.reshape(node, x, after, axis=moved, part="wide")
    length = context.array(node, np.array(count, np.int32), "length")
    # A number from -depth on counts from the end; what is outside leaves the axis without.
    low = with_number(node, context, wide, "less", 0, "negative")
    ahead = context.emit(node, IntegerBinary, wide, length, part="ahead", place=wide.place, whole=True, function="add")
    place = context.emit(node, Select, low, ahead, wide, part="place", place=wide.place, whole=True)
    each = np.arange(count, dtype=np.int32).reshape([-1 if at == axis else 1 for at in range(rank)])
    (a, b), at = _met(node, context, (place, each))
    found = context.emit(node, IntegerBinary, a, b, part="found", place=at, whole=True, function="equal")
    whole = values.dtype.kind in "iub"
    off, on = (
        context.array(node, np.full((), value, np.int32 if whole else np.float32), part)
        for value, part in zip(values, ("off", "on"), strict=True)
    )
    return context.emit(node, Select, found, on, off, place=at, whole=whole)


def top_k(node: Node, context: Context) -> tuple[Dynamic, Dynamic]:
    """TopK: the largest or smallest values along an axis, the best first, and where they stand."""
    count = int(node.static_scalar(1, "number of values") or 0) if node.opset >= INPUT_COUNT else node.integer("k", 0)
    x, (axis,) = context.along(node, node.dynamic(0), (node.integer("axis", -1),))
    function = "max" if node.integer("largest", 1) else "min"
    places = context.emit(node, ArgExtreme, x, output=1, whole=True, function=function, axis=axis, count=count)
    values: Dynamic = computed_indices.by_element(node, context, x, axis + x.place.leading, places)
    return values, places


def where(node: Node, context: Context) -> Dynamic:
    """Where: one of two values, element by element; what is chosen from is real, or whole numbers."""
    if len(node.inputs) != 3:
        raise node.damaged(f"it has {len(node.inputs)} inputs; it should have 3")
    values = node.value(1), node.value(2)
    known = [value.whole for value in values if isinstance(value, Dynamic)]
    whole = any(known) if known else all(isinstance(value, Static) and value.array.dtype.kind in "iub" for value in values)
    operands = [_operand(node, 0, whole=True), *(_operand(node, index, whole=whole) for index in (1, 2))]
    (condition, a, b), place = _met(node, context, operands)
    return context.emit(node, Select, condition, a, b, whole=whole, place=place)


def modulo(node: Node, context: Context) -> Dynamic:
    """Mod, whose sign is the divisor's, or the dividend's where fmod says so."""
    towards_zero, whole = bool(node.integer("fmod", 0)), reads_integers(node)
    if not whole:
        operands = [_operand(node, index, whole=False) for index in (0, 1)]
        left: Dynamic = composed.rest(node, context, *operands, floored=not towards_zero)
        return left
    if not towards_zero:
        return two_integers(node, context, "floor_mod")
    (a, b), place = _met(node, context, [_operand(node, index, whole=True) for index in (0, 1)])

    def of(function: str, first: Dynamic, second: Dynamic, part: str) -> Dynamic:
        where = place
        return context.emit(node, IntegerBinary, first, second, part=part, whole=True, function=function, place=where)

    zero = context.array(node, np.zeros((), np.int32), "zero")
    sizes = [of("maximum", x, of("subtract", zero, x, f"{name}_opposite"), f"{name}_size") for name, x in (("a", a), ("b", b))]
    left = of("floor_mod", sizes[0], sizes[1], "left")
    below = of("less", a, zero, "below")
    return context.emit(node, Select, below, of("subtract", zero, left, "opposite"), left, whole=True, place=place)


def divide(node: Node, context: Context) -> Dynamic:
    """Div of whole numbers: towards zero, which by a positive constant is a floor division of values that are not negative."""
    divisor = node.value(1)
    if not isinstance(divisor, Static) or divisor.array.size == 0 or (divisor.array <= 0).any():
        raise node.refuse("edgebn divides whole numbers by positive constants only")
    x, by = _operand(node, 0, whole=True), _operand(node, 1, whole=True)
    (a, b), place = _met(node, context, (x, by))
    zero = context.array(node, np.zeros((), np.int32), "zero")
    negative = context.emit(node, IntegerBinary, zero, a, part="opposite", whole=True, function="subtract", place=a.place)
    parts = []
    for value, part in ((a, "upper"), (negative, "lower")):  # of which one is not negative, and the other then 0
        above = context.emit(node, IntegerBinary, value, zero, part=f"{part}_part", whole=True, function="maximum", place=a.place)
        parts.append(context.emit(node, IntegerBinary, above, b, part=part, whole=True, function="floor_divide", place=place))
    return context.emit(node, IntegerBinary, *parts, whole=True, function="subtract", place=place)


def negative(node: Node, context: Context) -> Dynamic:
    """Neg of whole numbers."""
    x = node.whole(0)
    zero = context.array(node, np.zeros((), np.int32), "zero")
    return context.emit(node, IntegerBinary, zero, x, place=x.place, whole=True, function="subtract")


def _indices(node: Node, context: Context, columns: int) -> tuple[Dynamic, tuple[int, ...]]:
    """Return the indices as rows of `columns`, without a batch, and their shape in the file."""
    value = node.value(1)
    if isinstance(value, Static):
        array = weights.whole_array(node, value.array, "indices")
        return context.array(node, array.reshape(-1, columns), "indices"), array.shape
    if not context.batch.single:
        raise context.apart(node, "it picks by indices that the network computes")
    x = context.spread(node, node.whole(1))
    count = int(np.prod(x.shape, dtype=np.int64)) // columns
    return context.moved(node, Reshape, x, part="rows", place=ALONE, shape=(count, columns)), x.shape


def gather_computed(node: Node, context: Context) -> Dynamic:
    """Gather by indices that the network computes, along any axis, of a value or a constant."""
    value = node.value(0)
    x = _table(node, context, value.array) if isinstance(value, Static) else node.dynamic(0)
    axis = context.resolved(node, node.integer("axis", 0), len(x.shape))
    rows, shape = _indices(node, context, 1)
    x = context.spread(node, x)
    made: Dynamic = computed_indices.along_axis(
        node, context, x, axis, rows, shape, finish=lambda picked: filled(node, context, picked, rows)
    )
    return made


def _table(node: Node, context: Context, array: np.ndarray) -> Dynamic:
    """Return a constant that a network picks of, without a batch."""
    if not context.batch.single:
        raise context.apart(node, "it picks by indices that the network computes")
    whole = array.dtype.kind in "iub"
    held = weights.whole_array(node, array, "values") if whole else weights.real_array(node, array, "values")
    return context.emit(node, Constant, part="table", place=ALONE, whole=whole, value=np.ascontiguousarray(held))


def gather_elements(node: Node, context: Context) -> Dynamic:
    """GatherElements: each element from its own place but for the index along one axis."""
    x = node.dynamic(0)
    value = node.value(1)
    axis = context.resolved(node, node.integer("axis", 0), len(x.shape))
    if isinstance(value, Static):
        array = weights.whole_array(node, value.array, "indices") % x.shape[axis]
        indices = context.array(node, computed_indices.constant_indices(node, context, x, array), "indices")
    else:
        indices = node.whole(1)
        if indices.tensor in context.vacant.rows:
            raise node.refuse("it picks by what is computed of NonMaxSuppression's rows; edgebn picks whole rows by them")
        length = context.array(node, np.array(x.shape[axis], np.int32), "length")  # a negative index counts from the end
        part, place = "from_the_start", indices.place
        indices = context.whole_numbers(node, IntegerBinary, indices, length, part=part, place=place, function="floor_mod")
    made: Dynamic = computed_indices.by_element(node, context, x, axis, indices)
    return made


def _gather_places(node: Node, context: Context, indices: np.ndarray) -> Dynamic:
    """GatherND by constants: along the first axes as one, whatever their number."""
    x = context.spread(node, node.dynamic(0))
    columns = indices.shape[-1]
    lengths, rest = x.shape[:columns], x.shape[columns:]
    if (indices < -np.array(lengths)).any() or (indices >= lengths).any():
        raise node.damaged(f"its indices leave a value of shape {x.shape}")
    places = np.ravel_multi_index(tuple(np.moveaxis(np.where(indices < 0, indices + lengths, indices), -1, 0)), lengths)
    flat = context.moved(node, Reshape, x, part="flat", place=ALONE, shape=(int(np.prod(lengths)), int(np.prod(rest))))
    rows = context.array(node, places.reshape(-1, 1).astype(np.int32), "indices")
    picked = context.moved(node, GatherND, flat, rows, part="parts", place=ALONE)
    return context.reshape(node, picked, (*indices.shape[:-1], *rest))


def gather_nd(node: Node, context: Context) -> Value:
    """GatherND: the last axis of the indices names a place along the first axes of the values."""
    data, value = node.value(0), node.value(1)
    if isinstance(data, Static) and data.empty and isinstance(value, Dynamic) and value.shape:
        return Static(np.zeros((*value.shape[:-1], *data.array.shape[value.shape[-1] :]), data.array.dtype))
    x = node.dynamic(0)
    if node.integer("batch_dims", 0):
        raise node.refuse("it gathers other elements in each batch; edgebn gathers the same everywhere")
    columns = (value.array.shape if isinstance(value, Static) else value.shape)[-1:]
    if not columns or not 1 <= columns[0] <= len(x.shape):
        raise node.damaged(f"its indices do not fit a value of shape {x.shape}")
    if not context.batch.single:
        raise context.apart(node, "it picks along the batch axis")
    if isinstance(value, Static) and columns[0] > 1:
        return _gather_places(node, context, weights.whole_array(node, value.array, "indices"))
    rows, shape = _indices(node, context, columns[0])
    x = context.spread(node, x)
    own = x.shape
    first = 0
    while first < columns[0] - 1 and own[0] == 1:  # an index of an axis of 1 says nothing
        own, first = own[1:], first + 1
    indexed = columns[0] - first
    rest = int(np.prod(own[indexed:], dtype=np.int64))
    flat = context.moved(node, Reshape, x, part="flat", place=ALONE, shape=(*own[:indexed], *([rest] if rest > 1 else [])))
    picked = context.moved(node, GatherND, flat, rows, part="parts", place=ALONE, first=first)
    picked = filled(node, context, picked, rows)
    return context.reshape(node, picked, (*shape[:-1], *x.shape[columns[0] :]))

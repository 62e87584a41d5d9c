"""Operators that make or read whole numbers and truth, as random files like those of `tflite_operators.py`."""

from __future__ import annotations

import numpy as np

from tests.formats.tflite.tflite_maker import Maker

SHAPE = (1, 6, 7, 5)
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")


def _cast(m: Maker, x: int, shape, dtype) -> int:
    y = m.file.value(shape, dtype)
    m.file.operator("CAST", [x], [y], "CastOptions")
    return y


def _two(m: Maker, kind: str, a: int, b: int, shape, dtype=np.int32, options=None, **settings) -> int:
    y = m.file.value(shape, dtype)
    m.file.operator(kind, [a, b], [y], options, **settings)
    return y


def _whole(m: Maker, wide: bool = False) -> tuple[int, int]:
    """An input of real numbers, and the same without what stands behind the point, as int32 or int64."""
    x = m.value(SHAPE)
    return x, _cast(m, x, SHAPE, np.int64 if wide else np.int32)


def _arg(kind: str):
    def make(m: Maker):
        """Along any axis, of codes or real numbers."""
        axis = int(m.rng.integers(1, 4))
        x, y = m.value(SHAPE), m.file.value([size for place, size in enumerate(SHAPE) if place != axis], np.int32)
        negative = int(m.rng.integers(0, 2)) * 4
        options = "ArgMaxOptions" if kind == "ARG_MAX" else "ArgMinOptions"
        m.file.operator(kind, [x, m.integers(axis - negative)], [y], options, outputType=2)
        return x, y

    make.__name__ = kind.lower()
    return make


def top_k(m: Maker):
    """The largest along the last axis, or where they stand."""
    given, count, index = m.quantization(), int(m.rng.integers(1, 6)), int(m.rng.integers(2))
    x = m.value(SHAPE, given)
    values, places = m.value((*SHAPE[:3], count), given), m.file.value((*SHAPE[:3], count), np.int32)
    m.file.operator("TOPK_V2", [x, m.file.constant(np.int32(count))], [values, places], "TopKV2Options")
    return x, (values, places)[index]


def one_hot(m: Maker):
    """float32 only: of places, along the last axis or another."""
    x, place = m.value(SHAPE), m.file.value(SHAPE[:3], np.int32)
    m.file.operator("ARG_MAX", [x, m.integers(3)], [place], "ArgMaxOptions", outputType=2)
    axis, depth = int(m.rng.integers(1, 4)), int(m.rng.integers(3, 7))
    y = m.value((*SHAPE[:axis], depth, *SHAPE[axis:3]))
    numbers = [m.file.constant(np.array(number, np.float32)) for number in (2.5, -1.5)]
    inputs = [place, m.file.constant(np.int32(depth)), *numbers]
    m.file.operator("ONE_HOT", inputs, [y], "OneHotOptions", axis=-1 if axis == 3 and depth % 2 else axis)
    return x, y


def sign(m: Maker):
    """float32 only: of real numbers or whole ones."""
    x, whole = _whole(m)
    if m.rng.random() < 0.5:
        y = m.value(SHAPE)
        m.file.operator("SIGN", [x], [y], "SignOptions")
        return x, y
    y = m.file.value(SHAPE, np.int32)
    m.file.operator("SIGN", [whole], [y], "SignOptions")
    return x, _cast(m, y, SHAPE, np.float32)


def _reduced_truth(kind: str):
    def make(m: Maker):
        """float32 only: whether any or all of some comparisons hold."""
        x, axis, keeps = m.value(SHAPE), int(m.rng.integers(1, 4)), bool(m.rng.integers(2))
        bound = m.file.constant(np.float32(2.0 if kind == "REDUCE_ANY" else -2.0))
        truth = _two(m, "GREATER", x, bound, SHAPE, np.bool_)
        y = m.file.value([1 if place == axis else size for place, size in enumerate(SHAPE) if keeps or place != axis], np.bool_)
        m.file.operator(kind, [truth, m.integers(axis)], [y], "ReducerOptions", keepDims=keeps)
        return x, _cast(m, y, m.file.tensors[y].shape, np.float32)

    make.__name__ = kind.lower()
    return make


def described_constants(m: Maker):
    """float32 only: constants that a file describes by a number or by another value's shape."""
    x, y = m.value(SHAPE), m.value(SHAPE)
    zeros, full, steps, sums = m.value(SHAPE), m.value((7, 5)), m.value((5,)), [m.value(SHAPE) for _ in range(2)]
    numbers = [m.file.constant(np.array(number, np.float32)) for number in (0.5, 3.0, 0.5)]
    m.file.operator("ZEROS_LIKE", [x], [zeros], "ZerosLikeOptions")
    m.file.operator("FILL", [m.integers(7, 5), numbers[0]], [full], "FillOptions")
    m.file.operator("RANGE", numbers, [steps], "RangeOptions")
    m.file.operator("MAXIMUM", [x, zeros], [sums[0]], "MaximumMinimumOptions")
    m.file.operator("MUL", [sums[0], full], [sums[1]], "MulOptions")
    m.file.operator("ADD", [sums[1], steps], [y], "AddOptions")
    return x, y


def arg_max_int64(m: Maker):
    """float32 only: as int64, which is int32 here."""
    x, y = m.value(SHAPE), m.file.value(SHAPE[:3], np.int64)
    m.file.operator("ARG_MAX", [x, m.integers(3)], [y], "ArgMaxOptions", outputType=4)
    return x, y


def casts(m: Maker):
    """float32 only: through integers, truth and back."""
    x, whole = _whole(m)
    truth = _cast(m, whole, SHAPE, np.bool_)
    given = _cast(m, x, SHAPE, np.bool_)
    both = [_cast(m, value, SHAPE, np.float32) for value in (whole, truth, given)]
    y = m.file.value((*SHAPE[:3], 15), np.float32)
    m.file.operator("CONCATENATION", both, [y], "ConcatenationOptions", axis=3)
    return x, y


def _comparison(kind: str):
    def make(m: Maker):
        """float32 only: of whole numbers, or of real ones of which many are equal."""
        x, value = _whole(m)
        constant = np.array(m.rng.integers(-2, 3, SHAPE[3]), np.int32)
        if m.rng.random() < 0.5:
            value = m.file.value(SHAPE, np.float32)
            m.file.operator("FLOOR", [x], [value])
            constant = constant.astype(np.float32)
        pair = [value, m.file.constant(constant)]
        truth = _two(m, kind, *(pair if m.rng.random() < 0.5 else pair[::-1]), SHAPE, np.bool_)
        return x, _cast(m, truth, SHAPE, np.float32)

    make.__name__ = kind.lower()
    return make


def _logical(kind: str):
    def make(m: Maker):
        """float32 only: of two comparisons."""
        x = m.value(SHAPE)
        bounds = (m.file.constant(np.float32(bound)) for bound in (-1, 1))
        first, second = (_two(m, "LESS", x, bound, SHAPE, np.bool_) for bound in bounds)
        if kind == "LOGICAL_NOT":
            truth = m.file.value(SHAPE, np.bool_)
            m.file.operator(kind, [first], [truth])
        else:
            other = m.file.value(SHAPE, np.bool_)
            m.file.operator("LOGICAL_NOT", [second], [other])
            low = _two(m, "GREATER", x, m.file.constant(np.float32(-2)), SHAPE, np.bool_)
            truth = _two(m, kind, _two(m, "LOGICAL_OR", first, other, SHAPE, np.bool_), low, SHAPE, np.bool_)
        return x, _cast(m, truth, SHAPE, np.float32)

    make.__name__ = kind.lower()
    return make


def _arithmetic(kind: str, options: str | None = None, real: bool = False):
    def make(m: Maker):
        """float32 only: of whole numbers; a divisor of either sign."""
        x, value = _whole(m)
        numbers = m.rng.choice([-7, -3, -2, 2, 3, 1000], SHAPE[3])
        if real:
            value, numbers = x, numbers.astype(np.float32)
        made = _two(m, kind, value, m.file.constant(numbers.astype(np.float32 if real else np.int32)), SHAPE,
                    np.float32 if real else np.int32, options)  # fmt: skip
        return x, made if real else _cast(m, made, SHAPE, np.float32)

    make.__name__ = f"{'real' if real else 'whole'}_{kind.lower()}"
    return make


def whole_neg(m: Maker):
    """float32 only."""
    x, value = _whole(m)
    y = m.file.value(SHAPE, np.int32)
    m.file.operator("NEG", [value], [y])
    return x, _cast(m, y, SHAPE, np.float32)


def _select(kind: str):
    def make(m: Maker):
        """By where channels are largest: of codes or real numbers, between the value and a constant."""
        given = m.quantization()
        x, y = m.value(SHAPE, given), m.value(SHAPE, given)
        mask = m.file.constant(m.rng.integers(0, 2, SHAPE).astype(bool))
        if not m.integer:
            mask = _two(m, "GREATER", x, m.file.constant(np.float32(0.5)), SHAPE, np.bool_)
        other = m.constant((1, 1, 1, 5) if kind == "SELECT_V2" else SHAPE, given)
        m.file.operator(kind, [mask, x, other] if m.rng.random() < 0.5 else [mask, other, x], [y])
        return x, y

    make.__name__ = kind.lower()
    return make


def gather_nd(m: Maker):
    """The pixels at which each channel is largest, as key points are picked; of codes too."""
    given = m.quantization()
    x, flat = m.value(SHAPE, given), m.value((1, 42, 5), given)
    m.file.operator("RESHAPE", [x, m.integers(1, 42, 5)], [flat], "ReshapeOptions", newShape=[1, 42, 5])
    place = m.file.value((1, 5), np.int32)
    m.file.operator("ARG_MAX", [flat, m.integers(1)], [place], "ArgMaxOptions", outputType=2)
    row = _two(m, "FLOOR_DIV", place, m.file.constant(np.int32(7)), (1, 5), np.int32, "FloorDivOptions")
    column = _two(m, "SUB", place, _two(m, "MUL", row, m.file.constant(np.int32(7)), (1, 5), np.int32, "MulOptions"), (1, 5),
                  np.int32, "SubOptions")  # fmt: skip
    parts = []
    for part in (row, column):
        parts.append(m.file.value((5,), np.int32))
        m.file.operator("RESHAPE", [part, m.integers(5)], [parts[-1]], "ReshapeOptions", newShape=[5])
    indices, y = m.file.value((5, 3), np.int32), m.value((5, 5), given)
    zeros = m.file.constant(np.zeros(5, np.int32))
    m.file.operator("PACK", [zeros, *parts], [indices], "PackOptions", valuesCount=3, axis=1)
    m.file.operator("GATHER_ND", [x, indices], [y], "GatherNdOptions")
    back = m.value((1, 5, 5), given)
    m.file.operator("RESHAPE", [y, m.integers(1, 5, 5)], [back], "ReshapeOptions", newShape=[1, 5, 5])
    return x, back


def gather_computed(m: Maker):
    """float32 only: rows, columns or channels by computed indices."""
    axis = int(m.rng.integers(1, 4))
    x, place = m.value(SHAPE), m.file.value((1, 7, 5), np.int32)
    m.file.operator("ARG_MAX", [x, m.integers(1)], [place], "ArgMaxOptions", outputType=2)
    below = _two(m, "FLOOR_MOD", place, m.file.constant(np.int32(SHAPE[axis])), (1, 7, 5), np.int32, "FloorModOptions")
    flat = m.file.value((35,), np.int32)
    m.file.operator("RESHAPE", [below, m.integers(35)], [flat], "ReshapeOptions", newShape=[35])
    y = m.value([35 if place == axis else size for place, size in enumerate(SHAPE)])
    m.file.operator("GATHER", [x, flat], [y], "GatherOptions", axis=axis)
    return x, y


CODES_TOO = (_arg("ARG_MAX"), _arg("ARG_MIN"), _select("SELECT_V2"))
FLOAT_ONLY = (
    arg_max_int64,
    top_k,
    one_hot,
    sign,
    described_constants,
    *map(_reduced_truth, ("REDUCE_ANY", "REDUCE_ALL")),
    casts,
    *map(_comparison, COMPARISONS),
    *map(_logical, ("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT")),
    _arithmetic("ADD", "AddOptions"),
    _arithmetic("SUB", "SubOptions"),
    _arithmetic("MUL", "MulOptions"),
    _arithmetic("MAXIMUM", "MaximumMinimumOptions"),
    _arithmetic("MINIMUM", "MaximumMinimumOptions"),
    _arithmetic("FLOOR_DIV", "FloorDivOptions"),
    _arithmetic("FLOOR_MOD", "FloorModOptions"),
    _arithmetic("FLOOR_DIV", "FloorDivOptions", real=True),
    whole_neg,
    _select("SELECT"),
    gather_nd,
    gather_computed,
)

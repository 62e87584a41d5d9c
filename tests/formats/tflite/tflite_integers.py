"""TensorFlow Lite files that compute with shapes: each kind of integer arithmetic gives the size of a resize."""

from __future__ import annotations

import numpy as np

from tests.formats.tflite.tflite_maker import Maker


def one(m: Maker, kind: str, inputs: list[int], options: str, size: int | None) -> int:
    out = m.file.value(() if size is None else (size,), np.int32)
    m.file.operator(kind, inputs, [out], options, **({"valuesCount": len(inputs)} if kind == "PACK" else {}))
    return out


def part(m: Maker, shape: int) -> int:
    """Height and width of a shape."""
    return one(m, "SLICE", [shape, m.integers(1), m.integers(2)], "SliceOptions", 2)


def element(m: Maker, shape: int, index: int) -> int:
    out = m.file.value((), np.int32)
    limits = [m.integers(index), m.integers(index + 1), m.integers(1)]
    m.file.operator("STRIDED_SLICE", [shape, *limits], [out], "StridedSliceOptions", shrinkAxisMask=1)
    return out


def joined(m: Maker, shape: int) -> int:
    """EXPAND_DIMS, RESHAPE and SQUEEZE of single sizes, and their concatenation."""
    zero = m.file.constant(np.array(0, np.int32))
    first = one(m, "EXPAND_DIMS", [element(m, shape, 1), zero], "ExpandDimsOptions", 1)
    again = one(
        m, "SQUEEZE", [one(m, "RESHAPE", [element(m, shape, 2), m.integers(1)], "ReshapeOptions", 1)], "SqueezeOptions", None
    )
    second = one(m, "PACK", [again], "PackOptions", 1)
    return one(m, "CONCATENATION", [second, first], "ConcatenationOptions", 2)


def divided(m: Maker, shape: int, kind: str, options: str) -> int:
    """A quotient of a negative number, which the two divisions round in other directions."""
    less = one(m, "SUB", [part(m, shape), m.integers(9)], "SubOptions", 2)
    return one(m, "ADD", [one(m, kind, [less, m.integers(2)], options, 2), m.integers(9)], "AddOptions", 2)


def cast(m: Maker, shape: int) -> int:
    long = m.file.value((2,), np.int64)
    m.file.operator("CAST", [shape], [long], "CastOptions")
    return one(m, "CAST", [long], "CastOptions", 2)


def product(m: Maker, shape: int) -> int:
    out = one(m, "REDUCE_PROD", [part(m, shape), m.integers(0)], "ReducerOptions", None)
    half = one(m, "FLOOR_DIV", [out, m.file.constant(np.array(4, np.int32))], "FloorDivOptions", None)
    return one(m, "PACK", [half, element(m, shape, 2)], "PackOptions", 2)


def described(m: Maker, shape: int) -> int:
    """1 and 5, counted from the number of a vector's axes, and 2 more."""
    limit, delta = (m.file.constant(np.array(number, np.int32)) for number in (9, 4))
    counted = one(m, "RANGE", [one(m, "RANK", [shape], "RankOptions", None), limit, delta], "RangeOptions", 2)
    zeros = one(m, "ZEROS_LIKE", [counted], "ZerosLikeOptions", 2)
    filled = one(m, "FILL", [m.integers(2), m.file.constant(np.array(2, np.int32))], "FillOptions", 2)
    return one(m, "ADD", [counted, one(m, "ADD", [filled, zeros], "AddOptions", 2)], "AddOptions", 2)


STEPS = {
    "slice": lambda m, shape: one(m, "SLICE", [shape, m.integers(1), m.integers(2)], "SliceOptions", 2),
    "gather": lambda m, shape: one(m, "GATHER", [shape, m.integers(2, 1)], "GatherOptions", 2),
    "multiply": lambda m, shape: one(m, "MUL", [part(m, shape), m.integers(3, 2)], "MulOptions", 2),
    "add": lambda m, shape: one(m, "ADD", [part(m, shape), m.integers(3)], "AddOptions", 2),
    "subtract": lambda m, shape: one(m, "SUB", [part(m, shape), m.integers(2, 1)], "SubOptions", 2),
    "divide": lambda m, shape: divided(m, shape, "FLOOR_DIV", "FloorDivOptions"),
    "truncate": lambda m, shape: divided(m, shape, "DIV", "DivOptions"),
    "maximum": lambda m, shape: one(m, "MAXIMUM", [part(m, shape), m.integers(8)], "MaximumMinimumOptions", 2),
    "minimum": lambda m, shape: one(m, "MINIMUM", [part(m, shape), m.integers(5)], "MaximumMinimumOptions", 2),
    "cast": lambda m, shape: cast(m, part(m, shape)),
    "join": joined,
    "product": product,
    "described": described,
}


def resized_by(step: str) -> tuple[bytes, np.random.Generator]:
    """Return the file of an image of 6 x 7 that is resized to what a step of STEPS makes of its shape, and a generator."""
    m = Maker(np.random.default_rng(1), integer=False)
    x, y, shape = m.value((1, 6, 7, 2)), m.value((1, 1, 1, 2)), m.file.value((4,), np.int32)
    m.file.operator("SHAPE", [x], [shape], "ShapeOptions", outType=2)
    m.file.operator("RESIZE_NEAREST_NEIGHBOR", [x, STEPS[step](m, shape)], [y], "ResizeNearestNeighborOptions")
    m.file.tensors[y].shapeSignature = [-1] * 4
    return m.finish([x], [y]), m.rng

"""The matrix of TensorFlow Lite's operators: types by odd options, one operator a file.

A case is a name ("KIND options: type"), the file without its outputs' shapes, which LiteRT says, and the network's inputs.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tests.formats.tflite.tflite_models import TYPES, FileBuilder

DTYPES = {"float32": np.float32, "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
          "bool": np.bool_}  # fmt: skip
CODES = ("int8", "uint8", "int16")
REAL = ("float32", *CODES)
ALL = tuple(DTYPES)
IMAGE = (1, 4, 3, 5)
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = range(5)
LEVELS = {"int16": 256}  # codes where int8 has one
# The output's fixed quantisation by the operator, for int8; uint8's zero point is 128 above, int16's scale 2^-15.
FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "SOFTMAX": (1 / 256, -128), "L2_NORMALIZATION": (1 / 128, 0),
         "LOG_SOFTMAX": (16 / 256, 127)}  # fmt: skip
POSITIVE = ("LOG", "RSQRT", "SQRT", "DIV", "POW", "FLOOR_DIV", "FLOOR_MOD")


@dataclass
class Case:
    """One file under construction, then with its inputs.

    `low` and `high` bound the whole numbers that it reads.
    """

    kind: str
    dtype: str
    options: str
    low: int = -9
    high: int = 10
    file: FileBuilder = field(default_factory=FileBuilder)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def __post_init__(self):
        self.rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        self.given = self.scale()

    @property
    def name(self) -> str:
        return f"{self.kind} {self.options}: {self.dtype}"

    def scale(self, factor=1.0):
        """Return a quantisation of the case's type; None where it has none."""
        if self.dtype not in CODES:
            return ()
        scale = float(np.float32(self.rng.uniform(0.02, 0.1) * factor / LEVELS.get(self.dtype, 1)))
        zero_point = 0 if self.dtype == "int16" else int(self.rng.integers(-60, 60)) + 128 * (self.dtype == "uint8")
        return scale, zero_point

    def fixed(self):
        if self.dtype not in CODES or self.kind not in FIXED:
            return self.scale()
        scale, zero_point = FIXED[self.kind]
        return {"int8": (scale, zero_point), "uint8": (scale, zero_point + 128), "int16": (2.0**-15, 0)}[self.dtype]

    def product(self, *others, factor=90.0):
        """Return a quantisation for products of values with these scales."""
        if self.dtype not in CODES:
            return ()
        return float(np.float32(np.prod([one[0] for one in others]) * factor * LEVELS.get(self.dtype, 1))), self.scale()[1]

    def x(self, shape=IMAGE, how=None, dtype=None) -> int:
        """Add an input."""
        dtype = dtype or self.dtype
        self.inputs.append(self.file.value(shape, DTYPES[dtype], *((how or self.given) if dtype in CODES else ())))
        return self.inputs[-1]

    def y(self, how=None, dtype=None) -> None:
        """Add an output."""
        dtype = dtype or self.dtype
        self.outputs.append(self.file.value((), DTYPES[dtype], *((how or self.given) if dtype in CODES else ())))

    def c(self, shape, how=None, dtype=None) -> int:
        """Add a constant of random numbers, as `numbers` draws them."""
        dtype = dtype or self.dtype
        return self.file.constant(self.numbers(shape, DTYPES[dtype]), *((how or self.given) if dtype in CODES else ()))

    def i(self, *numbers, dtype=np.int32) -> int:
        """Add a constant list of whole numbers."""
        return self.file.constant(np.array(numbers, dtype))

    def n(self, number, dtype=np.int32) -> int:
        """Add a constant number."""
        return self.file.constant(np.array(number, dtype))

    def numbers(self, shape, dtype, zero_point=None):
        positive = self.kind in POSITIVE
        dtype = np.dtype(dtype)
        if dtype == np.float32:
            real = self.rng.normal(0, 2, shape).astype(np.float32)
            return np.abs(real) + np.float32(0.1) if positive else real
        if dtype == np.bool_:
            return self.rng.integers(0, 2, shape).astype(dtype)
        if dtype.itemsize <= 2:
            ends = np.iinfo(dtype)
            least = ends.min if zero_point is None or not positive else max(zero_point + 1, ends.min)
            return self.rng.integers(least, ends.max + 1, shape).astype(dtype)
        return self.rng.integers(1 if positive else self.low, self.high, shape).astype(dtype)

    def weights(self, shape, axis, per_channel=True, bias=True):
        """Return the inputs behind a layer's first, and its output's quantisation."""
        count = shape[axis]
        if self.dtype == "float32":
            return [self.c(shape), *([self.c((count,))] if bias else [])], None
        several = per_channel and self.dtype != "uint8"
        scales = self.rng.uniform(0.002, 0.02, count if several else 1).astype(np.float32)
        if self.dtype == "uint8":
            weight = self.file.constant(self.rng.integers(0, 256, shape).astype(np.uint8), scales, 121)
        else:
            weight = self.file.constant(self.rng.integers(-127, 128, shape).astype(np.int8), scales, 0, axis)
        reach = 3000 * LEVELS.get(self.dtype, 1)
        codes = self.rng.integers(-reach, reach, count).astype(np.int64 if self.dtype == "int16" else np.int32)
        taps = np.sqrt(np.prod(shape) / count)
        made = [weight, *([self.file.constant(codes, np.float32(self.given[0]) * scales)] if bias else [])]
        return made, (float(np.float32(self.given[0] * scales.max() * taps * 60)), self.scale()[1])

    def done(self, inputs, options=None, **settings):
        """Add the operator."""
        self.file.operator(self.kind, inputs, list(self.outputs), options, **settings)
        return self

    def content(self) -> bytes:
        return self.file.bytes(self.inputs, self.outputs)

    def samples(self) -> list[np.ndarray]:
        """Return the network's inputs."""
        dtypes = {number: dtype for dtype, number in TYPES.items()}
        found = []
        for tensor in (self.file.tensors[index] for index in self.inputs):
            zero_point = tensor.quantization.zeroPoint[0] if tensor.quantization else None
            found.append(self.numbers(tuple(tensor.shape), dtypes[tensor.type], zero_point))
        return found


def _cases(kind, dtypes, listed, **settings) -> Iterator[tuple[Case, object]]:
    for options, dtype in itertools.product(listed, dtypes):
        yield Case(kind, dtype, str(options), **settings), options


def convolutions() -> Iterator[Case]:
    geometries = (((3, 2), (1, 1), (1, 1), 0), ((3, 2), (2, 1), (1, 1), 1), ((3, 2), (2, 2), (2, 2), 0),
                  ((3, 2), (1, 2), (2, 1), 1), ((3, 3), (3, 3), (1, 1), 0), ((3, 2), (1, 1), (3, 2), 0),
                  ((11, 11), (2, 2), (1, 1), 0))  # fmt: skip
    extras = ((NONE, True, True), (RELU, False, True), (RELU6, True, False), (RELU_N1_TO_1, True, True))
    odd = [(*geometry, *extras[place % 4]) for place, geometry in enumerate(geometries)]
    for kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        for case, (kernel, strides, dilations, padding, fused, per_channel, bias) in _cases(kind, REAL, odd):
            deep = kind != "CONV_2D"
            x = case.x((1, 9, 8, 4))
            made, how = case.weights((1, *kernel, 8) if deep else (6, *kernel, 4), 3 if deep else 0, per_channel, bias)
            case.y(how)
            settings = {"strideH": strides[0], "strideW": strides[1], "dilationHFactor": dilations[0]}
            settings |= {"dilationWFactor": dilations[1]} | ({"depthMultiplier": 2} if deep else {})
            options = "DepthwiseConv2DOptions" if deep else "Conv2DOptions"
            yield case.done([x, *made], options, padding=padding, fusedActivationFunction=fused, **settings)
    for case, groups in _cases("CONV_2D", REAL, (2, 8)):
        x = case.x((1, 5, 5, 8))
        made, how = case.weights((8, 3, 3, 8 // groups), 0)
        case.y(how)
        yield case.done([x, *made], "Conv2DOptions", padding=0, strideH=1, strideW=1)
    odd = [((3, 3), (2, 2), 0, (8, 10), 0, True), ((3, 3), (2, 2), 0, (7, 9), 0, True), ((3, 3), (2, 2), 1, (9, 11), 1, True),
           ((2, 3), (1, 1), 1, (5, 7), 0, False), ((2, 2), (3, 2), 0, (12, 10), 3, True), ((2, 2), (3, 2), 1, (12, 10), 0, True),
           ((5, 4), (2, 2), 0, (8, 9), 2, False)]  # fmt: skip
    for case, (kernel, strides, padding, size, fused, bias) in _cases("TRANSPOSE_CONV", REAL, odd):
        x = case.x((1, 4, 5, 3))
        (weight, *rest), how = case.weights((5, *kernel, 3), 0, bias=bias)
        case.y(how)
        settings = {"padding": padding, "strideH": strides[0], "strideW": strides[1], "fusedActivationFunction": fused}
        yield case.done([case.i(1, *size, 5), weight, x, *rest], "TransposeConvOptions", **settings)
    odd = [((1, 12), False, NONE, True), ((1, 3, 4), False, RELU, True), ((1, 3, 12), True, RELU6, True),
           ((1, 3, 12), False, 0, False), ((1, 2, 3, 12), True, RELU_N1_TO_1, True), ((1, 24), False, NONE, True)]  # fmt: skip
    for case, (shape, keeps, fused, bias) in _cases("FULLY_CONNECTED", REAL, odd):
        x = case.x(shape)
        made, how = case.weights((5, 12), 0, bias=bias)
        case.y(how)
        yield case.done([x, *made], "FullyConnectedOptions", keepNumDims=keeps, fusedActivationFunction=fused)
    values = [((1, 4, 5), (1, 5, 3)), ((1, 2, 4, 5), (1, 2, 5, 3)), ((1, 2, 4, 5), (1, 1, 5, 3)), ((1, 1, 4, 5), (1, 2, 5, 3)),
              ((1, 2, 2, 4, 5), (1, 2, 2, 5, 3)), ((1, 2, 3, 4, 5), (1, 2, 5, 3))]  # fmt: skip
    constants = [((1, 4, 5), (5, 3)), ((1, 2, 4, 5), (5, 3)), ((1, 5), (5, 3)), ((1, 4, 5), (1, 5, 3)), ((1, 2, 4, 5), (2, 5, 3))]
    odd = [(shapes, how, turns) for how, listed in (("values", values), ("constant", constants)) for shapes in listed
           for turns in itertools.product((False, True), repeat=2)]  # fmt: skip
    for case, (shapes, how, turns) in _cases("BATCH_MATMUL", REAL, odd):
        a, b = ((*shape[:-2], shape[-1], shape[-2]) if turned else shape for shape, turned in zip(shapes, turns, strict=True))
        other = case.scale()
        if a[0] != 1:
            continue
        operands = [case.x(a), case.x(b, other) if how == "values" else case.c(b, other)]
        case.y(case.product(case.given, other))
        yield case.done(operands, "BatchMatMulOptions", adjX=turns[0], adjY=turns[1])


ARITHMETIC = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
OTHERS = {"MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions", "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
          "FLOOR_DIV": "FloorDivOptions", "FLOOR_MOD": "FloorModOptions", "POW": "PowOptions"}  # fmt: skip
COMPARISONS = {"EQUAL": "EqualOptions", "NOT_EQUAL": "NotEqualOptions", "GREATER": "GreaterOptions", "LESS": "LessOptions",
               "GREATER_EQUAL": "GreaterEqualOptions", "LESS_EQUAL": "LessEqualOptions"}  # fmt: skip
VALUES = [(IMAGE, IMAGE), (IMAGE, (1, 1, 1, 5)), ((1, 1, 3, 5), IMAGE), ((1, 4, 1, 5), (1, 1, 3, 1)), ((1, 5), (1, 5)),
          ((1, 2, 3, 2, 4), (1, 1, 3, 1, 4)), ((1, 2, 1, 2, 3, 2), (1, 1, 3, 2, 3, 1)), ((1, 4, 3), (1, 1, 1))]  # fmt: skip
CONSTANTS = [(IMAGE, ()), (IMAGE, (1,)), (IMAGE, (5,)), (IMAGE, (3, 1)), (IMAGE, (4, 3, 5)), ((1, 5), (4, 5)), (IMAGE, IMAGE),
             ((1, 5), IMAGE), ((1, 3, 5), (4, 1, 5)), ((1, 2, 3, 2, 4), (3, 1, 4)), ((1, 1, 1), (4,)),
             (IMAGE, (2, 4, 3, 5))]  # fmt: skip


def binaries() -> Iterator[Case]:
    odd = [*((shapes, "values", fused) for shapes, fused in zip(VALUES, (0, 1, 0, 2, 3, 0, 1, 0), strict=True)),
           *((shapes, "constant", 0) for shapes in CONSTANTS),
           *((shapes, "constant first", 0) for shapes in CONSTANTS[:5])]  # fmt: skip
    for kind, options in {**ARITHMETIC, **OTHERS, **COMPARISONS}.items():
        same = kind in ("MAXIMUM", "MINIMUM", *COMPARISONS)
        for case, (shapes, how, fused) in _cases(kind, (*REAL, "int32", "int64"), odd):
            other = case.given if same else case.scale()
            a, b = case.x(shapes[0]), case.x(shapes[1], other) if how == "values" else case.c(shapes[1], other)
            if kind in COMPARISONS:
                case.y(dtype="bool")
            elif kind in ("MUL", "SQUARED_DIFFERENCE"):
                case.y(case.product(case.given, other))
            else:
                case.y(case.given if same else case.scale(0.3 if kind == "DIV" else 2))
            settings = {"fusedActivationFunction": fused} if kind in ARITHMETIC else {}
            yield case.done([b, a] if how == "constant first" else [a, b], options, **settings)
    for kind, options in {"LOGICAL_AND": "LogicalAndOptions", "LOGICAL_OR": "LogicalOrOptions"}.items():
        for case, shapes in _cases(kind, ("bool",), VALUES):
            operands = [case.x(shape) for shape in shapes]
            case.y()
            yield case.done(operands, options)


UNARY = {**dict.fromkeys(("CEIL", "FLOOR", "LOG", "ROUND", "RSQRT", "SIN", "SQRT", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1",
                          "LOGISTIC", "TANH", "ELU")), "ABS": "AbsOptions", "COS": "CosOptions", "EXP": "ExpOptions",
         "SQUARE": "SquareOptions", "NEG": "NegOptions", "HARD_SWISH": "HardSwishOptions", "LOG_SOFTMAX": "LogSoftmaxOptions",
         "ZEROS_LIKE": "ZerosLikeOptions", "L2_NORMALIZATION": "L2NormOptions", "SIGN": "SignOptions"}  # fmt: skip
SHAPES = ((1, 7), IMAGE, (1, 2, 3, 2, 3), (1,), (1, 2, 1, 3, 2, 3))


def unaries() -> Iterator[Case]:
    for kind, options in UNARY.items():
        dtypes = (*REAL, "int32", "int64") if kind in ("ABS", "NEG", "RELU", "SQUARE", "SIGN", "ZEROS_LIKE") else REAL
        for case, (shape, other) in _cases(kind, dtypes, itertools.product(SHAPES, (False, True))):
            x = case.x(shape)
            case.y(case.fixed() if kind in FIXED or other else None)
            yield case.done([x], options)
    varied = {"SOFTMAX": [("SoftmaxOptions", {"beta": beta}) for beta in (1.0, 0.5, 3.0)],
              "LEAKY_RELU": [("LeakyReluOptions", {"alpha": alpha}) for alpha in (0.2, -0.5, 1.5)],
              "GELU": [("GeluOptions", {"approximate": approximate}) for approximate in (False, True)],
              }  # fmt: skip
    for kind, listed in varied.items():
        for case, ((options, settings), shape) in _cases(kind, REAL, itertools.product(listed, SHAPES)):
            x = case.x(shape)
            case.y(case.fixed())
            yield case.done([x], options, **settings)
    for case, slope in _cases("PRELU", REAL, ((5,), (1, 1, 5), (1, 5), (1,), (4, 3, 5), (3, 1), (4, 1, 1), ())):
        narrow = "int8" if case.dtype == "int16" else case.dtype  # as weights are
        x, other = case.x(), case.c(slope, case.scale(1 if narrow == case.dtype else 256), dtype=narrow)
        case.y(case.scale())
        yield case.done([x, other])
    for case, wanted in _cases("CAST", ALL, ALL):
        case.given = ()
        x = case.file.value((1, 4, 5), DTYPES[case.dtype])
        case.inputs.append(x)
        case.outputs.append(case.file.value((), DTYPES[wanted]))
        types = {"inDataType": TYPES[np.dtype(DTYPES[case.dtype])], "outDataType": TYPES[np.dtype(DTYPES[wanted])]}
        yield case.done([x], "CastOptions", **types)
    for case, wanted in _cases("QUANTIZE", CODES, CODES):
        x = case.x()
        case.outputs.append(case.file.value((), DTYPES[wanted], *Case("", wanted, case.name).scale()))
        if (case.dtype, wanted) != ("int8", "uint8"):  # whose codes leave as int8 where int8 came in
            yield case.done([x], "QuantizeOptions")


def windows() -> Iterator[Case]:
    odd = [(0, (2, 2), (2, 2), 0), (1, (3, 2), (1, 2), 1), (0, (3, 3), (2, 2), 3), (0, (5, 4), (3, 3), 2), (1, (9, 8), (1, 1), 0),
           (0, (12, 12), (4, 4), 0), (0, (2, 2), (3, 3), 0)]  # fmt: skip
    for kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"):
        for case, (padding, kernel, strides, fused) in _cases(kind, REAL, odd):
            x = case.x((1, 9, 8, 3))
            case.y()
            settings = {"filterHeight": kernel[0], "filterWidth": kernel[1], "strideH": strides[0], "strideW": strides[1]}
            yield case.done([x], "Pool2DOptions", padding=padding, fusedActivationFunction=fused, **settings)
    resizing = list(itertools.product(((8, 6), (4, 9), (1, 1), (2, 3), (11, 5)), (False, True), (False, True)))
    resizes = {"RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions", "RESIZE_BILINEAR": "ResizeBilinearOptions"}
    for kind, options in resizes.items():
        for case, (size, align, half) in _cases(kind, REAL, resizing):
            x = case.x()
            case.y()
            yield case.done([x, case.i(*size)], options, alignCorners=align, halfPixelCenters=half)
    axes = [(IMAGE, (1, 2)), (IMAGE, (2, 1)), (IMAGE, (-1,)), (IMAGE, (1,)), (IMAGE, (0,)), (IMAGE, (0, 1, 2, 3)),
            (IMAGE, (1, 2, 3)), (IMAGE, (1, 3)), (IMAGE, (1, 1, -3)), ((1, 5), (1,)), ((1, 4, 5), (1,)),
            ((1, 2, 3, 2, 4), (2, 4)), (IMAGE, ()), ((1, 2, 3, 2, 2, 3), (3, 5))]  # fmt: skip
    for kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"):
        for case, ((shape, named), keeps) in _cases(kind, ALL, itertools.product(axes, (False, True))):
            x = case.x(shape)
            case.y(case.scale(2) if kind in ("MEAN", "SUM") and keeps else None)
            yield case.done([x, case.i(*named)], "ReducerOptions", keepDims=keeps)
    found = [(IMAGE, 3, "int32"), (IMAGE, -1, "int64"), (IMAGE, 1, "int32"), (IMAGE, 0, "int32"), ((1, 9), 1, "int64"),
             (IMAGE, -2, "int64"), ((1, 2, 3, 2, 4), 2, "int32")]  # fmt: skip
    for kind, options in {"ARG_MAX": "ArgMaxOptions", "ARG_MIN": "ArgMinOptions"}.items():
        for case, (shape, axis, dtype) in _cases(kind, ALL, found):
            x = case.x(shape)
            case.y(dtype=dtype)
            yield case.done([x, case.n(axis)], options, outputType=TYPES[np.dtype(DTYPES[dtype])])
    for case, count in _cases("TOPK_V2", ALL, (1, 3, 5)):
        x = case.x()
        case.y()
        case.y(dtype="int32")
        yield case.done([x, case.n(count)], "TopKV2Options")
    for case, (axis, exclusive, reverse) in _cases("CUMSUM", ALL, itertools.product((1, -1), (False, True), (False, True))):
        x = case.x()
        case.y()
        yield case.done([x, case.n(axis)], "CumsumOptions", exclusive=exclusive, reverse=reverse)


PADS = ([[0, 0], [1, 2], [0, 1], [0, 0]], [[0, 0], [0, 0], [0, 0], [1, 2]], [[0, 0], [2, 1], [1, 1], [1, 0]],
        [[1, 0], [0, 0], [0, 0], [0, 0]])  # fmt: skip
SLICES = [((0, 1, 0, 1), (1, 3, 3, 4), (1, 1, 1, 1), {}), ((0, 0, 0, 0), IMAGE, (1, 2, 2, 3), {}),
          ((0, 3, 2, -1), (1, -5, -4, -6), (1, -1, -1, -2), {}),
          ((0,) * 4, (0,) * 4, (1, -1, 1, -1), {"beginMask": 15, "endMask": 15}),
          ((0, 1), (0, 3), (1, 1), {"ellipsisMask": 1}), ((0, 0, 1), (1, 0, 3), (1, 1, 2), {"ellipsisMask": 2}),
          ((0, 0, 1), (1, 0, 3), (1, 1, 1), {"newAxisMask": 2}), ((0, 2, 0), (1, 3, 3), (1, 1, 1), {"shrinkAxisMask": 2}),
          ((0, 2, 0), (1, 3, 3), (1, 1, 1), {"shrinkAxisMask": 1}), ((0, -1, 0), (1, 0, 3), (1, 1, 1), {"shrinkAxisMask": 2}),
          ((0, 0, 2), (0, 0, 3), (1, 1, 1), {"ellipsisMask": 1, "newAxisMask": 2, "shrinkAxisMask": 4}),
          ((0, 1), (1, 3), (1, 1), {}), ((0, -9, 0, 2), (9, 9, 9, 99), (1, 1, 1, 1), {})]  # fmt: skip
MOVES = [  # kind, input's shape, (constants behind it), options, settings, outputs
    *(("RESHAPE", IMAGE, (shape,), "ReshapeOptions", {"newShape": list(shape)}, 1)
      for shape in ((1, 60), (-1,), (1, -1, 5), (4, 15), (3, 4, 5), (60, 1), (1, 2, 2, 3, 5), (1, 5, 1, 3, 2, 2), (2, -1))),
    *(("TRANSPOSE", IMAGE, (order,), "TransposeOptions", {}, 1) for order in itertools.permutations(range(4))),
    *(("TRANSPOSE", shape, (order,), "TransposeOptions", {}, 1) for shape, order in (
        ((1, 5), (1, 0)), ((1, 4, 5), (2, 0, 1)), ((1, 2, 3, 2, 4), (0, 3, 1, 4, 2)), ((1, 2, 3, 2, 4, 2), (0, 5, 3, 1, 4, 2)))),
    *(("SQUEEZE", (1, 1, 4, 1, 5), (), "SqueezeOptions", {"squeezeDims": dims}, 1) for dims in ([], [1], [-2], [0, 1], [1, 3])),
    *(("EXPAND_DIMS", (1, 4, 5), (axis,), "ExpandDimsOptions", {}, 1) for axis in (0, 1, -1, 2, 3)),
    *(("PAD", IMAGE, (pads,), "PadOptions", {}, 1) for pads in PADS),
    *(("MIRROR_PAD", IMAGE, (pads,), "MirrorPadOptions", {"mode": mode}, 1) for pads in PADS for mode in (0, 1)),
    *(("SLICE", IMAGE, ends, "SliceOptions", {}, 1) for ends in (((0, 1, 0, 2), (1, 2, 3, 2)), ((0, 1, 1, 0), (-1, -1, 2, -1)))),
    *(("STRIDED_SLICE", IMAGE, ends, "StridedSliceOptions", settings, 1) for *ends, settings in SLICES),
    *(("SPLIT_V", IMAGE, (sizes, axis), "SplitVOptions", {"numSplits": len(sizes)}, len(sizes))
      for axis, sizes in ((1, (1, 3)), (2, (2, -1)), (-1, (1, 3, 1)))),
    *(("UNPACK", IMAGE, (), "UnpackOptions", {"axis": axis, "num": IMAGE[axis]}, IMAGE[axis]) for axis in (0, 1, -1)),
    *(("GATHER", IMAGE, (places,), "GatherOptions", {"axis": axis}, 1)
      for axis, places in ((1, (2, 0, 0)), (-1, (4,)), (2, ((0, 2), (1, 1))), (0, (0, 0)), (3, 3), (0, 0))),
    *(("GATHER_ND", IMAGE, (places,), "GatherNdOptions", {}, 1)
      for places in (((0, 1), (0, 3)), ((0, 1, 2), (0, 3, 0)), ((0, 1, 2, 4),))),
    *(("TILE", IMAGE, (multiples,), "TileOptions", {}, 1) for multiples in ((1, 2, 1, 3), (2, 1, 1, 1), (1, 1, 1, 1))),
    *(("BROADCAST_TO", shape, (wanted,), "BroadcastToOptions", {}, 1) for shape, wanted in (
        ((1, 1, 3, 5), IMAGE), ((1, 5), (4, 5)), ((1, 5), (2, 3, 4, 5)), ((1, 1, 2, 1, 3), (1, 2, 2, 3, 3)))),
    *(("REVERSE_V2", IMAGE, (axes,), "ReverseV2Options", {}, 1) for axes in ((1,), (-1,), (0,))),
    *(("SPACE_TO_DEPTH", (1, 6, 12, 18), (), "SpaceToDepthOptions", {"blockSize": size}, 1) for size in (2, 3)),
    *(("DEPTH_TO_SPACE", (1, 3, 2, 36), (), "DepthToSpaceOptions", {"blockSize": size}, 1) for size in (2, 3)),
    ("REVERSE_SEQUENCE", (1, 4, 5), ((3,),), "ReverseSequenceOptions", {"seqDim": 1, "batchDim": 0}, 1),
    ("MATRIX_DIAG", (1, 4, 5), (), "MatrixDiagOptions", {}, 1),
]  # fmt: skip


def moves() -> Iterator[Case]:
    for kind, shape, constants, options, settings, count in MOVES:
        dtypes = ALL[:-1] if kind in ("MATRIX_DIAG", "REVERSE_V2") else ALL  # LiteRT crashes on truth there
        for case, _ in _cases(kind, dtypes, [(shape, constants, settings)]):
            x = case.x(shape)
            for _ in range(count):
                case.y()
            yield case.done([x, *(case.n(numbers) for numbers in constants)], options, **settings)
    for case, pads in _cases("PADV2", ALL, PADS):
        x = case.x()
        case.y()
        yield case.done([x, case.n(pads), case.c((1,))], "PadV2Options")
    for case, (axis, count) in _cases("SPLIT", ALL, ((1, 2), (2, 3), (-1, 5), (0, 1))):
        x = case.x()
        for _ in range(count):
            case.y()
        yield case.done([case.n(axis), x], "SplitOptions", numSplits=count)
    joins = list(itertools.product((0, 1, 2, -1, -2), ("values", "constant", "other scales")))
    for case, (axis, how) in _cases("CONCATENATION", ALL, joins):
        other = case.scale() if how == "other scales" else case.given
        operands = [case.x(), case.c(IMAGE) if how == "constant" else case.x(how=other)]
        case.y(case.scale() if how == "other scales" else None)
        yield case.done(operands[::-1], "ConcatenationOptions", axis=axis)
    for case, (axis, how) in _cases("PACK", ALL, itertools.product((0, 1, -1, 3, -4), ("values", "constant"))):
        operands = [case.x((1, 4, 5)), case.c((1, 4, 5)) if how == "constant" else case.x((1, 4, 5))]
        case.y()
        yield case.done(operands, "PackOptions", axis=axis, valuesCount=2)
    computed = ((1, (1, 2), 0), (3, (1, 2), 0), (1, (1, 2), 1), (2, (1, 4, 2), 2), (2, (1, 4), 1))
    plain = ("float32", "int32", "int64", "bool")  # codes go in alone
    for case, (axis, indices, batches) in _cases("GATHER", plain, computed, low=0, high=3):
        operands = [case.x(), case.x(indices, dtype="int32")]
        case.y()
        yield case.done(operands, "GatherOptions", axis=axis, batchDims=batches)
    masks = itertools.product((IMAGE, (1, 1, 1, 5), (1, 4, 1, 1), (1,)), "vcs")
    for case, (condition, how) in _cases("SELECT_V2", plain, masks):
        operands = [case.x(condition, dtype="bool"), case.x(), case.x() if how == "v" else case.c(IMAGE if how == "c" else ())]
        case.y()
        yield case.done(operands, "SelectV2Options")
    for case, shape in _cases("SELECT_V2", CODES, ((4, 3, 5), (5,), ())):
        operands = [case.c(shape, dtype="bool"), case.x(), case.x()]
        case.y()
        yield case.done(operands, "SelectV2Options")
    for case, how in _cases("SELECT", plain, (IMAGE, (1,))):
        operands = [case.x(how, dtype="bool"), case.x(), case.x()]
        case.y()
        yield case.done(operands, "SelectOptions")
    for case, (depth, axis) in _cases("ONE_HOT", ALL, itertools.product((3, 6), (-1, 1)), low=0, high=7):
        indices, dtype = case.x((1, 4), dtype="int32"), DTYPES[case.dtype]
        case.outputs.append(case.file.value((), dtype))
        yield case.done([indices, case.n(depth), case.n(1, dtype), case.n(0, dtype)], "OneHotOptions", axis=axis)
    for case, _ in _cases("ADD_N", REAL, ("of three",)):
        x = case.x()
        case.y()
        yield case.done([x, x, x], "AddNOptions")


FAMILIES = {"convolutions": convolutions, "binaries": binaries, "unaries": unaries, "windows": windows, "moves": moves}

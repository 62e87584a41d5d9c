"""Random one-operator TensorFlow Lite files, in int8 or float32: every operator edgebn reads, for comparison with outside engines.

Each function takes a `Maker` (generator, file, and whether it is int8) and returns the indices of the file's input and output.
"""

from __future__ import annotations

import numpy as np

from tests.formats.tflite import tflite_composed, tflite_moving, tflite_whole_numbers
from tests.formats.tflite.tflite_maker import SAME, Maker
from tests.formats.tflite.tflite_sequences import (
    conv_1d,
    dense_after_flatten,
    dense_over_rows,
    dilated_by_batches,
    dilated_sequence,
    moved,
    pad_before_conv,
    reshape_by_shape,
    shuffled,
)


def _window_output(sizes, kernel, strides, dilations, padding) -> list[int]:
    if padding == SAME:
        return [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    return [(size - span) // stride + 1 for size, span, stride in zip(sizes, spans, strides, strict=True)]


def _geometry(m: Maker) -> tuple[list[int], list[int], list[int], list[int], int, list[int]]:
    sizes, kernel, strides = m.sizes(5, 10), m.sizes(1, 4), m.sizes(1, 3)
    dilations = m.sizes(1, 3) if max(strides) == 1 else [1, 1]
    padding = int(m.rng.integers(0, 2))
    return sizes, kernel, strides, dilations, padding, _window_output(sizes, kernel, strides, dilations, padding)


def conv_2d(m: Maker):
    sizes, kernel, strides, dilations, padding, out = _geometry(m)
    groups = int(m.rng.integers(1, 3))
    inputs, outputs = (groups * int(m.rng.integers(1, 5)) for _ in range(2))
    given = m.quantization()
    x = m.value((1, *sizes, inputs), given)
    weight, bias, scale = m.weight((outputs, *kernel, inputs // groups), 0, given[0])
    y = m.value((1, *out, outputs), (scale, m.zero_point()))
    settings = {"strideH": strides[0], "strideW": strides[1], "dilationHFactor": dilations[0], "dilationWFactor": dilations[1]}
    m.file.operator(
        "CONV_2D", [x, weight, bias], [y], "Conv2DOptions", padding=padding, fusedActivationFunction=m.fused(), **settings
    )
    return x, y


def depthwise_conv_2d(m: Maker):
    sizes, kernel, strides, dilations, padding, out = _geometry(m)
    inputs, multiplier = m.sizes(1, 5)
    given = m.quantization()
    x = m.value((1, *sizes, inputs), given)
    weight, bias, scale = m.weight((1, *kernel, inputs * multiplier), 3, given[0])
    y = m.value((1, *out, inputs * multiplier), (scale, m.zero_point()))
    settings = {"strideH": strides[0], "strideW": strides[1], "dilationHFactor": dilations[0], "dilationWFactor": dilations[1]}
    settings |= {"depthMultiplier": multiplier, "padding": padding, "fusedActivationFunction": m.fused()}
    m.file.operator("DEPTHWISE_CONV_2D", [x, weight, bias], [y], "DepthwiseConv2DOptions", **settings)
    return x, y


def transpose_conv(m: Maker):
    sizes, kernel, strides = m.sizes(3, 7), m.sizes(1, 5), m.sizes(1, 4)
    padding = int(m.rng.integers(0, 2))
    out = [
        size * stride if padding == SAME else (size - 1) * stride + max(k, stride)
        for size, k, stride in zip(sizes, kernel, strides, strict=True)
    ]
    inputs, outputs = m.sizes(1, 5)
    given = m.quantization()
    x = m.value((1, *sizes, inputs), given)
    weight, bias, scale = m.weight((outputs, *kernel, inputs), 0, given[0])
    y = m.value((1, *out, outputs), (scale, m.zero_point()))
    settings = {"strideH": strides[0], "strideW": strides[1], "padding": padding}
    m.file.operator("TRANSPOSE_CONV", [m.integers(1, *out, outputs), weight, x, bias], [y], "TransposeConvOptions", **settings)
    return x, y


def fully_connected(m: Maker):
    inputs, outputs = m.sizes(1, 40)
    given = m.quantization()
    x = m.value((1, inputs), given)
    weight, bias, scale = m.weight((outputs, inputs), 0, given[0])
    y = m.value((1, outputs), (scale, m.zero_point()))
    bias = bias if m.rng.random() < 0.7 else -1
    m.file.operator("FULLY_CONNECTED", [x, weight, bias], [y], "FullyConnectedOptions", fusedActivationFunction=m.fused())
    return x, y


def fully_connected_rows(m: Maker):
    rows, inputs, outputs = m.sizes(2, 8, 3)
    given = m.quantization()
    x = m.value((1, rows, inputs), given)
    weight, bias, scale = m.weight((outputs, inputs), 0, given[0])
    y = m.value((1, rows, outputs), (scale, m.zero_point()))
    m.file.operator("FULLY_CONNECTED", [x, weight, bias], [y], "FullyConnectedOptions", keepNumDims=True)
    return x, y


def fully_connected_image(m: Maker):
    h, w, c, outputs = m.sizes(2, 5, 4)
    given = m.quantization()
    x = m.value((1, h, w, c), given)
    weight, bias, scale = m.weight((outputs, h * w * c), 0, given[0])
    y = m.value((1, outputs), (scale, m.zero_point()))
    m.file.operator("FULLY_CONNECTED", [x, weight, bias], [y], "FullyConnectedOptions")
    return x, y


SHAPE = (1, 6, 7, 5)


def _two_values(m: Maker, kind: str):
    given, other = m.quantization(), m.quantization()
    scale = m.scale() if kind == "ADD" else float(np.float32(given[0] * other[0] * m.levels * m.rng.uniform(20, 100)))
    x, second = m.value(SHAPE, given), m.value(SHAPE, other)
    if m.integer:
        m.file.operator("QUANTIZE", [x], [second], "QuantizeOptions")
    else:
        m.file.operator("TANH", [x], [second])
    y = m.value(SHAPE, (scale, m.zero_point()))
    m.file.operator(kind, [x, second], [y], f"{kind.capitalize()}Options", fusedActivationFunction=m.fused())
    return x, y


def add(m: Maker):
    return _two_values(m, "ADD")


def mul(m: Maker):
    return _two_values(m, "MUL")


def _binary(m: Maker, kind: str, options: str, **settings):
    """Two values or a value and a constant, on either side; MAXIMUM and MINIMUM keep the scale, as converters write them."""
    given = m.quantization()
    keeps = kind in ("MAXIMUM", "MINIMUM")
    other = given if keeps else m.quantization()
    x = m.value(SHAPE, given)
    if m.rng.random() < 0.5:
        shapes = (SHAPE, (5,), (1, 1, 1, 5), (1,), (1, 1, 7, 5), (6, 1, 5))
        second = m.constant(shapes[int(m.rng.integers(len(shapes)))], other)
    else:
        second = m.value(SHAPE, other)
        if m.integer:
            m.file.operator("RELU" if keeps else "QUANTIZE", [x], [second], None if keeps else "QuantizeOptions")
        else:
            m.file.operator("TANH", [x], [second])
    scale = (
        float(np.float32(given[0] * other[0] * m.levels * m.rng.uniform(20, 300))) if kind == "SQUARED_DIFFERENCE" else m.scale()
    )
    y = m.value(SHAPE, given if keeps else (scale, m.zero_point()))
    inputs = [x, second] if m.rng.random() < 0.5 else [second, x]
    m.file.operator(kind, inputs, [y], options, **settings)
    return x, y


def sub_values(m: Maker):
    return _binary(m, "SUB", "SubOptions", fusedActivationFunction=m.fused())


def maximum(m: Maker):
    return _binary(m, "MAXIMUM", "MaximumMinimumOptions")


def minimum(m: Maker):
    return _binary(m, "MINIMUM", "MaximumMinimumOptions")


def squared_difference(m: Maker):
    return _binary(m, "SQUARED_DIFFERENCE", "SquaredDifferenceOptions")


def div_values(m: Maker):
    """float32 only: divided by a value that is never zero."""
    x, gate, y = (m.value(SHAPE) for _ in range(3))
    m.file.operator("LOGISTIC", [x], [gate])
    inputs = [m.constant((5,)), gate] if m.rng.random() < 0.3 else [x, gate]
    m.file.operator("DIV", inputs, [y], "DivOptions", fusedActivationFunction=m.fused())
    return x, y


def _with_constant(m: Maker, kind: str):
    given, other = m.quantization(), m.quantization()
    scale = float(np.float32(given[0] * other[0] * m.levels * m.rng.uniform(20, 100))) if kind == "MUL" else m.scale()
    shapes = (SHAPE, (5,), (1, 1, 1, 5), (1,), (1, 1, 7, 5), (6, 1, 5))
    x = m.value(SHAPE, given)
    constant = m.constant(shapes[int(m.rng.integers(len(shapes)))], other)
    y = m.value(SHAPE, (scale, m.zero_point()))
    swapped = kind != "SUB" and m.rng.random() < 0.3
    inputs = [constant, x] if swapped else [x, constant]
    m.file.operator(kind, inputs, [y], f"{kind.capitalize()}Options", fusedActivationFunction=m.fused())
    return x, y


def add_constant(m: Maker):
    return _with_constant(m, "ADD")


def mul_constant(m: Maker):
    return _with_constant(m, "MUL")


def sub_constant(m: Maker):
    return _with_constant(m, "SUB")


def _elementwise(m: Maker, kind: str, given=None, output=None, options=None, **settings):
    given = given or m.quantization()
    x = m.value(SHAPE, given)
    y = m.value(SHAPE, given if output == "same" else output)
    m.file.operator(kind, [x], [y], options, **settings)
    return x, y


def _wide(m: Maker) -> tuple[float, int]:
    return float(np.float32(10 ** m.rng.uniform(-3, 0.5) / m.levels)), int(m.rng.integers(-128, 128))


def batch_matmul(m: Maker):
    """A value by itself, either or none of the two turned round."""
    heads, n, k = (int(size) for size in m.rng.integers(1, 7, 3))
    given, other = m.quantization(), m.quantization()
    x, moved = m.value((1, heads, n, k), given), m.value((1, heads, n, k), given)
    adj_x = bool(m.rng.integers(2))
    size = k if adj_x else n
    scale = float(np.float32(given[0] * given[0] * m.levels * m.rng.uniform(20, 100)))
    y = m.value((1, heads, size, size), (scale, other[1]))
    m.file.operator("RELU", [x], [moved])
    m.file.operator("BATCH_MATMUL", [x, moved], [y], "BatchMatMulOptions", adjX=adj_x, adjY=not adj_x)
    return x, y


def logistic(m: Maker):
    return _elementwise(m, "LOGISTIC", _wide(m), (1 / 256, -128))


def tanh(m: Maker):
    return _elementwise(m, "TANH", _wide(m), (1 / 128, 0))


def relu(m: Maker):
    return _elementwise(m, "RELU", output=None if m.rng.random() < 0.5 else "same")


def relu6(m: Maker):
    return _elementwise(m, "RELU6", output="same")


def hard_swish(m: Maker):
    return _elementwise(m, "HARD_SWISH")


def leaky_relu(m: Maker):
    return _elementwise(m, "LEAKY_RELU", options="LeakyReluOptions", alpha=float(np.float32(m.rng.uniform(-0.5, 1.5))))


def prelu(m: Maker):
    x = m.value(SHAPE)
    slope = m.constant((1, 1, 5))
    y = m.value(SHAPE)
    m.file.operator("PRELU", [x, slope], [y])
    return x, y


def requantize(m: Maker):
    return _elementwise(m, "QUANTIZE", options="QuantizeOptions")


def softmax(m: Maker):
    beta = float(np.float32(m.rng.uniform(0.3, 2)))
    return _elementwise(m, "SOFTMAX", output=(1 / 256, -128), options="SoftmaxOptions", beta=beta)


def _pool(m: Maker, kind: str):
    sizes, kernel, strides = m.sizes(4, 9), m.sizes(1, 4), m.sizes(1, 3)
    padding, given = int(m.rng.integers(0, 2)), m.quantization()
    out = _window_output(sizes, kernel, strides, (1, 1), padding)
    x, y = m.value((1, *sizes, 5), given), m.value((1, *out, 5), given)
    settings = {"filterHeight": kernel[0], "filterWidth": kernel[1], "strideH": strides[0], "strideW": strides[1]}
    m.file.operator(kind, [x], [y], "Pool2DOptions", padding=padding, fusedActivationFunction=m.fused(), **settings)
    return x, y


def max_pool_2d(m: Maker):
    return _pool(m, "MAX_POOL_2D")


def average_pool_2d(m: Maker):
    return _pool(m, "AVERAGE_POOL_2D")


def _reduce(m: Maker, kind: str, axes: tuple[int, ...], same: bool):
    given = m.quantization()
    output = given if same else (float(np.float32(given[0] * m.rng.uniform(0.3, 1.2))), int(m.rng.integers(-128, 128)))
    keep = bool(m.rng.integers(2))
    kept = [(1 if keep else None) if axis in axes else size for axis, size in enumerate(SHAPE)]
    x, y = m.value(SHAPE, given), m.value([size for size in kept if size], output)
    m.file.operator(kind, [x, m.integers(*axes)], [y], "ReducerOptions", keepDims=keep)
    return x, y


AXES = ((1, 2), (1,), (2,), (3,), (1, 2, 3), (-2, -3))


def mean(m: Maker):
    axes = AXES[int(m.rng.integers(len(AXES)))]
    return _reduce(m, "MEAN", tuple(axis % 4 for axis in axes), bool(m.rng.integers(2)))


def reduce_max(m: Maker):
    axes = AXES[int(m.rng.integers(len(AXES)))]
    return _reduce(m, "REDUCE_MAX", tuple(axis % 4 for axis in axes), same=True)


def reduce_min(m: Maker):
    axes = AXES[int(m.rng.integers(len(AXES)))]
    return _reduce(m, "REDUCE_MIN", tuple(axis % 4 for axis in axes), same=True)


def sum_(m: Maker):
    axes = AXES[int(m.rng.integers(len(AXES)))]
    return _reduce(m, "SUM", tuple(axis % 4 for axis in axes), bool(m.rng.integers(2)))


def _resize(m: Maker, kind: str, options: str):
    sizes, out = m.sizes(1, 8), m.sizes(1, 17)
    if m.rng.random() < 0.4:
        out = [2 * size for size in sizes]
    align, half = ((False, False), (True, False), (False, True))[int(m.rng.integers(3))]
    given = m.quantization()
    x, y = m.value((1, *sizes, 3), given), m.value((1, *out, 3), given)
    m.file.operator(kind, [x, m.integers(*out)], [y], options, alignCorners=align, halfPixelCenters=half)
    return x, y


def resize_nearest_neighbor(m: Maker):
    return _resize(m, "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")


def resize_bilinear(m: Maker):
    return _resize(m, "RESIZE_BILINEAR", "ResizeBilinearOptions")


def concatenation(m: Maker):
    axis, given = int(m.rng.integers(1, 4)), m.quantization()
    out = list(SHAPE)
    out[axis] *= 3
    x, second, y = m.value(SHAPE, given), m.value(SHAPE, given), m.value(out, given)
    m.file.operator("RELU", [x], [second])
    axis = axis - 4 if m.rng.random() < 0.5 else axis
    m.file.operator("CONCATENATION", [x, m.constant(SHAPE, given), second], [y], "ConcatenationOptions", axis=axis)
    return x, y


def _pad(m: Maker, kind: str):
    pads = m.rng.integers(0, 3, (4, 2)).astype(np.int32)
    pads[0] = 0
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value(np.array(SHAPE) + pads.sum(axis=1), given)
    inputs = [x, m.file.constant(pads)] + ([m.constant((1,), given)] if kind == "PADV2" else [])
    m.file.operator(kind, inputs, [y], f"{'PadV2' if kind == 'PADV2' else 'Pad'}Options")
    return x, y


def pad(m: Maker):
    return _pad(m, "PAD")


def padv2(m: Maker):
    return _pad(m, "PADV2")


def slice_(m: Maker):
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value((1, 3, 4, 2), given)
    m.file.operator("SLICE", [x, m.integers(0, 1, 2, 3), m.integers(1, 3, 4, -1)], [y], "SliceOptions")
    return x, y


def strided_slice(m: Maker):
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value((1, 4, 5), given)
    inputs = [x, m.integers(0, 1, 2, 3), m.integers(1, -1, 3, 4), m.integers(1, 1, 1, 1)]
    m.file.operator("STRIDED_SLICE", inputs, [y], "StridedSliceOptions", beginMask=8, endMask=8, shrinkAxisMask=4)
    return x, y


def split_v(m: Maker):
    given = m.quantization()
    x, parts = m.value(SHAPE, given), [m.value((1, *SHAPE[1:3], size), given) for size in (1, 2, 2)]
    m.file.operator(
        "SPLIT_V", [x, m.integers(1, -1, 2), m.file.constant(np.array(-1, np.int32))], parts, "SplitVOptions", numSplits=3
    )
    return x, parts[1]


def variable(m: Maker):
    """A window of three rows over the rows of all calls; of a variable that nothing assigns, a constant."""
    given = m.quantization()
    x, first, other = m.value((1, 1, 4, 2), given), m.constant((1, 2, 4, 2), given), m.constant((1, 1, 4, 2), given)
    rows, never = m.file.variable("rows", first), m.file.variable("never", other)
    before, window, after, still = (m.value((1, size, 4, 2), given) for size in (2, 3, 2, 1))
    m.file.operator("READ_VARIABLE", [rows], [before], "ReadVariableOptions")
    m.file.operator("CONCATENATION", [before, x], [window], "ConcatenationOptions", axis=1)
    m.file.operator("SLICE", [window, m.integers(0, 1, 0, 0), m.integers(1, 2, 4, 2)], [after], "SliceOptions")
    m.file.operator("ASSIGN_VARIABLE", [rows, after], [], "AssignVariableOptions")
    again, quantization = m.value((1, 2, 4, 2), given), m.quantization()
    m.file.operator("READ_VARIABLE", [rows], [again], "ReadVariableOptions")
    m.file.operator("READ_VARIABLE", [never], [still], "ReadVariableOptions")
    joined, y = m.value((1, 6, 4, 2), given), m.value((1, 6, 4, 2), quantization)
    m.file.operator("CONCATENATION", [window, again, still], [joined], "ConcatenationOptions", axis=1)
    m.file.operator("ADD", [joined, joined], [y], "AddOptions")
    return x, y


def transpose(m: Maker):
    order = [1 + int(axis) for axis in m.rng.permutation(3)]
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value([1] + [SHAPE[axis] for axis in order], given)
    m.file.operator("TRANSPOSE", [x, m.integers(0, *order)], [y], "TransposeOptions")
    return x, y


def reshape_expand_squeeze(m: Maker):
    given = m.quantization()
    x, a, b, y = (m.value(shape, given) for shape in (SHAPE, (1, 42, 5), (1, 1, 42, 5), (1, 42, 5)))
    m.file.operator("RESHAPE", [x, m.integers(1, -1, 5)], [a], "ReshapeOptions", newShape=[1, -1, 5])
    m.file.operator("EXPAND_DIMS", [a, m.integers(1)], [b], "ExpandDimsOptions")
    m.file.operator("SQUEEZE", [b], [y], "SqueezeOptions", squeezeDims=[1])
    return x, y


def div_constant(m: Maker):
    """float32 only."""
    x, y = m.value(SHAPE), m.value(SHAPE)
    divisor = m.file.constant(m.rng.uniform(0.5, 3, (1, 1, 1, 5)).astype(np.float32))
    m.file.operator("DIV", [x, divisor], [y], "DivOptions", fusedActivationFunction=m.fused())
    return x, y


def sub(m: Maker):
    """float32 only: two values, and a constant less a value."""
    x, second, third, y = (m.value(SHAPE) for _ in range(4))
    m.file.operator("LOGISTIC", [x], [second])
    m.file.operator("SUB", [x, second], [third], "SubOptions")
    m.file.operator("SUB", [m.constant((5,)), third], [y], "SubOptions", fusedActivationFunction=m.fused())
    return x, y


def sparse_weight(m: Maker):
    """float32 only: a convolution whose weight is stored sparse."""
    x, y, weight = m.value((1, 5, 5, 6)), m.value((1, 5, 5, 8)), m.value((8, 1, 1, 6))
    real = m.rng.normal(0, 1, (8, 1, 1, 6)).astype(np.float32)
    real[m.rng.random(real.shape) < 0.6] = 0
    m.file.operator("DENSIFY", [m.file.sparse_constant(real)], [weight], "DensifyOptions")
    inputs = [x, weight, m.file.constant(np.zeros(8, np.float32))]
    m.file.operator("CONV_2D", inputs, [y], "Conv2DOptions", padding=0, strideH=1, strideW=1)
    return x, y


def relu_n1_to_1(m: Maker):
    """float32 only: TensorFlow Lite Micro has no such operator of its own."""
    return _elementwise(m, "RELU_N1_TO_1")


def relu_0_to_1(m: Maker):
    """float32 only, as above."""
    return _elementwise(m, "RELU_0_TO_1")


def _function(kind: str, positive: bool = False, **settings):
    """float32 only: a function of one number, of a sigmoid where others have none."""

    def make(m: Maker):
        x, inside, y = m.value(SHAPE), m.value(SHAPE), m.value(SHAPE)
        m.file.operator("LOGISTIC" if positive else "TANH", [x], [inside])
        m.file.operator(kind, [inside], [y], **settings)
        return x, y

    make.__name__ = kind.lower()
    return make


FUNCTIONS = (
    *(_function(kind) for kind in ("ABS", "COS", "EXP", "SIN", "SQUARE", "ELU")),
    *(_function(kind, positive=True) for kind in ("LOG", "RSQRT", "SQRT")),
    _function("GELU", options="GeluOptions", approximate=False),
)


def _stairs(kind: str):
    """float32 only: of numbers that no rounding makes another."""

    def make(m: Maker):
        return _elementwise(m, kind)

    make.__name__ = kind.lower()
    return make


STAIRS = tuple(map(_stairs, ("CEIL", "FLOOR", "ROUND")))


def detection_post_process(m: Maker):
    """Boxes that are all told, as none is too unsure or overlaps too much: LiteRT leaves the rest of its outputs unwritten."""
    count, classes, regular = int(m.rng.integers(3, 20)), int(m.rng.integers(2, 5)), bool(m.rng.integers(2))
    each = 1 if regular else int(m.rng.integers(1, classes + 1))
    most = int(m.rng.integers(1, count + 1))
    x = m.value((1, count, 4 + classes))
    codes, scores = m.value((1, count, 4)), m.value((1, count, classes))
    m.file.operator("SLICE", [x, m.integers(0, 0, 0), m.integers(1, count, 4)], [codes], "SliceOptions")
    m.file.operator("SLICE", [x, m.integers(0, 0, 4), m.integers(1, count, classes)], [scores], "SliceOptions")
    anchors = m.file.constant(m.rng.uniform(0.1, 1, (count, 4)).astype(np.float32))
    rows = most * each
    outputs = [m.value(shape) for shape in ((1, rows, 4), (1, rows), (1, rows), (1,))]
    options = {"max_detections": most, "max_classes_per_detection": each, "num_classes": classes, "use_regular_nms": regular}
    options |= {"nms_score_threshold": -100.0, "nms_iou_threshold": 1.0}
    options |= {"y_scale": 10.0, "x_scale": 9.0, "h_scale": 5.0, "w_scale": 4.0}
    m.file.custom("TFLite_Detection_PostProcess", [codes, scores, anchors], outputs, options)
    flat, number, y = m.value((1, 4 * rows)), m.value((1, 1)), m.value((1, 6 * rows + 1))
    m.file.operator("RESHAPE", [outputs[0], m.integers(1, 4 * rows)], [flat], "ReshapeOptions", newShape=[1, 4 * rows])
    m.file.operator("RESHAPE", [outputs[3], m.integers(1, 1)], [number], "ReshapeOptions", newShape=[1, 1])
    m.file.operator("CONCATENATION", [flat, *outputs[1:3], number], [y], "ConcatenationOptions", axis=1)
    return x, y


BOTH = (
    conv_2d,
    split_v,
    variable,
    depthwise_conv_2d,
    transpose_conv,
    fully_connected,
    fully_connected_rows,
    fully_connected_image,
    add,
    add_constant,
    sub_constant,
    sub_values,
    maximum,
    minimum,
    squared_difference,
    mul,
    mul_constant,
    batch_matmul,
    logistic,
    tanh,
    relu,
    relu6,
    hard_swish,
    leaky_relu,
    prelu,
    softmax,
    max_pool_2d,
    average_pool_2d,
    mean,
    reduce_max,
    reduce_min,
    sum_,
    resize_nearest_neighbor,
    resize_bilinear,
    concatenation,
    pad,
    padv2,
    slice_,
    strided_slice,
    transpose,
    reshape_expand_squeeze,
    dense_after_flatten,
    dense_over_rows,
    reshape_by_shape,
    conv_1d,
    pad_before_conv,
    moved,
    shuffled,
    *tflite_moving.MOVING,
    *tflite_whole_numbers.CODES_TOO,
)
INT8_ONLY = (requantize,)
LITERT_ONLY = (dilated_by_batches, dilated_sequence)  # TensorFlow Lite Micro is at fault there (see formats/tflite/dilated.py)
FLOAT_ONLY = (
    sparse_weight,
    div_constant,
    div_values,
    sub,
    relu_n1_to_1,
    relu_0_to_1,
    detection_post_process,
    *FUNCTIONS,
    *STAIRS,
    *tflite_composed.COMPOSED,
    *tflite_moving.FLOAT_ONLY,
    *tflite_whole_numbers.FLOAT_ONLY,
)


def build(
    make, seed: int, integer: bool, leave_open: str = "", unsigned: bool = False, wide: bool = False
) -> tuple[bytes, tuple[int, ...], np.random.Generator]:
    """Return the file of one random case, its input's shape, and the generator for inputs.

    `unsigned` makes integer files uint8, `wide` int16.
    `leave_open` says how much the file leaves to be worked out: 'sizes' of all values inside it, or their 'ranks' too.
    """
    m = Maker(np.random.default_rng(seed), integer, unsigned, wide)
    x, y = make(m)
    shape = tuple(m.file.tensors[x].shape)
    if leave_open:
        open_shapes(m, x, leave_open == "ranks")
    return m.finish([x], [y]), shape, m.rng


def open_shapes(m: Maker, x: int, ranks: bool) -> None:
    """Open the batch of input `x` and the shapes of all values behind it, as TensorFlow does: placeholders, and a signature."""
    for index, tensor in enumerate(m.file.tensors):
        if tensor.buffer:
            continue
        if index == x:
            tensor.shapeSignature = [-1, *tensor.shape[1:]]
        elif ranks:
            tensor.shape, tensor.hasRank = [], False
        else:
            tensor.shapeSignature = [-1] * len(tensor.shape)
            tensor.shape = [1] * len(tensor.shape)

"""Short sequences of operators that converters write for one layer, as random files like those of `tflite_operators.py`."""

from __future__ import annotations

import numpy as np

from tests.formats.tflite.tflite_maker import SAME, VALID, Maker


def dense_after_flatten(m: Maker):
    """RESHAPE of an image and a dense layer: edgebn makes one convolution of them."""
    h, w, c, outputs = m.sizes(2, 5, 4)
    given = m.quantization()
    x, flat = m.value((1, h, w, c), given), m.value((1, h * w * c), given)
    m.file.operator("RESHAPE", [x, m.integers(-1, h * w * c)], [flat], "ReshapeOptions", newShape=[-1, h * w * c])
    weight, bias, scale = m.weight((outputs, h * w * c), 0, given[0])
    y = m.value((1, outputs), (scale, m.zero_point()))
    m.file.operator("FULLY_CONNECTED", [flat, weight, bias], [y], "FullyConnectedOptions")
    return x, y


def dense_over_rows(m: Maker):
    """A dense layer over the last axis as older converters write it: the batch axis vanishes in between."""
    rows, inputs, outputs = m.sizes(2, 8, 3)
    given = m.quantization()
    x, flat = m.value((1, rows, inputs), given), m.value((rows, inputs), given)
    m.file.operator("RESHAPE", [x, m.integers(-1, inputs)], [flat], "ReshapeOptions", newShape=[-1, inputs])
    weight, bias, scale = m.weight((outputs, inputs), 0, given[0])
    output = scale, m.zero_point()
    dense, y = m.value((rows, outputs), output), m.value((1, rows, outputs), output)
    m.file.operator("FULLY_CONNECTED", [flat, weight, bias], [dense], "FullyConnectedOptions")
    m.file.operator("RESHAPE", [dense, m.integers(1, rows, outputs)], [y], "ReshapeOptions", newShape=[1, rows, outputs])
    return x, y


def reshape_by_shape(m: Maker):
    """SHAPE, STRIDED_SLICE, PACK, RESHAPE: how files with an open batch size flatten."""
    given = m.quantization()
    x, y = m.value((1, 6, 7, 5), given), m.value((1, 42, 5), given)
    shape, batch, target = (m.file.value(size, np.int32) for size in ((4,), (), (3,)))
    m.file.operator("SHAPE", [x], [shape], "ShapeOptions", outType=2)
    limits = [m.integers(0), m.integers(1), m.integers(1)]
    m.file.operator("STRIDED_SLICE", [shape, *limits], [batch], "StridedSliceOptions", shrinkAxisMask=1)
    sizes = [m.file.constant(np.array(size, np.int32)) for size in (42, 5)]
    m.file.operator("PACK", [batch, *sizes], [target], "PackOptions", valuesCount=3)
    m.file.operator("RESHAPE", [x, target], [y], "ReshapeOptions")
    return x, y


def pad_before_conv(m: Maker):
    """PAD and a VALID convolution with stride 2, as Keras writes it: edgebn makes one convolution of them."""
    given, outputs = m.quantization(), int(m.rng.integers(1, 6))
    x, padded = m.value((1, 8, 8, 3), given), m.value((1, 9, 9, 3), given)
    m.file.operator("PAD", [x, m.file.constant(np.array([[0, 0], [0, 1], [0, 1], [0, 0]], np.int32))], [padded], "PadOptions")
    weight, bias, scale = m.weight((outputs, 3, 3, 3), 0, given[0])
    y = m.value((1, 4, 4, outputs), (scale, m.zero_point()))
    m.file.operator("CONV_2D", [padded, weight, bias], [y], "Conv2DOptions", padding=VALID, strideH=2, strideW=2)
    return x, y


def conv_1d(m: Maker):
    """A 1-D convolution as Keras writes it: EXPAND_DIMS, CONV_2D, SQUEEZE."""
    length, inputs, outputs = m.sizes(4, 9, 3)
    given = m.quantization()
    x, image = m.value((1, length, inputs), given), m.value((1, 1, length, inputs), given)
    m.file.operator("EXPAND_DIMS", [x, m.integers(-3)], [image], "ExpandDimsOptions")
    weight, bias, scale = m.weight((outputs, 1, 3, inputs), 0, given[0])
    output = scale, m.zero_point()
    convolved, y = m.value((1, 1, length, outputs), output), m.value((1, length, outputs), output)
    m.file.operator("CONV_2D", [image, weight, bias], [convolved], "Conv2DOptions", padding=SAME, strideH=1, strideW=1)
    m.file.operator("SQUEEZE", [convolved], [y], "SqueezeOptions", squeezeDims=[-3])
    return x, y


def dilated_by_batches(m: Maker):
    """SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND with block 2: a dilated convolution as older converters write it.

    Not for TensorFlow Lite Micro, which pads int8 values wrongly there (see formats/tflite/dilated.py).
    """
    given, outputs = m.quantization(), int(m.rng.integers(1, 6))
    kind = ("CONV_2D", "DEPTHWISE_CONV_2D")[int(m.rng.integers(2))]
    outputs, shape, axis = (outputs, (outputs, 3, 3, 3), 0) if kind == "CONV_2D" else (3, (1, 3, 3, 3), 3)
    block, pads, crops = np.array([2, 2], np.int32), np.array([[2, 3], [2, 2]], np.int32), np.array([[0, 1], [0, 0]], np.int32)
    x, spread = m.value((1, 7, 8, 3), given), m.value((4, 6, 6, 3), given)
    m.file.operator("SPACE_TO_BATCH_ND", [x, m.file.constant(block), m.file.constant(pads)], [spread], "SpaceToBatchNDOptions")
    weight, bias, scale = m.weight(shape, axis, given[0])
    output = scale, m.zero_point()
    convolved, y = m.value((4, 4, 4, outputs), output), m.value((1, 7, 8, outputs), output)
    name = "Conv2DOptions" if kind == "CONV_2D" else "DepthwiseConv2DOptions"
    settings = {"depthMultiplier": 1} if axis else {}
    m.file.operator(kind, [spread, weight, bias], [convolved], name, padding=VALID, strideH=1, strideW=1, **settings)
    inputs = [convolved, m.file.constant(block), m.file.constant(crops)]
    m.file.operator("BATCH_TO_SPACE_ND", inputs, [y], "BatchToSpaceNDOptions")
    return x, y


def moved(m: Maker):
    """RESHAPE, TRANSPOSE, SLICE, PAD, CONCATENATION and QUANTIZE of up to five axes, one after the other: shuffles and the like."""
    shape = [int(size) for size in m.rng.choice([1, 2, 3, 4, 6], 3)]
    given = m.quantization()
    x = y = m.value((1, *shape), given)
    for _ in range(int(m.rng.integers(2, 7))):
        before, axis = y, int(m.rng.integers(len(shape)))
        kind = str(m.rng.choice(["RESHAPE", "TRANSPOSE", "TRANSPOSE", "SLICE", "PAD", "CONCATENATION", "QUANTIZE"]))
        if kind == "RESHAPE":
            shape = _factors(m, int(np.prod(shape)), int(m.rng.integers(1, 5)))
            y = m.value((1, *shape), given)
            m.file.operator(kind, [before, m.integers(1, *shape)], [y], "ReshapeOptions", newShape=[1, *shape])
        elif kind == "TRANSPOSE":
            order = [int(place) for place in m.rng.permutation(len(shape))]
            shape = [shape[place] for place in order]
            y = m.value((1, *shape), given)
            m.file.operator(kind, [before, m.integers(0, *(1 + place for place in order))], [y], "TransposeOptions")
        elif kind == "SLICE":
            begin = [0] * (len(shape) + 1)
            begin[1 + axis] = int(m.rng.integers(shape[axis]))
            shape[axis] = int(m.rng.integers(1, shape[axis] - begin[1 + axis] + 1))
            y = m.value((1, *shape), given)
            m.file.operator(kind, [before, m.integers(*begin), m.integers(1, *shape)], [y], "SliceOptions")
        elif kind == "PAD" and len(shape) < 4:  # TensorFlow Lite Micro pads up to four axes
            pads = np.zeros((len(shape) + 1, 2), np.int32)
            pads[1 + axis] = m.rng.integers(0, 3, 2)
            shape[axis] += int(pads.sum())
            y = m.value((1, *shape), given)
            m.file.operator(kind, [before, m.file.constant(pads)], [y], "PadOptions")
        elif kind == "CONCATENATION" and np.prod(shape) < 500:
            shape[axis] *= 2
            y = m.value((1, *shape), given)
            m.file.operator(kind, [before, before], [y], "ConcatenationOptions", axis=1 + axis)
        elif kind == "QUANTIZE" and m.integer:
            given = m.quantization()
            y = m.value((1, *shape), given)
            m.file.operator(kind, [before], [y], "QuantizeOptions")
    if y == x or m.rng.random() < 0.5:
        return _dense(m, x, y, shape, given)
    return x, y


def _factors(m: Maker, size: int, count: int) -> list[int]:
    """A random shape of `count` axes with `size` elements."""
    factors = []
    for _ in range(count - 1):
        factors.append(int(m.rng.choice([divisor for divisor in range(1, size + 1) if size % divisor == 0])))
        size //= factors[-1]
    return [int(factor) for factor in m.rng.permutation([*factors, size])]


def _dense(m: Maker, x: int, y: int, shape: list[int], given):
    """Flatten and a dense layer."""
    flat, inputs = m.value((1, int(np.prod(shape))), given), int(np.prod(shape))
    m.file.operator("RESHAPE", [y, m.integers(1, inputs)], [flat], "ReshapeOptions", newShape=[1, inputs])
    weight, bias, scale = m.weight((3, inputs), 0, given[0])
    output = m.value((1, 3), (scale, m.zero_point()))
    m.file.operator("FULLY_CONNECTED", [flat, weight, bias], [output], "FullyConnectedOptions")
    return x, output


def shuffled(m: Maker):
    """A channel shuffle (ShuffleNet), or rows from channels, between two 1 x 1 convolutions."""
    height, width, groups, each = m.sizes(2, 5, 4)
    x = m.value((1, height, width, 3), given := m.quantization())
    y, quantization = _pointwise(m, x, (height, width, 3), groups * each, given)
    parts, order, shape = (height, width, groups, each), (0, 1, 2, 4, 3), (height, width, groups * each)
    if m.rng.random() < 0.5:
        order, shape = (0, 1, 3, 2, 4), (height * groups, width, each)
    split, turned = m.value((1, *parts), quantization), m.value((1, *(parts[axis - 1] for axis in order[1:])), quantization)
    joined = m.value((1, *shape), quantization)
    m.file.operator("RESHAPE", [y, m.integers(1, *parts)], [split], "ReshapeOptions", newShape=[1, *parts])
    m.file.operator("TRANSPOSE", [split, m.integers(*order)], [turned], "TransposeOptions")
    m.file.operator("RESHAPE", [turned, m.integers(1, *shape)], [joined], "ReshapeOptions", newShape=[1, *shape])
    return x, _pointwise(m, joined, shape, 4, quantization)[0]


def _pointwise(m: Maker, x: int, shape: tuple[int, ...], outputs: int, given):
    """A 1 x 1 convolution; returns its output and how that is quantised."""
    weight, bias, scale = m.weight((outputs, 1, 1, shape[2]), 0, given[0])
    quantization = scale, m.zero_point()
    y = m.value((1, *shape[:2], outputs), quantization)
    m.file.operator("CONV_2D", [x, weight, bias], [y], "Conv2DOptions", padding=VALID, strideH=1, strideW=1)
    return y, quantization


def dilated_sequence(m: Maker):
    """A dilated 1-D convolution: the same around an axis that is put in and taken out, as an operator or as a RESHAPE."""
    given, inputs, outputs = m.quantization(), *m.sizes(1, 5)
    taps, rate = int(m.rng.integers(1, 4)), int(m.rng.integers(2, 4))
    causal, upright, reshapes, depthwise = (bool(m.rng.integers(2)) for _ in range(4))
    outputs = inputs if depthwise else outputs
    length = int(m.rng.integers(6, 15))
    reach = rate * (taps - 1)
    kept = length if causal else length - reach
    padded = length + reach * causal
    extra = -padded % rate
    blocks = (padded + extra) // rate
    x, spread = m.value((1, length, inputs), given), m.value((rate, blocks, inputs), given)
    block, pads, crops = (
        m.file.constant(np.array(numbers, np.int32)) for numbers in ([rate], [[reach * causal, extra]], [[0, extra]])
    )
    m.file.operator("SPACE_TO_BATCH_ND", [x, block, pads], [spread], "SpaceToBatchNDOptions")
    around = (lambda size, channels: [rate, size, 1, channels]) if upright else (lambda size, channels: [rate, 1, size, channels])
    image = m.value(around(blocks, inputs), given)
    _put_in(m, spread, image, 2 if upright else 1, reshapes)
    kernel = (taps, 1) if upright else (1, taps)
    shape, axis = ((1, *kernel, inputs), 3) if depthwise else ((outputs, *kernel, inputs), 0)
    weight, bias, scale = m.weight(shape, axis, given[0])
    output = scale, m.zero_point()
    convolved = m.value(around(blocks - taps + 1, outputs), output)
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    settings = {"depthMultiplier": 1} if depthwise else {}
    name = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    settings |= {"padding": VALID, "strideH": 1, "strideW": 1, "fusedActivationFunction": m.fused()}
    m.file.operator(kind, [image, weight, bias], [convolved], name, **settings)
    flat, y = m.value((rate, blocks - taps + 1, outputs), output), m.value((1, kept, outputs), output)
    if reshapes:
        m.file.operator("RESHAPE", [convolved, m.integers(rate, -1, outputs)], [flat], "ReshapeOptions")
    else:
        m.file.operator("SQUEEZE", [convolved], [flat], "SqueezeOptions", squeezeDims=[2 if upright else 1])
    m.file.operator("BATCH_TO_SPACE_ND", [flat, block, crops], [y], "BatchToSpaceNDOptions")
    return x, y


def _put_in(m: Maker, x: int, image: int, axis: int, reshapes: bool) -> None:
    if reshapes:
        m.file.operator("RESHAPE", [x, m.integers(*m.file.tensors[image].shape)], [image], "ReshapeOptions")
    else:
        m.file.operator("EXPAND_DIMS", [x, m.integers(axis)], [image], "ExpandDimsOptions")

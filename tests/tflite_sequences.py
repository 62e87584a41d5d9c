"""Short sequences of operators that converters write for one layer, as random files like those of `tflite_operators.py`."""

from __future__ import annotations

import numpy as np

from tests.tflite_maker import SAME, VALID, Maker


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

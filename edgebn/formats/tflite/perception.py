"""Custom operators of MediaPipe's networks: Convolution2DTransposeBias, MaxPoolingWithArgmax2D and MaxUnpooling2D.

Their options are the C structs of TensorFlow Lite's own layers (tensorflow/lite/c/builtin_op_data.h). LiteRT runs them by XNNPACK
alone, which takes windows that do not overlap and numbers the places of a window column by column.
"""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, inputs_of, only_output
from edgebn.formats.tflite.convolutions import emit_transposed, image
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.layers import ArgExtreme, Constant, Crop, IntegerBinary, Pair, Pool, Reshape, Select, Shape, Transpose

SAME, VALID = 1, 2  # TfLitePadding


def convolution_transpose_bias(reading: Reading, operator: FileOperator) -> None:
    """Convolution2DTransposeBias: TfLiteTransposeConvParams; the image's size stands in the output, or follows as in MediaPipe."""
    x, w, b = inputs_of(operator, 3, 3)
    padding, stride_width, stride_height = operator.custom_words(3)
    strides = (stride_height, stride_width)
    if padding not in (SAME, VALID) or min(strides) < 1:
        raise ModelError(f"its padding {padding} or strides {strides} are none; the file is damaged")
    output, kernel = reading.tensor(only_output(operator)), reading.shape(w)
    if output.is_open:
        size = image(reading, x)[:2]
        full = [(side - 1) * stride + taps for side, stride, taps in zip(size, strides, kernel[1:3], strict=True)]
        cut = [max(0, taps - (side - 1) % stride - 1) for side, stride, taps in zip(size, strides, kernel[1:3], strict=True)]
        wanted: Shape = tuple(whole - (less if padding == SAME else 0) for whole, less in zip(full, cut, strict=True))
    else:
        wanted = output.shape[1:3]
    if len(wanted) != 2:
        raise ModelError(f"its output of shape {output.shape} is no image; the file is damaged")
    emit_transposed(reading, operator, (x, w, b), wanted, strides, padding == SAME)


def _tiles(operator: FileOperator) -> tuple[Pair, int]:
    """Return (height, width) of the windows that TfLitePoolParams says, and the padding."""
    padding, stride_width, stride_height, width, height, fused = operator.custom_words(6)
    kernel, strides = (height, width), (stride_height, stride_width)
    if padding not in (SAME, VALID) or min(*kernel, *strides) < 1 or fused:
        raise ModelError(
            f"its padding {padding}, window {kernel}, strides {strides} or activation {fused} are none; the file is damaged"
        )
    if kernel != strides:
        raise UnsupportedLayerError(
            f"its windows of {kernel} at strides of {strides} overlap or leave gaps; LiteRT does not run it either"
        )
    return kernel, padding


def max_pooling_with_argmax(reading: Reading, operator: FileOperator) -> None:
    """MaxPoolingWithArgmax2D: the pool, and for MaxUnpooling2D where in its window each largest element stands."""
    (x,) = inputs_of(operator, 1, 1)
    if len(operator.outputs) != 2 or min(operator.outputs) < 0:
        raise ModelError(f"it has {len(operator.outputs)} outputs where two should be; the file is damaged")
    height, width, channels = image(reading, x)
    kernel, padding = _tiles(operator)
    high, wide = kernel
    if padding == SAME and (height % high or width % wide):
        raise UnsupportedLayerError(
            f"its windows of {kernel} pad an image of {height} x {width}; use an input size that they divide"
        )
    rows, columns = height // high, width // wide
    value, label = reading.value(x), reading.tensor(operator.outputs[1]).name
    reading.emit(operator, Pool, (value,), output=0, function="max", kernel=kernel, strides=kernel)
    if (rows * high, columns * wide) != (height, width):
        value = reading.step(
            Crop, f"{label}/whole", (value,), None, starts=(0, 0, 0), sizes=(rows * high, columns * wide, channels)
        )
    blocks = reading.step(Reshape, f"{label}/blocks", (value,), None, shape=(rows, high, columns, wide, channels))
    turned = reading.step(Transpose, f"{label}/turned", (blocks,), None, permutation=(0, 2, 3, 1, 4))
    lists = reading.step(Reshape, f"{label}/lists", (turned,), None, shape=(rows, columns, high * wide, channels))
    places = reading.step(ArgExtreme, f"{label}/places", (lists,), None, function="max", axis=2)
    reading.places[operator.outputs[1]] = places


def max_unpooling(reading: Reading, operator: FileOperator) -> None:
    """MaxUnpooling2D: each element at its place in a window of zeros."""
    x, p = inputs_of(operator, 2, 2)
    (high, wide), _ = _tiles(operator)
    rows, columns, channels = image(reading, x)
    if p not in reading.places:
        raise UnsupportedLayerError("its places are made by another operator than MaxPoolingWithArgmax2D; edgebn takes these only")
    label = reading.tensor(only_output(operator)).name
    numbers = np.arange(high * wide, dtype=np.int32)[:, None]
    numbers_value = reading.step(Constant, f"{label}/numbers", (), None, value=numbers)
    found = reading.step(IntegerBinary, f"{label}/found", (reading.places[p], numbers_value), None, function="equal")
    value = reading.step(Reshape, f"{label}/lists", (reading.value(x),), None, shape=(rows, columns, 1, channels))
    zero = reading.step(Constant, f"{label}/zero", (), None, value=np.zeros(1, np.float32))
    chosen = reading.step(Select, f"{label}/chosen", (found, value, zero), None)
    blocks = reading.step(Reshape, f"{label}/blocks", (chosen,), None, shape=(rows, columns, wide, high, channels))
    turned = reading.step(Transpose, f"{label}/turned", (blocks,), None, permutation=(0, 3, 1, 2, 4))
    shape = (rows * high, columns * wide, channels)
    reading.emit(operator, Reshape, (turned,), full=(1, *shape), shape=shape)

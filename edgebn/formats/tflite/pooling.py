"""MAX_POOL_2D, AVERAGE_POOL_2D, reductions and the two RESIZE operators."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite import whole_numbers
from edgebn.formats.tflite.context import Reading, inputs_of, only_output, without_batch
from edgebn.formats.tflite.convolutions import image, padding_of
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.formats.tflite.selecting import picked_resize
from edgebn.layers import MAX_EXTENT, Pool, Reduce, Reshape, Resize


def _pool(reading: Reading, operator: FileOperator, function: str) -> None:
    (x,) = inputs_of(operator, 1, 1)
    options = operator.options("Pool2DOptions")
    height, width, _ = image(reading, x)
    kernel = (options.filter_height, options.filter_width)
    strides = (options.stride_h, options.stride_w)
    reading.emit(
        operator,
        Pool,
        (reading.value(x),),
        options.fused_activation_function,
        function=function,
        kernel=kernel,
        strides=strides,
        padding=padding_of(options, (height, width), kernel, strides, (1, 1)),
    )


def max_pool_2d(reading: Reading, operator: FileOperator) -> None:
    """MAX_POOL_2D."""
    _pool(reading, operator, "max")


def average_pool_2d(reading: Reading, operator: FileOperator) -> None:
    """AVERAGE_POOL_2D: padding is not counted."""
    _pool(reading, operator, "average")


def _reduce(reading: Reading, operator: FileOperator, function: str) -> None:
    x, a = inputs_of(operator, 2, 2)
    if reading.is_integer(x):
        whole_numbers.reduced(reading, operator, function)
        return
    options = operator.options("ReducerOptions")
    shape, keep = reading.shape(x), bool(options.keep_dims)
    named = [int(axis) for axis in reading.integers(a).reshape(-1)]
    if any(not -len(shape) <= axis < len(shape) for axis in named):
        raise ModelError(f"its axes {named} are outside a value of {len(shape)} axes; the file is damaged")
    axes = {axis % len(shape) for axis in named}
    batch = int(reading.has_batch(x))  # of size 1, so that reducing it is nothing but its going
    own = tuple(sorted(axis - batch for axis in axes if axis >= batch))
    if not batch or keep or 0 not in axes:
        reading.emit(operator, Reduce, (reading.value(x),), function=function, axes=own, keepdims=keep)
        return
    full = tuple(size for axis, size in enumerate(shape) if axis not in axes)
    label = reading.tensor(only_output(operator)).name
    settings = {"function": function, "axes": own, "keepdims": True}
    quantization = reading.quantization(only_output(operator))
    reduced = reading.step(Reduce, f"{label}/reduced", (reading.value(x),), quantization, **settings)
    reading.emit(operator, Reshape, (reduced,), full=full, shape=without_batch(full))


def mean(reading: Reading, operator: FileOperator) -> None:
    """MEAN over any axes but the batch's."""
    _reduce(reading, operator, "mean")


def reduce_max(reading: Reading, operator: FileOperator) -> None:
    """REDUCE_MAX over any axes but the batch's."""
    _reduce(reading, operator, "max")


def sum_(reading: Reading, operator: FileOperator) -> None:
    """SUM over any axes but the batch's."""
    _reduce(reading, operator, "sum")


def reduce_min(reading: Reading, operator: FileOperator) -> None:
    """REDUCE_MIN over any axes but the batch's."""
    _reduce(reading, operator, "min")


def resize_nearest(reading: Reading, operator: FileOperator) -> None:
    """RESIZE_NEAREST_NEIGHBOR.

    With half-pixel centres the source is floor((i + 1/2) * ratio), which is (i + 1/2) * ratio - 1/2 rounded half up.
    """
    options = operator.options("ResizeNearestNeighborOptions")
    align, half = options.align_corners, options.half_pixel_centers
    if align and half:  # which no resampling of other formats is
        picked_resize(reading, operator)
        return
    _resize(reading, operator, "nearest", align, half, "round_prefer_ceil" if align or half else "floor")


def resize_bilinear(reading: Reading, operator: FileOperator) -> None:
    """RESIZE_BILINEAR."""
    options = operator.options("ResizeBilinearOptions")
    _resize(reading, operator, "bilinear", options.align_corners, options.half_pixel_centers, "floor")


def _resize(reading: Reading, operator: FileOperator, function: str, align: bool, half: bool, rounding: str) -> None:
    x, s = inputs_of(operator, 2, 2)
    height, width, _ = image(reading, x)
    size = reading.integers(s).reshape(-1)
    if size.shape != (2,) or not ((size > 0) & (size <= MAX_EXTENT)).all():
        raise ModelError(f"its output size {tuple(size)} is not two positive numbers; the file is damaged")
    if align and half:
        raise UnsupportedLayerError("it asks for aligned corners and half-pixel centres at once; choose one")
    out = (int(size[0]), int(size[1]))
    reading.emit(
        operator,
        Resize,
        (reading.value(x),),
        function=function,
        size=out,
        ratio=(height / np.float64(out[0]), width / np.float64(out[1])),
        coordinates="align_corners" if align else "half_pixel" if half else "asymmetric",
        rounding=rounding,
    )

"""Resize and Upsample over spatial axes: nearest, linear and cubic, in the float32 arithmetic of onnxruntime.

ONNX leaves the arithmetic open, and its own shape inference works in float64; sizes and pixels follow onnxruntime, with which
PyTorch's exporters agree: 5 rows by 1.8 are 9, not 8.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import MAX_EXTENT, Resize

COORDINATES = (
    "asymmetric",
    "half_pixel",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
    "align_corners",
    "tf_half_pixel_for_nn",
)
FUNCTIONS = {
    "nearest": "nearest",
    "linear": "bilinear",
    "bilinear": "bilinear",
    "cubic": "cubic",
}  # some exporters' opset 7 says bilinear
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


class Length(NamedTuple):
    """Output size of an axis, and how much larger than the input it is said to be."""

    size: int
    scale: np.float32 = np.float32(1)


def upsample(node: Node, context: Context) -> Dynamic:
    """Upsample (opset 9, and 7 with its attribute): asymmetric coordinates."""
    return _before_11(node, context, node.attributes.get("scales") if node.opset < 9 else _reals(node, 1))


def _before_11(node: Node, context: Context, scales: list[float] | None) -> Dynamic:
    x = node.dynamic(0)
    return _resize(node, context, x, _scaled(node, x, scales), "asymmetric", "ceil_when_smaller")


def resize(node: Node, context: Context) -> Dynamic:
    """Resize (opset 10 on)."""
    if node.opset < 11:
        return _before_11(node, context, _reals(node, 1))
    x = node.dynamic(0)
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    if coordinates not in COORDINATES:
        raise node.refuse(f"its coordinates are '{coordinates}'; edgebn resamples with {', '.join(COORDINATES)}")
    if node.integer("antialias", 0):
        raise node.refuse("it filters against aliasing (antialias=1); edgebn resamples without")
    rounding = node.text("nearest_mode", "round_prefer_floor")
    if rounding not in ROUNDINGS:
        raise node.damaged(f"its nearest_mode '{rounding}' is not one that ONNX defines")
    scales = _reals(node, 2)
    lengths = _scaled(node, x, scales) if scales else _sized(node, x)
    return _resize(node, context, x, lengths, coordinates, rounding)


def _reals(node: Node, index: int) -> list[float] | None:
    array = node.optional_static(index, "scales")
    return None if array is None or array.size == 0 else [float(number) for number in array.ravel()]


def _axes(node: Node, rank: int) -> tuple[int, ...]:
    axes = node.integers("axes")
    if axes is None:
        return tuple(range(rank))
    if any(not -rank <= axis < rank for axis in axes):
        raise node.damaged(f"its axes {axes} are outside a value of {rank} axes")
    return tuple(axis % rank for axis in axes)


def _scaled(node: Node, x: Dynamic, scales: list[float] | None) -> list[Length]:
    """Return the lengths of all axes from scales."""
    axes = _axes(node, len(x.shape))
    if scales is None or len(scales) != len(axes):
        raise node.damaged(f"its scales {scales} do not fit an input of shape {x.shape}")
    result = [Length(size) for size in x.shape]
    for axis, factor in zip(axes, scales, strict=True):
        scale = np.float32(factor)
        if not 0 < scale <= MAX_EXTENT:
            raise node.damaged(f"its scale {scale} is not a positive number")
        result[axis] = Length(int(scale * np.float32(x.shape[axis])), scale)
    return result


def _sized(node: Node, x: Dynamic) -> list[Length]:
    """Return the lengths of all axes from sizes, the aspect ratio kept where asked."""
    axes = _axes(node, len(x.shape))
    sizes = node.static_ints(3, "sizes")
    if sizes is None or len(sizes) != len(axes) or not 1 <= min(sizes) <= max(sizes) <= MAX_EXTENT:
        raise node.damaged(f"its sizes {sizes} do not fit an input of shape {x.shape}")
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy not in ("stretch", "not_larger", "not_smaller"):
        raise node.damaged(f"its keep_aspect_ratio_policy '{policy}' is not one that ONNX defines")
    result = [Length(size) for size in x.shape]
    for axis, size in zip(axes, sizes, strict=True):
        result[axis] = Length(size, np.float32(size) / np.float32(x.shape[axis]))
    if policy != "stretch":
        scale = (min if policy == "not_larger" else max)(result[axis].scale for axis in axes)
        for axis in axes:  # half a pixel is rounded up
            result[axis] = Length(int(np.floor(np.float64(scale * np.float32(x.shape[axis])) + 0.5)), scale)
    return result


def _resize(node: Node, context: Context, x: Dynamic, lengths: list[Length], coordinates: str, rounding: str) -> Dynamic:
    mode = node.text("mode", "nearest")
    if mode not in FUNCTIONS:
        raise node.damaged(f"its mode '{mode}' is not one that ONNX defines")
    if all(length.size == size for length, size in zip(lengths, x.shape, strict=True)):
        lengths = [Length(size) for size in x.shape]  # the same elements, whatever the scales and coordinates are
    if len(x.shape) not in (3, 4):
        raise node.refuse("edgebn resamples one or two spatial axes of a batch of images")
    if any(lengths[axis] != Length(x.shape[axis]) for axis in (0, 1)):
        raise node.refuse("it resamples the batch or the channels; edgebn resamples spatial axes")
    height, width = lengths[2:] if len(lengths) == 4 else (Length(1), lengths[2])
    if any(not 1 <= length.size <= MAX_EXTENT for length in (height, width)):
        raise node.damaged(f"its output sizes {(height.size, width.size)} are empty or absurd")
    fields: dict[str, Any] = {
        "function": FUNCTIONS[mode],
        "size": (height.size, width.size),
        "ratio": (1 / float(height.scale), 1 / float(width.scale)),
        "coordinates": coordinates,
        "rounding": rounding,
        "arithmetic": "onnxruntime",
        "truncation_offset": None if x.quantization is None else x.shift,
        "channels_first": True,
    }

    if mode == "cubic":  # may leave the range of its input: of codes it makes real numbers
        x = node.real(0)
        fields["cubic"] = node.number("cubic_coeff_a", -0.75), bool(node.integer("exclude_outside", 0))

    def build(image: Dynamic, part: str, copies: int) -> Dynamic:  # noqa: ARG001  # channels do not meet
        append = context.emit if mode == "cubic" else context.moved
        return append(node, Resize, image, part=part, **fields)

    return context.on_images(node, x, build)

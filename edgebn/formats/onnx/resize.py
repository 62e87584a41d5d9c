"""Resize and Upsample over spatial axes: nearest and linear."""

from __future__ import annotations

import math

from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import MAX_EXTENT, Resize

COORDINATES = ("asymmetric", "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners")


def upsample(node: Node, context: Context) -> Dynamic:
    """Upsample (opset 9, and 7 with its attribute): asymmetric coordinates."""
    scales = node.attributes.get("scales") if node.opset < 9 else _reals(node, 1)
    return _resize(node, context, node.dynamic(0), _scaled(node, node.dynamic(0), scales), "asymmetric", "floor")


def resize(node: Node, context: Context) -> Dynamic:
    """Resize (opset 10 on)."""
    x = node.dynamic(0)
    if node.opset < 11:
        return _resize(node, context, x, _scaled(node, x, _reals(node, 1)), "asymmetric", "floor")
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    if coordinates not in COORDINATES:
        raise node.refuse(f"its coordinates are '{coordinates}'; edgebn resamples with {', '.join(COORDINATES)}")
    if node.integer("antialias", 0):
        raise node.refuse("it filters against aliasing (antialias=1); edgebn resamples without")
    scales = _reals(node, 2)
    lengths = _scaled(node, x, scales) if scales else _sized(node, x)
    return _resize(node, context, x, lengths, coordinates, node.text("nearest_mode", "round_prefer_floor"))


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


def _scaled(node: Node, x: Dynamic, scales: list[float] | None) -> list[tuple[int, float]]:
    """Return (output size, input per output) of every axis from scales."""
    axes = _axes(node, len(x.shape))
    if scales is None or len(scales) != len(axes):
        raise node.damaged(f"its scales {scales} do not fit an input of shape {x.shape}")
    result = [(length, 1.0) for length in x.shape]
    for axis, scale in zip(axes, scales, strict=True):
        if not (math.isfinite(scale) and 0 < scale <= MAX_EXTENT):
            raise node.damaged(f"its scale {scale} is not a positive number")
        result[axis] = (math.floor(x.shape[axis] * scale), 1.0 / scale)
    return result


def _sized(node: Node, x: Dynamic) -> list[tuple[int, float]]:
    """Return (output size, input per output) of every axis from sizes, the aspect ratio kept where asked."""
    axes = _axes(node, len(x.shape))
    sizes = node.static_ints(3, "sizes")
    if sizes is None or len(sizes) != len(axes) or min(sizes) < 1:
        raise node.damaged(f"its sizes {sizes} do not fit an input of shape {x.shape}")
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    wanted = {axis: size / x.shape[axis] for axis, size in zip(axes, sizes, strict=True)}
    result = [(length, 1.0) for length in x.shape]
    if policy == "stretch":
        for axis, size in zip(axes, sizes, strict=True):
            result[axis] = (size, x.shape[axis] / size)
        return result
    if policy not in ("not_larger", "not_smaller"):
        raise node.damaged(f"its keep_aspect_ratio_policy '{policy}' is not one that ONNX defines")
    scale = min(wanted.values()) if policy == "not_larger" else max(wanted.values())
    for axis in axes:
        result[axis] = (math.floor(x.shape[axis] * scale + 0.5), 1.0 / scale)
    return result


def _resize(node: Node, context: Context, x: Dynamic, lengths: list[tuple[int, float]], coordinates: str, rounding: str) -> Dynamic:
    mode = node.text("mode", "nearest")
    function = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear"}.get(mode)
    if function is None:
        raise node.refuse(f"its mode is '{mode}'; edgebn resamples nearest and linear")
    if context.batch is None or len(x.shape) not in (3, 4):
        raise node.refuse("edgebn resamples one or two spatial axes of a batch of images")
    if any(lengths[axis] != (x.shape[axis], 1.0) for axis in (0, 1)):
        raise node.refuse("it resamples the batch or the channels; edgebn resamples spatial axes")
    spatial = lengths[2:] if len(lengths) == 4 else [(1, 1.0), lengths[2]]
    if any(not 1 <= size <= MAX_EXTENT for size, _ in spatial):
        raise node.damaged(f"its output sizes {[size for size, _ in spatial]} are empty or absurd")
    if rounding not in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        raise node.damaged(f"its nearest_mode '{rounding}' is not one that ONNX defines")
    return context.emit_same_codes(
        node,
        Resize,
        x,
        function=function,
        size=(spatial[0][0], spatial[1][0]),
        ratio=(spatial[0][1], spatial[1][1]),
        coordinates=coordinates,
        rounding=rounding,
        channels_first=True,
    )

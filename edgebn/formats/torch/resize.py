"""Upsampling: nearest, nearest-exact, (bi)linear and bicubic, by a size or by factors, in PyTorch's float32 arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from edgebn.formats.torch import windows
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import MAX_EXTENT, Resize

# PyTorch takes one of two kernels for the nearest pixels of images. That for outputs whose height and width add up to at most this
# copies pixels where an axis keeps or doubles its length, whatever factor led there; the other and that for sequences do not.
SMALL_IMAGE = 128

Reader = Callable[[Node, Context], Dynamic]


def nearest(coordinates: str, rounding: str) -> Reader:
    """Return the reader of a nearest-neighbour upsampling."""

    def read(node: Node, context: Context) -> Dynamic:
        return _resize(node, context, function="nearest", coordinates=coordinates, rounding=rounding)

    return read


upsample_nearest = nearest("asymmetric", "floor")
upsample_nearest_exact = nearest("tf_half_pixel_for_nn", "floor")


def upsample_linear(node: Node, context: Context) -> Dynamic:
    """upsample_linear1d and upsample_bilinear2d."""
    aligned = node.flag("align_corners", default=False)
    return _resize(node, context, function="bilinear", coordinates="align_corners" if aligned else "half_pixel", rounding="floor")


def upsample_bicubic(node: Node, context: Context) -> Dynamic:
    """upsample_bicubic2d."""
    aligned = node.flag("align_corners", default=False)
    return _resize(node, context, function="cubic", coordinates="align_corners" if aligned else "half_pixel", rounding="floor")


def _resize(node: Node, context: Context, *, function: str, coordinates: str, rounding: str) -> Dynamic:
    x = node.dynamic("self" if node.has("self") else "input")
    sizes = windows.spatial(node, x)
    factors = _factors(node, len(sizes))
    targets = node.integers("output_size")
    if targets is None:
        targets = tuple(math.floor(size * (factor or 1.0)) for size, factor in zip(sizes, factors, strict=True))
    if len(targets) != len(sizes) or any(not 1 <= target <= MAX_EXTENT for target in targets):
        raise node.damaged(f"its output sizes {targets} do not fit an input of shape {x.shape}")
    if function != "nearest":  # pixels are copied where an axis keeps its length, whatever factor led there
        copies: tuple[int, ...] = (1,)
    else:
        copies = (1, 2) if coordinates == "asymmetric" and len(sizes) == 2 and sum(targets) <= SMALL_IMAGE else ()
    ratios = tuple(
        1.0 / factor if factor and not any(target == times * size for times in copies) else size / target
        for size, target, factor in zip(sizes, targets, factors, strict=True)
    )
    fields: dict[str, Any] = {
        "function": function,
        "size": (1, *targets)[-2:],
        "ratio": (1.0, *ratios)[-2:],
        "coordinates": coordinates,
        "rounding": rounding,
        "arithmetic": "pytorch",
        "channels_first": True,
    }

    def build(image: Dynamic, part: str, copies: int) -> Dynamic:  # noqa: ARG001  # channels do not meet
        return context.emit(node, Resize, image, part=part, **fields)

    return context.on_images(node, x, build)


def _factors(node: Node, count: int) -> list[float | None]:
    """Return the factor of each axis where the program gives one: as a list, or as scales_h and scales_w."""
    factors = node.arguments.get("scale_factors")
    if factors is None:
        names = ("scales",) if count == 1 else ("scales_h", "scales_w")
        factors = [node.number(name) if node.has(name) else None for name in names]
    if not isinstance(factors, list) or len(factors) != count:
        raise node.damaged(f"its scale factors {factors!r} do not fit {count} axes")
    for factor in factors:
        if factor is not None and not (isinstance(factor, int | float) and 0 < factor <= MAX_EXTENT):
            raise node.damaged(f"its scale factor {factor!r} is not a positive number")
    return [None if factor is None else float(factor) for factor in factors]

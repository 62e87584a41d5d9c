"""GridSample: pixels of an image at places that the network computes, as gathers, weights and sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.computed_indices import ALONE
from edgebn.formats.onnx import weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.layers import Activation, Add, Binary, Cast, Crop, GatherND, Layer, Multiply, Reshape, Transpose

MAX_PIXELS = 1 << 24  # which float32 still counts one by one


@dataclass(frozen=True)
class _Making:
    """One node while it becomes layers, each named after what it makes."""

    node: Node
    context: Context
    place: Place

    def layer(self, kind: type[Layer], part: str, *values: Dynamic, whole: bool = False, **fields: Any) -> Dynamic:
        return self.context.emit(self.node, kind, *values, part=part, place=self.place, whole=whole, **fields)

    def clip(self, part: str, value: Dynamic, low: float, high: float) -> Dynamic:
        return self.layer(Activation, part, value, function="clip", low=low, high=high)

    def number(self, part: str, value: float) -> Dynamic:
        return self.context.array(self.node, np.full((1, 1), value, np.float32), part)

    def scaled(self, part: str, value: Dynamic, factor: float, offset: float) -> Dynamic:
        product = self.layer(Multiply, f"{part}/times", value, self.number(f"{part}/factor", factor))
        return self.layer(Add, part, product, self.number(f"{part}/offset", offset))


def grid_sample(node: Node, context: Context) -> Dynamic:
    """GridSample, nearest or bilinear, with zeros or the nearest pixel outside."""
    x, value = node.real(0), node.value(1)
    grid = weights.real_array(node, value.array, "grid") if isinstance(value, Static) else node.real(1)
    mode, outside = node.text("mode", "bilinear"), node.text("padding_mode", "zeros")
    if len(x.shape) != 4 or len(grid.shape) != 4 or grid.shape[3] != 2 or x.shape[0] != grid.shape[0]:
        raise node.refuse(f"it samples a value of shape {x.shape} at places of shape {grid.shape}; edgebn samples images")
    if mode not in ("bilinear", "linear", "nearest") or outside not in ("zeros", "border"):
        raise node.refuse(
            f"it samples with the mode {mode} and {outside} outside; edgebn has bilinear and nearest, zeros and border"
        )
    place = Place() if x.place.leading and (isinstance(grid, np.ndarray) or grid.place.leading) else ALONE
    if not place.leading:
        if not context.batch.single:
            raise context.apart(node, "it samples along the batch axis")
        x = context.spread(node, x)
        grid = grid if isinstance(grid, np.ndarray) else context.spread(node, grid)
    images = 1 if place.leading else x.shape[0]
    channels, height, width = x.shape[1:]
    rows, columns = grid.shape[1:3]
    if images * height * width >= MAX_PIXELS:
        raise node.refuse(f"it samples {images} images of {height} x {width}, more pixels than edgebn counts")
    make, count = _Making(node, context, place), images * rows * columns
    flat = make.layer(Reshape, "flat", x, shape=(images, channels, height * width))
    turned = make.layer(Transpose, "pixels", flat, permutation=(0, 2, 1))
    pixels = make.layer(Reshape, "rows", turned, shape=(images * height * width, channels))
    if isinstance(grid, np.ndarray):
        if place.leading and (grid != grid[:1]).any():
            raise context.apart(node, "its constant places differ along the batch axis")
        places = context.array(node, grid[:images].reshape(count, 2), "places")
    else:
        places = make.layer(Reshape, "places", grid, shape=(count, 2))
    first = np.repeat(np.arange(images, dtype=np.float32) * height * width, rows * columns)[:, None]
    begins = context.array(node, first, "begins")
    aligned = bool(node.integer("align_corners", 0))
    sides = []
    for axis, (name, size) in enumerate((("x", width), ("y", height))):
        told = make.layer(Crop, f"{name}/told", places, starts=(0, axis), sizes=(count, 1))
        at = make.scaled(f"{name}/at", told, (size - aligned) / 2, (size - 1) / 2)
        if outside == "border":
            at = make.clip(f"{name}/clipped", at, 0, size - 1)
        sides.append(_corners(make, name, at, size, nearest=mode == "nearest"))
    parts = []
    for x_corner, (x_index, x_weight) in enumerate(sides[0]):
        for y_corner, (y_index, y_weight) in enumerate(sides[1]):
            name = f"corner{y_corner}{x_corner}"
            row = make.layer(Multiply, f"{name}/row", y_index, make.number(f"{name}/width", width))
            inside = make.layer(Add, f"{name}/inside", row, x_index)
            index = make.layer(Cast, f"{name}/index", make.layer(Add, f"{name}/real", inside, begins), whole=True, to="int32")
            picked = make.layer(GatherND, f"{name}/picked", pixels, index)
            weight = make.layer(Multiply, f"{name}/weight", x_weight, y_weight)
            parts.append(make.layer(Multiply, f"{name}/part", picked, weight))
    total = parts[0]
    for number, part in enumerate(parts[1:], 1):
        total = make.layer(Add, f"sum{number}", total, part)
    apart = make.layer(Reshape, "apart", total, shape=(images, rows * columns, channels))
    back = make.layer(Transpose, "back", apart, permutation=(0, 2, 1))
    return context.reshape(node, back, (grid.shape[0], channels, rows, columns), axis=place.axis)


def _corners(make: _Making, name: str, at: Dynamic, size: int, *, nearest: bool) -> list[tuple[Dynamic, Dynamic]]:
    """Return the indices beside a place along one axis, held inside, and their weights: 0 for those that are outside."""
    corners: list[tuple[Dynamic, Dynamic | None]]
    if nearest:
        corners = [(make.layer(Activation, f"{name}/nearest", at, function="round"), None)]
    else:
        low = make.layer(Activation, f"{name}/low", at, function="floor")
        share = make.layer(Binary, f"{name}/share", at, low, function="subtract")
        rest = make.scaled(f"{name}/rest", share, -1.0, 1.0)
        corners = [(low, rest), (make.layer(Add, f"{name}/high", low, make.number(f"{name}/one", 1.0)), share)]
    found = []
    for number, (index, weight) in enumerate(corners):
        label = f"{name}{number}"
        above = make.layer(Add, f"{label}/above", index, make.number(f"{label}/one", 1.0))  # 1 or more from the first pixel on
        below = make.scaled(f"{label}/below", index, -1.0, size)  # 1 or more up to the last
        nearer = make.layer(Binary, f"{label}/nearer", above, below, function="minimum")
        holds = make.clip(f"{label}/holds", nearer, 0, 1)
        weight = holds if weight is None else make.layer(Multiply, f"{label}/weight", weight, holds)
        found.append((make.clip(f"{label}/held", index, 0, size - 1), weight))
    return found

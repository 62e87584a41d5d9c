"""Picking by indices that the network computes, said alike for ONNX and PyTorch. Knows neither format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.graph import Shape
from edgebn.layers import GatherND, IntegerBinary, Reshape, Transpose

ALONE = Place(None, 0)  # of a value all of whose axes are the sample's


def along_axis(
    node: Any,
    context: Any,
    x: Any,
    axis: int,
    rows: Any,
    shape: Shape,
    finish: Callable[[Any], Any] = lambda picked: picked,
) -> Any:
    """Append what picks parts of a value without a batch along an axis; their own axes, `shape`, take its place.

    `rows` are the indices as a column (n, 1); `finish` gets the parts (n, elements) and returns others.
    """
    before = int(np.prod(x.shape[:axis], dtype=np.int64))
    behind = int(np.prod(x.shape[axis + 1 :], dtype=np.int64))
    count = int(np.prod(shape, dtype=np.int64))
    flat = context.moved(node, Reshape, x, part="flat", place=ALONE, shape=(before, x.shape[axis], behind))
    first = context.moved(node, Transpose, flat, part="first", place=ALONE, permutation=(1, 0, 2))
    picked = finish(context.moved(node, GatherND, first, rows, part="parts", place=ALONE))
    apart = context.moved(node, Reshape, picked, part="apart", place=ALONE, shape=(count, before, behind))
    back = context.moved(node, Transpose, apart, part="back", place=ALONE, permutation=(1, 0, 2))
    return context.reshape(node, back, (*x.shape[:axis], *shape, *x.shape[axis + 1 :]))


def constant_indices(node: Any, context: Any, x: Any, array: np.ndarray) -> np.ndarray:
    """Return the constant indices of `by_element` as those of one sample.

    Raises
    ------
    UnsupportedLayerError
        They differ from sample to sample, or are of the first ones alone in a network of any number of samples.
    """
    at, batch = x.place.axis, context.batch
    if not batch.single and at is not None and array.ndim == len(x.shape) and (batch.size == 1 or array.shape[at] != x.shape[at]):
        raise context.apart(node, f"its indices of shape {array.shape} are not of every sample")
    return np.asarray(context.share(node, array, len(x.shape), x.place), np.int32)


def by_element(node: Any, context: Any, x: Any, axis: int, indices: Any) -> Any:
    """Append what picks, for each element of `indices`, the element of `x` at its own place but with that index along an axis."""
    if len(indices.shape) != len(x.shape) or any(
        wanted > length for place, (wanted, length) in enumerate(zip(indices.shape, x.shape, strict=True)) if place != axis
    ):
        raise node.damaged(f"its indices of shape {indices.shape} do not fit a value of shape {x.shape}")
    wanted, place = indices.shape, Place()
    if axis == x.place.axis or not (x.place.leading and indices.place.leading):
        if not context.batch.single:
            raise context.apart(node, "it picks along the batch axis")
        x, indices, place = context.spread(node, x), context.spread(node, indices), ALONE
    shape, own = (context.batch.sample(value.shape, place) for value in (indices, x))
    axis -= place.leading
    strides = [int(np.prod(own[at + 1 :], dtype=np.int64)) for at in range(len(own))]
    offsets = sum(along * stride * (at != axis) for at, (along, stride) in enumerate(zip(np.indices(shape), strides, strict=True)))
    if int(np.prod(own, dtype=np.int64)) > np.iinfo(np.int32).max:
        raise node.refuse(f"it picks of a value of shape {x.shape}; edgebn counts up to 2^31 elements")
    stride, base = (
        context.array(node, np.asarray(array, np.int32), part) for array, part in ((strides[axis], "stride"), (offsets, "offsets"))
    )
    steps = context.whole_numbers(node, IntegerBinary, indices, stride, part="steps", place=place, function="multiply")
    places = context.whole_numbers(node, IntegerBinary, steps, base, part="places", place=place, function="add")
    count = int(np.prod(shape, dtype=np.int64))
    rows = context.moved(node, Reshape, places, part="rows", place=place, shape=(count, 1))
    flat = context.moved(node, Reshape, x, part="flat", place=place, shape=(int(np.prod(own, dtype=np.int64)),))
    picked = context.moved(node, GatherND, flat, rows, part="parts", place=place)
    return context.reshape(node, picked, wanted, axis=place.axis)

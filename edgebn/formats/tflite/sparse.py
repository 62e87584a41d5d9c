"""Constants that a TensorFlow Lite file stores sparse, made dense as they are read. Knows the format's levels, no operator."""

from __future__ import annotations

import math

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.tables import Table

DENSE, SPARSE_CSR = 0, 1
_VECTORS = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}


def densified(sparsity: Table, shape: tuple[int, ...], data: np.ndarray, limit: int) -> np.ndarray:
    """Return the bytes of the dense array, zeros where the file stores nothing.

    Each level of the traversal order holds one axis: a dense one all its indices, a compressed one, for the p-th place of those
    before it, indices segments[p] to segments[p + 1].

    Parameters
    ----------
    sparsity : Table of SparsityParameters
    shape : tuple of int
        Of the dense array.
    data : ndarray of uint8
        The numbers that are stored, in the order of traversal.
    limit : int
        The most elements that the array may have.

    Raises
    ------
    ModelError
        The levels do not fit the shape, each other or the data.
    UnsupportedLayerError
        The array is stored in blocks.
    """
    rank = len(shape)
    if len(sparsity.block_map):
        raise UnsupportedLayerError("it is stored in sparse blocks; convert the model without sparsity")
    order = sparsity.traversal_order[: rank + 1].tolist()
    if sorted(order) != list(range(rank)) or len(sparsity.dim_metadata) != rank or min(shape, default=1) < 1:
        raise ModelError("its sparse levels do not fit its shape; the file is damaged")
    if math.prod(shape) > limit:
        raise ModelError(f"its shape {shape} is too large; the file is damaged")
    strides = [math.prod(shape[axis + 1 :]) for axis in range(rank)]
    places = np.zeros(1, np.int64)  # in the dense array, of what the levels so far hold
    for level, axis in enumerate(order):
        metadata = sparsity.dim_metadata[level]
        if metadata.format == DENSE:
            if metadata.dense_size != shape[axis]:
                raise ModelError("its sparse levels do not fit its shape; the file is damaged")
            places = (places[:, None] + np.arange(shape[axis]) * strides[axis]).reshape(-1)
            continue
        segments = _vector(metadata.array_segments_type, metadata.array_segments)
        indices = _vector(metadata.array_indices_type, metadata.array_indices)
        counts = np.diff(segments).astype(np.intp)
        if len(segments) != len(places) + 1 or segments[0] != 0 or (counts < 0).any() or segments[-1] != len(indices):
            raise ModelError("its sparse segments do not fit together; the file is damaged")
        if ((indices < 0) | (indices >= shape[axis])).any():
            raise ModelError("its sparse indices are outside its shape; the file is damaged")
        places = np.repeat(places, counts) + indices * strides[axis]
    if len(places) == 0 or len(data) % len(places):
        raise ModelError(f"it stores {len(data)} bytes for {len(places)} numbers; the file is damaged")
    size = len(data) // len(places)
    dense = np.zeros((math.prod(shape), size), np.uint8)
    dense[places] = data.reshape(-1, size)
    return dense.reshape(-1)


def _vector(kind: int, table: Table | None) -> np.ndarray:
    """Return a vector of whichever integer type, int64."""
    if kind not in _VECTORS or table is None:
        raise ModelError("its sparse levels are absent; the file is damaged")
    values: np.ndarray = table.read_as(_VECTORS[kind]).values
    return values.astype(np.int64)

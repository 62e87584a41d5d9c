"""Operators that pick, copy and order elements, as random files like those of `tflite_operators.py`."""

from __future__ import annotations

import numpy as np

from tests.formats.tflite.tflite_maker import Maker

SHAPE = (1, 6, 7, 5)


def strided_steps(m: Maker):
    """Slices with steps, also negative, some to the end, and an axis that shrinks."""
    axis_mask = int(m.rng.integers(0, 16)) & 0b1110
    steps = [1, *(int(step) for step in m.rng.choice([-3, -2, -1, 1, 2, 3], 3))]
    limits = [(0, 1), *((0, size) if step > 0 else (size - 1, -size - 1) for size, step in zip(SHAPE[1:], steps[1:], strict=True))]
    shrunk = int(m.rng.choice([0, 2, 4, 8]))
    axis_mask &= ~shrunk  # what both mean at once, LiteRT and TensorFlow Lite Micro see differently
    begins, ends = [pair[0] for pair in limits], [pair[1] for pair in limits]
    index = [slice(begin, None if end < 0 else end, step) for (begin, end), step in zip(limits, steps, strict=True)]
    if shrunk:
        place = shrunk.bit_length() - 1
        begins[place] = int(m.rng.integers(-SHAPE[place], SHAPE[place]))
        index[place], steps[place] = begins[place], 1
    shape = np.empty(SHAPE)[tuple(index)].shape
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value(shape, given)
    inputs = [x, m.integers(*begins), m.integers(*ends), m.integers(*steps)]
    masks = {"beginMask": axis_mask, "endMask": axis_mask, "shrinkAxisMask": shrunk}
    m.file.operator("STRIDED_SLICE", inputs, [y], "StridedSliceOptions", **masks)
    return x, y


def split(m: Maker):
    """Equal parts, joined the other way round."""
    axis, sizes = [(1, (3, 3)), (1, (2, 2, 2)), (3, (1,) * 5)][m.rng.integers(3)]
    return _split(m, "SPLIT", axis, sizes)


def split_v(m: Maker):
    axis, sizes = [(1, (1, 3, 2)), (2, (4, 3)), (3, (2, 1, 2))][m.rng.integers(3)]
    return _split(m, "SPLIT_V", axis, sizes)


def _split(m: Maker, kind: str, axis: int, sizes: tuple[int, ...]):
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value(SHAPE, given)
    parts = [m.value((*SHAPE[:axis], size, *SHAPE[axis + 1 :]), given) for size in sizes]
    number = m.file.constant(np.array(axis, np.int32))
    if kind == "SPLIT":
        m.file.operator(kind, [number, x], parts, "SplitOptions", numSplits=len(sizes))
    else:
        m.file.operator(kind, [x, m.integers(*sizes), number], parts, "SplitVOptions", numSplits=len(sizes))
    m.file.operator("CONCATENATION", parts[::-1], [y], "ConcatenationOptions", axis=axis)
    return x, y


def unpack(m: Maker):
    """Every row or channel by itself, packed again along another axis."""
    axis, other = int(m.rng.choice([1, 3])), int(m.rng.integers(1, 4))
    given = m.quantization()
    shape = (*SHAPE[:axis], *SHAPE[axis + 1 :])
    x, y = m.value(SHAPE, given), m.value((*shape[:other], SHAPE[axis], *shape[other:]), given)
    parts = [m.value(shape, given) for _ in range(SHAPE[axis])]
    m.file.operator("UNPACK", [x], parts, "UnpackOptions", axis=axis, num=len(parts))
    m.file.operator("PACK", parts[::-1], [y], "PackOptions", axis=other, valuesCount=len(parts))
    return x, y


def gather(m: Maker):
    """Any elements of an axis; a single index leaves the axis out, a table of them makes two."""
    axis = int(m.rng.integers(1, 4))
    indices = m.rng.integers(0, SHAPE[axis], [(), (9,), (2, 3)][m.rng.integers(3)]).astype(np.int32)
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value((*SHAPE[:axis], *indices.shape, *SHAPE[axis + 1 :]), given)
    m.file.operator("GATHER", [x, m.file.constant(indices)], [y], "GatherOptions", axis=axis - 4 * int(m.rng.integers(2)))
    return x, y


def tile(m: Maker):
    multiples = [1, *m.sizes(1, 4, 3)]
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value([size * count for size, count in zip(SHAPE, multiples, strict=True)], given)
    m.file.operator("TILE", [x, m.integers(*multiples)], [y], "TileOptions")
    return x, y


def broadcast_to(m: Maker):
    shape = (1, 1, 4, 1) if m.rng.random() < 0.5 else (1, 3, 1, 5)
    wanted = [size if size > 1 else count for size, count in zip(shape, (1, 3, 4, 5), strict=True)]
    given = m.quantization()
    x, y = m.value(shape, given), m.value(wanted, given)
    m.file.operator("BROADCAST_TO", [x, m.integers(*wanted)], [y], "BroadcastToOptions")
    return x, y


def mirror_pad(m: Maker):
    """REFLECT and SYMMETRIC, channels too."""
    mode = int(m.rng.integers(2))
    pads = np.array([(0, 0), *(m.rng.integers(0, size - (mode == 0) + 1, 2) for size in SHAPE[1:])], np.int32)
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value([size + int(pad.sum()) for size, pad in zip(SHAPE, pads, strict=True)], given)
    m.file.operator("MIRROR_PAD", [x, m.file.constant(pads)], [y], "MirrorPadOptions", mode=mode)
    return x, y


def reverse(m: Maker):
    given = m.quantization()
    x, y = m.value(SHAPE, given), m.value(SHAPE, given)
    m.file.operator("REVERSE_V2", [x, m.integers(int(m.rng.integers(1, 4)))], [y], "ReverseV2Options")
    return x, y


def space_to_depth(m: Maker):
    block = int(m.rng.integers(2, 4))
    given = m.quantization()
    x, y = m.value((1, 6, 12, 3), given), m.value((1, 6 // block, 12 // block, 3 * block**2), given)
    m.file.operator("SPACE_TO_DEPTH", [x], [y], "SpaceToDepthOptions", blockSize=block)
    return x, y


def depth_to_space(m: Maker):
    block = int(m.rng.integers(2, 4))
    given = m.quantization()
    x, y = m.value((1, 3, 4, 2 * block**2), given), m.value((1, 3 * block, 4 * block, 2), given)
    m.file.operator("DEPTH_TO_SPACE", [x], [y], "DepthToSpaceOptions", blockSize=block)
    return x, y


def batch_moved(m: Maker):
    """A transpose that takes the batch axis of 1 elsewhere, and one that brings it back."""
    given = m.quantization()
    x, a, y = m.value(SHAPE, given), m.value((6, 1, 5, 7), given), m.value((1, 7, 6, 5), given)
    m.file.operator("TRANSPOSE", [x, m.integers(1, 0, 3, 2)], [a], "TransposeOptions")
    m.file.operator("TRANSPOSE", [a, m.integers(1, 3, 0, 2)], [y], "TransposeOptions")
    return x, y


def batch_joined(m: Maker):
    """A value joined with itself along the batch axis of 1, whose mean over that axis and another comes next."""
    given, other = m.quantization(), m.quantization()
    x, both = m.value(SHAPE, given), m.value((2, *SHAPE[1:]), given)
    reduced, kind = m.value((6, 7), other), ("SUM", "MEAN")[m.rng.integers(2)]
    sliced = m.value((1, 6, 7), other)
    m.file.operator("CONCATENATION", [x, x], [both], "ConcatenationOptions", axis=0)
    turned = m.value((1, *SHAPE[1:]), given)
    m.file.operator("SLICE", [both, m.integers(1, 0, 0, 0), m.integers(1, -1, -1, -1)], [turned], "SliceOptions")
    m.file.operator(kind, [turned, m.integers(0, 3)], [reduced], "ReducerOptions", keepDims=False)
    m.file.operator("EXPAND_DIMS", [reduced, m.integers(0)], [sliced], "ExpandDimsOptions")
    return x, sliced


# TensorFlow Lite Micro has none of these.
FLOAT_ONLY = (tile, reverse)
MOVING = (
    strided_steps, split, split_v, unpack, gather, broadcast_to, mirror_pad, space_to_depth, depth_to_space, batch_moved,
    batch_joined,
)  # fmt: skip

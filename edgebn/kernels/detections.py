"""Boxes of detectors: decoding and non-maximum suppression as TFLite_Detection_PostProcess and ONNX have them, float32 and float64.

There is no sorting: the surest candidate is looked for again after each that was taken, among those that are left.
"""

from __future__ import annotations

import numpy as np

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import ZERO_F32, load_f32, load_i32, store_f32, store_i32

LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # their sum is ln 2; multiples of the first are exact
INVERSE_FACTORIALS = tuple(1.0 / float(np.prod(np.arange(1.0, n + 1))) for n in range(13, 1, -1))
LIMIT = 700.0  # beyond it float32 is infinite or zero, for any anchor


@kernel
def exp_f64(x: float) -> float:
    """Return exp(x) to the last bits of float64, from nothing but products and sums: Taylor's polynomial of degree 13."""
    x = min(max(x, -LIMIT), LIMIT)
    n = int(x * 1.4426950408889634 + (0.5 if x >= 0 else -0.5))
    f = (x - n * LN2_HIGH) - n * LN2_LOW
    power = 0.0
    for factor in INVERSE_FACTORIALS:
        power = power * f + factor
    power = power * f * f + f + 1.0
    base = 2.0 if n >= 0 else 0.5
    left = abs(n)
    while left > 0:
        if left & 1:
            power *= base
        base *= base
        left >>= 1
    return power


@kernel
def _decode(code: int, anchor: int, box: int, y_scale: float, x_scale: float, h_scale: float, w_scale: float) -> None:
    """Write top, left, bottom and right of one box."""
    h = np.float64(load_f32(anchor, 2))
    w = np.float64(load_f32(anchor, 3))
    y = np.float32(np.float64(load_f32(code, 0)) / np.float64(y_scale) * h + np.float64(load_f32(anchor, 0)))
    x = np.float32(np.float64(load_f32(code, 1)) / np.float64(x_scale) * w + np.float64(load_f32(anchor, 1)))
    half_h = np.float32(0.5 * exp_f64(np.float64(load_f32(code, 2)) / np.float64(h_scale)) * h)
    half_w = np.float32(0.5 * exp_f64(np.float64(load_f32(code, 3)) / np.float64(w_scale)) * w)
    store_f32(box, 0, y - half_h)
    store_f32(box, 1, x - half_w)
    store_f32(box, 2, y + half_h)
    store_f32(box, 3, x + half_w)


@kernel
def _area(box: int) -> np.float32:
    return (load_f32(box, 2) - load_f32(box, 0)) * (load_f32(box, 3) - load_f32(box, 1))


@kernel
def _overlap(a: int, b: int) -> np.float32:
    """Return what two boxes have in common, as a share of what they cover."""
    area_a = _area(a)
    area_b = _area(b)
    if area_a <= ZERO_F32 or area_b <= ZERO_F32:
        return ZERO_F32
    height = max(min(load_f32(a, 2), load_f32(b, 2)) - max(load_f32(a, 0), load_f32(b, 0)), ZERO_F32)
    width = max(min(load_f32(a, 3), load_f32(b, 3)) - max(load_f32(a, 1), load_f32(b, 1)), ZERO_F32)
    common = height * width
    return common / (area_a + area_b - common)


@kernel
def _take(best: int, candidates: int, left: int) -> int:
    """Return the surest of the candidates, the first among equals."""
    taken = load_i32(candidates, 0)
    for i in range(1, left):
        if load_f32(best, load_i32(candidates, i)) > load_f32(best, taken):
            taken = load_i32(candidates, i)
    return int(taken)


@kernel
def _without(boxes: int, candidates: int, left: int, taken: int, overlap: float) -> int:
    """Leave out what was taken and what overlaps it; return how many candidates are left."""
    kept = 0
    for i in range(left):
        box = load_i32(candidates, i)
        if box != taken and not _overlap(boxes + taken * 16, boxes + np.int64(box) * 16) > overlap:
            store_i32(candidates, kept, box)
            kept += 1
    return kept


@kernel
def _write(dst: int, rows: int, place: int, box: int, index: int, score: float) -> None:
    for side in range(4):
        store_f32(dst, 4 * place + side, load_f32(box, side))
    store_f32(dst, 4 * rows + place, np.float32(index))
    store_f32(dst, 5 * rows + place, score)


@kernel
def _next_class(scores: int, classes: int, before: int) -> int:
    """Return the surest class after `before`, in the order of scores, the lower index first among equals; -1: before all."""
    found = -1
    for index in range(classes):
        score = load_f32(scores, index)
        later = before < 0 or score < load_f32(scores, before) or (score == load_f32(scores, before) and index > before)
        if later and (found < 0 or score > load_f32(scores, found)):
            found = index
    return found


@kernel
def _insert(dst: int, rows: int, most: int, size: int, box: int, index: int, score: float) -> int:
    """Put a box among those that are sorted by score, behind its equals, if it is one of the first `most`; return their number."""
    place = size
    while place > 0 and score > load_f32(dst, 5 * rows + place - 1):
        place -= 1
    if place >= most:
        return size
    last = min(size, most - 1)
    for i in range(last, place, -1):
        for side in range(4):
            store_f32(dst, 4 * i + side, load_f32(dst, 4 * (i - 1) + side))
        store_f32(dst, 4 * rows + i, load_f32(dst, 4 * rows + i - 1))
        store_f32(dst, 5 * rows + i, load_f32(dst, 5 * rows + i - 1))
    _write(dst, rows, place, box, index, score)
    return last + 1


@kernel
def detection_post_process_f32(
    codes: int,
    codes_pixel: int,
    scores: int,
    scores_pixel: int,
    dst: int,
    anchors: int,
    boxes: int,
    best: int,
    candidates: int,
    count: int,
    classes: int,
    most: int,
    each: int,
    per_class: int,
    regular: int,
    y_scale: float,
    x_scale: float,
    h_scale: float,
    w_scale: float,
    threshold: float,
    overlap: float,
) -> None:
    """`scores` begins at the first class that is not the background; `boxes`, `best` and `candidates` are scratch, steps bytes."""
    rows = most * each
    for i in range(6 * rows + 1):
        store_f32(dst, i, ZERO_F32)
    for i in range(count):
        row = scores + i * scores_pixel
        highest = load_f32(row, 0)
        for index in range(1, classes):
            highest = max(highest, load_f32(row, index))
        store_f32(best, i, highest)
        if highest >= threshold:
            _decode(codes + i * codes_pixel, anchors + i * 16, boxes + i * 16, y_scale, x_scale, h_scale, w_scale)
    size = 0
    for group in range(classes if regular != 0 else 1):
        left = 0
        for i in range(count):
            if regular != 0:
                store_f32(best, i, load_f32(scores + i * scores_pixel, group))
            if load_f32(best, i) >= threshold:
                store_i32(candidates, left, np.int32(i))
                left += 1
        picked = 0
        while left > 0 and picked < (per_class if regular != 0 else most):
            taken = _take(best, candidates, left)
            if regular != 0:
                size = _insert(dst, rows, most, size, boxes + taken * 16, group, load_f32(best, taken))
            else:
                index = -1
                for rank in range(min(each, classes)):
                    index = _next_class(scores + taken * scores_pixel, classes, index)
                    score = load_f32(scores + taken * scores_pixel, index)
                    _write(dst, rows, picked * each + rank, boxes + taken * 16, index, score)
                size += 1
            left = _without(boxes, candidates, left, taken, overlap)
            picked += 1
    store_f32(dst, 6 * rows, np.float32(size))


@kernel
def non_max_suppression_f32(
    corners: int,
    corners_pixel: int,
    scores: int,
    scores_pixel: int,
    dst: int,
    boxes: int,
    candidates: int,
    count: int,
    classes: int,
    most: int,
    rows: int,
    centred: int,
    threshold: float,
    overlap: float,
) -> None:
    """`boxes` (corners in their order) and `candidates` are scratch; `threshold` is -inf where every box counts."""
    for i in range(count):
        box = corners + i * corners_pixel
        for side in range(2):
            if centred != 0:
                middle = load_f32(box, 1 - side)
                half = load_f32(box, 3 - side) / np.float32(2.0)
                low = middle - half
                high = middle + half
            else:
                low = min(load_f32(box, side), load_f32(box, 2 + side))
                high = max(load_f32(box, side), load_f32(box, 2 + side))
            store_f32(boxes + i * 16, side, low)
            store_f32(boxes + i * 16, 2 + side, high)
    size = 0
    for group in range(classes):
        own = scores + group * scores_pixel
        left = 0
        for i in range(count):
            if load_f32(own, i) > threshold or threshold == -np.inf:
                store_i32(candidates, left, np.int32(i))
                left += 1
        picked = 0
        while left > 0 and picked < most:
            taken = _take(own, candidates, left)
            store_i32(dst, 3 * size, np.int32(0))
            store_i32(dst, 3 * size + 1, np.int32(group))
            store_i32(dst, 3 * size + 2, np.int32(taken))
            size += 1
            picked += 1
            left = _without(boxes, candidates, left, taken, overlap)
    for i in range(3 * size, 3 * rows):
        store_i32(dst, i, np.int32(-1))

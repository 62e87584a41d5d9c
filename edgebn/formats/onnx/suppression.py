"""NonMaxSuppression and NonZero: rows whose number only a run tells, as a number of rows that is known.

Rows behind the last one hold -1. `Vacant` follows them through the file: what is picked by such a row is zeros, and what would mix
them with others is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import (
    MAX_EXTENT,
    ArgExtreme,
    Concat,
    Crop,
    GatherND,
    Identity,
    IntegerBinary,
    NonMaxSuppression,
    Reshape,
    Select,
)

ALONE = Place(None, 0)
LEAST = float(np.finfo(np.float32).min)


def non_max_suppression(node: Node, context: Context) -> Dynamic:
    """Boxes that stay, class by class: (pictures, classes, boxes) of one picture."""
    if not context.batch.single:
        raise context.apart(node, "it lists the boxes of all pictures together")
    boxes, scores = (node.real(index) for index in (0, 1))
    if len(boxes.shape) != 3 or len(scores.shape) != 3 or boxes.shape[0] != scores.shape[0]:
        raise node.damaged(f"its boxes of shape {boxes.shape} do not fit scores of shape {scores.shape}")
    if boxes.shape[0] != 1:
        raise node.refuse(f"it lists the boxes of {boxes.shape[0]} pictures together; export the network with a batch of 1")
    most = node.static_scalar(2, "number of boxes of a class") or 0.0
    overlap = node.static_scalar(3, "overlap") or 0.0
    score = node.static_scalar(4, "score")
    if most < 1:
        raise node.refuse("it keeps no box (max_output_boxes_per_class is 0)")
    boxes, scores, least = _all_hold(node, context, boxes, scores)
    score = least if score is None else max(score, least)
    most = int(min(most, boxes.shape[1]))
    if most * scores.shape[1] > MAX_EXTENT:
        raise node.refuse(
            f"it may keep {most} boxes of each of {scores.shape[1]} classes, {most * scores.shape[1]} rows of which edgebn runs "
            f"{MAX_EXTENT} at most; export it with a smaller max_output_boxes_per_class"
        )
    found = context.emit(
        node,
        NonMaxSuppression,
        boxes,
        scores,
        whole=True,
        place=ALONE,
        most=most,
        centred=bool(node.integer("center_point_box", 0)),
        score=float(np.float32(score)),
        overlap=float(np.float32(overlap)),
    )
    context.vacant.begin(found.tensor)
    return found


def _all_hold(node: Node, context: Context, boxes: Dynamic, scores: Dynamic) -> tuple[Dynamic, Dynamic, float]:
    """Return boxes and scores, those of vacant rows below the score that is returned too, which all others are above."""
    vacant = context.vacant
    if not {boxes.tensor, scores.tensor} & vacant.rows:
        return boxes, scores, -np.inf
    holds = vacant.holds.get(scores.tensor)
    if holds is None or holds.shape[0] != scores.shape[2]:
        raise node.refuse("it reads scores of which some hold nothing, and which they are is not known any more")
    boxes = context.moved(node, Identity, boxes, part="boxes")
    along = context.moved(node, Reshape, holds, part="along", place=ALONE, shape=(holds.shape[0],))
    nothing = context.array(node, np.full((1,), LEAST, np.float32), "nothing")
    scores = context.emit(node, Select, along, scores, nothing, part="those", place=scores.place)
    for x in (boxes, scores):
        vacant.end(x.tensor)
    return boxes, scores, LEAST


def non_zero(node: Node, context: Context) -> Dynamic:
    """NonZero: the places of the elements that are not 0, as columns (axes of the value, elements); -1 behind the last."""
    if not context.batch.single:
        raise context.apart(node, "it lists the elements of all samples together")
    x = context.spread(node, node.dynamic(0))
    count = int(np.prod(x.shape, dtype=np.int64))
    if x.quantization is not None or x.tensor in context.vacant.rows or not x.shape or count > MAX_EXTENT:
        raise node.refuse(f"it lists the elements of a value of shape {x.shape}; edgebn lists up to {MAX_EXTENT} numbers or truths")
    zero = context.array(node, np.zeros((1,), np.int32 if x.whole else np.float32), "zero")
    none = context.array(node, np.full((1,), -1, np.int32), "none")
    flat = context.moved(node, Reshape, x, part="flat", place=ALONE, shape=(count,))
    is_one = _whole(node, context, "not_equal", "is_one", flat, zero)
    # The first of those that are equal comes first: the places of all ones in their order, then those of the zeros.
    places = context.emit(node, ArgExtreme, is_one, part="places", place=ALONE, whole=True, function="max", axis=0, count=count)
    column = context.moved(node, Reshape, places, part="column", place=ALONE, shape=(count, 1))
    sorted_ones = context.emit(node, GatherND, is_one, column, part="ones", place=ALONE, whole=True)
    holds = context.moved(node, Reshape, sorted_ones, part="holds", place=ALONE, shape=(count,))
    rows = []
    for axis, length in enumerate(x.shape):
        stride = int(np.prod(x.shape[axis + 1 :], dtype=np.int64))
        along = places
        for number, function in ((stride, "floor_divide"), (length, "floor_mod")):
            by = context.array(node, np.full((1,), number, np.int32), f"{function}{axis}by")
            along = _whole(node, context, function, f"{function}{axis}", along, by)
        row = context.emit(node, Select, holds, along, none, part=f"row{axis}", place=ALONE, whole=True)
        rows.append(context.moved(node, Reshape, row, part=f"axis{axis}", place=ALONE, shape=(1, count)))
    found: Dynamic = context.moved(node, Concat, *rows, place=ALONE, axis=0) if len(rows) > 1 else context.identity(node, rows[0])
    context.vacant.begin(found.tensor)
    return found


def _whole(node: Node, context: Context, function: str, part: str, a: Dynamic, b: Dynamic) -> Dynamic:
    return context.emit(node, IntegerBinary, a, b, part=part, place=ALONE, whole=True, function=function)


def filled(node: Node, context: Context, picked: Dynamic, indices: Dynamic) -> Dynamic:
    """Return parts (n, elements) that were picked by indices (n, columns), with zeros for the rows that hold no box."""
    vacant = context.vacant
    if indices.tensor not in vacant.rows:
        return picked
    if indices.tensor in vacant.signs:
        holds = _not_negative(node, context, indices)
    else:
        known = vacant.holds.get(indices.tensor)
        if known is None or known.shape[0] < indices.shape[0]:
            raise node.refuse("it picks by what is computed of NonMaxSuppression's rows; edgebn picks by the rows as they are")
        holds, sizes = known, (indices.shape[0], 1)
        if holds.shape != sizes:
            holds = context.moved(node, Crop, holds, part="first_holds", place=ALONE, starts=(0, 0), sizes=sizes)
    dtype = np.int32 if picked.whole else np.float32
    nothing = context.array(node, np.zeros((1, 1), dtype), "nothing")
    chosen = context.emit(node, Select, holds, picked, nothing, part="chosen", place=ALONE, whole=picked.whole)
    vacant.zero(chosen.tensor, holds)
    return chosen


def _not_negative(node: Node, context: Context, indices: Dynamic) -> Dynamic:
    """Return (rows, 1) whole numbers: whether no index (rows, columns) of the row is negative."""
    count, columns = indices.shape
    least = indices
    for column in range(columns if columns > 1 else 0):
        one = context.moved(node, Crop, indices, part=f"column{column}", place=ALONE, starts=(0, column), sizes=(count, 1))
        least = one if column == 0 else _whole(node, context, "minimum", f"least{column}", least, one)
    zero = context.array(node, np.zeros((1, 1), np.int32), "no_index")
    return _whole(node, context, "greater_equal", "holds", least, zero)


def padded_to_all(node: Node, context: Context, x: Dynamic, sides: Sequence[tuple[int, int]], value: float | None) -> Dynamic:
    """Return what a file makes of rows whose number only a run tells, so that it is known: with padding behind them.

    Our rows that hold nothing stand where that padding is: they must hold the same.
    """
    vacant = context.vacant
    blank = 0.0 if x.tensor in vacant.zeros else -1.0 if x.tensor in vacant.signs and x.whole else None
    if value is None or value != blank or any(before for before, _ in sides):
        raise node.refuse("it pads rows whose number only a run tells with something else than what edgebn holds behind the last")
    made: Dynamic = context.pad(node, x, list(sides), value)
    vacant.end(made.tensor)
    return made


def keeps_signs(context: Context, made: Dynamic, operands: Sequence[Dynamic | np.ndarray], function: str) -> Dynamic:
    """Remember that a result is negative where its row holds no box: a sum of such values, or a product with positive constants."""
    signs = [isinstance(one, Dynamic) and one.tensor in context.vacant.signs for one in operands]
    others = [one for one, has in zip(operands, signs, strict=True) if not has]
    positive = all(isinstance(one, np.ndarray) and (one > 0).all() for one in others)
    if any(signs) and ((function == "add" and all(signs)) or (function == "multiply" and len(others) == 1 and positive)):
        context.vacant.signs.add(made.tensor)
    return made

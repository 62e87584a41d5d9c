"""NonMaxSuppression: boxes whose number only a run tells, as rows of a number that is known.

Rows behind the last box hold -1. `Vacant` follows them through the file: what is picked by such a row is zeros, and what would mix
them with boxes is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic
from edgebn.layers import MAX_EXTENT, Crop, IntegerBinary, NonMaxSuppression, Select

ALONE = Place(None, 0)


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
        score=float(np.float32(-np.inf if score is None else score)),
        overlap=float(np.float32(overlap)),
    )
    context.vacant.begin(found.tensor)
    return found


def filled(node: Node, context: Context, picked: Dynamic, indices: Dynamic) -> Dynamic:
    """Return parts (n, elements) that were picked by indices (n, columns), with zeros for the rows that hold no box."""
    if indices.tensor not in context.vacant.rows:
        return picked
    if indices.tensor not in context.vacant.signs:
        raise node.refuse("it picks by what is computed of NonMaxSuppression's rows; edgebn picks by the rows as they are")
    count, columns = indices.shape
    least = indices
    for column in range(columns if columns > 1 else 0):
        one = context.moved(node, Crop, indices, part=f"column{column}", place=ALONE, starts=(0, column), sizes=(count, 1))
        least = (
            one
            if column == 0
            else context.emit(node, IntegerBinary, least, one, part=f"least{column}", place=ALONE, whole=True, function="minimum")
        )
    zero = context.array(node, np.zeros((1, 1), np.int32), "no_index")
    holds = context.emit(node, IntegerBinary, least, zero, part="holds", place=ALONE, whole=True, function="greater_equal")
    dtype = np.int32 if picked.whole else np.float32
    nothing = context.array(node, np.zeros((1, 1), dtype), "nothing")
    chosen = context.emit(node, Select, holds, picked, nothing, part="chosen", place=ALONE, whole=picked.whole)
    context.vacant.signs.discard(chosen.tensor)
    return chosen


def keeps_signs(context: Context, made: Dynamic, operands: Sequence[Dynamic | np.ndarray], function: str) -> Dynamic:
    """Remember that a result is negative where its row holds no box: a sum of such values, or a product with positive constants."""
    signs = [isinstance(one, Dynamic) and one.tensor in context.vacant.signs for one in operands]
    others = [one for one, has in zip(operands, signs, strict=True) if not has]
    positive = all(isinstance(one, np.ndarray) and (one > 0).all() for one in others)
    if any(signs) and ((function == "add" and all(signs)) or (function == "multiply" and len(others) == 1 and positive)):
        context.vacant.signs.add(made.tensor)
    return made

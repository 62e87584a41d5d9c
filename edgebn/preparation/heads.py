"""What detectors end with: outputs to candidates, the surest first, in float32; see `edgebn.preparation.data.Boxes`.

| head | outputs |
| --- | --- |
| yolov8 | (n, 4 + classes + more) or the other way round: middle, width, height; a score a class; more: see below |
| yolov5 | (n, 5 + classes): the same with a score of the box behind its four numbers, which the others are multiplied by |
| corners | (n, 4) left, top, right, bottom and (n, classes), or one more with the background first |
| anchors | the same with codes, (n, 4 + 2 * points), against anchors; in one part or in one for each of their maps |
| post_process | the four of TFLite_Detection_PostProcess, free of overlaps already |
| fomo | a map (height, width, 1 + classes), the first channel nothing: neighbouring cells are one object |

More of yolov8: x, y and mostly a score of each key point; or the coefficients of a mask, whose prototypes are a second output,
(rows, columns, masks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import Anchors, Boxes
from edgebn.program import Crop, DetectionPostProcess, Program, Reshape

FREE_OF_OVERLAPS = ("post_process", "fomo")
BLAZEFACE_MAPS = {896: ((16, 16, 2), (8, 8, 6)), 2304: ((48, 48, 1),)}  # MediaPipe's detectors, by their anchors
# Of so many candidates, in pictures of so many pixels, some are farther than this from the corner: else they are in shares.
MANY, LARGE, NO_PIXELS = 64, 32, 2
BLAZEFACE_POINTS = 6  # eyes, nose, mouth, ears


@dataclass(frozen=True)
class Candidates:
    """What may be an object, the surest first, the earlier first among equals.

    Attributes
    ----------
    corners : ndarray of float32, shape (n, 4)
        Left, top, right, bottom in pixels of the input.
    scores : ndarray of float32, shape (n,)
    classes : ndarray of int64, shape (n,)
    points : ndarray of float32, shape (n, points, 2)
        x and y of each.
    point_scores : ndarray of float32, shape (n, points), or None
        Of heads that tell.
    coefficients : ndarray of float32, shape (n, masks), or None
        Of heads with masks.
    """

    corners: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    points: np.ndarray
    point_scores: np.ndarray | None = None
    coefficients: np.ndarray | None = None


def candidates(outputs: Mapping[str, np.ndarray], program: Program, after: Boxes) -> Candidates:
    """Return what is surer than `after.score`.

    Parameters
    ----------
    outputs : mapping of str to ndarray
        Of one sample, every output: float32 real numbers or int8 codes.
    program : Program
        With a picture as its input.
    after : Boxes
        That fits it.
    """
    values = {name: real(output, program, name) for name, output in outputs.items()}
    height, width, _ = program.buffers[program.inputs[0]].shape
    return _HEADS[after.head]([values[name] for name in roles(program, after)], after, (height, width))


def real(output: np.ndarray, program: Program, name: str) -> np.ndarray:
    """Return float32 real numbers of an output's codes; float32 as it is."""
    buffer = program.buffers[name]
    if output.dtype not in (np.int8, np.int16):
        return output.astype(np.float32)
    return np.float32(buffer.scale) * (output.astype(np.int32) - buffer.zero_point).astype(np.float32)


def roles(program: Program, after: Boxes) -> tuple[str, ...]:
    """Return the outputs in the order in which a head's function takes them; () where they do not fit."""
    shapes = {name: program.shapes[name] for name in program.outputs}
    count = len(after.names)
    if after.head == "post_process":
        return _parts_of_post_process(program)
    if after.head in {"corners", "anchors"}:
        size = 4 + 2 * after.points
        boxes = [name for name, shape in shapes.items() if len(shape) == 2 and shape[1] == size]
        scores = [name for name, shape in shapes.items() if len(shape) == 2 and shape[1] - count in {0, 1} and name not in boxes]
        sizes = [rows * columns * each for rows, columns, each in after.anchors.maps] if after.anchors else []
        total = sum(sizes) or (len(after.anchors.boxes) if after.anchors else 0)
        if len(boxes) == len(scores) == 1 and (shapes[boxes[0]][0] == total or after.head == "corners"):
            return (*boxes, *scores) if shapes[boxes[0]][0] == shapes[scores[0]][0] else ()
        by_size = [{shapes[name][0]: name for name in names} for names in (boxes, scores)]
        if len(set(sizes)) != len(sizes) or any(set(names) != set(sizes) for names in by_size) or len(shapes) != 2 * len(sizes):
            return ()
        return tuple(names[size] for names in by_size for size in sizes)
    prototypes = tuple(name for name in shapes if after.masks and _is_map(program, name, after.masks))
    others = {name: shape for name, shape in shapes.items() if name not in prototypes}
    if len(others) != 1 or len(prototypes) != bool(after.masks):
        return ()
    ((name, shape),) = others.items()
    if after.head == "fomo":
        return (name,) if len(shape) == 3 and shape[2] == 1 + count else ()
    return (name, *prototypes) if len(shape) == 2 and row_size(after, shape) else ()


def row_size(after: Boxes, shape: tuple[int, ...]) -> int:
    """Return how many numbers a candidate of a YOLO head has, of which `shape` has one side; 0 where it has none such."""
    size = (4 if after.head == "yolov8" else 5) + len(after.names) + after.masks
    sizes = [size + each * after.points for each in ((3, 2) if after.points else (0,))]  # some have points without a score
    return next((size for size in sizes if size in shape), 0)


def prototypes_of(program: Program) -> int:
    """Return how many prototypes of masks a network with two outputs has; 0 of others."""
    maps = [shape for name, shape in program.shapes.items() if name in program.outputs and len(shape) == 3]
    return maps[0][2] if len(program.outputs) == 2 and len(maps) == 1 else 0


def _is_map(program: Program, name: str, channels: int) -> bool:
    """Whether an output is a map of so many channels, whose cells are squares of whole pixels of the input."""
    wanted, shape = program.buffers[program.inputs[0]].shape, program.shapes[name]
    if len(shape) != 3 or shape[2] != channels:
        return False
    return wanted[0] % shape[0] == 0 and (shape[0] * (wanted[0] // shape[0]), shape[1] * (wanted[0] // shape[0])) == wanted[:2]


def _parts_of_post_process(program: Program) -> tuple[str, ...]:
    """Return the outputs that are boxes, classes, scores and their number, whatever the file's order."""
    makers = {step.output: step for step in program.steps}
    found: dict[int, str] = {}
    for name in program.outputs:
        step = makers.get(name)
        while isinstance(step, Reshape):
            step = makers.get(step.inputs[0])
        if isinstance(step, Crop) and isinstance(makers.get(step.inputs[0]), DetectionPostProcess):
            found[step.starts[2]] = name
    return tuple(found[start] for start in sorted(found)) if len(found) == len(program.outputs) == 4 else ()


def _surest(scores: np.ndarray, least: float) -> np.ndarray:
    """Return the places of scores above the least, the surest first."""
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] > np.float32(least)]


def _around(middle: np.ndarray, sides: np.ndarray) -> np.ndarray:
    half = sides / np.float32(2)
    return np.concatenate([middle - half, middle + half], axis=1)


def _check_pixels(boxes: np.ndarray, found: np.ndarray, wanted: tuple[int, int], *, shares: bool) -> None:
    """Refuse boxes that are said to be in pixels and are in shares: of many candidates all over a picture none can be so small.

    Raises
    ------
    ModelError
        With what to set.
    """
    if not shares and len(found) and len(boxes) >= MANY and min(wanted) >= LARGE and boxes.max() <= NO_PIXELS:
        raise ModelError(
            f"all {len(boxes)} boxes lie within {NO_PIXELS} pixels: they are shares of the input; prepare the model with --shares, "
            "or edgebn.prepare(..., boxes=Boxes(..., shares=True))"
        )


def _scaled(values: np.ndarray, wanted: tuple[int, int], *, shares: bool) -> np.ndarray:
    """Return x and y in turns, in pixels of the input."""
    return values * np.array([wanted[1], wanted[0]] * (values.shape[1] // 2), np.float32) if shares else values


def _yolov8(outputs: list[np.ndarray], after: Boxes, wanted: tuple[int, int]) -> Candidates:
    count = len(after.names)
    values = _by_row(outputs[0], row_size(after, outputs[0].shape))
    shares = values[:, 4 : 4 + count]
    classes, scores = shares.argmax(axis=1), shares.max(axis=1)
    order = _surest(scores, after.score)
    _check_pixels(values[:, :4], order, wanted, shares=after.shares)
    corners = _scaled(_around(values[order, :2], values[order, 2:4]), wanted, shares=after.shares)
    rest = values[order, 4 + count :]
    if after.masks:
        return Candidates(corners, scores[order], classes[order], np.zeros((len(order), 0, 2), np.float32), coefficients=rest)
    dots = rest.reshape(len(order), after.points, rest.shape[1] // max(after.points, 1))
    places = _scaled(dots[..., :2].reshape(len(order), 2 * after.points), wanted, shares=after.shares)
    sure = dots[..., 2] if dots.shape[2] > 2 else None  # x, y and a score
    return Candidates(corners, scores[order], classes[order], places.reshape(len(order), after.points, 2), sure)


def _yolov5(outputs: list[np.ndarray], after: Boxes, wanted: tuple[int, int]) -> Candidates:
    values = _by_row(outputs[0], row_size(after, outputs[0].shape))
    shares = values[:, 4:5] * values[:, 5:]
    classes, scores = shares.argmax(axis=1), shares.max(axis=1)
    order = _surest(scores, after.score)
    _check_pixels(values[:, :4], order, wanted, shares=after.shares)
    corners = _scaled(_around(values[order, :2], values[order, 2:4]), wanted, shares=after.shares)
    return Candidates(corners, scores[order], classes[order], np.zeros((len(order), 0, 2), np.float32))


def _by_row(values: np.ndarray, size: int) -> np.ndarray:
    """Return candidates as rows."""
    return values if values.shape[1] == size else values.T


def _best(shares: np.ndarray, after: Boxes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes and scores of boxes, the background left out, and the order of those that are sure enough."""
    shares = shares[:, shares.shape[1] - len(after.names) :]
    classes, scores = shares.argmax(axis=1), shares.max(axis=1)
    if after.logits:
        scores = (1 / (1 + np.exp(-np.clip(scores.astype(np.float64), -100, 100)))).astype(np.float32)
    return classes, scores, _surest(scores, after.score)


def _corners(outputs: list[np.ndarray], after: Boxes, wanted: tuple[int, int]) -> Candidates:
    boxes, shares = outputs
    classes, scores, order = _best(shares, after)
    _check_pixels(boxes[:, :4], order, wanted, shares=after.shares)
    found = _scaled(boxes[order], wanted, shares=after.shares)
    return Candidates(found[:, :4], scores[order], classes[order], found[:, 4:].reshape(len(order), after.points, 2))


def anchor_boxes(anchors: Anchors) -> np.ndarray:
    """Return float64 (n, 4): middle y and x, height, width."""
    if anchors.boxes:
        return np.array(anchors.boxes, np.float64)
    made = []
    for rows, columns, each in anchors.maps:
        y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
        made.append(np.stack([y, x, np.ones_like(y), np.ones_like(x)], axis=-1).reshape(-1, 4).repeat(each, axis=0))
    return np.concatenate(made)


def _anchors(outputs: list[np.ndarray], after: Boxes, wanted: tuple[int, int]) -> Candidates:
    """Decode in float64; corners and points are rounded once, to float32."""
    layout = after.anchors
    assert layout is not None
    parts = len(outputs) // 2
    codes, shares = (np.concatenate(outputs[begin : begin + parts]) for begin in (0, parts))
    classes, scores, order = _best(shares, after)
    anchors, chosen = anchor_boxes(layout)[order], codes[order].astype(np.float64)
    y, x, h, w = (layout.order.index(letter) for letter in "yxhw")
    scale = dict(zip("yxhw", layout.scales, strict=True))
    height, width = chosen[:, h] / scale["h"], chosen[:, w] / scale["w"]
    if layout.exponential:
        height, width = np.exp(height), np.exp(width)
    half_h, half_w = 0.5 * height * anchors[:, 2], 0.5 * width * anchors[:, 3]
    middle_y = chosen[:, y] / scale["y"] * anchors[:, 2] + anchors[:, 0]
    middle_x = chosen[:, x] / scale["x"] * anchors[:, 3] + anchors[:, 1]
    sides = (middle_x - half_w, middle_y - half_h, middle_x + half_w, middle_y + half_h)
    corners = np.stack(sides, axis=1) * np.array([wanted[1], wanted[0]] * 2)
    points = np.stack(
        [
            (chosen[:, 4::2] / scale["x"] * anchors[:, 3:] + anchors[:, 1:2]) * wanted[1],
            (chosen[:, 5::2] / scale["y"] * anchors[:, 2:3] + anchors[:, 0:1]) * wanted[0],
        ],
        axis=-1,
    )
    return Candidates(corners.astype(np.float32), scores[order], classes[order], points.astype(np.float32))


def _post_process(outputs: list[np.ndarray], after: Boxes, wanted: tuple[int, int]) -> Candidates:
    boxes, classes, scores, _ = outputs
    order = _surest(scores, max(after.score, 0.0))  # where there is no box the score is 0
    order = order[classes[order] < len(after.names)]
    corners = boxes[order][:, [1, 0, 3, 2]] * np.array([wanted[1], wanted[0]] * 2, np.float32)
    return Candidates(corners, scores[order], classes[order].astype(np.int64), np.zeros((len(order), 0, 2), np.float32))


def _fomo(outputs: list[np.ndarray], after: Boxes, wanted: tuple[int, int]) -> Candidates:
    (values,) = outputs
    height, width, _ = values.shape
    boxes: list[list[float]] = []
    scores: list[float] = []
    classes: list[int] = []
    for index in range(len(after.names)):
        sure = values[..., 1 + index]
        open_cells = {(int(y), int(x)) for y, x in np.argwhere(sure > np.float32(after.score))}
        while open_cells:
            group, waiting = [], [min(open_cells)]
            open_cells.remove(waiting[0])
            while waiting:
                y, x = waiting.pop()
                group.append((y, x))
                near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & open_cells
                open_cells -= near
                waiting += sorted(near)
            rows, columns = (np.array(side) for side in zip(*group, strict=True))
            boxes.append([columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height])
            scores.append(sure[rows, columns].max())
            classes.append(index)
    order = np.argsort(-np.array(scores), kind="stable")
    corners = (np.array(boxes).reshape(-1, 4) * np.array([wanted[1], wanted[0]] * 2)).astype(np.float32)
    points = np.zeros((len(order), 0, 2), np.float32)
    return Candidates(corners[order], np.array(scores, np.float32)[order], np.array(classes, np.int64)[order], points)


_HEADS: dict[str, Callable[[list[np.ndarray], Boxes, tuple[int, int]], Candidates]] = {
    "yolov8": _yolov8,
    "yolov5": _yolov5,
    "corners": _corners,
    "anchors": _anchors,
    "post_process": _post_process,
    "fomo": _fomo,
}


def blazeface(program: Program, names: tuple[str, ...] = ("face",)) -> Boxes:
    """Return the head of MediaPipe's face detectors, with their anchors: 896 on two maps, or 2,304 on one."""
    height, width, _ = program.buffers[program.inputs[0]].shape
    size = 4 + 2 * BLAZEFACE_POINTS
    shapes = [program.shapes[name] for name in program.outputs]
    count = sum(shape[0] for shape in shapes if len(shape) == 2 and shape[1] == size)
    maps = BLAZEFACE_MAPS.get(count, ())
    scales = (float(height), float(width), float(height), float(width))
    anchors = Anchors(maps, scales=scales, order="xywh", exponential=False)
    return Boxes(names, "anchors", score=0.5, overlap=0.3, points=BLAZEFACE_POINTS, logits=True, anchors=anchors)

"""How C turns outputs into answers: tables, constants and the call of `edgebn_answers.h` that an answer needs. Text only."""

from __future__ import annotations

import math

import numpy as np

from codegen.emitters.text import float_literal
from codegen.project import Listing
from edgebn.preparation.data import Anomaly, Boxes, Classes, KeyPoints, Mask, Picture, WakeWord
from edgebn.preparation.heads import anchor_boxes, roles, row_size
from edgebn.preparation.masks import seen_cells
from edgebn.preparation.resizing import Boxes as Placed
from edgebn.preparation.resizing import boxes as placed
from edgebn.preparation.score_maps import MaskMap, mask_map
from edgebn.program import Program

TOP = 5  # classes that are told
GIVEN = "given"  # what the network was given, which it may write over
HEADS = {
    "yolov8": "MIDDLES",
    "yolov5": "MIDDLES",
    "corners": "CORNERS",
    "anchors": "ANCHORS",
    "post_process": "FINISHED",
    "fomo": "CORNERS",
}


def map_of(program: Program) -> tuple[int, int, int]:
    """Return height, width and classes of an output that is a map."""
    height, width, classes = program.shapes[program.outputs[0]]
    return height, width, classes


def cells_of(program: Program) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and the end of a map's rows and columns that show the frame."""
    where, wanted = placed_in(program)
    lies = mask_map_of(program)
    return seen_cells((lies.height, lies.width), where, wanted)


def mask_map_of(program: Program) -> MaskMap:
    """Return how the output lies that a mask is made of."""
    assert program.preparation is not None
    after = program.preparation.after
    assert isinstance(after, Mask)
    found = mask_map(program, after)
    assert found is not None
    return found


def most(program: Program) -> int:
    """Return how many answers there can be at once."""
    assert program.preparation is not None
    after = program.preparation.after
    if isinstance(after, Boxes):
        return min(after.most, _candidates(program, after))
    if isinstance(after, KeyPoints):
        return len(after.names)
    if isinstance(after, Mask):
        return mask_map_of(program).classes
    return min(TOP, math.prod(program.shapes[program.outputs[0]])) if isinstance(after, Classes) else 1


def _candidates(program: Program, after: Boxes) -> int:
    parts = roles(program, after)
    shape = program.shapes[parts[0]]
    if after.head == "fomo":
        return shape[0] * shape[1] * len(after.names)
    if after.head == "anchors":
        return sum(program.shapes[name][0] for name in parts[: len(parts) // 2])
    is_turned = after.head in {"yolov8", "yolov5"} and shape[1] != row_size(after, shape)
    return shape[1] if is_turned else shape[0]


def table(listing: Listing, output: str, row: int, column: int, more: str = "0, NULL", parameter: str = "") -> str:
    """Return the initialiser of an edgebn_table over an output; `more` has its rows and where they go on.

    `parameter` is what C calls it, where that is not the output's own name.
    """
    parameter = parameter or dict(listing.values.outputs)[output]
    buffer = listing.program.buffers[output]
    anchors = f"1, {float_literal(buffer.scale)}, {buffer.zero_point}" if buffer.dtype == "int8" else "0, 1.0f, 0"
    return f"{{{parameter}, {anchors}, {row}, {column}, {more}}}"


def candidates_table(listing: Listing, after: Boxes) -> str:
    """Return the table of a YOLO head's candidates, whichever way they lie."""
    output = roles(listing.program, after)[0]
    shape = listing.program.shapes[output]
    size = row_size(after, shape)
    row, column = (size, 1) if shape[1] == size else (1, shape[1])
    return table(listing, output, row, column)


def _joined(listing: Listing, called: str, outputs: tuple[str, ...]) -> list[str]:
    """Return the declarations of a table that goes on from output to output."""
    lines, more = [], "0, NULL"
    for place, output in reversed(list(enumerate(outputs))):
        name = f"{called}_{place}" if place else called
        rows, columns = listing.program.shapes[output]
        end = more if place == len(outputs) - 1 else f"{rows}, &{called}_{place + 1}"
        lines.append(f"    const edgebn_table {name} = {table(listing, output, columns, 1, end)};")
    return lines


def decoding(listing: Listing) -> tuple[list[str], list[str], str]:
    """Return lines that begin a function, constants of the file, and the expression that decodes."""
    program = listing.program
    assert program.preparation is not None
    after = program.preparation.after
    first = program.outputs[0]
    if isinstance(after, Classes):
        size = math.prod(program.shapes[first])
        line = f"    const edgebn_table scores = {table(listing, first, 1, 0)};"
        return [line], [], f"edgebn_find_classes(&scores, {size}, {most(program)}, found)"
    if isinstance(after, WakeWord):
        return _wake_word(listing, after)
    if isinstance(after, Anomaly):
        return _anomaly(listing, after)
    if isinstance(after, Mask):
        lies = mask_map_of(program)
        (top, bottom), (left, right) = cells_of(program)
        part = f"{{{top * lies.width + left}, {lies.width}, {bottom - top}, {right - left}}}"
        constants = [f"EDGEBN_CONST static const edgebn_cells part = {part}; /* of the map, without borders */"]
        if lies.has_numbers:
            numbers = listing.values.outputs[0][1]
            return [], constants, f"edgebn_take_mask({numbers}, &part, {lies.classes}, mask, found)"
        line = f"    const edgebn_table scores = {table(listing, first, lies.classes, 1)};"
        return [line], constants, f"edgebn_find_mask(&scores, &part, {lies.classes}, mask, found)"
    if isinstance(after, KeyPoints):
        line = f"    const edgebn_table rows = {table(listing, first, 3, 1)};"
        return [line], _points_detector(listing, after), "edgebn_find_points(&detector, &rows, found)"
    assert isinstance(after, Boxes)
    parts = roles(program, after)
    if after.head == "fomo":
        height, width, size = map_of(program)
        line = f"    const edgebn_table scores = {table(listing, first, size, 1)};"
        constants = [f"static uint8_t marks[{height * width}];", *_detector(listing, after)]
        return [line], constants, f"edgebn_find_groups(&detector, &scores, {height}, {width}, marks, found)"
    points, rows = "points" if after.points else "NULL", "rows" if after.masks else "NULL"
    if after.head == "anchors":
        half = len(parts) // 2
        lines = [*_joined(listing, "boxes", parts[:half]), *_joined(listing, "scores", parts[half:])]
        return lines, _detector(listing, after), f"edgebn_find_boxes(&detector, &boxes, &scores, NULL, found, {points}, NULL)"
    shapes = [program.shapes[name] for name in parts]
    tables = []
    if after.head in {"yolov8", "yolov5"}:
        tables = [candidates_table(listing, after)] * 2
    else:
        width = shapes[1][1] if after.head != "post_process" else 1
        tables = [table(listing, parts[0], shapes[0][1], 1)]
        tables.append(table(listing, parts[2] if after.head == "post_process" else parts[1], width, 1))
    lines = [f"    const edgebn_table {name} = {table};" for name, table in zip(("boxes", "scores"), tables, strict=True)]
    pointer = "NULL"
    if after.head == "post_process":
        lines.append(f"    const edgebn_table classes = {table(listing, parts[1], 1, 1)};")
        pointer = "&classes"
    constants = _detector(listing, after)
    if after.masks:
        constants.append(f"static int32_t rows[{most(program)}]; /* candidates that the last answer's objects are */")
    return lines, constants, f"edgebn_find_boxes(&detector, &boxes, &scores, {pointer}, found, {points}, {rows})"


def _detector(listing: Listing, after: Boxes) -> list[str]:
    """Return the constants of a detector."""
    program = listing.program
    height, width, _ = program.buffers[program.inputs[0]].shape
    is_finished = after.head == "post_process"
    shares = after.shares or after.head in {"anchors", "post_process", "fomo"}
    parts = roles(program, after)
    scores = program.shapes[parts[len(parts) // 2]][1] if after.head in {"corners", "anchors"} else 0
    begin = {"yolov8": 4, "yolov5": 5, "post_process": 0, "fomo": 1}.get(after.head, scores - len(after.names))
    anchors, names = after.anchors, len(after.names)
    lines = []
    if anchors is not None:
        rows = ",\n".join("    " + ", ".join(_double(number) for number in row) for row in anchor_boxes(anchors))
        lines.append(f"EDGEBN_CONST static const double anchors[] = {{ /* middle y and x, height, width */\n{rows}\n}};")
    scales = ", ".join(_double(scale) for scale in (anchors.scales if anchors else (1.0,) * 4))
    order = ", ".join(str(anchors.order.index(letter) if anchors else 0) for letter in "yxhw")
    first_point, point_step = 4, 2
    if after.head == "yolov8":
        first_point = 4 + names
        point_step = (row_size(after, program.shapes[parts[0]]) - first_point) // max(after.points, 1)
    lines.append(f"""\
EDGEBN_CONST static const edgebn_detector detector = {{
    EDGEBN_{HEADS[after.head]}, {_candidates(program, after)}, {1 if is_finished else names}, {names}, {begin},
    {4 if after.head == "yolov5" else -1},
    {int(after.logits and after.head in {"corners", "anchors"})}, {float_literal(after.score)}, {float_literal(after.overlap)},
    {most(program)}, {float_literal(width if shares else 1)}, {float_literal(height if shares else 1)},
    {"anchors" if anchors else "NULL"}, {{{scales}}}, {{{order}}}, {int(bool(anchors and anchors.exponential))},
    {_way_back(listing.program)},
    {after.points}, {first_point}, {point_step}
}};""")
    return lines


def _points_detector(listing: Listing, after: KeyPoints) -> list[str]:
    """Return the constant by which key points come to their places in the picture."""
    height, width, _ = listing.program.buffers[listing.program.inputs[0]].shape
    return [
        f"""\
EDGEBN_CONST static const edgebn_detector detector = {{
    EDGEBN_CORNERS, {len(after.names)}, 1, 1, 0, -1, 0, {float_literal(after.score)}, 1.0f, {len(after.names)},
    {float_literal(width)}, {float_literal(height)}, NULL, {{1.0, 1.0, 1.0, 1.0}}, {{0, 0, 0, 0}}, 0,
    {_way_back(listing.program)},
    0, 0, 0
}};"""
    ]


def _way_back(program: Program) -> str:
    """Return the last numbers of a detector: from the input's pixels to those of the frame."""
    found, _ = placed_in(program)
    height, width = frame_size(program)
    top, left, high, wide = found.source
    to_top, to_left, to_high, to_wide = found.target
    place = [to_left, to_top, wide / to_wide, high / to_high, left, top, width, height]
    return ", ".join(_double(number) for number in place)


def frame_size(program: Program) -> tuple[int, int]:
    """Return height and width of the frame."""
    assert program.preparation is not None
    picture = program.preparation.before
    assert isinstance(picture, Picture)
    assert picture.frame is not None
    return picture.frame.height, picture.frame.width


def placed_in(program: Program) -> tuple[Placed, tuple[int, int]]:
    """Return how the frame fills the input, and the input's height and width."""
    assert program.preparation is not None
    picture = program.preparation.before
    assert isinstance(picture, Picture)
    height, width, _ = program.buffers[program.inputs[0]].shape
    return placed(picture, frame_size(program), (height, width)), (height, width)


def _double(number: float) -> str:
    text = repr(float(np.float64(number)))
    return text if "." in text or "e" in text else f"{text}.0"


def _wake_word(listing: Listing, word: WakeWord) -> tuple[list[str], list[str], str]:
    buffer = listing.program.buffers[listing.program.outputs[0]]
    parameter = listing.values.outputs[0][1]
    code = f"(uint8_t)({parameter}[0] + 128)" if buffer.dtype == "int8" else f"code_of({parameter}[0])"
    constants = [
        f"static uint8_t codes[{word.window}];",
        f"static edgebn_wake_word word = {{codes, {word.window}, 0, 0}};",
    ]
    if buffer.dtype != "int8":
        constants.append(_CODE_OF)
    constants.append(
        f"""
static int32_t hear(uint8_t code, edgebn_found *found) {{
    int32_t total;
    const int32_t is_heard = edgebn_wake_feed(&word, code, {int(word.cutoff * 255)}, {word.refractory}, &total);
    const edgebn_found heard = {{is_heard, (float)total / {255 * word.window}.0f, 0.0f, 0.0f, 0.0f, 0.0f}};

    *found = heard;
    return 1;
}}"""
    )
    return [], constants, f"hear({code}, found)"


def _anomaly(listing: Listing, anomaly: Anomaly) -> tuple[list[str], list[str], str]:
    network_input, made = listing.program.inputs[0], listing.program.outputs[0]
    lines = [
        f"    const edgebn_table given_numbers = {table(listing, network_input, 1, 0, parameter=GIVEN)};",
        f"    const edgebn_table made_numbers = {table(listing, made, 1, 0)};",
    ]
    function = f"""
static int32_t compare(const edgebn_table *before, const edgebn_table *after, edgebn_found *found) {{
    const double score = edgebn_mean_difference(before, after, {math.prod(listing.program.shapes[network_input])});
    const edgebn_found compared = {{score > {_double(anomaly.threshold)}, (float)score, 0.0f, 0.0f, 0.0f, 0.0f}};

    *found = compared;
    return 1;
}}"""
    return lines, [function], "compare(&given_numbers, &made_numbers, found)"


_CODE_OF = """
/* The nearest code of a probability, the even one of two. */
static uint8_t code_of(float probability) {
    const float scaled = probability * 255.0f, clipped = scaled > 0.0f ? scaled < 255.0f ? scaled : 255.0f : 0.0f;
    const int32_t below = (int32_t)clipped;
    const float rest = clipped - (float)below;
    return (uint8_t)(below + (rest > 0.5f || (!(rest < 0.5f) && (below & 1))));
}"""

"""`<name>_answer.h` and `.c`: from a frame or samples to the answer in one call: preparation, network, decoding. Text only."""

from __future__ import annotations

import math

import numpy as np

from codegen.constants import comment
from codegen.emitters.text import float_literal
from codegen.listing import accessors, item_of
from codegen.project import KERNELS, Listing
from codegen.values import count
from edgebn.errors import ModelError
from edgebn.preparation.data import Boxes, Classes, Picture, Sound, WakeWord
from edgebn.preparation.heads import anchor_boxes, roles
from edgebn.preparation.resizing import boxes as placed

HEADER, FOUND = "edgebn_answers.h", "edgebn_found.h"
TOP = 5  # classes that are told
HEADS = {"yolov8": "MIDDLES", "yolov5": "MIDDLES", "corners": "CORNERS", "anchors": "ANCHORS", "post_process": "FINISHED"}


def check(listing: Listing) -> None:
    """Refuse what has no way to an answer in C.

    Raises
    ------
    ModelError
    """
    kept = listing.program.preparation
    before, after = (kept.before, kept.after) if kept else (None, None)
    if not (isinstance(before, Sound) or (isinstance(before, Picture) and before.frame is not None)):
        raise ModelError(
            f"{listing.program.source} does not say what its frames or samples are; edgebn.prepare(model, image=Picture(..., "
            "frame=Frame(...))) or sound= does, and pipeline=True wants it"
        )
    is_known = isinstance(after, Classes) or (isinstance(after, WakeWord) and isinstance(before, Sound))
    is_known = is_known or (isinstance(after, Boxes) and isinstance(before, Picture) and after.head in HEADS)
    if not is_known:
        what = "nothing" if after is None else f"{type(after).__name__} {getattr(after, 'head', '')}".strip()
        raise ModelError(
            f"{listing.program.source}: answers in C are classes, boxes ({', '.join(HEADS)}) and wake words, and the model keeps "
            f"{what}; leave pipeline=True out and decode the outputs of {listing.name}_run"
        )
    if isinstance(after, Boxes) and after.head == "anchors" and len(roles(listing.program, after)) > 2:
        raise ModelError(
            f"{listing.program.source}: boxes in C are decoded from one output, and one of scores; join those of the "
            f"{len(listing.program.outputs) // 2} maps in the model, or decode the outputs of {listing.name}_run"
        )
    if isinstance(after, Boxes) and after.points:
        raise ModelError(
            f"{listing.program.source}: boxes in C have no key points; give Boxes(..., points=0), or decode them yourself"
        )


def files(listing: Listing) -> dict[str, str]:
    """Return the texts by name."""
    if not listing.pipeline:
        return {}
    return {f"{listing.name}_answer.h": _header(listing), f"{listing.name}_answer.c": _source(listing)}


def headers(listing: Listing) -> list[str]:
    """Return what they include of the kernel library."""
    return [HEADER, FOUND] if listing.pipeline else []


def _most(listing: Listing) -> int:
    assert listing.program.preparation is not None
    after = listing.program.preparation.after
    if isinstance(after, Boxes):
        return min(after.most, _candidates(listing, after))
    return min(TOP, math.prod(listing.program.shapes[listing.program.outputs[0]])) if isinstance(after, Classes) else 1


def _candidates(listing: Listing, after: Boxes) -> int:
    shape = listing.program.shapes[roles(listing.program, after)[0]]
    is_turned = after.head in {"yolov8", "yolov5"} and shape[1] != _size(after)
    return shape[1] if is_turned else shape[0]


def _size(after: Boxes) -> int:
    """Return how many numbers a candidate of a YOLO head has."""
    return (4 if after.head == "yolov8" else 5) + len(after.names)


def _header(listing: Listing) -> str:
    upper = listing.name.upper()
    return f"""\
/* From frames or samples to the answer of {comment(listing.title)}. Made by edgebn. */
#ifndef {upper}_ANSWER_H
#define {upper}_ANSWER_H

#include "{KERNELS}/{FOUND}"

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_ANSWERS {_most(listing)} /* at most */

{_declaration(listing)};

#ifdef __cplusplus
}}
#endif

#endif
"""


def _declaration(listing: Listing) -> str:
    name = listing.name
    kept = listing.program.preparation
    assert kept is not None
    if isinstance(kept.before, Picture):
        return f"""\
/* Prepares a frame, runs the network and writes what it found, the surest first; returns how many. */
int32_t {name}_answer(const uint8_t *frame, edgebn_found *found)"""
    heard = "; of a wake word one, whose index says whether it was heard" if isinstance(kept.after, WakeWord) else ""
    return f"""\
/* Forgets what was heard. Call once, before anything else. */
void {name}_answer_reset(void);

/* Takes samples until there is an answer, at most `count`; returns how many it took. `*number` says how many answers were
   written to `found`, 0 if it is not time for one yet{heard}. */
int32_t {name}_answer(const int16_t *samples, int32_t count, edgebn_found *found, int32_t *number)"""


def _source(listing: Listing) -> str:
    name, program = listing.name, listing.program
    kept = program.preparation
    assert kept is not None
    in_arena = {parameter for parameter, _, _ in accessors(listing)}
    ends = [*listing.values.inputs, *listing.values.outputs]
    memory = [
        f"static {item_of(listing, buffer)} {parameter}_memory[{count(program.buffers[buffer])}] EDGEBN_ALIGN;"
        for buffer, parameter in ends
        if parameter not in in_arena
    ]
    pointers = [
        f"    {item_of(listing, buffer)} *const {parameter} = "
        f"{f'{name}_{parameter}()' if parameter in in_arena else f'{parameter}_memory'};"
        for buffer, parameter in ends
    ]
    run = f"{name}_run({', '.join(parameter for _, parameter in ends)});"
    given = listing.values.inputs[0][1]
    tables, constants, decode = _decoding(listing)
    lines = [*pointers, *tables]
    before = "picture" if isinstance(kept.before, Picture) else "sound"
    if isinstance(kept.before, Picture):
        body = f"""\
int32_t {name}_answer(const uint8_t *frame, edgebn_found *found) {{
{chr(10).join(lines)}

    {name}_picture(frame, {given});
    {run}
    return {decode};
}}
"""
    else:
        wake = "    edgebn_wake_reset(&word);\n" if isinstance(kept.after, WakeWord) else ""
        body = f"""\
void {name}_answer_reset(void) {{
    {name}_sound_reset();
{f"    {name}_reset_state();{chr(10)}" if program.states else ""}{wake}}}

int32_t {name}_answer(const int16_t *samples, int32_t count, edgebn_found *found, int32_t *number) {{
{chr(10).join(lines)}
    int32_t ready;
    const int32_t taken = {name}_sound_feed(samples, count, {given}, &ready);

    *number = 0;
    if (ready) {{
        {run}
        *number = {decode};
    }}
    return taken;
}}
"""
    return f"""\
/* From frames or samples to the answer of {comment(listing.title)}. Made by edgebn. */
#include "{name}_answer.h"

#include "{KERNELS}/{HEADER}"
#include "{name}.h"
#include "{name}_params.h"
#include "{name}_{before}.h"

{chr(10).join(memory + constants)}

{body}"""


def _table(listing: Listing, output: str, row: int, column: int, offset: int = 0, pointer: str | None = None) -> str:
    """Return the initialiser of an edgebn_table over an output."""
    parameter = dict(listing.values.outputs)[output]
    buffer = listing.program.buffers[output]
    how = f"1, {float_literal(buffer.scale)}, {buffer.zero_point}" if buffer.dtype == "int8" else "0, 1.0f, 0"
    return f"{{{pointer or parameter}{f' + {offset}' if offset else ''}, {how}, {row}, {column}}}"


def _decoding(listing: Listing) -> tuple[list[str], list[str], str]:
    """Return lines that begin a function, constants of the file, and the expression that decodes."""
    program = listing.program
    assert program.preparation is not None
    after = program.preparation.after
    first = program.outputs[0]
    if isinstance(after, Classes):
        size = math.prod(program.shapes[first])
        line = f"    const edgebn_table scores = {_table(listing, first, 1, 0)};"
        return [line], [], f"edgebn_find_classes(&scores, {size}, {_most(listing)}, found)"
    if isinstance(after, WakeWord):
        return _wake_word(listing, after)
    assert isinstance(after, Boxes)
    parts = roles(program, after)
    shapes = [program.shapes[name] for name in parts]
    tables = []
    if after.head in {"yolov8", "yolov5"}:
        turned = shapes[0][1] != _size(after)
        row, column = (1, shapes[0][1]) if turned else (_size(after), 1)
        tables = [_table(listing, parts[0], row, column)] * 2
    else:
        width = shapes[1][1] if after.head != "post_process" else 1
        tables = [_table(listing, parts[0], shapes[0][1], 1)]
        tables.append(_table(listing, parts[2] if after.head == "post_process" else parts[1], width, 1))
    lines = [f"    const edgebn_table {name} = {table};" for name, table in zip(("boxes", "scores"), tables, strict=True)]
    pointer = "NULL"
    if after.head == "post_process":
        lines.append(f"    const edgebn_table classes = {_table(listing, parts[1], 1, 1)};")
        pointer = "&classes"
    return lines, _detector(listing, after), f"edgebn_find_boxes(&detector, &boxes, &scores, {pointer}, found)"


def _detector(listing: Listing, after: Boxes) -> list[str]:
    """Return the constants of a detector."""
    program = listing.program
    assert program.preparation is not None
    picture = program.preparation.before
    assert isinstance(picture, Picture)
    assert picture.frame is not None
    height, width, _ = program.buffers[program.inputs[0]].shape
    size = picture.frame.height, picture.frame.width
    found = placed(picture, size, (height, width))
    top, left, high, wide = found.source
    to_top, to_left, to_high, to_wide = found.target
    is_finished = after.head == "post_process"
    shares = after.shares or after.head in {"anchors", "post_process"}
    scores = listing.program.shapes[roles(program, after)[1]][1] if after.head in {"corners", "anchors"} else 0
    begin = {"yolov8": 4, "yolov5": 5, "post_process": 0}.get(after.head, scores - len(after.names))
    how, names = after.anchors, len(after.names)
    lines = []
    if how is not None:
        rows = ",\n".join("    " + ", ".join(_double(number) for number in row) for row in anchor_boxes(how))
        lines.append(f"EDGEBN_CONST static const double anchors[] = {{ /* middle y and x, height, width */\n{rows}\n}};")
    scales = ", ".join(_double(scale) for scale in (how.scales if how else (1.0,) * 4))
    order = ", ".join(str(how.order.index(letter) if how else 0) for letter in "yxhw")
    place = [to_left, to_top, wide / to_wide, high / to_high, left, top, size[1], size[0]]
    lines.append(f"""\
EDGEBN_CONST static const edgebn_detector detector = {{
    EDGEBN_{HEADS[after.head]}, {_candidates(listing, after)}, {1 if is_finished else names}, {names}, {begin},
    {4 if after.head == "yolov5" else -1},
    {int(after.logits and after.head in {"corners", "anchors"})}, {float_literal(after.score)}, {float_literal(after.overlap)},
    {_most(listing)}, {float_literal(width if shares else 1)}, {float_literal(height if shares else 1)},
    {"anchors" if how else "NULL"}, {{{scales}}}, {{{order}}}, {int(bool(how and how.exponential))},
    {", ".join(_double(number) for number in place)}
}};""")
    return lines


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


_CODE_OF = """
/* The nearest code of a probability, the even one of two. */
static uint8_t code_of(float probability) {
    const float scaled = probability * 255.0f, clipped = scaled > 0.0f ? scaled < 255.0f ? scaled : 255.0f : 0.0f;
    const int32_t below = (int32_t)clipped;
    const float rest = clipped - (float)below;
    return (uint8_t)(below + (rest > 0.5f || (!(rest < 0.5f) && (below & 1))));
}"""
